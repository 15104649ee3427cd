package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/browsertest"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// everyRoute lists what the documents say this server answers, and the management
// API as it describes itself.
func (r *running) everyRoute() []hit {
	r.t.Helper()
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		r.t.Fatal(err)
	}
	seen := map[string]bool{}
	var all []hit
	add := func(method, path string) {
		path = regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, "x")
		if !seen[method+path] {
			seen[method+path] = true
			all = append(all, hit{method: method, path: path})
		}
	}
	for _, m := range regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) (/[^` ]*)`").FindAllStringSubmatch(string(text), -1) {
		add(m[1], m[2])
	}
	described := r.must(http.StatusOK, get("/api/v1/openapi.json", bearer(r.manager())))
	paths, _ := described.body["paths"].(map[string]any)
	for path, methods := range paths {
		of, _ := methods.(map[string]any)
		for method := range of {
			add(strings.ToUpper(method), path)
		}
	}
	for _, h := range []hit{get("/no-such-page"), {method: "FROB", path: "/session"}, {method: "PUT", path: "/login"}, {method: http.MethodOptions, path: "/session"}} {
		add(h.method, h.path)
	}
	if len(all) < 50 {
		r.t.Fatalf("only %d routes", len(all))
	}
	return all
}

// SESS-016, HTTP-010: every route, asked as a person, as a script and as a
// program, with a session and without, well and badly.
func TestEveryAnswerIsPrivateAndGuarded(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	cookies, pages := 0, 0
	for _, route := range r.everyRoute() {
		ends := route.method != http.MethodGet && route.method != http.MethodHead
		for name, header := range map[string][][2]string{
			"person": {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}},
			"script": {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Dest", "empty"}},
			"other":  {{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}, {"Origin", "null"}},
			"old":    {looking}, "program": nil,
		} {
			for _, with := range [][2]string{{"Cookie", "a=b"}, v.in(), cookie("junk"), {"Cookie", middleware.CookieName + "=a; " + middleware.CookieName + "=b"}} {
				if ends && with == v.in() {
					continue // the session is needed
				}
				h := route
				h.header = append(append(h.header, header...), with)
				res, err := r.fire(h)
				if err != nil {
					t.Errorf("%s %s, %s: %v", h.method, h.path, name, err)
					continue
				}
				where := fmt.Sprintf("%s %s, %s, %d", h.method, h.path, name, res.StatusCode)
				guarded(t, where, res)
				cookies += len(res.Header["Set-Cookie"])
				if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
					pages++
				}
				person := name == "person" || name == "other"
				if person && res.StatusCode >= 400 && h.method != http.MethodOptions && !strings.HasPrefix(h.path, "/oauth/") && !strings.HasPrefix(h.path, "/receiver/") && !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
					t.Errorf("%s: somebody is shown %s", where, res.text)
				}
				if !person && name != "old" && res.StatusCode == http.StatusSeeOther && !strings.HasPrefix(h.path, "/.well-known/") && with != v.in() {
					t.Errorf("%s: a script is sent to %s", where, res.Header.Get("Location"))
				}
			}
		}
	}
	if cookies == 0 || pages == 0 {
		t.Errorf("%d cookies, %d pages: nothing was tested", cookies, pages)
	}
	r.lively(v, nil)
}

// guarded checks the headers of one answer.
func guarded(t *testing.T, where string, res reply) {
	t.Helper()
	h := res.Header
	if res.StatusCode >= 500 {
		t.Errorf("%s: %s", where, res.text)
	}
	if len(h["Set-Cookie"]) > 0 && (h.Get("Cache-Control") != "no-store" || !strings.Contains(strings.Join(h["Vary"], ","), "Cookie")) {
		t.Errorf("%s: a cookie with Cache-Control %q, Vary %q", where, h.Get("Cache-Control"), h["Vary"])
	}
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, "__Host-Http-wafer") || !strings.Contains(line, "; HttpOnly; Secure; SameSite=Lax") || !strings.Contains(line, "; Path=/;") || strings.Contains(line, "Domain") {
			t.Errorf("%s: Set-Cookie %q", where, line)
		}
	}
	policy := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action "} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s: policy %q lacks %q", where, policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("%s: policy %q", where, policy)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "-origin", "Referrer-Policy": "-",
	} {
		if !strings.Contains(h.Get(name), want) && !(name == "Referrer-Policy" && h.Get(name) != "") {
			t.Errorf("%s: %s is %q", where, name, h.Get(name))
		}
	}
}

// CSRF-006: whatever goes wrong, a page that may read answers may read that.
func TestRegisteredPagesReadRefusals(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	const shop = "http://localhost:3000"
	big := `{"login":"` + strings.Repeat("a", 70_000) + `"}`
	for _, tt := range []struct {
		h       hit
		want    int
		cookies bool
	}{
		{get("/session"), 401, true},
		{get("/session", v.in()), 200, true},
		{get("/session", cookie("a"), [2]string{"Cookie", middleware.CookieName + "=b"}), 400, true},
		{get("/sessions"), 401, true},
		{jsonOf(http.MethodPost, "/session", "{"), 400, true},
		{jsonOf(http.MethodPost, "/session", big), 413, true},
		{hit{method: http.MethodPost, path: "/session", kind: "text/plain", body: "{}"}, 415, true},
		{jsonOf(http.MethodPut, "/session", "{}"), 405, true},
		{hit{method: http.MethodDelete, path: "/sessions/ses_nobody", header: [][2]string{v.in()}}, 404, true},
		{jsonOf(http.MethodPost, "/account/password", `{"current":"x","new":"y"}`, v.in()), 403, true},
		{jsonOf(http.MethodPost, "/session/token", `{"client_id":"shop-web","api":"https://none.example"}`, v.in()), 400, true},
		{refreshing("x"), 400, false},
		{formOf("/oauth/token", "grant_type=client_credentials&client_id=nobody"), 401, false},
		{formOf("/oauth/token", strings.Repeat("a", 70_000)), 413, false},
		{formOf("/oauth/revoke", "client_id=nobody&token=x"), 401, false},
		{get("/oauth/token"), 405, false},
	} {
		for _, origin := range []string{shop, "http://evil.test"} {
			h := tt.h
			h.header = append(append([][2]string{}, h.header...), [2]string{"Origin", origin})
			res, err := r.fire(h)
			if err != nil {
				t.Fatal(err)
			}
			allowed, credentials, want := "", "", tt.want
			if origin == shop {
				allowed = shop
				if tt.cookies {
					credentials = "true"
				}
			} else if want = res.StatusCode; h.method != http.MethodGet && tt.cookies && tt.want != 405 && tt.want != 413 && want != 403 {
				t.Errorf("%s %s from %s: %d", h.method, h.path, origin, want)
			}
			got := res.Header
			if res.StatusCode != want || got.Get("Access-Control-Allow-Origin") != allowed || got.Get("Access-Control-Allow-Credentials") != credentials || !strings.Contains(strings.Join(got["Vary"], ","), "Origin") {
				t.Errorf("%s %s from %s: %d, want %d: %v", h.method, h.path, origin, res.StatusCode, want, got)
			}
			if exposed := got.Get("Access-Control-Expose-Headers"); strings.Contains(exposed, "X-Request-Id") != (allowed != "") {
				t.Errorf("%s %s from %s: exposed %q", h.method, h.path, origin, exposed)
			}
		}
	}
	r.lively(v, nil)
}

// scene is a server with a browser in which somebody has signed in, the page of a
// first-party application, and two that belong to nobody: on another port of the
// same host, to which the browser sends the cookie, and on another site.
type scene struct {
	*running
	tab                *browsertest.Tab
	shop, beside, evil string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	tab := browsertest.Open(t, browsertest.View{})
	page := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><title>%[1]s</title><h1>%[1]s</h1>`, name)
		}))
		t.Cleanup(s.Close)
		return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	}
	s := &scene{tab: tab, shop: page("Shop"), beside: page("Beside")}
	s.evil = strings.Replace(page("Evil"), "localhost", "evil.localhost", 1)
	dir := t.TempDir()
	setup := strings.ReplaceAll(setupFor(t, 2), "http://localhost:3000", s.shop)
	s.running = serve(t, dir+"/data", "--apply", write(t, dir, "setup.yaml", setup))
	return s
}

// signIn signs the first person in, through the page, on the way to an address.
func (s *scene) signIn(to string) {
	s.t.Helper()
	s.tab.Go(s.url + "/login?" + fields("client_id", "shop-web", "return_to", to))
	s.tab.AwaitFocus("#login")
	s.tab.Keys(person(0) + browsertest.Next + attackPhrase)
	s.tab.Send(browsertest.Enter)
	if got := s.tab.URL(); got != to {
		s.t.Fatalf("signed in and at %s, want %s\n%v", got, to, s.tab.Problems())
	}
}

// session is the value of the cookie in the browser.
func (s *scene) session() string {
	s.t.Helper()
	for _, c := range s.tab.Cookies(s.url) {
		if c.Name == middleware.CookieName {
			return c.Value
		}
	}
	return ""
}

// eval waits for a promise and returns what became of it, or the error's name.
func (s *scene) eval(promise string) string {
	s.t.Helper()
	browsertest.Eval[bool](s.tab, `(window.outcome = undefined, Promise.resolve().then(() => `+promise+
		`).then(v => window.outcome = String(v), e => window.outcome = "failed: " + e.name), true)`)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if got := browsertest.Eval[*string](s.tab, `window.outcome ?? null`); got != nil {
			return *got
		}
	}
	s.t.Fatalf("no outcome of %s", promise)
	return ""
}

func literal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// SESS-012: what a script cannot read it cannot lose, and what it cannot plant is
// nobody's session but the person's own.
func TestScriptsNeitherReadNorPlantTheSession(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.signIn(s.shop + "/orders?id=7") // no redirect URI: an address in the application's origin
	mine := s.session()
	planted := s.visit(person(1)).cookie
	if mine == "" {
		t.Fatal("no session")
	}
	for _, page := range []string{s.url + "/account", s.shop, s.beside} {
		s.tab.Go(page)
		if got := s.eval(`(document.cookie = "harmless=1; path=/", document.cookie)`); got != "harmless=1" {
			t.Errorf("%s: a script reads %q", page, got)
		}
		if got := s.eval(`cookieStore.getAll().then(all => all.map(c => c.name).join())`); got != "harmless" {
			t.Errorf("%s: the cookie store tells %q", page, got)
		}
		for _, name := range []string{middleware.CookieName, strings.ToUpper(middleware.CookieName), middleware.CookieName + " ", "\t" + middleware.CookieName, middleware.DeviceCookieName} {
			for _, rest := range []string{"; path=/; secure", "; path=/", "; path=/session; secure", "; path=/; secure; httponly", "; path=/; secure; domain=localhost", "; path=/; secure; max-age=0"} {
				s.eval(`(document.cookie = ` + literal(name+"="+planted+rest) + `, document.cookie = ` + literal("="+name+"="+planted+rest) + `)`)
			}
			if got := s.eval(`cookieStore.set(` + literal(map[string]string{"name": name, "value": planted}) + `).then(() => "set")`); got == "set" && strings.TrimSpace(name) == middleware.CookieName {
				t.Logf("%s: the cookie store took %q", page, name)
			}
			s.eval(`cookieStore.delete(` + literal(strings.TrimSpace(name)) + `)`)
		}
		if got := s.session(); got != mine {
			t.Errorf("after the scripts of %s the cookie is %q", page, got)
		}
		s.tab.Go(s.url + "/account")
		if got := s.tab.Text(".who span"); got != person(0) {
			t.Errorf("after the scripts of %s the account is of %q", page, got)
		}
	}
}

// CSRF-002, CSRF-004: forms and scripts of pages elsewhere, in a real browser.
func TestForgedRequestsOfARealBrowserChangeNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.signIn(s.shop + "/callback")
	mine := s.session()
	credentials := map[string]string{"login": person(1), "password": attackPhrase}
	// The classic trick: a form of type text/plain whose only field reads as JSON.
	trick := map[string]string{`{"login":"` + person(1) + `","password":"` + attackPhrase + `","x":"`: `"}`}
	for _, page := range []string{s.evil, s.beside} {
		for name, f := range map[string]struct {
			path, kind string
			fields     map[string]string
		}{
			"sign in": {"/session", "application/x-www-form-urlencoded", credentials}, "sign in, JSON": {"/session", "text/plain", trick}, "sign in, upload": {"/session", "multipart/form-data", credentials},
			"sign in, page": {"/login", "application/x-www-form-urlencoded", credentials}, "sign out": {"/logout", "application/x-www-form-urlencoded", nil},
			"sign out, override": {"/session?_method=DELETE", "application/x-www-form-urlencoded", map[string]string{"_method": "DELETE"}}, "end all": {"/account/end-all", "application/x-www-form-urlencoded", nil},
		} {
			s.tab.Go(page)
			browsertest.Eval[bool](s.tab, `((action, type, fields) => { const f = document.createElement("form"); f.method = "post"; f.action = action; f.enctype = type;
				for (const [n, v] of Object.entries(fields ?? {})) { const i = document.createElement("input"); i.type = "hidden"; i.name = n; i.value = v; f.append(i); }
				const b = document.createElement("button"); b.id = "go"; f.append(b); document.body.append(f); return true;
			})(`+literal(s.url+f.path)+`,`+literal(f.kind)+`,`+literal(f.fields)+`)`)
			s.tab.Press("#go")
			if got := s.tab.Text("main"); !strings.Contains(got, "The request comes from another origin.") {
				t.Errorf("%s from %s: %q", name, page, got)
			}
			if got := s.session(); got != mine {
				t.Errorf("%s from %s: the session is %q", name, page, got)
			}
		}
		s.tab.Go(page)
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", ""} {
			for _, path := range []string{"/session", "/session/token", "/account/password", "/logout"} {
				options := map[string]any{"method": "POST", "mode": "no-cors", "credentials": "include", "body": literal(credentials)}
				if kind != "" {
					options["headers"] = map[string]string{"Content-Type": kind}
				}
				s.eval(`fetch(` + literal(s.url+path) + `, ` + literal(options) + `)`)
			}
		}
		for _, method := range []string{"DELETE", "PUT", "POST"} {
			got := s.eval(`fetch(` + literal(s.url+"/session") + `, {method: "` + method + `", credentials: "include", headers: {"Content-Type": "application/json"}, body: ` + literal(literal(credentials)) + `}).then(r => r.status)`)
			if got != "failed: TypeError" {
				t.Errorf("%s from %s: %s", method, page, got)
			}
		}
		if got := s.eval(`fetch(` + literal(s.url+"/session") + `, {credentials: "include"}).then(r => r.text())`); got != "failed: TypeError" {
			t.Errorf("%s reads the session: %s", page, got)
		}
		if got := s.session(); got != mine {
			t.Errorf("after the scripts of %s the session is %q", page, got)
		}
	}
	s.must(http.StatusOK, get("/session", cookie(mine)))
	s.tab.Go(s.url + "/account")
	if got := s.tab.Text(".who span"); got != person(0) {
		t.Errorf("the account is of %q", got)
	}
}

// CSRF-006: the application's own page does all of it, and reads what is refused.
func TestPageOfAFirstPartyClientReadsItsAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.signIn(s.shop + "/")
	call := func(method, path, body string) string {
		t.Helper()
		options := map[string]any{"method": method, "credentials": "include"}
		if body != "" {
			options["headers"], options["body"] = map[string]string{"Content-Type": "application/json"}, body
		}
		return s.eval(`fetch(` + literal(s.url+path) + `, ` + literal(options) + `).then(async r => [r.status, r.headers.get("X-Request-Id") ? "id" : "", r.redirected, await r.text()].join(" "))`)
	}
	for _, tt := range []struct{ method, path, body, want string }{
		{"GET", "/session", "", `200 id false {"session":{`},
		{"POST", "/session/token", `{"client_id":"shop-web","api":"` + ordersAPI + `"}`, `200 id false {"access_token":"`},
		{"POST", "/session/token", `{"client_id":"shop-web","api":"https://none.example"}`, `400 id false {"error":"invalid_target"`},
		{"POST", "/session/token", strings.Repeat("x", 70_000), `413 id false {"error":"too_large"`},
		{"PUT", "/sessions", "{}", "failed: TypeError"}, // the preflight says that there is no such method
		{"DELETE", "/session", "", "204 id false "},
		{"GET", "/session", "", `401 id false {"error":"unauthenticated"`},
	} {
		if got := call(tt.method, tt.path, tt.body); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s %s: %.200s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
	if got := s.session(); got != "" {
		t.Errorf("signed out with the cookie %q", got)
	}
	// Signing out leads back, too.
	s.signIn(s.shop + "/again")
	s.tab.Go(s.url + "/logout?" + fields("client_id", "shop-web", "return_to", s.shop+"/bye"))
	s.tab.Press("button.primary")
	if got := s.tab.URL(); got != s.shop+"/bye" {
		t.Errorf("signed out and at %s", got)
	}
}
