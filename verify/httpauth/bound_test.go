package httpauth_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const sid = "ses_1"

// boundRig is a service and an issuer that binds what it gives to 203.0.113.0/24
// and to Firefox.
type boundRig struct {
	t       *testing.T
	issuer  *verifytest.Issuer
	log     strings.Builder
	options httpauth.Options
}

func newBoundRig(t *testing.T) *boundRig {
	t.Helper()
	g := &boundRig{t: t, issuer: verifytest.NewIssuer(t)}
	g.options.Logger = slog.New(slog.NewTextHandler(&g.log, nil))
	return g
}

func (g *boundRig) claims(p bound.Policy) []verifytest.Claim {
	home := bound.Seen{Address: netip.MustParseAddr("203.0.113.7"), Agent: "Firefox", Language: "en"}
	return []verifytest.Claim{
		verifytest.Scope("orders:read"), verifytest.Set("sid", sid), verifytest.Set("bnd", p.Of(sid, home).String()),
	}
}

func (g *boundRig) auth() *httpauth.Auth {
	g.t.Helper()
	v, err := verify.New(g.issuer.Config())
	if err != nil {
		g.t.Fatal(err)
	}
	return httpauth.New(v, g.options)
}

// ask sends a request from an address and a browser.
func (g *boundRig) ask(credential http.Header, address, agent string, more ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	return sendFrom(g.t, g.auth().Require("orders:read"), credential, address, agent, more...)
}

func sendFrom(t *testing.T, wrap func(http.Handler) http.Handler, credential http.Header, address, agent string, more ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.test/orders", nil)
	for name, values := range credential {
		r.Header[name] = values
	}
	r.RemoteAddr = address + ":4000"
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	w := httptest.NewRecorder()
	wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })).ServeHTTP(w, r)
	return w
}

func TestStolenCredentialUsedElsewhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy bound.Policy
		status int
		code   string
		reason string
	}{
		{"refuse", bound.Policy{Network: bound.Refuse}, 401, `error="invalid_token"`, "used_elsewhere"},
		{"step up", bound.Policy{Network: bound.StepUp}, 401, `error="insufficient_user_authentication"`, "step_up_required"},
		{"report", bound.Policy{Network: bound.Report}, 200, "", "credential used elsewhere"},
		{"not bound", bound.Policy{}, 200, "", ""},
		{"another device", bound.Policy{Device: bound.Refuse}, 401, `error="invalid_token"`, "used_elsewhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newBoundRig(t)
			for kind, credential := range map[string]http.Header{
				"JWT": bearer(g.issuer.Token(g.claims(tt.policy)...)), "opaque": bearer(g.issuer.Opaque(g.claims(tt.policy)...)),
				"cookie": cookie(verify.CookieName + "=" + g.issuer.Session(g.claims(tt.policy)...)),
			} {
				g.log.Reset()
				if w := g.ask(credential, "203.0.113.250", "Firefox"); w.Code != 200 {
					t.Errorf("%s at home: %d", kind, w.Code)
				}
				if g.log.Len() > 0 {
					t.Errorf("%s at home: %s", kind, g.log.String())
				}
				w := g.ask(credential, "198.51.100.1", "Chrome")
				if w.Code != tt.status || !strings.Contains(w.Header().Get("WWW-Authenticate"), tt.code) || !strings.Contains(g.log.String(), tt.reason) {
					t.Errorf("%s elsewhere: %d %q\n%s", kind, w.Code, w.Header().Get("WWW-Authenticate"), g.log.String())
				}
				if w := g.ask(credential, "203.0.113.7", "Firefox"); w.Code != 200 {
					t.Errorf("%s at home again: %d", kind, w.Code)
				}
			}
		})
	}
}

func TestBindingThatCannotBeReadRefuses(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t)
	for _, bad := range []any{"net=ignore:AAAAAAAAAAAAAAAAAAAAAA", "geo=x", 5, nil, []string{}} {
		claims := append(g.claims(bound.Policy{}), verifytest.Set("bnd", bad))
		if w := g.ask(bearer(g.issuer.Token(claims...)), "203.0.113.7", "Firefox"); w.Code != 401 {
			t.Errorf("%v: %d", bad, w.Code)
		}
	}
}

// Nobody but a trusted proxy says where a request comes from.
func TestForgedAddressIsNotBelieved(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t)
	token := bearer(g.issuer.Token(g.claims(bound.Policy{Network: bound.Refuse})...))
	const proxy = "10.0.0.1"
	for _, tt := range []struct {
		name, from, forwarded string
		behind                bool
		status                int
	}{
		{"no proxy, forged", "198.51.100.1", "203.0.113.7", false, 401},
		{"past the proxy, forged", "198.51.100.1", "203.0.113.7", true, 401},
		{"through the proxy", proxy, "203.0.113.7", true, 200},
		{"through two proxies", proxy, "203.0.113.7, 10.0.0.2", true, 200},
		{"through the proxy, forged", proxy, "203.0.113.7, 198.51.100.1", true, 401},
		{"unreadable", proxy, "home", true, 401},
		{"proxy says nothing", proxy, "", true, 401},
	} {
		g.options.Address = nil
		if tt.behind {
			g.options.Address = httpauth.BehindProxies(netip.MustParsePrefix("10.0.0.0/8"))
		}
		if w := g.ask(token, tt.from, "Firefox", "X-Forwarded-For", tt.forwarded); w.Code != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.status)
		}
	}
	g.options.Elsewhere = httpauth.IgnoreElsewhere
	if w := g.ask(token, "198.51.100.1", "Firefox"); w.Code != 200 {
		t.Errorf("a service that is called by services: %d", w.Code)
	}
}

func TestReplayedTokenOnARouteForOneUse(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t)
	a := g.auth()
	once := func(credential http.Header, address string) int {
		return sendFrom(t, a.RequireOnce("orders:read"), credential, address, "Firefox").Code
	}
	for kind, text := range map[string]string{
		"JWT": g.issuer.Token(g.claims(bound.Policy{Network: bound.Refuse})...), "opaque": g.issuer.Opaque(g.claims(bound.Policy{Network: bound.Refuse})...),
	} {
		if got := once(bearer(text), "198.51.100.1"); got != 401 {
			t.Errorf("%s elsewhere: %d", kind, got)
		}
		var won atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if once(bearer(text), "203.0.113.7") == 200 {
					won.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%s: %d of 50 uses were served", kind, won.Load())
		}
		if w := sendFrom(t, a.Require(), bearer(text), "203.0.113.7", "Firefox"); w.Code != 401 {
			t.Errorf("%s on another route: %d", kind, w.Code)
		}
	}
	session := cookie(verify.CookieName + "=" + g.issuer.Session(g.claims(bound.Policy{})...))
	if got := once(session, "203.0.113.7"); got != 401 {
		t.Errorf("a session cookie: %d", got)
	}
	if got := once(http.Header{}, "203.0.113.7"); got != 401 {
		t.Errorf("nothing: %d", got)
	}
}
