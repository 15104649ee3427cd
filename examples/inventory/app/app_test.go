package app_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/examples/inventory/app"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const (
	audience = "https://inventory.example"
	secret   = "7pJ3Qm0vZkXr5sTn9uWy2bEd4fGh6jKl8oPq1rStUvX" // as `wafer api secret` prints it
)

func TestInventoryIsForTokensOfItsSecretWithTheScope(t *testing.T) {
	t.Parallel()
	key, err := jose.NewKey(jose.HS256, "an id that only the issuer knows", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	issuer := verifytest.NewIssuer(t, verifytest.WithKey(key))
	h, err := app.New(app.Config{
		Issuer: issuer.URL(), Audience: audience, HMACSecret: secret, Stale: "open", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	call := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/inventory", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	good := func() string { return issuer.Token(verifytest.Audience(audience), verifytest.Scope("inventory:read")) }
	if w := call(good()); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"stock"`) {
		t.Fatalf("good token: %d %s", w.Code, w.Body)
	}
	if got := call(issuer.Token(verifytest.Audience(audience), verifytest.Scope("orders:read"))).Code; got != http.StatusForbidden {
		t.Errorf("without the scope: %d, want 403", got)
	}
	first := good()
	issuer.Rotate()
	if got := call(good()).Code; got != http.StatusUnauthorized {
		t.Errorf("of another secret: %d, want 401", got)
	}
	if got := call(first).Code; got != http.StatusOK {
		t.Errorf("good token again: %d, want 200", got)
	}
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	good := app.Config{Issuer: "http://localhost:8080", Audience: audience, HMACSecret: secret, Stale: "open"}
	if _, err := app.New(good); err != nil {
		t.Fatalf("good configuration: %v", err)
	}
	for name, change := range map[string]func(*app.Config){
		"stale":                func(c *app.Config) { c.Stale = "whatever" },
		"nobody to ask":        func(c *app.Config) { c.Stale = "strict" },
		"secret that is short": func(c *app.Config) { c.HMACSecret = "short" },
		"no secret for the id": func(c *app.Config) { c.ClientID = "inventory-api" },
		"no issuer":            func(c *app.Config) { c.Issuer = "" },
	} {
		c := good
		change(&c)
		if _, err := app.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
