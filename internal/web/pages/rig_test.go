package pages_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/logout"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/pages"
)

const (
	ada     = "ada@example.com"
	eve     = "eve@example.com"
	good    = "correct-horse-battery-staple"
	better  = "a-new-and-longer-pass-phrase"
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// rig is the pages over real flows and a memory store.
type rig struct {
	t          *testing.T
	server     *httptest.Server
	url        string
	admin      *admin.Service
	grants     *grant.Service
	requestsOf *authorize.Service
	sessions   *session.Keeper
	users      map[string]account.User
	logged     *buffer
	clock      *clock
	offered    bool
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (g *rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// newRig serves the pages behind TLS, because the cookies are for TLS only.
func newRig(t *testing.T) *rig {
	t.Helper()
	g := prepare(t)
	g.url = "https://" + g.server.Listener.Addr().String()
	g.server.Config.Handler = g.build()
	g.server.StartTLS()
	return g
}

// newLocalRig serves them over plain HTTP on localhost, as `wafer serve` does.
func newLocalRig(t *testing.T) *rig {
	t.Helper()
	g := prepare(t)
	g.url = localhost(g.server.Listener.Addr())
	g.server.Config.Handler = g.build()
	g.server.Start()
	return g
}

func localhost(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return "http://localhost:" + port
}

func prepare(t *testing.T) *rig {
	g := &rig{t: t, users: map[string]account.User{}, logged: &buffer{}, offered: true,
		clock: &clock{now: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}}
	g.server = httptest.NewUnstartedServer(nil)
	g.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(g.server.Close)
	return g
}

func (g *rig) build() http.Handler {
	g.t.Helper()
	store := memory.New()
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	g.must(err)
	ring, err := keyring.New(keyring.Config{Store: store, Seal: root.Derive("keys"), Now: g.clock.Now})
	g.must(err)
	hasher, err := password.New(password.Config{
		Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 2, Cost: time.Millisecond, Now: g.clock.Now,
	})
	g.must(err)
	g.sessions = session.NewKeeper(store, session.DefaultLimits(), g.clock.Now)
	g.admin = admin.New(admin.Config{
		Store: store, Sessions: g.sessions, Keys: ring, Passwords: hasher, Secrets: root.Derive("secrets"), Issuer: g.url, Now: g.clock.Now,
	})
	g.fill()
	log := slog.New(slog.NewJSONHandler(g.logged, nil))
	requests := g.requests(store, ring, root)
	p, err := pages.New(pages.Config{
		Issuer: g.url, Sessions: g.sessions, Accounts: g.admin, Authorize: requests, Devices: g.grants, Hints: g.grants,
		Front: logout.Front{Issuer: g.url, Sessions: g.sessions, Log: store, Clients: store}, Forms: root.Derive("forms"), Now: g.clock.Now, Log: log,
		SignIn: signin.New(signin.Config{
			Store: store, Counters: store, Passwords: hasher, Names: root.Derive("names"), Devices: root.Derive("devices"), Now: g.clock.Now,
		}),
		Setup: func() bool { return g.offered },
		Links: []pages.Link{{Name: "The demo shop", URL: "http://localhost:3000"}},
	})
	g.must(err)
	mux := http.NewServeMux()
	p.Mount(mux)
	h, err := middleware.Chain(middleware.Config{Issuer: g.url, Log: log, Now: g.clock.Now}, mux)
	g.must(err)
	return h
}

func (g *rig) fill() {
	ctx, by := g.t.Context(), admin.ByCLI()
	g.must(g.admin.Seed(ctx))
	g.furnish()
	for _, u := range []admin.NewUser{
		{Login: ada, Name: "Ada Lovelace", Password: good, Roles: []string{"clerk"}},
		{Login: eve, Password: good},
	} {
		added, err := g.admin.AddUser(ctx, by, u)
		g.must(err)
		g.users[u.Login] = added
	}
	for _, c := range []client.Client{
		{ID: "shop-web", Name: "The <Shop>", Kind: client.Public, RedirectURIs: []string{"https://shop.example/callback", "https://shop.example/callback?a=1&b=2"}},
		{ID: "other", Name: "Other", Kind: client.Public, RedirectURIs: []string{"https://other.example/"}},
		{ID: "phone", Name: "Phone", Kind: client.Public, RedirectURIs: []string{"com.example.app:/done"}},
		{ID: "own-app", Name: "Our app", Kind: client.Public, FirstParty: true, Origins: []string{"https://app.example", "http://localhost:3000"}},
		{ID: "their-app", Name: "Their app", Kind: client.Public, Origins: []string{"https://theirs.example"}},
		{ID: "cli", Name: "Command line", Kind: client.Public, RedirectURIs: []string{"http://127.0.0.1/done"}},
		{ID: "off", Name: "Off", Kind: client.Public, RedirectURIs: []string{"https://off.example/"}, Disabled: true},
	} {
		_, _, err := g.admin.AddClient(ctx, by, admin.NewClient{Client: c})
		g.must(err)
	}
}

// browser is somebody's browser without JavaScript, as old as one that sends no
// Fetch Metadata: it keeps cookies and follows no redirect.
type browser struct {
	g        *rig
	http     *http.Client
	agent    string
	language string // Accept-Language, "" for none
}

func (g *rig) browser() *browser {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	g.must(err)
	c := *g.server.Client()
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{g: g, http: &c, agent: firefox}
}

// page is an answer, read to the end.
type page struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(r *http.Request) page {
	b.g.t.Helper()
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", b.agent)
	}
	if b.language != "" {
		r.Header.Set("Accept-Language", b.language)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	}
	if r.Method == http.MethodPost && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Origin", b.g.url)
	}
	res, err := b.http.Do(r)
	b.g.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	b.g.must(err)
	return page{res.StatusCode, res.Header, string(body)}
}

func (b *browser) get(path string) page {
	b.g.t.Helper()
	r, err := http.NewRequestWithContext(b.g.t.Context(), http.MethodGet, b.g.url+path, nil)
	b.g.must(err)
	return b.do(r)
}

func (b *browser) post(path string, fields url.Values, headers ...string) page {
	b.g.t.Helper()
	r, err := http.NewRequestWithContext(b.g.t.Context(), http.MethodPost, b.g.url+path, strings.NewReader(fields.Encode()))
	b.g.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.do(r)
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)".*?</form>`)
	inputPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// form returns the hidden fields of the page's form with this action.
func (p page) form(action string) url.Values {
	for _, m := range formPattern.FindAllStringSubmatch(p.body, -1) {
		if m[1] != action {
			continue
		}
		fields := url.Values{}
		for _, in := range inputPattern.FindAllStringSubmatch(m[0], -1) {
			fields.Set(in[1], strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(in[2]))
		}
		return fields
	}
	return url.Values{}
}

// send fills the form of a page and sends it.
func (b *browser) send(p page, action string, more ...string) page {
	b.g.t.Helper()
	fields := p.form(action)
	for i := 0; i < len(more); i += 2 {
		fields.Set(more[i], more[i+1])
	}
	return b.post(action, fields)
}

// signIn signs somebody in through the form.
func (b *browser) signIn(login string) {
	b.g.t.Helper()
	got := b.send(b.get("/login"), "/login", "login", login, "password", good)
	if got.status != http.StatusSeeOther {
		b.g.t.Fatalf("sign in %s: %d %s", login, got.status, got.body)
	}
}

// cookie returns the value of a cookie that the browser has.
func (b *browser) cookie(name string) string {
	b.g.t.Helper()
	u, err := url.Parse(b.g.url)
	b.g.must(err)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) signedIn() bool {
	b.g.t.Helper()
	return b.get("/account").status == http.StatusOK
}

// signInFor is where a page sends somebody who is not signed in.
func signInFor(method, path string) string {
	if method == http.MethodGet && path == "/device" {
		return "/login?return_to=%2Fdevice"
	}
	return "/login?return_to=%2Faccount"
}
