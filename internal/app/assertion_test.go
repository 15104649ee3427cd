package app_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

// A client with its keys at an address, by the profile that banks are held to: a
// signed assertion, and tokens bound by DPoP. CLIENT-005, CLIENT-011 and DPOP-004 over
// the whole server, and over a restart of it.
func TestClientProvesItselfByKeysAtAnAddress(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.ES256, "k1")
	check(t, err)
	var fetched atomic.Int32
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_ = json.NewEncoder(w).Encode(jose.KeySet{key.Public()})
	}))
	defer keys.Close()
	cfg := config.Config{Data: t.TempDir()}.WithDefaults()
	open := func() *app.App {
		a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
		check(t, err)
		return a
	}
	a := open()
	defer func() { check(t, a.Close()) }()
	local(t, a, "/api/v1/apis", `{"id":"https://orders.example","scopes":["orders:read"]}`)
	local(t, a, "/api/v1/clients", `{"id":"bank","kind":"confidential","grants":["client_credentials"],"apis":{"https://orders.example":["*"]},
		"oauth":{"profile":"fapi2","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"`+keys.URL+`","dpop_bound_access_tokens":true}}`)
	assertion := func(by *jose.Key) string {
		now := time.Now()
		body, err := json.Marshal(map[string]any{
			"iss": "bank", "sub": "bank", "aud": cfg.Issuer, "jti": opaque.Text(12), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		})
		check(t, err)
		text, err := jose.Sign(by, jose.Header{}, body)
		check(t, err)
		return text
	}
	proof := func() string {
		text, err := dpop.Sign(key, dpop.Request{Method: "POST", URL: cfg.Issuer + "/oauth/token", Now: time.Now()})
		check(t, err)
		return text
	}
	ask := func(assertion, proof string, want int, says string) {
		t.Helper()
		r := httptest.NewRequest("POST", cfg.Issuer+"/oauth/token", strings.NewReader(url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if proof != "" {
			r.Header.Set("DPoP", proof)
		}
		w := httptest.NewRecorder()
		a.Public().ServeHTTP(w, r)
		if w.Code != want || !strings.Contains(w.Body.String(), says) {
			t.Errorf("got %d %s, want %d %s", w.Code, w.Body, want, says)
		}
	}
	usedAssertion, usedProof := assertion(key), proof()
	ask(usedAssertion, usedProof, 200, `"token_type":"DPoP"`)
	ask(usedAssertion, proof(), 401, "invalid_client")
	ask(assertion(key), usedProof, 400, "invalid_dpop_proof")
	ask(assertion(key), "", 400, "invalid_dpop_proof")
	for range 20 {
		ask(assertion(key.WithID(opaque.Text(6))), proof(), 401, "invalid_client")
	}
	ask(assertion(key), proof(), 200, "access_token")
	if n := fetched.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	check(t, a.Close())
	a = open()
	ask(usedAssertion, proof(), 401, "invalid_client")
	ask(assertion(key), usedProof, 400, "invalid_dpop_proof")
	ask(assertion(key), proof(), 200, "access_token")
}
