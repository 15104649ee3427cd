package httpauth_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// api is a handler behind the middleware that counts its runs.
type api struct {
	handler http.Handler
	ran     int
	last    *verify.Identity
}

func newHandler(tb testing.TB, c verify.Config, scopes ...string) *api {
	tb.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.Logger = quiet
	v, err := verify.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	a := &api{}
	a.handler = httpauth.New(v, httpauth.Options{Logger: quiet}).Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ran++
		a.last, _ = httpauth.From(r.Context())
	}))
	return a
}

func (a *api) do(tb testing.TB, method string, h http.Header) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, "http://shop.test/orders", nil)
	maps.Copy(r.Header, h)
	w := httptest.NewRecorder()
	before := a.ran
	a.last = nil
	a.handler.ServeHTTP(w, r)
	if ran := a.ran - before; (w.Code == http.StatusOK) != (ran == 1) {
		tb.Errorf("status %d, and the handler ran %d times", w.Code, ran)
	}
	return w
}

func (a *api) get(tb testing.TB, token string) *httptest.ResponseRecorder {
	tb.Helper()
	return a.do(tb, http.MethodGet, bearer(token))
}

func cookie(lines ...string) http.Header { return http.Header{"Cookie": lines} }

func session(value string) string { return verify.CookieName + "=" + value }

func TestSessionCookieIsAcceptedUntilRevoked(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	g := newHandler(t, issuer.Config(), "orders:read")
	value := issuer.Session(verifytest.Subject("ada"), verifytest.Set("sid", "s-1"), verifytest.Scope("orders:read"))
	bystander := issuer.Session(verifytest.Scope("orders:read"))
	for _, line := range []string{session(value), "a=b; " + session(value), session(value) + "; a=b", "a=b;" + session(value)} {
		if w := g.do(t, http.MethodGet, cookie(line)); w.Code != http.StatusOK {
			t.Fatalf("cookie line %q: got status %d, want 200", line, w.Code)
		}
	}
	if w := g.do(t, http.MethodGet, cookie("a=b", session(value))); w.Code != http.StatusOK || g.last.Subject != "ada" || g.last.Kind != verify.Session {
		t.Fatalf("got status %d, identity %+v", w.Code, g.last)
	}
	issuer.Revoke("s-1")
	if w := g.do(t, http.MethodGet, cookie(session(value))); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != invalidToken {
		t.Errorf("revoked: got status %d, %v, want 401", w.Code, w.Header())
	}
	if w := g.do(t, http.MethodGet, cookie(session(bystander))); w.Code != http.StatusOK {
		t.Errorf("bystander: got status %d, want 200", w.Code)
	}
}

// JWT-054, SESS-009, SESS-011, SESS-012
func TestAttackSessionCookie(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	g := newHandler(t, issuer.Config(), "orders:read")
	scope := verifytest.Scope("orders:read")
	value, token, opaque := issuer.Session(scope), issuer.Token(scope), issuer.Opaque(scope)
	evil := issuer.Session(verifytest.Subject("mallory"), scope)
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"access token as cookie", cookie(session(token)), http.StatusUnauthorized},
		{"opaque token as cookie", cookie(session(opaque)), http.StatusUnauthorized},
		{"cookie value as bearer", bearer(value), http.StatusUnauthorized},
		{"unknown value", cookie(session("AAAA" + value[4:])), http.StatusUnauthorized},
		{"truncated", cookie(session(value[:len(value)-1])), http.StatusUnauthorized},
		{"quoted", cookie(session(`"` + value + `"`)), http.StatusUnauthorized},
		{"long value", cookie(session(strings.Repeat("a", 600))), http.StatusUnauthorized},
		{"two, evil first", cookie(session(evil) + "; " + session(value)), http.StatusBadRequest},
		{"two, evil last", cookie(session(value) + "; " + session(evil)), http.StatusBadRequest},
		{"two, the same", cookie(session(value) + "; " + session(value)), http.StatusBadRequest},
		{"two lines", cookie(session(value), session(evil)), http.StatusBadRequest},
		{"two, one empty", cookie(session("") + "; " + session(value)), http.StatusBadRequest},
		{"name with space behind", cookie(verify.CookieName + " =" + evil), http.StatusUnauthorized},
		{"name with tab before", cookie("a=b;\t" + session(evil)), http.StatusUnauthorized},
		{"name with two spaces before", cookie("a=b;  " + session(evil)), http.StatusUnauthorized},
		{"name in other case", cookie(strings.ToUpper(verify.CookieName) + "=" + evil), http.StatusUnauthorized},
		{"name without prefix", cookie("wafer=" + evil), http.StatusUnauthorized},
		{"nameless", cookie("=" + session(evil)), http.StatusUnauthorized},
		{"empty value", cookie(session("")), http.StatusUnauthorized},
		{"header too large", cookie(session(value) + "; a=" + strings.Repeat("b", 9000)), http.StatusRequestHeaderFieldsTooLarge},
		{"thousands of cookies", cookie(strings.Repeat("a=b; ", 3500) + session(value)), http.StatusRequestHeaderFieldsTooLarge},
		{"in a header of its own", http.Header{"X-Session": {value}}, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if w := g.do(t, http.MethodGet, cookie(session(value))); w.Code != http.StatusOK {
				t.Fatalf("before: got status %d, want 200", w.Code)
			}
			w := g.do(t, http.MethodGet, tt.header)
			if w.Code != tt.status {
				t.Errorf("got status %d, want %d", w.Code, tt.status)
			}
			if strings.Contains(w.Body.String(), value) || len(w.Body.String()) > 40 {
				t.Errorf("got body %q", w.Body)
			}
			if w := g.do(t, http.MethodGet, cookie(session(value))); w.Code != http.StatusOK {
				t.Fatalf("after: got status %d, want 200", w.Code)
			}
		})
	}
	// A thief's padded name beside the real cookie changes nothing.
	if w := g.do(t, http.MethodGet, cookie(verify.CookieName+" ="+evil+"; "+session(value))); w.Code != http.StatusOK || g.last.Subject != "user-1" {
		t.Errorf("padded name beside ours: got status %d, %+v", w.Code, g.last)
	}
}

// FWD-008
func TestAttackAmbiguousCredentials(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	g := newHandler(t, issuer.Config())
	good, other := issuer.Token(verifytest.Subject("ada")), issuer.Token(verifytest.Subject("mallory"))
	sid := issuer.Session(verifytest.Subject("carol"))
	bad := want{http.StatusBadRequest, `Bearer realm="wafer", error="invalid_request"`, "invalid_request"}
	for name, h := range map[string]http.Header{
		"two bearers":      {"Authorization": {"Bearer " + good, "Bearer " + other}},
		"the same twice":   {"Authorization": {"Bearer " + good, "Bearer " + good}},
		"basic and bearer": {"Authorization": {"Basic eDp5", "Bearer " + good}},
		"bearer, empty":    {"Authorization": {"Bearer"}},
		"bearer, spaces":   {"Authorization": {"Bearer   "}},
	} {
		w := g.do(t, http.MethodGet, h)
		(&rig{tb: t, log: &strings.Builder{}}).checkRefusal(t, w, bad)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	// The bearer token wins over the cookie, and is never helped by it.
	if w := g.do(t, http.MethodGet, http.Header{"Authorization": {"Bearer " + good}, "Cookie": {session(sid)}}); w.Code != http.StatusOK || g.last.Subject != "ada" {
		t.Errorf("bearer and cookie: got status %d, %+v", w.Code, g.last)
	}
	if w := g.do(t, http.MethodGet, http.Header{"Authorization": {"Bearer x"}, "Cookie": {session(sid)}}); w.Code != http.StatusUnauthorized {
		t.Errorf("bad bearer and good cookie: got status %d, want 401", w.Code)
	}
	if w := g.do(t, http.MethodGet, http.Header{"Authorization": {"DPoP " + good}, "Cookie": {session(sid)}}); w.Code != http.StatusUnauthorized {
		t.Errorf("DPoP and good cookie: got status %d, want 401", w.Code)
	}
	if w := g.do(t, http.MethodGet, http.Header{"Authorization": {"Basic eDp5"}, "Cookie": {session(sid)}}); w.Code != http.StatusOK || g.last.Subject != "carol" {
		t.Errorf("another scheme and good cookie: got status %d, want 200", w.Code)
	}
}

func TestAttackCrossOriginRequestWithCookie(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	g := newHandler(t, issuer.Config())
	value, token := issuer.Session(), issuer.Token()
	with := func(pairs ...string) http.Header {
		h := cookie(session(value))
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name, method string
		header       http.Header
		status       int
	}{
		{"same origin", http.MethodPost, with("Sec-Fetch-Site", "same-origin"), http.StatusOK},
		{"typed into the bar", http.MethodPost, with("Sec-Fetch-Site", "none"), http.StatusOK},
		{"no browser", http.MethodPost, with("Content-Type", "application/json"), http.StatusOK},
		{"no browser, another method", http.MethodDelete, with(), http.StatusOK},
		{"no browser, or one that says nothing", http.MethodPost, with(), http.StatusForbidden},
		{"cross-site POST", http.MethodPost, with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"same-site POST", http.MethodPost, with("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		{"old browser, same origin", http.MethodPost, with("Origin", "http://shop.test"), http.StatusOK},
		{"old browser, other origin", http.MethodPost, with("Origin", "https://evil.test"), http.StatusForbidden},
		{"null origin", http.MethodDelete, with("Origin", "null"), http.StatusForbidden},
		{"cross-site PUT", http.MethodPut, with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"cross-site PATCH", http.MethodPatch, with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"cross-site link", http.MethodGet, with("Sec-Fetch-Site", "cross-site"), http.StatusOK},
		{"cross-site WebSocket", http.MethodGet, with("Sec-Fetch-Site", "cross-site", "Connection", "Upgrade", "Upgrade", "WebSocket"), http.StatusForbidden},
		{"old cross-site WebSocket", http.MethodGet, with("Origin", "https://evil.test", "Upgrade", "h2c, websocket"), http.StatusForbidden},
		{"own WebSocket", http.MethodGet, with("Sec-Fetch-Site", "same-origin", "Upgrade", "websocket"), http.StatusOK},
		{"bearer needs no origin", http.MethodPost, http.Header{"Authorization": {"Bearer " + token}, "Sec-Fetch-Site": {"cross-site"}}, http.StatusOK},
		{"same origin again", http.MethodPost, with("Sec-Fetch-Site", "same-origin"), http.StatusOK},
	} {
		if w := g.do(t, tt.method, tt.header); w.Code != tt.status {
			t.Errorf("%s: got status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		} else if w.Code == http.StatusForbidden && (w.Body.String() != "{\"error\":\"cross_origin\"}\n" || w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: got %q, %v", tt.name, w.Body, w.Header())
		}
	}
}

func TestCookieIsIgnoredWhenAskedOrWithoutServer(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	alone := issuer.Config()
	alone.Server, alone.Stale = nil, verify.Open
	without, err := verify.New(alone)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	for name, auth := range map[string]*httpauth.Auth{
		"asked":          httpauth.New(issuer.Verifier(), httpauth.Options{IgnoreCookie: true, Logger: quiet}),
		"without server": httpauth.New(without, httpauth.Options{Logger: quiet}),
	} {
		g := &api{}
		g.handler = auth.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { g.ran++ }))
		if w := g.do(t, http.MethodGet, cookie(session(issuer.Session()))); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got status %d, want 401", name, w.Code)
		}
		if w := g.get(t, issuer.Token()); w.Code != http.StatusOK {
			t.Errorf("%s: token: got status %d, want 200", name, w.Code)
		}
	}
}

func TestServerDownAnswersByPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy verify.Policy
		token  int
	}{
		{verify.Strict, http.StatusServiceUnavailable},
		{verify.Degrade, http.StatusServiceUnavailable},
		{verify.Open, http.StatusOK},
	} {
		t.Run(tt.policy.String(), func(t *testing.T) {
			t.Parallel()
			issuer := verifytest.NewIssuer(t)
			c := issuer.Config()
			c.Stale = tt.policy
			g := newHandler(t, c)
			token, value, opaque := issuer.Token(), issuer.Session(), issuer.Opaque()
			all := func(wantToken, wantOther int) {
				t.Helper()
				for name, h := range map[string]http.Header{"token": bearer(token), "session": cookie(session(value)), "opaque": bearer(opaque)} {
					status := wantOther
					if name == "token" {
						status = wantToken
					}
					w := g.do(t, http.MethodGet, h)
					if w.Code != status {
						t.Errorf("%s: got status %d, want %d", name, w.Code, status)
					}
					if w.Code != http.StatusServiceUnavailable {
						continue
					}
					if w.Header().Get("Retry-After") != "1" || w.Body.String() != "{\"error\":\"unavailable\"}\n" || w.Header().Get("WWW-Authenticate") != "" {
						t.Errorf("%s: got %q, %v", name, w.Body, w.Header())
					}
				}
			}
			all(http.StatusOK, http.StatusOK)
			issuer.Fail()
			all(tt.token, http.StatusServiceUnavailable)
			issuer.Recover()
			all(http.StatusOK, http.StatusOK)
		})
	}
}

func TestRevokedTokenIsRefusedByPolicy(t *testing.T) {
	t.Parallel()
	for policy, status := range map[verify.Policy]int{
		verify.Strict: http.StatusUnauthorized, verify.Degrade: http.StatusUnauthorized, verify.Open: http.StatusOK,
	} {
		issuer := verifytest.NewIssuer(t)
		c := issuer.Config()
		c.Stale = policy
		g := newHandler(t, c)
		token, other := issuer.Token(verifytest.Set("jti", "t-1")), issuer.Token()
		if w := g.get(t, token); w.Code != http.StatusOK {
			t.Fatalf("%s: before: got status %d, want 200", policy, w.Code)
		}
		issuer.Revoke("t-1")
		w := g.get(t, token)
		if w.Code != status {
			t.Errorf("%s: got status %d, want %d", policy, w.Code, status)
		}
		if got := w.Header().Get("WWW-Authenticate"); status == http.StatusUnauthorized && got != invalidToken {
			t.Errorf("%s: got WWW-Authenticate %q", policy, got)
		}
		if w := g.get(t, other); w.Code != http.StatusOK {
			t.Errorf("%s: after: got status %d, want 200", policy, w.Code)
		}
	}
}

func TestRefusalIsLoggedOnceWithItsReason(t *testing.T) {
	t.Parallel()
	g := newRig(t, "EdDSA")
	token := g.sign(g.header(), g.claims().with("exp", g.clock.t.Add(-time.Hour).Unix()).with("iat", g.clock.t.Add(-2*time.Hour).Unix()))
	g.refuses(t, token)
	log := g.log.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=INFO") || !strings.Contains(log, "reason=token_expired") || !strings.Contains(log, "status=401") {
		t.Errorf("got log %q", log)
	}
	for _, part := range append(strings.Split(token, "."), goodSubject) {
		if strings.Contains(log, part) {
			t.Errorf("the log holds %q", part)
		}
	}
	g.acceptsGood(t)
	if g.log.String() != log {
		t.Error("a success was logged")
	}
}

func TestRealmIsQuoted(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Realm: "a\"b\\c\r\nX: 1", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w := httptest.NewRecorder()
	auth.Require()(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got, want := w.Header().Get("WWW-Authenticate"), `Bearer realm="a\"b\\cX: 1"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMisuseStopsTheServiceAtStart(t *testing.T) {
	t.Parallel()
	v := verifytest.NewIssuer(t).Verifier()
	for name, misuse := range map[string]func(){
		"nil verifier":      func() { httpauth.Require(nil) },
		"empty scope":       func() { httpauth.Require(v, "") },
		"two scopes in one": func() { httpauth.Require(v, "a b") },
		"quote in scope":    func() { httpauth.Require(v, `a"b`) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			misuse()
		}()
	}
}

func TestFromOutsideRequire(t *testing.T) {
	t.Parallel()
	if id, ok := httpauth.From(t.Context()); ok || id != nil {
		t.Errorf("got %+v, %v, want nothing", id, ok)
	}
}
