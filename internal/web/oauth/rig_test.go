package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/oauth"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	issuer = "https://auth.example"
	orders = "https://orders.example"
	ledger = "https://ledger.example"
	secret = "p+ss w%rd:with-everything" // needs the form-encoding of RFC 6749 section 2.3.1
)

// rig is the surface over real flows and a memory store.
type rig struct {
	http.Handler
	t        *testing.T
	store    *memory.Store
	grants   *grant.Service
	requests *authorize.Service
	sessions *session.Keeper
	ring     *keyring.Ring
	logged   *strings.Builder
	mu       *sync.Mutex
	now      *time.Time
}

func (g rig) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *g.now
}

func (g rig) forward(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*g.now = g.now.Add(d)
}

func newRig(t *testing.T, change ...func(*oauth.Config)) rig {
	t.Helper()
	start := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	g := rig{t: t, store: memory.New(), mu: &sync.Mutex{}, now: &start, logged: &strings.Builder{}}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	g.must(err)
	g.ring, err = keyring.New(keyring.Config{Store: g.store, Seal: root.Derive("keys"), Now: g.clock})
	g.must(err)
	g.sessions = session.NewKeeper(g.store, session.DefaultLimits(), g.clock)
	secrets := root.Derive("client secrets")
	g.grants = grant.New(grant.Config{
		Store: g.store, Log: g.store, Sessions: g.sessions, Keys: g.ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: secrets, Issuer: issuer, Now: g.clock, Jitter: func(time.Duration) time.Duration { return 0 },
		Codes: token.NewCodeKey(root.Derive("codes")), IssuerKey: g.issuerKey, Devices: g.store, UserCodes: root.Derive("user codes"),
		Peers: peerkeys.New(peerkeys.Config{Now: g.clock, Log: slog.New(slog.DiscardHandler)}), Tickets: g.store,
	})
	g.requests = authorize.New(authorize.Config{
		Issuer: issuer, Clients: g.store, APIs: g.store, Grants: g.grants, Tickets: g.store, Consents: g.store,
		Keys: peerkeys.New(peerkeys.Config{Now: g.clock, Log: slog.New(slog.DiscardHandler)}), Seal: root.Derive("requests"), Now: g.clock,
	})
	g.fill(secrets)
	log := slog.New(slog.NewJSONHandler(&locked{mu: g.mu, w: g.logged}, nil))
	c := oauth.Config{Issuer: issuer, Grants: g.grants, Requests: g.requests, Keys: g.ring, Log: log,
		Registered: func(_ context.Context, origin string) bool { return origin == "https://shop.example" }}
	for _, f := range change {
		f(&c)
	}
	surface := oauth.New(c)
	mux := http.NewServeMux()
	surface.Mount(mux)
	g.Handler, err = middleware.Chain(middleware.Config{Issuer: issuer, Hosts: []string{"mtls.auth.example"}, Log: log, Now: g.clock}, mux)
	g.must(err)
	return g
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (g rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// issuerKey makes the key of an algorithm when it is first needed.
func (g rig) issuerKey(alg jose.Algorithm) (*jose.Key, bool) {
	name := keyring.ForIssuer(alg)
	if err := g.ring.Ensure(context.Background(), keyring.BuiltIn(name)); err != nil {
		return nil, false
	}
	return g.ring.Signer(name)
}

func (g rig) fill(secrets *opaque.Key) {
	ctx := g.t.Context()
	apis := []api.API{
		{ID: orders, Scopes: []string{"orders:read", "orders:write"}},
		{ID: ledger, Scopes: []string{"ledger:read"}, Token: api.Token{Format: api.Opaque}},
		{ID: "https://till.example", Scopes: []string{"till:open"}, Token: api.Token{Alg: jose.HS256}},
		{ID: api.Management, Scopes: api.ManagementScopes},
		{ID: api.Userinfo, Scopes: oidc.IdentityScopes},
	}
	for i := range apis {
		apis[i] = apis[i].WithDefaults()
		apis[i].Version = 1
		g.must(g.store.AddAPI(ctx, apis[i], revoke.Effects{}))
	}
	g.must(g.ring.Ensure(ctx, apis...))
	both := []string{client.ClientCredentials, client.RefreshToken}
	check := map[string][]string{api.Management: {"sessions:check"}}
	for _, c := range []client.Client{
		{ID: "billing", Kind: client.Confidential, FirstParty: true, Grants: both,
			APIs: map[string][]string{orders: {"orders:read"}, ledger: {"ledger:read"}}},
		{ID: "shop-web", Kind: client.Public, FirstParty: true, Grants: both[1:], Origins: []string{"https://shop.example"},
			APIs: map[string][]string{orders: {"*"}}},
		{ID: "orders-api", Kind: client.Confidential, Grants: both[:1], Serves: []string{orders}, APIs: check},
		{ID: "ledger-api", Kind: client.Confidential, Grants: both[:1], Serves: []string{ledger}, APIs: check},
		{ID: "bystander", Kind: client.Confidential, Grants: both[:1], APIs: map[string][]string{orders: {"orders:read"}}},
		{ID: "web", Kind: client.Confidential, Grants: []string{client.AuthorizationCode, client.RefreshToken}, RedirectURIs: []string{webBack},
			APIs: map[string][]string{orders: {"*"}}},
		{ID: "signed", Kind: client.Confidential, Grants: []string{client.AuthorizationCode}, RedirectURIs: []string{webBack},
			OAuth: client.OAuth{UserinfoAlg: jose.ES256}},
		{ID: "gone", Kind: client.Confidential, Grants: both, Disabled: true, APIs: map[string][]string{orders: {"orders:read"}}},
	} {
		c.Version = 1
		if c.Kind == client.Confidential {
			c.SecretHash = grant.SecretCode(secrets, c.ID, secret)
		}
		g.must(g.store.AddClient(ctx, c, revoke.Effects{}))
	}
	g.must(g.store.AddRole(ctx, role.Role{ID: "clerk", Version: 1, Scopes: map[string][]string{orders: {"orders:read", "orders:write"}}}, revoke.Effects{}))
	g.must(g.store.AddUser(ctx, ada(), revoke.Effects{}))
}

func ada() account.User {
	return account.User{ID: "usr_01arz3ndektsv4rrffq69g5fav", Login: "ada@example.com", Canonical: "ada@example.com", Roles: []string{"clerk"}, Version: 1}
}

// signIn gives ada a session and the client its tokens.
func (g rig) signIn(clientID string) (cookie string, tokens grant.Tokens) {
	g.t.Helper()
	_, cookie, tokens, err := g.grants.SignIn(g.t.Context(), ada(), session.Login{AMR: []string{"pwd"}}, grant.Ask{ClientID: clientID, API: orders})
	g.must(err)
	if tokens.RefreshToken == "" {
		g.t.Fatal("no refresh token")
	}
	return cookie, tokens
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// post sends a form of name, value, name, value, as a client, or as nobody.
func (g rig) post(path, clientID string, fields ...string) answer {
	g.t.Helper()
	r := formRequest(path, fields...)
	if clientID != "" {
		r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	}
	return g.do(r)
}

func formRequest(path string, fields ...string) *http.Request {
	var parts []string
	for i := 0; i < len(fields); i += 2 {
		parts = append(parts, url.QueryEscape(fields[i])+"="+url.QueryEscape(fields[i+1]))
	}
	return rawRequest(path, strings.Join(parts, "&"))
}

func rawRequest(path, body string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Host = "auth.example"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// do sends a request and checks what must hold for every answer of this surface
// (RFC 6749 section 5.1).
func (g rig) do(r *http.Request) answer {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	a := answer{ResponseRecorder: w}
	if w.Code >= 500 {
		g.t.Errorf("%s %s: status %d %s", r.Method, r.URL, w.Code, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			g.t.Errorf("%s %s: not JSON: %s", r.Method, r.URL, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			g.t.Errorf("%s %s: content type %q", r.Method, r.URL, got)
		}
	}
	public := strings.HasPrefix(r.URL.Path, "/.well-known/") && w.Code < 400
	if got := w.Header().Get("Cache-Control"); !public && got != "no-store" {
		g.t.Errorf("%s %s: Cache-Control %q", r.Method, r.URL, got)
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" {
		g.t.Errorf("%s %s: sniffing allowed", r.Method, r.URL)
	}
	if got := w.Header().Get("Access-Control-Allow-Credentials"); got != "" {
		g.t.Errorf("%s %s: credentials shared", r.Method, r.URL)
	}
	return a
}

// want checks the status and the error code, "" for none.
func (a answer) want(t *testing.T, status int, code string) {
	t.Helper()
	if a.Code != status || a.text("error") != code {
		t.Errorf("got %d %s, want %d %q", a.Code, a.Body, status, code)
	}
	if code != "" && (a.text("access_token") != "" || a.text("refresh_token") != "") {
		t.Errorf("a refusal came with a token: %s", a.Body)
	}
}
