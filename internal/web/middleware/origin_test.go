package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

func trustShop(_ context.Context, origin string) bool { return origin == "https://shop.example" }

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

func TestSameOriginRefusesOtherPages(t *testing.T) {
	t.Parallel()
	h := middleware.SameOrigin(trustShop, slog.New(slog.DiscardHandler))(http.HandlerFunc(ok))
	for _, tt := range []struct {
		name, method, site string
		origin             []string
		want               int
	}{
		{"own page", "POST", "same-origin", []string{"https://auth.example"}, 200},
		{"typed by the person", "POST", "none", nil, 200},
		{"no browser", "POST", "", nil, 200},
		{"own page, old browser", "POST", "", []string{"https://auth.example"}, 200},
		{"registered page", "POST", "cross-site", []string{"https://shop.example"}, 200},
		{"other site", "POST", "cross-site", []string{"https://evil.test"}, 403},
		{"sibling host", "POST", "same-site", []string{"https://sub.auth.example"}, 403},
		{"other site, old browser", "POST", "", []string{"https://evil.test"}, 403},
		{"null origin", "POST", "cross-site", []string{"null"}, 403},
		{"null origin, old browser", "POST", "", []string{"null"}, 403},
		{"our name as a prefix", "POST", "", []string{"https://auth.example.evil.test"}, 403},
		{"registered name as a prefix", "POST", "cross-site", []string{"https://shop.example.evil.test"}, 403},
		{"other case", "POST", "cross-site", []string{"https://SHOP.example"}, 403},
		{"other scheme", "POST", "cross-site", []string{"http://shop.example"}, 403},
		{"two origins", "POST", "cross-site", []string{"https://shop.example", "https://evil.test"}, 403},
		{"other methods too", "DELETE", "cross-site", []string{"https://evil.test"}, 403},
		{"reading is harmless", "GET", "cross-site", []string{"https://evil.test"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, "https://auth.example/session", nil)
			r.Header["Origin"] = tt.origin
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("got %d, want %d", w.Code, tt.want)
			}
		})
	}
}

func TestSharingNamesOnlyTrustedOrigins(t *testing.T) {
	t.Parallel()
	share := middleware.Sharing{Methods: []string{"POST"}, Trusted: trustShop, Cookies: true}
	h := share.Wrap(http.HandlerFunc(ok))
	for _, method := range []string{"POST", "OPTIONS"} {
		for _, origin := range []string{"https://shop.example", "https://evil.test", "null", "https://shop.example.evil.test", "https://SHOP.example", ""} {
			r := httptest.NewRequest(method, "/session", nil)
			r.Header.Set("Access-Control-Request-Headers", "authorization")
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			trusted := origin == "https://shop.example"
			allowed := map[bool]string{true: origin, false: ""}[trusted]
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != allowed {
				t.Errorf("%s from %q: allowed %q", method, origin, got)
			}
			if got := w.Header().Get("Access-Control-Allow-Credentials"); (got == "true") != trusted {
				t.Errorf("%s from %q: credentials %q", method, origin, got)
			}
			if w.Header().Get("Vary") == "" {
				t.Errorf("%s from %q: no Vary", method, origin)
			}
			want := map[bool]map[string]int{true: {"POST": 200, "OPTIONS": 204}, false: {"POST": 200, "OPTIONS": 403}}[trusted][method]
			if w.Code != want {
				t.Errorf("%s from %q: got %d, want %d", method, origin, w.Code, want)
			}
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
