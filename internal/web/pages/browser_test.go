package pages_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/browsertest"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/pages"
)

func (b *browser) ask(method, path string, header ...string) page {
	b.g.t.Helper()
	r, err := http.NewRequestWithContext(b.g.t.Context(), method, b.g.url+path, strings.NewReader(""))
	b.g.must(err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.do(r)
}

func TestScriptsAreToldAndPeopleAreLedToTheSignIn(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	fetch := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
	visit := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	for _, row := range pages.Routes {
		if row.Public {
			continue
		}
		for name, header := range map[string][]string{"fetch": fetch, "old script": {"Accept", "*/*", "X-Requested-With", "XMLHttpRequest"}, "frame": {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}} {
			got := g.browser().ask(row.Method, row.Path, header...)
			var body map[string]string
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 401 || got.header.Get("Location") != "" || body["error"] != "unauthenticated" || body["login"] != g.url+"/login" {
				t.Errorf("%s of %s %s: %d %v %s", name, row.Method, row.Path, got.status, got.header, got.body)
			}
		}
		for name, header := range map[string][]string{"visit": visit, "old browser": {"Accept", "text/html,*/*;q=0.8", "Origin", g.url}} {
			got := g.browser().ask(row.Method, row.Path, header...)
			if got.status != http.StatusSeeOther || got.header.Get("Location") != signInFor(row.Method, row.Path) {
				t.Errorf("%s of %s %s: %d to %q", name, row.Method, row.Path, got.status, got.header.Get("Location"))
			}
		}
	}
}

func TestEveryPageRefusesOtherOriginsWithAPage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	for _, row := range pages.Routes {
		if row.Method != "POST" || row.Foreign {
			continue
		}
		for name, header := range map[string][]string{
			"other site": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, "null": {"Origin", "null"},
			"application": {"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"},
		} {
			got := b.post(row.Path, url.Values{}, header...)
			if got.status != 403 || !strings.Contains(got.body, "comes from another origin.") || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: %d %v", row.Path, name, got.status, got.header)
			}
		}
	}
	if !b.signedIn() {
		t.Error("signed out")
	}
}

// SESS-012: pages of a host beside ours, under a name that both share, try to plant
// the cookie in every spelling that a browser may let through.
func TestSiblingHostCannotTossASession(t *testing.T) {
	t.Parallel()
	g := prepare(t)
	port := strings.TrimPrefix(localhost(g.server.Listener.Addr()), "http://localhost")
	g.url = "http://id.example.localhost" + port
	g.server.Config.Handler = g.build()
	g.server.Start()
	_, planted, err := g.sessions.Start(t.Context(), session.Login{UserID: g.users[eve].ID, AMR: []string{"pwd"}})
	g.must(err)
	names := []string{
		middleware.CookieName, middleware.CookieName + " ", middleware.CookieName + "\t", " " + middleware.CookieName, strings.ToUpper(middleware.CookieName),
		strings.ToLower(middleware.CookieName), "__Host-Http-wafer-device", "__Host-Http-wafer-form",
	}
	sibling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range append(names, "") {
			pair := name + "=" + planted
			if name == "" {
				pair = "=" + middleware.CookieName + "=" + planted
			}
			for _, rest := range []string{"; Domain=example.localhost; Path=/", "; Domain=example.localhost; Path=/; Secure; HttpOnly", "; Domain=id.example.localhost; Path=/session"} {
				w.Header().Add("Set-Cookie", pair+rest)
			}
		}
		w.Header().Add("Set-Cookie", "harmless=1; Domain=example.localhost; Path=/")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><title>Sibling</title><h1>Sibling</h1>`))
	}))
	t.Cleanup(sibling.Close)
	beside := "http://evil.example.localhost" + strings.TrimPrefix(localhost(sibling.Listener.Addr()), "http://localhost")

	tab := browsertest.Open(t, browsertest.View{})
	tab.Go(g.url + "/login")
	tab.AwaitFocus("#login")
	tab.Keys(ada + browsertest.Next + good)
	tab.Send(browsertest.Enter)
	mine := cookieOf(tab, g.url)
	if mine == "" || mine == planted {
		t.Fatal("no cookie")
	}
	tab.Go(beside)
	for _, name := range append(names, "") {
		for _, rest := range []string{"; path=/", "; path=/; secure", "; path=/account; secure"} {
			browsertest.Eval[string](tab, "document.cookie = "+quoted(name+"="+planted+"; domain=example.localhost"+rest))
			browsertest.Eval[string](tab, "document.cookie = "+quoted("="+name+"="+planted+"; domain=example.localhost"+rest))
		}
	}
	tab.Go(g.url + "/account")
	if got := tab.Text("h1"); got != "Ada Lovelace" {
		t.Errorf("the account is of %q\n%v", got, tab.Problems())
	}
	if got := cookieOf(tab, g.url); got != mine {
		t.Errorf("the cookie is another one: %q", got)
	}
	tossed := false
	for _, c := range tab.Cookies(g.url) {
		tossed = tossed || c.Name == "harmless"
		if c.Name == middleware.CookieName && c.Value != mine {
			t.Errorf("the browser took %+v", c)
		}
	}
	if !tossed {
		t.Error("the two hosts share no name: nothing was tested")
	}
}

func cookieOf(tab *browsertest.Tab, url string) string {
	for _, c := range tab.Cookies(url) {
		if c.Name == middleware.CookieName {
			return c.Value
		}
	}
	return ""
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
