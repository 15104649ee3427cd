package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// rules is the table that the library is tested with too: both sides tell origins
// apart alike.
type rules struct {
	Own      string
	Trusted  string
	Requests []struct {
		Name, Method string
		Header       http.Header
		Passes       bool // with the session cookie attached
	}
	Shares []struct {
		Origin  string
		Trusted bool
	}
}

func readRules(t *testing.T) rules {
	t.Helper()
	raw, err := os.ReadFile("../../../verify/httpauth/testdata/origins.json")
	if err != nil {
		t.Fatal(err)
	}
	var all rules
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Requests) < 50 || len(all.Shares) < 10 {
		t.Fatalf("%d requests, %d shares", len(all.Requests), len(all.Shares))
	}
	return all
}

func trustShop(_ context.Context, origin string) bool { return origin == "https://shop.example" }

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// CSRF-002, CSRF-004, CSRF-006
func TestUnsafeRequestsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	all := readRules(t)
	h := middleware.SameOrigin(trustShop, slog.New(slog.DiscardHandler))(http.HandlerFunc(ok))
	do := func(method string, header http.Header, cookie string) int {
		r := httptest.NewRequest(method, all.Own+"/session", nil)
		for name, values := range header {
			r.Header[name] = values
		}
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, tt := range all.Requests {
		want := map[bool]int{true: 200, false: 403}[tt.Passes]
		if got := do(tt.Method, tt.Header, middleware.CookieName+"=x"); got != want {
			t.Errorf("%s: got %d, want %d", tt.Name, got, want)
		}
		// Without the cookie only those pass besides that say nothing at all.
		if strings.HasPrefix(tt.Name, "mute") || strings.HasPrefix(tt.Name, "empty") {
			want = 200
		}
		if got := do(tt.Method, tt.Header, ""); got != want {
			t.Errorf("%s, without a cookie: got %d, want %d", tt.Name, got, want)
		}
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for cookie, want := range map[string]int{
		"a=b": 200, middleware.DeviceCookieName + "=x": 200, middleware.CookieName + "=": 403, middleware.CookieName + "=x; " + middleware.CookieName + "=y": 403,
		strings.Repeat("a=b; ", 5000): 403,
	} {
		if got := do("POST", form, cookie); got != want {
			t.Errorf("mute form with the cookie %.40q: got %d, want %d", cookie, got, want)
		}
	}
}

// A server behind a proxy that ends TLS sees plain HTTP: what counts is the issuer.
func TestPageInTheClearIsNotTheSameOrigin(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]int{"https://auth.example": 403, "http://auth.example": 200} {
		mux := http.NewServeMux()
		mux.Handle("POST /x", middleware.SameOrigin(nil, slog.New(slog.DiscardHandler))(http.HandlerFunc(ok)))
		h, err := middleware.Chain(middleware.Config{Issuer: issuer, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1_900_000_000, 0) }}, mux)
		if err != nil {
			t.Fatal(err)
		}
		for origin, want := range map[string]int{"http://auth.example": want, "https://auth.example": 200, "http://evil.test": 403} {
			r := request("POST", "/x", nil)
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s, page of %s: got %d, want %d", issuer, origin, w.Code, want)
			}
		}
		r := request("POST", "/x", nil)
		r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:1"
		r.Header.Set("Origin", "http://localhost:8080")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%s, page on this machine: got %d", issuer, w.Code)
		}
	}
}

// CSRF-006
func TestSharingNamesOnlyTrustedOrigins(t *testing.T) {
	t.Parallel()
	for _, cookies := range []bool{true, false} {
		share := middleware.Sharing{Methods: []string{"DELETE", "POST"}, Trusted: trustShop}
		if cookies {
			share.Cookies = trustShop
		}
		h := share.Wrap(http.HandlerFunc(ok))
		for _, tt := range readRules(t).Shares {
			for _, method := range []string{"POST", "OPTIONS"} {
				r := httptest.NewRequest(method, "/session", nil)
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization")
				if tt.Origin != "" {
					r.Header.Set("Origin", tt.Origin)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				checkShare(t, w, share, tt.Trusted)
				want := map[string]int{"POST": 200, "OPTIONS": map[bool]int{true: 204, false: 403}[tt.Trusted]}[method]
				if w.Code != want {
					t.Errorf("%s from %q: got %d, want %d", method, tt.Origin, w.Code, want)
				}
			}
		}
	}
	r := httptest.NewRequest("GET", "/session", nil)
	r.Header["Origin"] = []string{"https://shop.example", "https://shop.example"}
	w := httptest.NewRecorder()
	middleware.Sharing{Trusted: trustShop}.Wrap(http.HandlerFunc(ok)).ServeHTTP(w, r)
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("two origins: %q is allowed", got)
	}
}

func checkShare(t *testing.T, w *httptest.ResponseRecorder, s middleware.Sharing, trusted bool) {
	t.Helper()
	want := map[string]string{"Vary": "Origin"}
	if trusted {
		want["Access-Control-Allow-Origin"] = "https://shop.example"
		if s.Cookies != nil {
			want["Access-Control-Allow-Credentials"] = "true"
		}
		if w.Code == http.StatusNoContent {
			want["Access-Control-Allow-Methods"], want["Access-Control-Max-Age"] = "DELETE, POST", "600"
			want["Access-Control-Allow-Headers"] = "Authorization, Content-Type, DPoP, X-Requested-With"
		} else {
			want["Access-Control-Expose-Headers"] = "DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"
		}
	}
	for _, name := range []string{
		"Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
		"Access-Control-Max-Age", "Access-Control-Expose-Headers",
	} {
		if got := strings.Join(w.Header().Values(name), "; "); got != want[name] {
			t.Errorf("%d, trusted %t: %s is %q, want %q", w.Code, trusted, name, got, want[name])
		}
	}
}

func TestOriginsFollowTheRegister(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_900_000_000, 0)
	var all []client.Client
	var broken error
	o := &middleware.Origins{
		List:  func(context.Context) ([]client.Client, error) { return all, broken },
		Now:   func() time.Time { return now },
		Fresh: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	check := func(when string, registered, first bool) {
		t.Helper()
		if got := o.Registered(t.Context(), "https://shop.example"); got != registered {
			t.Errorf("%s: registered %v", when, got)
		}
		if got := o.FirstParty(t.Context(), "https://shop.example"); got != first {
			t.Errorf("%s: first party %v", when, got)
		}
		now = now.Add(2 * time.Second)
	}
	check("at first", false, false)
	shop := client.Client{ID: "shop", Origins: []string{"https://shop.example"}}
	all = []client.Client{shop}
	check("added", true, false)
	all[0].FirstParty = true
	check("first party", true, true)
	broken = errors.New("no disk")
	check("register not readable", true, true)
	broken = nil
	all[0].Disabled = true
	check("disabled", false, false)
}
