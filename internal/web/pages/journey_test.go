package pages_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/browsertest"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// shop is a registered application on another port of localhost. It notes the
// cookies that browsers bring.
type shop struct {
	url string
	mu  sync.Mutex
	got []string
}

func newShop(g *rig) *shop {
	g.t.Helper()
	s := &shop{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		s.got = append(s.got, r.Header.Get("Cookie"))
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>Shop</title><h1>The shop</h1>`)
	}))
	g.t.Cleanup(server.Close)
	s.url = localhost(server.Listener.Addr())
	_, _, err := g.admin.AddClient(g.t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{
		ID: "local-shop", Name: "The shop", Kind: client.Public, RedirectURIs: []string{s.url + "/callback"},
	}})
	g.must(err)
	return s
}

func (s *shop) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return ""
	}
	return s.got[len(s.got)-1]
}

// The whole way with the keyboard alone and JavaScript off, in a real browser,
// over plain HTTP on localhost.
func TestJourneyByKeyboardWithoutJavaScript(t *testing.T) {
	t.Parallel()
	g := newLocalRig(t)
	at := newShop(g)
	tab := browsertest.Open(t, browsertest.View{NoScript: true})
	tab.Go(g.url + "/login?client_id=local-shop&return_to=" + at.url + "/callback")
	if lead := tab.Text(".lead"); !strings.Contains(lead, "The shop") || !strings.Contains(lead, strings.TrimPrefix(at.url, "http://")) {
		t.Errorf("the page says %q, not where it leads", lead)
	}
	tab.AwaitFocus("#login") // nobody has to press Tab first
	tab.Keys(ada)
	tab.Keys(browsertest.Next)
	tab.Keys("not the password")
	tab.Send(browsertest.Enter)
	if got := tab.Text(`[role="alert"]`); got != "Wrong login or password." {
		t.Fatalf("after a wrong password: %q", got)
	}
	if got := tab.Attribute("#login", "value"); got != ada {
		t.Errorf("the login is %q", got)
	}
	tab.AwaitFocus("#password")
	tab.Keys(good)
	tab.Send(browsertest.Enter)
	if got := tab.URL(); got != at.url+"/callback" {
		t.Fatalf("signed in and at %s\n%s", got, strings.Join(tab.Problems(), "\n"))
	}
	strictCookie(t, tab, g.url)
	if got := at.last(); !strings.Contains(got, middleware.CookieName+"=") {
		t.Errorf("the shop on another port of localhost got the cookies %q", got)
	}
	tab.Go(g.url + "/logout")
	tab.Press("button.primary")
	if got := tab.Text("h1"); got != "You are signed out" {
		t.Errorf("after signing out: %q", got)
	}
	tab.Go(at.url + "/callback")
	if got := at.last(); strings.Contains(got, middleware.CookieName+"=") {
		t.Errorf("the cookie is still sent: %q", got)
	}
	tab.Go(g.url + "/account")
	if got := tab.Text("h1"); got != "Sign in" {
		t.Errorf("the account is open to nobody: %q", got)
	}
	for _, p := range tab.Problems() {
		if !strings.Contains(p, "401") { // the wrong password
			t.Errorf("the browser complains: %s", p)
		}
	}
}

func strictCookie(t *testing.T, tab *browsertest.Tab, url string) {
	t.Helper()
	for _, c := range tab.Cookies(url) {
		if c.Name != middleware.CookieName {
			continue
		}
		if !c.Secure || !c.HTTPOnly || !c.Session || c.Path != "/" || c.SameSite != "Lax" || strings.HasPrefix(c.Domain, ".") {
			t.Errorf("the browser keeps %+v", c)
		}
		return
	}
	t.Errorf("the browser refused the cookie %s over plain HTTP on localhost", middleware.CookieName)
}

// A form that leads to an application must not be able to lead anywhere else,
// even if the server were made to answer so: the browser itself says no.
func TestBrowserBlocksARedirectThatThePolicyDoesNotName(t *testing.T) {
	t.Parallel()
	g := newLocalRig(t)
	at := newShop(g)
	tab := browsertest.Open(t, browsertest.View{NoScript: true})
	// The page was made for nobody, so its policy names nobody; the form is then
	// made to say otherwise.
	tab.Go(g.url + "/login")
	browsertest.Eval[bool](tab, `(() => { const f = document.querySelector("form");
		for (const [n, v] of [["client_id", "local-shop"], ["return_to", "`+at.url+`/callback"]]) {
			const i = document.createElement("input"); i.type = "hidden"; i.name = n; i.value = v; f.append(i);
		} return true; })()`)
	tab.AwaitFocus("#login")
	tab.Keys(ada + browsertest.Next + good + browsertest.Enter)
	tab.AwaitProblem("form-action")
	if got := at.last(); got != "" {
		t.Errorf("the browser went to the shop with %q", got)
	}
}

func TestPasswordCanBeShownAndIsHiddenAgainWhenSent(t *testing.T) {
	t.Parallel()
	g := newLocalRig(t)
	tab := browsertest.Open(t, browsertest.View{})
	tab.Go(g.url + "/login")
	tab.AwaitFocus("#login")
	tab.Keys(ada + browsertest.Next + good)
	tab.Focus(".show")
	tab.Keys(browsertest.Space)
	if got := tab.Attribute("#password", "type"); got != "text" {
		t.Errorf("after Show: %s", got)
	}
	if got := tab.Attribute(".show", "aria-pressed"); got != "true" {
		t.Errorf("aria-pressed: %s", got)
	}
	tab.Send(browsertest.Enter)
	if got := tab.URL(); got != g.url+"/account" {
		t.Fatalf("at %s", got)
	}
	if got := tab.Text(".devices .name"); got != "Chrome on Linux Here now" {
		t.Errorf("the device is %q", got)
	}
	for _, p := range tab.Problems() {
		t.Errorf("the browser complains: %s", p)
	}
}

// Nothing may stick out at 360 px, and everything pressed with a finger is 44 px.
func TestPagesFitAPhone(t *testing.T) {
	t.Parallel()
	g := newLocalRig(t)
	tab := browsertest.Open(t, browsertest.View{Width: 360, Height: 740})
	look := func(path string) {
		t.Helper()
		tab.Go(g.url + path)
		if got := browsertest.Eval[int](tab, "document.documentElement.scrollWidth"); got > 360 {
			t.Errorf("%s is %d px wide", path, got)
		}
		small := browsertest.Eval[[]string](tab, `[...document.querySelectorAll("button, .button, input:not([type=hidden]), header a")]
			.filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)`)
		if len(small) > 0 {
			t.Errorf("%s: too small for a finger: %v", path, small)
		}
	}
	for _, path := range []string{"/", "/login", "/login?return_to=wrong", "/setup", "/logout"} {
		look(path)
	}
	tab.Go(g.url + "/login")
	tab.AwaitFocus("#login")
	tab.Keys(ada + browsertest.Next + good)
	tab.Send(browsertest.Enter)
	for _, path := range []string{"/", "/account", "/device", "/logout", "/oauth/logout"} {
		look(path)
	}
}

var photographs = flag.String("photographs", "", "folder to write pictures of the pages to")

// TestPhotographs writes pictures of the pages, for people to look at.
func TestPhotographs(t *testing.T) {
	if *photographs == "" {
		t.Skip("no -photographs folder: no pictures are wanted")
	}
	g := newLocalRig(t)
	at := newShop(g)
	g.must(os.MkdirAll(*photographs, 0o755))
	other := g.browser()
	other.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	other.signIn(ada)
	g.clock.forward(26 * time.Minute)

	for _, v := range []browsertest.View{
		{Width: 1280, Height: 800}, {Width: 1280, Height: 800, Dark: true}, {Width: 360, Height: 740}, {Width: 360, Height: 740, Dark: true},
	} {
		tab := browsertest.Open(t, v)
		shoot := func(name string) {
			scheme := map[bool]string{true: "dark", false: "light"}[v.Dark]
			tab.Photograph(filepath.Join(*photographs, fmt.Sprintf("%s-%s-%d.png", name, scheme, v.Width)))
		}
		tab.Go(g.url + "/")
		shoot("start")
		tab.Go(g.url + "/setup")
		shoot("setup")
		tab.Go(g.url + "/login?return_to=https://evil.example/")
		shoot("problem")
		tab.Go(g.url + "/login?client_id=local-shop&return_to=" + at.url + "/callback")
		tab.AwaitFocus("#login")
		tab.Keys(ada)
		shoot("login")
		tab.Keys(browsertest.Next + "wrong")
		tab.Send(browsertest.Enter)
		shoot("login-refused")
		tab.Go(g.url + "/login")
		tab.AwaitFocus("#login")
		tab.Keys(ada + browsertest.Next + good)
		tab.Send(browsertest.Enter)
		g.clock.forward(2 * time.Minute)
		tab.Go(g.device("openid", "email", "orders:read").VerificationURIComplete)
		tab.AwaitFocus("#code")
		shoot("device")
		tab.Send(browsertest.Enter)
		shoot("device-confirm")
		tab.Press("button.primary")
		shoot("device-allowed")
		tab.Go(g.url + "/account")
		shoot("account")
		tab.Go(g.url + "/logout")
		shoot("logout")
		tab.Press("button.primary")
		shoot("logout-gone")
	}
}
