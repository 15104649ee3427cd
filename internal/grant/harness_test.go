package grant_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	issuer = "http://localhost:8080"
	orders = "https://orders.example"
	vault  = "https://vault.example"
	notes  = "https://notes.example"
)

// clock is a time that moves only when told.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// house is a service over a memory store with a user, clients and APIs.
type house struct {
	*grant.Service
	t        *testing.T
	clock    *clock
	store    store.Store
	sessions *session.Keeper
	ring     *keyring.Ring
	ada      account.User
	web      map[string]string // what clients' addresses answer
}

// fetch gets a key set from an address of a client's.
func (h *house) fetch(_ context.Context, uri string, _ int64) (peerkeys.Document, error) {
	body, ok := h.web[uri]
	if !ok {
		return peerkeys.Document{}, errors.New("no answer")
	}
	return peerkeys.Document{Body: []byte(body)}, nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return houseOn(t, memory.New())
}

func houseOn(t *testing.T, in store.Store) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, store: in}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	h.sessions = session.NewKeeper(h.store, session.DefaultLimits(), h.clock.now)
	h.ring, err = keyring.New(keyring.Config{Store: h.store, Seal: root.Derive("keys"), Now: h.clock.now, MaxAge: 5 * time.Minute})
	must(t, err)
	secrets := root.Derive("client secrets")
	h.Service = grant.New(grant.Config{
		Store: h.store, Log: h.store, Sessions: h.sessions, Keys: h.ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: secrets, Issuer: issuer, Now: h.clock.now, Jitter: func(time.Duration) time.Duration { return 0 },
		Codes: token.NewCodeKey(root.Derive("codes")), IssuerKey: h.issuerKey, Devices: h.store, UserCodes: root.Derive("user codes"),
		Peers: peerkeys.New(peerkeys.Config{Now: h.clock.now, Log: slog.New(slog.DiscardHandler), Fetch: h.fetch}), Tickets: h.store, Users: h.store,
	})
	h.furnish(secrets)
	return h
}

// issuerKey makes the key of an algorithm when it is first needed.
func (h *house) issuerKey(alg jose.Algorithm) (*jose.Key, bool) {
	name := keyring.ForIssuer(alg)
	if err := h.ring.Ensure(context.Background(), keyring.BuiltIn(name)); err != nil {
		return nil, false
	}
	return h.ring.Signer(name)
}

func (h *house) furnish(secrets *opaque.Key) {
	h.t.Helper()
	ctx, now := h.t.Context(), h.clock.now()
	apis := []api.API{
		{ID: orders, Scopes: []string{"orders:read", "orders:write"}},
		{ID: vault, Scopes: []string{"vault:open"}, Token: api.Token{Format: api.Opaque}},
		{ID: notes, Scopes: []string{"notes:read"}, Token: api.Token{Alg: jose.HS256}},
		{ID: api.Management, Scopes: api.ManagementScopes},
		{ID: api.Userinfo, Scopes: oidc.IdentityScopes},
	}
	for i := range apis {
		apis[i] = apis[i].WithDefaults()
		must(h.t, h.store.AddAPI(ctx, apis[i], revoke.Effects{}))
	}
	must(h.t, h.ring.Ensure(ctx, apis...))
	must(h.t, h.store.AddRole(ctx, role.Role{ID: "clerk", Scopes: map[string][]string{
		orders: {"orders:read"}, vault: {"*"}, notes: {"notes:read"},
	}}, revoke.Effects{}))
	h.ada = account.User{ID: opaque.ID(opaque.UserID, now), Login: "ada@example.com", Canonical: "ada@example.com", Roles: []string{"clerk"}, CreatedAt: now}
	must(h.t, h.store.AddUser(ctx, h.ada, revoke.Effects{}))
	h.ada.Version = 1
	all := map[string][]string{orders: {"*"}, vault: {"*"}, notes: {"*"}}
	for _, c := range []client.Client{
		{ID: "shop", Kind: client.Public, FirstParty: true, Grants: []string{client.RefreshToken}, APIs: all},
		{ID: "other", Kind: client.Public, FirstParty: true, Grants: []string{client.RefreshToken}, APIs: all},
		{ID: "stranger", Kind: client.Public, Grants: []string{client.RefreshToken}, APIs: all},
		{ID: "orders-api", Kind: client.Confidential, SecretHash: grant.SecretCode(secrets, "orders-api", "s3cret"), Grants: []string{client.ClientCredentials},
			APIs: map[string][]string{api.Management: {"sessions:check"}, orders: {"orders:read"}}, Serves: []string{orders, vault, notes}},
		{ID: "notes-api", Kind: client.Confidential, SecretHash: grant.SecretCode(secrets, "notes-api", "s3cret"), Grants: []string{client.ClientCredentials},
			APIs: map[string][]string{api.Management: {"sessions:check"}}, Serves: []string{notes}},
		{ID: "nosy", Kind: client.Confidential, SecretHash: grant.SecretCode(secrets, "nosy", "s3cret"), Grants: []string{client.ClientCredentials},
			APIs: map[string][]string{orders: {"orders:read"}}},
	} {
		must(h.t, h.store.AddClient(ctx, c, revoke.Effects{}))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signIn opens a session and a grant for ada through the shop.
func (h *house) signIn(apiID string) (session.Session, string, grant.Tokens) {
	h.t.Helper()
	s, secret, tok, err := h.SignIn(h.t.Context(), h.ada, session.Login{AMR: []string{"pwd"}}, grant.Ask{ClientID: "shop", API: apiID})
	must(h.t, err)
	return s, secret, tok
}

func (h *house) client(id string) client.Client {
	h.t.Helper()
	c, found, err := h.store.ClientByID(h.t.Context(), id)
	must(h.t, err)
	if !found {
		h.t.Fatalf("no client %s", id)
	}
	return c
}

func (h *house) refresh(t string) (grant.Tokens, error) {
	return h.Refresh(context.WithoutCancel(h.t.Context()), h.client("shop"), grant.RefreshAsk{Token: t})
}

func (h *house) active(caller, text, apiID string) bool {
	h.t.Helper()
	a, err := h.Introspect(h.t.Context(), h.client(caller), grant.Question{Token: text, API: apiID})
	must(h.t, err)
	return a.Active
}

func (h *house) wantActive(text string, want bool) {
	h.t.Helper()
	if got := h.active("orders-api", text, orders); got != want {
		h.t.Errorf("introspection says active=%v, want %v", got, want)
	}
}

// wantCode fails unless err is an OAuth error with this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *grant.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}
