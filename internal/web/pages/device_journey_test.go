package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/browsertest"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// The link of a device, a sign-in, the code, the decision: with the keyboard alone and
// JavaScript off, in a real browser.
func TestDeviceJourneyByKeyboardWithoutJavaScript(t *testing.T) {
	t.Parallel()
	g := newLocalRig(t)
	d := g.device("openid", "email", "orders:read")
	tab := browsertest.Open(t, browsertest.View{NoScript: true, Width: 360, Height: 740})
	tab.Go(d.VerificationURIComplete)
	tab.AwaitFocus("#login")
	tab.Keys(ada + browsertest.Next + good)
	tab.Send(browsertest.Enter)
	tab.AwaitFocus("#code")
	if got := tab.Attribute("#code", "value"); got != d.UserCode {
		t.Fatalf("the code is %q at %s", got, tab.URL())
	}
	tab.Send(browsertest.Enter)
	if got := tab.Text("h1"); got != "Connect this device?" {
		t.Fatalf("the page says %q", got)
	}
	if got := tab.Text(".usercode"); got != d.UserCode {
		t.Errorf("the page shows the code %q", got)
	}
	if got := browsertest.Eval[int](tab, "document.documentElement.scrollWidth"); got > 360 {
		t.Errorf("the page is %d px wide", got)
	}
	g.waits("before the decision", d)
	tab.Press("button.primary")
	if got := tab.Text("h1"); got != "Your device is connected" {
		t.Fatalf("afterwards: %q\n%s", got, strings.Join(tab.Problems(), "\n"))
	}
	if got := g.polled(d); got != "" {
		t.Errorf("the device is told %q", got)
	}
	tab.Press("main .button")
	if got := tab.Text("#apps ~ .devices .name"); got != "The <Television>" {
		t.Errorf("the account lists %q", got)
	}
	for _, p := range tab.Problems() {
		t.Errorf("the browser complains: %s", p)
	}
}

// party is an application on another port of localhost that wants to be told through
// the browser. It notes what was loaded.
type party struct {
	url string
	mu  sync.Mutex
	got []string
}

func newParty(g *rig) *party {
	g.t.Helper()
	s := &party{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.got = append(s.got, r.URL.Path+"?"+r.URL.RawQuery)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>Party</title><h1>The party</h1>`)
		if r.URL.Path == "/bye" {
			fmt.Fprint(w, `<input id="bye" autofocus>`)
		}
	}))
	g.t.Cleanup(server.Close)
	s.url = localhost(server.Listener.Addr())
	_, _, err := g.admin.AddClient(g.t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{
		ID: "party", Name: "The party", Kind: client.Public, RedirectURIs: []string{s.url + "/cb"}, Grants: []string{client.AuthorizationCode},
		OAuth: client.OAuth{FrontchannelLogoutURI: s.url + "/out", FrontchannelLogoutSession: true, PostLogoutRedirectURIs: []string{s.url + "/bye"}},
	}})
	g.must(err)
	return s
}

func (s *party) loaded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, " ")
}

// The browser loads what the policy names, tells the application which session has
// ended, and goes on as soon as that is loaded; without JavaScript after a while.
func TestBrowserTellsApplicationsAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]browsertest.View{"with JavaScript": {}, "without": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newLocalRig(t)
			at := newParty(g)
			tab := browsertest.Open(t, view)
			tab.Go(g.url + "/login")
			tab.AwaitFocus("#login")
			tab.Keys(ada + browsertest.Next + good)
			tab.Send(browsertest.Enter)
			hint := g.tokensOf(cookieOf(tab, g.url), "party").IDToken
			tab.Go(g.url + bye("id_token_hint", hint, "post_logout_redirect_uri", at.url+"/bye", "state", "s"))
			tab.AwaitFocus("#bye")
			if got := tab.URL(); got != at.url+"/bye?state=s" {
				t.Errorf("at %s", got)
			}
			if got := at.loaded(); !strings.HasPrefix(got, "/out?iss=") || !strings.Contains(got, "sid="+sid(t, hint)) || !strings.HasSuffix(got, "/bye?state=s") {
				t.Errorf("loaded: %s\n%s", got, strings.Join(tab.Problems(), "\n"))
			}
			for _, c := range tab.Cookies(g.url) {
				if c.Name == middleware.CookieName {
					t.Error("still signed in")
				}
			}
			for _, p := range tab.Problems() {
				t.Errorf("the browser complains: %s", p)
			}
		})
	}
}
