package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/spa/app"
)

const cookieName = "__Host-Http-spa"

// rig is the application before a world, with a clock.
type rig struct {
	*world
	app http.Handler
	log *strings.Builder

	clockMu sync.Mutex
	now     time.Time
}

func newRig(t *testing.T, edit ...func(*app.Config)) *rig {
	t.Helper()
	g := &rig{log: &strings.Builder{}, now: start}
	g.world = newWorld(t, g.clock)
	c := app.Config{
		Issuer: g.wafer.URL, Self: selfURL, Orders: g.orders.URL, ClientID: "spa", ClientSecret: "s&cret", API: apiID,
		Logger: slog.New(slog.NewTextHandler(g.log, nil)), Now: g.clock,
	}
	for _, f := range edit {
		f(&c)
	}
	h, err := app.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g.app = h
	return g
}

func (g *rig) clock() time.Time {
	g.clockMu.Lock()
	defer g.clockMu.Unlock()
	return g.now
}

func (g *rig) forward(d time.Duration) {
	g.clockMu.Lock()
	defer g.clockMu.Unlock()
	g.now = g.now.Add(d)
}

// browser keeps the cookie of the application.
type browser struct {
	*rig
	cookie string
}

// reply is what the page gets.
type reply struct {
	*http.Response
	text string
	body map[string]any
}

func (r reply) str(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// request is what the page's script sends.
func (b *browser) request(method, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(b.t.Context(), method, selfURL+path, strings.NewReader(body))
	r.Header.Set("User-Agent", "Testfox")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", selfURL)
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", cookieName+"="+b.cookie)
	}
	return r
}

func (b *browser) send(r *http.Request) reply {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.app.ServeHTTP(rec, r)
	res := rec.Result()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	out := reply{Response: res, text: string(text)}
	b.checkHygiene(r, out)
	for _, c := range res.Cookies() {
		if c.Name == cookieName {
			b.cookie = c.Value
		}
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &out.body); err != nil {
			b.t.Errorf("%s: %v in %s", r.URL.Path, err, text)
		}
	}
	return out
}

// ownValue is the random value of the application's cookie: it may read like
// anything.
var ownValue = regexp.MustCompile(cookieName + `=[\w-]{43};`)

// checkHygiene holds for every answer: no credential of Wafer, no header of an
// upstream, no CORS, nothing for a cache.
func (b *browser) checkHygiene(r *http.Request, out reply) {
	b.t.Helper()
	var head strings.Builder
	if err := out.Header.Write(&head); err != nil {
		b.t.Fatal(err)
	}
	sent := out.text + ownValue.ReplaceAllString(head.String(), "")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, secret := range append([]string{"access_token", "refresh_token", "eyJ", "wrt_", "s&cret"}, b.issued...) {
		if strings.Contains(sent, secret) {
			b.t.Errorf("%s %s: the answer holds %q:\n%s%s", r.Method, r.URL.Path, secret, head.String(), out.text)
		}
	}
	for name := range out.Header {
		if strings.HasPrefix(name, "Access-Control-") || name == "X-Upstream" {
			b.t.Errorf("%s %s: has %s", r.Method, r.URL.Path, name)
		}
	}
	if strings.HasPrefix(r.URL.Path, "/api/") && out.Header.Get("Cache-Control") != "no-store" {
		b.t.Errorf("%s %s: Cache-Control %q", r.Method, r.URL.Path, out.Header.Get("Cache-Control"))
	}
	if !strings.Contains(out.Header.Get("Content-Security-Policy"), "script-src 'self'; ") {
		b.t.Errorf("%s %s: policy %q", r.Method, r.URL.Path, out.Header.Get("Content-Security-Policy"))
	}
}

func (b *browser) get(path string) reply {
	b.t.Helper()
	return b.send(b.request("GET", path, ""))
}

func (b *browser) post(path, body string) reply {
	b.t.Helper()
	return b.send(b.request("POST", path, body))
}

func (b *browser) want(r reply, status int, code string) {
	b.t.Helper()
	if r.StatusCode != status || r.str("error") != code {
		b.t.Errorf("got %d %s, want %d %s", r.StatusCode, r.text, status, code)
	}
}

func credentials(login, secret string) string {
	b, err := json.Marshal(map[string]string{"login": login, "password": secret})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// signedIn is a browser in which somebody is signed in.
func (g *rig) signedIn(name string) *browser {
	g.t.Helper()
	b := &browser{rig: g}
	b.want(b.post("/api/sign-in", credentials(name+"@example.com", password)), 204, "")
	b.wantIn(name)
	return b
}

// wantIn checks who is signed in, "" for nobody.
func (b *browser) wantIn(name string) {
	b.t.Helper()
	me, orders := b.get("/api/me"), b.get("/api/orders")
	if name == "" {
		if me.body["signed_in"] == true || orders.StatusCode != 401 {
			b.t.Errorf("somebody is signed in: %s, %d %s", me.text, orders.StatusCode, orders.text)
		}
		return
	}
	if me.str("login") != name+"@example.com" || orders.StatusCode != 200 || orders.str("user") != "usr_"+name {
		b.t.Errorf("%s is not signed in: %s, %d %s", name, me.text, orders.StatusCode, orders.text)
	}
}
