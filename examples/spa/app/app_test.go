package app_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/spa/app"
)

func TestSignInSeesOrdersAndSignsOut(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := &browser{rig: g}
	if r := b.get("/api/me"); r.StatusCode != 200 || r.text != `{"signed_in":false}` {
		t.Errorf("nobody: %d %s", r.StatusCode, r.text)
	}
	r := b.post("/api/sign-in", credentials("ada@example.com", password))
	b.want(r, 204, "")
	set := r.Header.Values("Set-Cookie")
	if len(set) != 1 || !strings.HasSuffix(set[0], "; Path=/; HttpOnly; Secure; SameSite=Strict") || len(b.cookie) != 43 {
		t.Errorf("cookies %q", set)
	}
	if r := b.get("/api/me"); r.text != `{"signed_in":true,"user":"usr_ada","login":"ada@example.com","since":"2026-11-20T09:00:00Z","until":"2026-11-27T09:00:00Z"}` {
		t.Errorf("who am I: %s", r.text)
	}
	if r := b.get("/api/orders"); r.text != `{"user":"usr_ada","orders":[{"id":"1001","item":"wafers","count":3,"in_stock":7}]}` {
		t.Errorf("orders: %s", r.text)
	}
	if !slices.Equal(g.agents, []string{"Testfox, 192.0.2.1"}) {
		t.Errorf("Wafer was told of %q", g.agents)
	}
	old := b.cookie
	if r := b.post("/api/sign-out", `{}`); r.body["complete"] != true || b.cookie != "" || g.live() != 0 {
		t.Errorf("sign-out: %s, cookie %q, %d sessions live", r.text, b.cookie, g.live())
	}
	b.cookie = old
	b.want(b.get("/api/orders"), 401, "signed_out")
}

func TestEndedSessionIs401WithThePlaceToSignIn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){
		"revoked":             func(g *rig) { g.revoke("usr_ada") },
		"unused for 12 hours": func(g *rig) { g.forward(12 * time.Hour) },
		"at its end":          func(g *rig) { g.forward(7 * 24 * time.Hour) },
	} {
		for _, path := range []string{"/api/me", "/api/orders"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				b, bob := g.signedIn("ada"), g.signedIn("bob")
				end(g)
				r := b.get(path)
				b.want(r, 401, "signed_out")
				if r.str("login") != "/#sign-in" || len(r.Cookies()) != 0 {
					t.Errorf("got %s and cookies %v", r.text, r.Cookies())
				}
				g.requests()
				b.want(b.get(path), 401, "signed_out")
				if asked := g.requests(); len(asked) != 0 {
					t.Errorf("the entry was not dropped: %q was asked", asked)
				}
				if name == "revoked" {
					bob.wantIn("bob")
				}
				b.want(b.post("/api/sign-in", credentials("ada@example.com", password)), 204, "")
				b.wantIn("ada")
			})
		}
	}
}

func TestUpstreamTroubleIs502AndKeepsTheSession(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, path, row string
		status          int
		code            string
		want            int
		wantCode        string
	}{
		{"orders is down", "/api/orders", "GET /orders", 503, "server_unavailable", 502, "unavailable"},
		{"orders fails", "/api/orders", "GET /orders", 500, "", 502, "unavailable"},
		{"orders never accepts", "/api/orders", "GET /orders", 401, "invalid_token", 502, "unavailable"},
		{"orders forbids", "/api/orders", "GET /orders", 403, "insufficient_scope", 403, "forbidden"},
		{"Wafer is down", "/api/me", "GET /session", 503, "unavailable", 502, "unavailable"},
		{"Wafer is busy", "/api/me", "GET /session", 429, "too_many", 502, "unavailable"},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			b := g.signedIn("ada")
			g.fail(tt.row, tt.status, tt.code)
			r := b.get(tt.path)
			b.want(r, tt.want, tt.wantCode)
			if r.str("login") != "" || !strings.HasSuffix(r.str("message"), ".") || strings.Contains(r.text, "script") {
				t.Errorf("got %s", r.text)
			}
			g.fail(tt.row, 0, "")
			b.wantIn("ada")
		})
	}
}

func TestServersThatAreGoneAre502(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.orders.Close()
	b.want(b.get("/api/orders"), 502, "unavailable")
	g.wafer.Close()
	b.want(b.get("/api/me"), 502, "unavailable")
	b.want((&browser{rig: g}).post("/api/sign-in", credentials("ada@example.com", password)), 502, "unavailable")
}

func TestRefusedSignInSaysWhyAndChangesNothing(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, code     string
		upstream, want int
		wantCode       string
	}{
		{"too many", "too_many", 429, 429, "too_many"},
		{"no rights", "invalid_scope", 400, 403, "forbidden"},
		{"no login at all", "invalid_request", 400, 400, "invalid_request"},
		{"client unknown", "invalid_client", 401, 502, "unavailable"},
		{"Wafer busy", "busy", 503, 502, "unavailable"},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			b := g.signedIn("ada")
			was := b.cookie
			g.fail("POST /session", tt.upstream, tt.code)
			b.want(b.post("/api/sign-in", credentials("bob@example.com", password)), tt.want, tt.wantCode)
			g.fail("POST /session", 0, "")
			b.want(b.post("/api/sign-in", credentials("bob@example.com", "guess")), 401, "wrong_login")
			b.want(b.post("/api/sign-in", credentials("nobody@example.com", password)), 401, "wrong_login")
			if b.cookie != was {
				t.Error("a refusal changed the cookie")
			}
			b.wantIn("ada")
		})
	}
}

func TestHalfAnAnswerOfWaferSignsNobodyIn(t *testing.T) {
	t.Parallel()
	session := `{"session":{"id":"ses_1","user":"usr_ada","expires_at":"2026-11-27T09:00:00Z"}`
	both := `,"access_token":"a","refresh_token":"r"`
	for name, bad := range map[string]func(http.ResponseWriter){
		"no cookie": func(w http.ResponseWriter) { answer(w, 201, session+both+`,"expires_in":300}`) },
		"no refresh": func(w http.ResponseWriter) {
			answer(withCookie(w), 201, session+`,"access_token":"a","expires_in":300}`)
		},
		"no lifetime": func(w http.ResponseWriter) { answer(withCookie(w), 201, session+both+`}`) },
		"no user":     func(w http.ResponseWriter) { answer(withCookie(w), 201, `{"session":{}`+both+`,"expires_in":300}`) },
		"no JSON":     func(w http.ResponseWriter) { answer(withCookie(w), 201, `<html>`) },
		"too much":    func(w http.ResponseWriter) { answer(withCookie(w), 201, strings.Repeat(" ", 65<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.bad = bad
			b := &browser{rig: g}
			b.want(b.post("/api/sign-in", credentials("ada@example.com", password)), 502, "unavailable")
			if b.cookie != "" {
				t.Error("a cookie was set")
			}
			g.change(func() { g.bad = nil })
			g.signedIn("ada")
		})
	}
}

func withCookie(w http.ResponseWriter) http.ResponseWriter {
	w.Header().Set("Set-Cookie", "__Host-Http-wafer=of-half-an-answer; Path=/")
	return w
}

func TestSignOutEverywhereEndsEveryBrowser(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	here, there, bob := g.signedIn("ada"), g.signedIn("ada"), g.signedIn("bob")
	if r := here.post("/api/sign-out-everywhere", `{}`); r.body["complete"] != true {
		t.Errorf("got %s", r.text)
	}
	here.wantIn("")
	g.requests()
	there.wantIn("")
	if asked := g.requests(); len(asked) != 0 {
		t.Errorf("the entry of the other browser is still kept: %q was asked", asked)
	}
	bob.wantIn("bob")
	if g.live() != 1 {
		t.Errorf("%d sessions live at Wafer, want bob's", g.live())
	}
	if r := here.post("/api/sign-out-everywhere", `{}`); r.body["complete"] != false {
		t.Errorf("signed out already: %s", r.text)
	}
}

// A Wafer that does not answer keeps nobody in, and the page is told the truth.
func TestSignOutHoldsWhileWaferIsAway(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/sign-out", "/api/sign-out-everywhere"} {
		for _, row := range []string{"DELETE /session", "GET /sessions"} {
			g := newRig(t)
			b := g.signedIn("ada")
			old := b.cookie
			g.fail(row, 503, "unavailable")
			r := b.post(path, `{}`)
			complete := path == "/api/sign-out" && row == "GET /sessions"
			if r.StatusCode != 200 || r.body["complete"] != complete || r.str("message") == "" || b.cookie != "" {
				t.Errorf("%s, %s fails: %d %s", path, row, r.StatusCode, r.text)
			}
			b.cookie = old
			b.want(b.get("/api/orders"), 401, "signed_out")
		}
	}
}

func TestPageAndItsFilesAreServedAndNothingElse(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := &browser{rig: g}
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/main.js": "text/javascript; charset=utf-8", "/api.js": "text/javascript; charset=utf-8",
		"/seen.js": "text/javascript; charset=utf-8", "/spa.css": "text/css; charset=utf-8", "/mark.svg": "image/svg+xml",
	} {
		r := b.get(path)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != kind || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		again := b.request("GET", path, "")
		again.Header.Set("If-None-Match", r.Header.Get("ETag"))
		if r := b.send(again); r.StatusCode != 304 {
			t.Errorf("%s again: %d", path, r.StatusCode)
		}
		if path == "/" && strings.Contains(r.text, "<style") || strings.Contains(r.text, " style=") || strings.Contains(r.text, " onclick=") {
			t.Errorf("%s: inline style or script", path)
		}
	}
	for _, path := range []string{"/index.html", "/static/main.js", "/..%2fapp.go", "/app.go"} {
		if r := b.get(path); r.StatusCode != 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	b.want(b.get("/api/tokens"), 404, "not_found")
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	good := app.Config{Issuer: "https://id.example", Self: "https://app.example", Orders: "http://[::1]:8081", ClientID: "spa", ClientSecret: "s", API: apiID}
	if _, err := app.New(good); err != nil {
		t.Fatalf("good configuration: %v", err)
	}
	for name, change := range map[string]func(*app.Config){
		"issuer in the clear":     func(c *app.Config) { c.Issuer = "http://id.example" },
		"orders in the clear":     func(c *app.Config) { c.Orders = "http://orders.example" },
		"self in the clear":       func(c *app.Config) { c.Self = "http://app.example" },
		"issuer with path":        func(c *app.Config) { c.Issuer = "https://id.example/" },
		"issuer with a user":      func(c *app.Config) { c.Issuer = "https://id@evil.example" },
		"localhost as a prefix":   func(c *app.Config) { c.Issuer = "http://localhost.evil.example" },
		"issuer not there":        func(c *app.Config) { c.Issuer = "" },
		"secret not there":        func(c *app.Config) { c.ClientSecret = "" },
		"client not there":        func(c *app.Config) { c.ClientID = "" },
		"API not there":           func(c *app.Config) { c.API = "" },
		"orders of another world": func(c *app.Config) { c.Orders = "ftp://localhost" },
	} {
		c := good
		change(&c)
		if _, err := app.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBrowserThatLeavesIsNoFailure(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	r := b.request("GET", "/api/orders", "")
	ctx, leave := withCancel(t)
	leave()
	g.app.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	if strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("logged %s", g.log)
	}
	b.wantIn("ada")
}
