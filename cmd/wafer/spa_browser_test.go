package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/browsertest"
)

const spaCookie = "__Host-Http-spa"

// spaValue is the random value of the cookie: it may read like anything.
var spaValue = regexp.MustCompile(spaCookie + `=[\w-]{43};`)

// spaVisit is a browser at the single-page application of a demo.
type spaVisit struct {
	t       *testing.T
	tab     *browsertest.Tab
	traffic *browsertest.Traffic
	url     string
	data    string // folder of the demo
}

// TestSPAInABrowser walks the single-page application as a person would, looks for
// tokens in everything that the browser has, and attacks it from other origins.
func TestSPAInABrowser(t *testing.T) {
	out, stop := startDemo(t)
	defer stop()
	for _, v := range []browsertest.View{{Width: 1280, Height: 800}, {Width: 1280, Height: 800, Dark: true}} {
		s := &spaVisit{t: t, tab: browsertest.Open(t, v), url: after(t, out, `or\s+(http://localhost:\d+)`), data: after(t, out, `--data (\S+)`)}
		s.traffic = s.tab.Record()
		s.tab.Go(s.url + "/")
		s.cookieCannotBePlanted()
		s.signIn()
		s.tab.Focus("#home-title")
		keep(t, s.tab, v, "spa")
		s.wantOwnCookieOnly()
		s.cookieCannotBePlanted()
		s.reload()
		s.wantQuiet(0)
		s.otherOriginsCannotAct()
		attacked := len(s.tab.Problems())
		s.signOut()
		s.signIn()
		s.revoked()
		s.signIn()
		s.troubled()
		s.signOutBy("#everywhere", "You are signed out everywhere.")
		s.wantQuiet(attacked)
		s.wantNoToken()
	}
}

// wantQuiet lets the browser complain of nothing but a wrong password and an ended
// session.
func (s *spaVisit) wantQuiet(from int) {
	s.t.Helper()
	for _, p := range s.tab.Problems()[from:] {
		if !strings.Contains(p, "status of 401") {
			s.t.Errorf("the browser complains: %s", p)
		}
	}
}

// await waits until an expression is true in the page.
func (s *spaVisit) await(expression string) {
	s.t.Helper()
	s.until(expression, func() bool { return browsertest.Eval[bool](s.tab, expression) })
}

func (s *spaVisit) until(what string, done func() bool) {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-deadline:
			s.t.Fatalf("waited in vain: %s; the page says: %s", what, s.tab.Text("body"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *spaVisit) signIn() {
	s.t.Helper()
	s.tab.AwaitFocus("#login")
	s.tab.Keys(demoLogin + browsertest.Next + "a guess of mine" + browsertest.Enter)
	s.await(`document.querySelector('#sign-in-problem').textContent === 'Wrong login or password.'`)
	s.tab.AwaitFocus("#password")
	s.tab.Keys(demoPassword + browsertest.Enter)
	s.tab.AwaitFocus("#home-title")
	s.wantOrders()
}

// wantOrders waits for the orders, and looks for tokens with the script's own eyes.
func (s *spaVisit) wantOrders() {
	s.t.Helper()
	s.await(`document.querySelectorAll('#rows tr').length === 2 && document.querySelector('#verdict').textContent !== ''`)
	if text := s.tab.Text("#rows"); !strings.Contains(text, "vanilla wafers") || !strings.Contains(text, "128") {
		s.t.Errorf("orders: %s", text)
	}
	if who := s.tab.Text("#who"); who != demoLogin {
		s.t.Errorf("signed in as %q", who)
	}
	s.tab.Focus("#look")
	s.tab.Keys(browsertest.Enter)
	s.await(`document.querySelector('#verdict').textContent === 'No token anywhere.'`)
	for _, store := range []string{
		"document.cookie", "Object.keys(localStorage).join()", "Object.keys(sessionStorage).join()", "window.name", "location.search + location.hash",
		"JSON.stringify(history.state ?? '').slice(1, -1)",
	} {
		if got := browsertest.Eval[string](s.tab, store); got != "" {
			s.t.Errorf("a script sees in %s: %q", store, got)
		}
	}
	globals := browsertest.Eval[string](s.tab, `Object.keys(window).map(name => { try { return name + '=' + JSON.stringify(window[name]) } catch { return name } }).join()`)
	s.wantClean("the global variables", globals)
}

func (s *spaVisit) wantClean(where, text string) {
	s.t.Helper()
	for _, sign := range []string{"eyJ", "wrt_", "access_token", "refresh_token", "__Host-Http-wafer"} {
		if strings.Contains(text, sign) {
			s.t.Errorf("%s holds %q", where, sign)
		}
	}
}

// wantNoToken looks through everything that servers sent to the browser.
func (s *spaVisit) wantNoToken() {
	s.t.Helper()
	all := s.traffic.Answers()
	seen := map[string]int{}
	for _, a := range all {
		if !strings.HasPrefix(a.URL, s.url) {
			continue // the attacker's pages
		}
		if a.Status == 0 {
			continue // blocked by the browser: nobody got it
		}
		path := strings.TrimPrefix(a.URL, s.url)
		seen[a.Method+" "+path]++
		s.wantClean(a.Method+" "+path, spaValue.ReplaceAllString(a.Head, "")+a.Body)
		if strings.HasPrefix(path, "/api/") && (!strings.Contains(strings.ToLower(a.Head), "cache-control: no-store") || strings.Contains(strings.ToLower(a.Head), "access-control-")) {
			s.t.Errorf("%s %s: may be cached or read elsewhere:\n%s", a.Method, path, a.Head)
		}
		if path == "/api/orders" && a.Status == http.StatusOK && !strings.Contains(a.Body, "vanilla") {
			s.t.Errorf("the record of %s is not whole: %q", path, a.Body)
		}
	}
	for _, row := range []string{"GET /", "GET /main.js", "GET /api/me", "GET /api/orders", "POST /api/sign-in", "POST /api/sign-out"} {
		if seen[row] == 0 {
			s.t.Errorf("%s is not in the record: %v", row, seen)
		}
	}
}

func (s *spaVisit) cookies() []browsertest.Cookie {
	s.t.Helper()
	return s.tab.Cookies(s.url)
}

// cookieCannotBePlanted lets a script set cookies. Those with the prefix must not
// take; the plain one, set last, tells that the browser is done with all of them.
func (s *spaVisit) cookieCannotBePlanted() {
	s.t.Helper()
	before := s.cookies()
	for _, name := range []string{spaCookie, strings.ToLower(spaCookie), "plain"} {
		browsertest.Eval[string](s.tab, fmt.Sprintf(`document.cookie = '%s=%s; Path=/; Secure'`, name, strings.Repeat("A", 43)))
	}
	plain := func(c browsertest.Cookie) bool { return c.Name == "plain" }
	s.until("the plain cookie is set", func() bool { return slices.ContainsFunc(s.cookies(), plain) })
	if all := slices.DeleteFunc(s.cookies(), plain); !slices.Equal(all, before) {
		s.t.Errorf("a script has set %v", all)
	}
	browsertest.Eval[string](s.tab, `document.cookie = 'plain=; Path=/; Secure; Max-Age=0'`)
	s.until("the plain cookie is gone", func() bool { return !slices.ContainsFunc(s.cookies(), plain) })
}

func (s *spaVisit) wantOwnCookieOnly() {
	s.t.Helper()
	all := s.cookies()
	if len(all) != 1 {
		s.t.Fatalf("cookies %v, want one", all)
	}
	c := all[0]
	if c.Name != spaCookie || len(c.Value) != 43 || !c.HTTPOnly || !c.Secure || !c.Session || c.SameSite != "Strict" || c.Path != "/" {
		s.t.Errorf("cookie %+v", c)
	}
}

func (s *spaVisit) reload() {
	s.t.Helper()
	s.tab.Go(s.url + "/")
	s.tab.AwaitFocus("#home-title")
	s.wantOrders()
}

func (s *spaVisit) signOut() {
	s.t.Helper()
	s.signOutBy("#out", "You are signed out.")
}

func (s *spaVisit) signOutBy(button, want string) {
	s.t.Helper()
	s.tab.Focus(button)
	s.tab.Keys(browsertest.Enter)
	s.tab.AwaitFocus("#login")
	if text := s.tab.Text("#notice"); text != want {
		s.t.Errorf("after sign-out the page says %q", text)
	}
	s.until("the cookie is gone", func() bool { return len(s.cookies()) == 0 })
	if text := s.tab.Text("#home"); strings.Contains(text, demoLogin) || strings.Contains(text, "vanilla") {
		s.t.Errorf("after sign-out the page still holds %q", text)
	}
}

// troubled lets orders fail, and then send a token: the page must say so both times.
func (s *spaVisit) troubled() {
	s.t.Helper()
	press := func(status int, body string) {
		browsertest.Eval[bool](s.tab, fmt.Sprintf(`!!(window.fetch = async () => new Response(%q, { status: %d }))`, body, status))
		s.tab.Focus("#again")
		s.tab.Keys(browsertest.Enter)
	}
	press(http.StatusBadGateway, `{"error":"unavailable","message":"Orders are <b>away</b>."}`)
	s.await(`document.querySelector('#orders-problem').textContent === 'Orders are <b>away</b>.'`)
	if text := s.tab.Text("#who"); text != demoLogin {
		s.t.Errorf("trouble with orders signed %s out: %q", demoLogin, text)
	}
	press(http.StatusOK, `{"user":"usr_other","orders":[],"note":"ey`+"JhbGciOiJub25lIn0."+`"}`)
	s.tab.AwaitFocus("#login") // the answer is about somebody else
	s.await(`document.querySelector('#verdict').textContent.startsWith('Tokens found: 1.')`)
	s.reload()
}

// api lists the requests to the application since the record had n answers.
func (s *spaVisit) api(n int) []string {
	var rows []string
	for _, a := range s.traffic.Answers()[n:] {
		if path, ok := strings.CutPrefix(a.URL, s.url+"/api/"); ok {
			rows = append(rows, fmt.Sprintf("%s %s %d", a.Method, path, a.Status))
		}
	}
	return rows
}

// revoked ends the person's sessions at Wafer. The page shows the form at its next
// request, once, and stays there.
func (s *spaVisit) revoked() {
	s.t.Helper()
	mustWafer(s.t, "", "--data", s.data, "revoke", "--user", demoLogin)
	n := len(s.traffic.Answers())
	browsertest.Eval[bool](s.tab, `window.sameDocument = true`)
	s.tab.Focus("#again")
	s.tab.Keys(browsertest.Enter)
	s.tab.AwaitFocus("#login")
	if text := s.tab.Text("#notice"); !strings.Contains(text, "Your session is over") {
		s.t.Errorf("after the revocation the page says %q", text)
	}
	s.tab.Focus("#look") // time for a loop to begin
	s.tab.Keys(browsertest.Enter)
	s.await(`document.querySelector('#verdict').textContent === 'No token anywhere.'`)
	if rows := s.api(n); !slices.Equal(rows, []string{"GET orders 401"}) || !browsertest.Eval[bool](s.tab, `window.sameDocument === true`) {
		s.t.Errorf("after the revocation the page asked %q, in the same document: want one request", rows)
	}
	s.tab.Go(s.url + "/")
	s.tab.AwaitFocus("#login")
	if rows := s.api(n); !slices.Equal(rows, []string{"GET orders 401", "GET me 401"}) {
		s.t.Errorf("after a reload the page asked %q", rows)
	}
}

// otherOriginsCannotAct attacks from another site (127.0.0.1), for which the cookie
// stays at home, and from another origin of the same site (another port), to which
// browsers give it.
func (s *spaVisit) otherOriginsCannotAct() {
	s.t.Helper()
	page := strings.NewReplacer("SPA", s.url).Replace(`<!doctype html><title>A game</title>
<form method="post" action="SPA/api/sign-out" enctype="text/plain"><input type="hidden" name="{}//" value=""><button id="out">Play</button></form>
<form method="post" action="SPA/api/sign-in" enctype="text/plain"><input type="hidden" name='{"login":"bob","password":"' value='"}'><button id="in">Win</button></form>
<script>
window.read = [];
for (const [path, request] of [
  ['/api/me', {}], ['/api/orders', {}],
  ['/api/sign-out', { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } }],
  ['/api/sign-out', { method: 'POST', body: '{}', mode: 'no-cors' }],
]) fetch('SPA' + path, { credentials: 'include', ...request }).then((r) => r.text().then((text) => window.read.push('read:' + text)), () => window.read.push('refused'));
</script>`)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
	defer evil.Close()
	for _, at := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		for _, button := range []string{"#out", "#in"} {
			s.tab.Go(at + "/")
			s.await(`window.read.length === 4`)
			for _, got := range browsertest.Eval[[]string](s.tab, `window.read`) {
				if got != "refused" && got != "read:" {
					s.t.Errorf("%s has read %q", at, got)
				}
			}
			n := len(s.traffic.Answers())
			s.tab.Press(button)
			if rows := s.api(n); len(rows) != 1 || !strings.HasSuffix(rows[0], " 403") {
				s.t.Errorf("%s: the form got %q, want 403", at, rows)
			}
		}
		s.reload() // still signed in, as the same person
		s.wantOwnCookieOnly()
	}
}
