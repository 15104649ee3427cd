package pages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/browsertest"
	"github.com/wafer-auth/wafer/internal/client"
)

// planner is an application on another site, that begins at / with a form of its own
// and notes what it is answered.
type planner struct {
	url string
	mu  sync.Mutex
	got []url.Values
	by  []string // methods
	ref []string // Referer
}

func newPlanner(g *rig) *planner {
	g.t.Helper()
	p := &planner{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>Planner</title>`)
		title := "The planner"
		switch r.URL.Path {
		case "/cb":
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			p.mu.Lock()
			p.got, p.by, p.ref = append(p.got, r.Form), append(p.by, r.Method), append(p.ref, r.Header.Get("Referer"))
			p.mu.Unlock()
			title = "Back at the planner"
		case "/":
			u, _ := url.Parse(p.link())
			title = "Start"
			fmt.Fprintf(w, `<form method="post" action="%s/oauth/authorize">`, g.url)
			for name, values := range u.Query() {
				fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, name, strings.ReplaceAll(values[0], "&", "&amp;"))
			}
			fmt.Fprint(w, `<button>Go</button></form>`)
		default:
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `<h1>%s</h1><input id="here" autofocus>`, title)
	}))
	g.t.Cleanup(server.Close)
	p.url = strings.Replace(localhost(server.Listener.Addr()), "localhost", "127.0.0.1", 1) // another site than the server's
	_, _, err := g.admin.AddClient(g.t.Context(), admin.ByCLI(), admin.NewClient{Secret: rpSecret, Client: client.Client{
		ID: "planner", Name: "Planner", Kind: client.Confidential, RedirectURIs: []string{p.url + "/cb"}, Grants: []string{client.AuthorizationCode},
	}})
	g.must(err)
	return p
}

func (p *planner) link(more ...string) string {
	return link(append([]string{"client_id", "planner", "redirect_uri", p.url + "/cb"}, more...)...)
}

// last is the latest answer, and how it came.
func (p *planner) last(t *testing.T) (q url.Values, method, referer string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		t.Fatal("no answer")
	}
	n := len(p.got) - 1
	return p.got[n], p.by[n], p.ref[n]
}

// Sign-in, consent and both ways to answer, in a real browser, with JavaScript and
// without.
func TestJourneyOfAnAuthorizationRequest(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("script=%v", !plain), func(t *testing.T) {
			t.Parallel()
			g := newLocalRig(t)
			at := newPlanner(g)
			tab := browsertest.Open(t, browsertest.View{NoScript: plain})
			tab.Go(at.url + "/") // a form of another site
			tab.Press("button")
			tab.AwaitFocus("#login")
			tab.Keys(ada + browsertest.Next)
			tab.AwaitFocus("#password")
			tab.Keys(good)
			tab.Send(browsertest.Enter)
			if got := tab.Text(".lead"); !strings.Contains(got, "Planner asks for access") || !strings.Contains(got, strings.TrimPrefix(at.url, "http://")) {
				t.Fatalf("consent says %q at %s\n%s", got, tab.URL(), strings.Join(tab.Problems(), "\n"))
			}
			tab.Press(`button[value="allow"]`)
			if got := tab.Text("h1"); got != "Back at the planner" {
				t.Fatalf("after consent: %q at %s\n%s", got, tab.URL(), strings.Join(tab.Problems(), "\n"))
			}
			q, method, referer := at.last(t)
			if q.Get("code") == "" || q.Get("state") != "s t&a=te" || q.Get("iss") != g.url || method != "GET" || referer != "" {
				t.Errorf("answer %v by %s from %q", q, method, referer)
			}

			tab.Go(g.url + at.link("response_mode", "form_post"))
			if plain {
				tab.Press("button.primary")
			}
			tab.AwaitFocus("#here")
			q, method, referer = at.last(t)
			if q.Get("code") == "" || q.Get("state") != "s t&a=te" || method != "POST" || referer != "" {
				t.Errorf("answer %v by %s from %q", q, method, referer)
			}
			// prompt=login asks though she is signed in, and leads on.
			g.clock.forward(time.Minute)
			tab.Go(g.url + at.link("prompt", "login"))
			tab.AwaitFocus("#password") // her login is there already
			if got := tab.Attribute("#login", "value"); got != ada {
				t.Errorf("the login is %q", got)
			}
			tab.Keys(good)
			tab.Send(browsertest.Enter)
			if got := tab.Text("h1"); got != "Back at the planner" {
				t.Errorf("after prompt=login: %q", got)
			}
			for _, p := range tab.Problems() {
				t.Errorf("the browser complains: %s", p)
			}
		})
	}
}

// The pictures are for looking at: go test -run Photographs -photographs <folder>.
func TestPhotographsOfConsent(t *testing.T) {
	if *photographs == "" {
		t.Skip("no -photographs: nobody wants to look")
	}
	g := newLocalRig(t)
	for name, view := range map[string]browsertest.View{"light": {}, "dark": {Dark: true}, "phone": {Width: 360, Height: 740}} {
		tab := browsertest.Open(t, view)
		tab.Go(g.url + link("scope", "openid profile email offline_access orders:read"))
		tab.AwaitFocus("#login")
		tab.Keys(ada + browsertest.Next + good)
		tab.Send(browsertest.Enter)
		tab.Photograph(filepath.Join(*photographs, "consent-"+name+".png"))
		tab.Go(g.url + link("client_id", "native", "redirect_uri", "http://127.0.0.1/cb", "scope", "orders:read"))
		tab.Photograph(filepath.Join(*photographs, "consent-native-"+name+".png"))
	}
}
