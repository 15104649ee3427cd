package sessions_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/sessions"
)

const (
	orders = "https://orders.example"
	good   = "correct-horse-battery-staple"
	better = "a-new-and-longer-pass-phrase"
)

// rig is the surface over real flows and a memory store, behind TLS, because
// the cookie is for TLS only.
type rig struct {
	t        *testing.T
	server   *httptest.Server
	store    *memory.Store
	admin    *admin.Service
	sessions *session.Keeper
	users    map[string]account.User
	logged   *buffer
	clock    *clock
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

func newRig(t *testing.T) *rig {
	t.Helper()
	g := &rig{t: t, store: memory.New(), users: map[string]account.User{}, logged: &buffer{},
		clock: &clock{now: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}}
	g.server = httptest.NewUnstartedServer(nil)
	issuer := "https://" + g.server.Listener.Addr().String()
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	g.must(err)
	ring, err := keyring.New(keyring.Config{Store: g.store, Seal: root.Derive("keys"), Now: g.clock.Now})
	g.must(err)
	hasher, err := password.New(password.Config{
		Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 2, Cost: time.Millisecond, Now: g.clock.Now,
	})
	g.must(err)
	g.sessions = session.NewKeeper(g.store, session.DefaultLimits(), g.clock.Now)
	secrets := root.Derive("client secrets")
	g.admin = admin.New(admin.Config{
		Store: g.store, Sessions: g.sessions, Keys: ring, Passwords: hasher, Secrets: secrets, Issuer: issuer, Now: g.clock.Now,
	})
	grants := grant.New(grant.Config{
		Store: g.store, Log: g.store, Sessions: g.sessions, Keys: ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: secrets, Issuer: issuer, Now: g.clock.Now, Jitter: func(time.Duration) time.Duration { return 0 },
	})
	g.fill()
	log := slog.New(slog.NewJSONHandler(g.logged, nil))
	surface := sessions.New(sessions.Config{
		SignIn: signin.New(signin.Config{
			Store: g.store, Counters: g.store, Passwords: hasher, Names: root.Derive("names"), Devices: root.Derive("devices"), Now: g.clock.Now,
		}),
		Sessions: g.sessions, Grants: grants, Accounts: g.admin, Log: log,
		FirstParty: func(_ context.Context, origin string) bool { return origin == "https://shop.example" },
	})
	mux := http.NewServeMux()
	surface.Mount(mux)
	h, err := middleware.Chain(middleware.Config{Issuer: issuer, Log: log, Now: g.clock.Now}, mux)
	g.must(err)
	g.server.Config.Handler = h
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	return g
}

func (g *rig) fill() {
	ctx, by := g.t.Context(), admin.ByCLI()
	g.must(g.admin.Seed(ctx))
	_, err := g.admin.AddAPI(ctx, by, api.API{ID: orders, Scopes: []string{"orders:read", "orders:write"}})
	g.must(err)
	_, err = g.admin.AddRole(ctx, by, role.Role{ID: "clerk", Scopes: map[string][]string{orders: {"orders:read"}}})
	g.must(err)
	for _, c := range []client.Client{
		{ID: "shop-web", Kind: client.Public, FirstParty: true, Grants: []string{client.RefreshToken}, APIs: map[string][]string{orders: {"*"}}},
		{ID: "stranger", Kind: client.Public, Grants: []string{client.RefreshToken}, APIs: map[string][]string{orders: {"*"}}},
	} {
		_, _, err = g.admin.AddClient(ctx, by, admin.NewClient{Client: c})
		g.must(err)
	}
	for _, name := range []string{"ada", "bob"} {
		u, err := g.admin.AddUser(ctx, by, admin.NewUser{Login: name + "@example.com", Password: good, Roles: []string{"clerk"}})
		g.must(err)
		g.users[name] = u
	}
}

// browser is one cookie jar.
type browser struct {
	*rig
	http *http.Client
	// headers are added to each request.
	headers http.Header
}

func (g *rig) browser() *browser {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	g.must(err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	g.t.Cleanup(transport.CloseIdleConnections)
	return &browser{g, &http.Client{Jar: jar, Transport: transport}, http.Header{}}
}

// reply is what came back, read.
type reply struct {
	*http.Response
	text string
	body map[string]any
}

// at digs into the body: at("session", "id").
func (r reply) at(path ...string) string {
	var v any = r.body
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

func (b *browser) send(method, path string, body any) reply {
	b.t.Helper()
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		b.must(err)
		text = string(raw)
	}
	return b.sendText(method, path, "application/json", text)
}

func (b *browser) sendText(method, path, contentType, text string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(text))
	b.must(err)
	r.Header = b.headers.Clone()
	if text != "" && contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := b.http.Do(r)
	b.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	b.must(err)
	out := reply{Response: res, text: string(raw)}
	b.checkHygiene(out)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out.body); err != nil {
			b.t.Errorf("%s %s: not JSON: %s", method, path, raw)
		}
	}
	return out
}

// checkHygiene holds for every answer of this surface (SESS-016, SESS-017).
func (b *browser) checkHygiene(r reply) {
	b.t.Helper()
	where := r.Request.Method + " " + r.Request.URL.Path
	if r.StatusCode >= 500 {
		b.t.Errorf("%s: status %d %s", where, r.StatusCode, r.text)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		b.t.Errorf("%s: Cache-Control %q", where, got)
	}
	if got := strings.Join(r.Header.Values("Vary"), ","); !strings.Contains(got, "Cookie") {
		b.t.Errorf("%s: Vary %q", where, got)
	}
	if r.Header.Get("X-Content-Type-Options") != "nosniff" {
		b.t.Errorf("%s: sniffing allowed", where)
	}
	if got := r.Header.Get("Content-Type"); r.text != "" && got != "application/json" {
		b.t.Errorf("%s: content type %q", where, got)
	}
	if c := b.cookie(); c != "" && strings.Contains(r.text, c) {
		b.t.Errorf("%s: the body holds the cookie's value", where)
	}
}

// cookie returns the value of the session cookie, "" for none.
func (b *browser) cookie() string {
	u, err := url.Parse(b.server.URL)
	b.must(err)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == middleware.CookieName {
			return c.Value
		}
	}
	return ""
}

// keep puts a value of the session cookie into the jar.
func (b *browser) keep(value string) *browser {
	u, err := url.Parse(b.server.URL)
	b.must(err)
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: middleware.CookieName, Value: value, Path: "/", Secure: true}})
	return b
}

func (b *browser) signIn(name string) reply {
	b.t.Helper()
	r := b.send("POST", "/session", map[string]string{"login": name + "@example.com", "password": good})
	if r.StatusCode != http.StatusCreated || b.cookie() == "" {
		b.t.Fatalf("sign in: %d %s", r.StatusCode, r.text)
	}
	return r
}

// who returns whose session the browser has, "" for nobody.
func (b *browser) who() string {
	b.t.Helper()
	r := b.send("GET", "/session", nil)
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusUnauthorized {
		b.t.Errorf("GET /session: %d %s", r.StatusCode, r.text)
	}
	return r.at("session", "user")
}

func (b *browser) want(r reply, status int) {
	b.t.Helper()
	if r.StatusCode != status {
		b.t.Errorf("%s %s: got %d %s, want %d", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.text, status)
	}
}
