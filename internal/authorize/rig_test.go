package authorize_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
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
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	issuer = "https://auth.example"
	orders = "https://orders.example"
	ledger = "https://ledger.example"
	back   = "https://rp1.test/cb"
	tab    = "the secret of a browser"
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

// house is the rules over real grants and a memory store.
type house struct {
	*authorize.Service
	t        testing.TB
	clock    *clock
	store    *memory.Store
	grants   *grant.Service
	sessions *session.Keeper
	ring     *keyring.Ring
	ada, eve account.User
	key      *jose.Key // that rp1 signs with
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, store: memory.New()}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	h.sessions = session.NewKeeper(h.store, session.DefaultLimits(), h.clock.now)
	h.ring, err = keyring.New(keyring.Config{Store: h.store, Seal: root.Derive("keys"), Now: h.clock.now})
	must(t, err)
	h.grants = grant.New(grant.Config{
		Store: h.store, Log: h.store, Sessions: h.sessions, Keys: h.ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: root.Derive("secrets"), Issuer: issuer, Now: h.clock.now, Codes: token.NewCodeKey(root.Derive("codes")),
		Jitter: func(time.Duration) time.Duration { return 0 },
		IssuerKey: func(alg jose.Algorithm) (*jose.Key, bool) {
			must(t, h.ring.Ensure(context.Background(), keyring.BuiltIn(keyring.ForIssuer(alg))))
			return h.ring.Signer(keyring.ForIssuer(alg))
		},
	})
	h.Service = authorize.New(authorize.Config{
		Issuer: issuer, Clients: h.store, APIs: h.store, Grants: h.grants, Tickets: h.store, Consents: h.store,
		Keys: peerkeys.New(peerkeys.Config{Now: h.clock.now, Log: slog.New(slog.DiscardHandler), Fetch: h.fetch}), Seal: root.Derive("requests"), Now: h.clock.now,
	})
	h.furnish()
	return h
}

// fetch is what addresses of key sets answer: nothing.
func (h *house) fetch(context.Context, string, int64) (peerkeys.Document, error) {
	return peerkeys.Document{}, errors.New("nobody is there")
}

func (h *house) furnish() {
	h.t.Helper()
	ctx, now := h.t.Context(), h.clock.now()
	apis := []api.API{
		{ID: orders, Name: "Orders", Scopes: []string{"orders:read", "orders:write"}},
		{ID: ledger, Name: "Ledger", Scopes: []string{"ledger:read", "orders:read"}},
		{ID: api.Management, Scopes: api.ManagementScopes},
		{ID: api.Userinfo, Name: "Who you are", Scopes: oidc.IdentityScopes},
	}
	for i := range apis {
		apis[i] = apis[i].WithDefaults()
		must(h.t, h.store.AddAPI(ctx, apis[i], revoke.Effects{}))
	}
	must(h.t, h.ring.Ensure(ctx, apis...))
	must(h.t, h.store.AddRole(ctx, role.Role{ID: "clerk", Scopes: map[string][]string{orders: {"orders:read"}, ledger: {"*"}}}, revoke.Effects{}))
	for i, u := range []*account.User{&h.ada, &h.eve} {
		login := []string{"ada@example.com", "eve@example.com"}[i]
		*u = account.User{ID: opaque.ID(opaque.UserID, now), Login: login, Canonical: login, Roles: []string{"clerk"}, CreatedAt: now}
		must(h.t, h.store.AddUser(ctx, *u, revoke.Effects{}))
	}
	var err error
	h.key, err = jose.Generate(jose.ES256, "rp1-key")
	must(h.t, err)
	jwks, err := json.Marshal(map[string]any{"keys": []*jose.Key{h.key.Public()}})
	must(h.t, err)
	codes, one := []string{client.AuthorizationCode, client.RefreshToken}, map[string][]string{orders: {"*"}}
	both := map[string][]string{orders: {"orders:read", "orders:write"}, ledger: {"*"}}
	for _, c := range []client.Client{
		{ID: "rp1", Kind: client.Confidential, RedirectURIs: []string{back}, Grants: codes, APIs: one, OAuth: client.OAuth{JWKS: jwks}},
		{ID: "rp2", Kind: client.Confidential, RedirectURIs: []string{"https://rp2.test/cb", "https://rp2.test/other?x=1"}, Grants: codes, APIs: both},
		{ID: "native", Kind: client.Public, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb", "https://native.test/cb"}, Grants: codes, APIs: one},
		{ID: "own", Kind: client.Public, FirstParty: true, RedirectURIs: []string{"https://own.test/cb"}, Grants: codes, APIs: one, OAuth: client.OAuth{Consents: client.Skip}},
		{ID: "asks", Kind: client.Confidential, RedirectURIs: []string{"https://asks.test/cb"}, Grants: codes, APIs: one, OAuth: client.OAuth{Consents: client.Ask}},
		{ID: "lax", Kind: client.Confidential, RedirectURIs: []string{"https://lax.test/cb"}, Grants: codes, APIs: one, OAuth: client.OAuth{Profile: client.Certification}},
		{ID: "bank", Kind: client.Confidential, RedirectURIs: []string{"https://bank.test/cb"}, Grants: codes, APIs: one, OAuth: client.OAuth{Profile: client.FAPI2, JWKS: jwks}},
		{ID: "signs", Kind: client.Confidential, RedirectURIs: []string{"https://signs.test/cb"}, Grants: codes, APIs: one, OAuth: client.OAuth{JWKS: jwks, RequireSigned: true}},
		{ID: "empty", Kind: client.Confidential, Grants: codes, APIs: one},
		{ID: "machine", Kind: client.Confidential, RedirectURIs: []string{"https://machine.test/cb"}, Grants: []string{client.ClientCredentials}, APIs: one},
		{ID: "gone", Kind: client.Confidential, RedirectURIs: []string{"https://gone.test/cb"}, Grants: codes, APIs: one, Disabled: true},
	} {
		must(h.t, h.store.AddClient(ctx, c, revoke.Effects{}))
	}
}

const verifier = "a-verifier-of-at-least-forty-three-characters-0123"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is a request of rp1 that is all right, but for what is given: name, value,
// name, value. "-" takes a parameter away.
func ask(more ...string) authorize.Params {
	p := authorize.Params{
		"client_id": {"rp1"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"the state"},
		"nonce": {"the nonce"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		p[more[i]] = []string{more[i+1]}
		if more[i+1] == "-" {
			delete(p, more[i])
		}
	}
	return p
}

func (h *house) read(p authorize.Params) (oidc.Request, error) { return h.Read(h.t.Context(), p) }

// fine reads a request that must be taken.
func (h *house) fine(p authorize.Params) oidc.Request {
	h.t.Helper()
	r, err := h.read(p)
	if err != nil {
		h.t.Fatalf("refused: %v", err)
	}
	return r
}

// told fails unless err goes back to the client with one of the codes, with the
// state and the issuer.
func told(t *testing.T, what string, err error, codes string) {
	t.Helper()
	var r *authorize.Refused
	if !errors.As(err, &r) {
		t.Errorf("%s: not told to the client: %v", what, err)
		return
	}
	refused(t, what, r.Answer, codes)
}

func refused(t *testing.T, what string, a authorize.Answer, codes string) {
	t.Helper()
	if !slices.Contains(strings.Split(codes, "|"), value(a, "error")) {
		t.Errorf("%s: error %q, want %s", what, value(a, "error"), codes)
	}
	if value(a, "code") != "" || value(a, "state") != "the state" || value(a, "iss") != issuer {
		t.Errorf("%s: answer %v", what, a.Fields)
	}
}

// shown fails unless err is for the person in front alone.
func shown(t *testing.T, what string, err error) {
	t.Helper()
	var r *authorize.Refused
	if errors.As(err, &r) || !fault.Is(err, fault.Invalid) {
		t.Errorf("%s: %v, want an error page", what, err)
	}
}

func value(a authorize.Answer, name string) string {
	for _, f := range a.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// signIn begins a session.
func (h *house) signIn(u account.User) authorize.Who {
	h.t.Helper()
	s, _, err := h.sessions.Start(h.t.Context(), session.Login{UserID: u.ID, AMR: []string{"pwd"}})
	must(h.t, err)
	return authorize.Who{Browser: tab, Session: &s}
}

func (h *house) decide(r oidc.Request, w authorize.Who) authorize.Decision {
	h.t.Helper()
	d, err := h.Decide(h.t.Context(), r, w)
	must(h.t, err)
	return d
}

// answered fails unless the answer is there, and returns it.
func (h *house) answered(r oidc.Request, w authorize.Who) authorize.Answer {
	h.t.Helper()
	d := h.decide(r, w)
	if d.Next != authorize.Done {
		h.t.Fatalf("no answer: %+v", d)
	}
	return d.Answer
}

// allowed goes through the consent page and returns the code.
func (h *house) allowed(r oidc.Request, w authorize.Who) string {
	h.t.Helper()
	d := h.decide(r, w)
	if d.Next != authorize.Consent {
		h.t.Fatalf("consent is not asked: %+v", d)
	}
	a, err := h.Allow(h.t.Context(), d.Step, w)
	must(h.t, err)
	if value(a, "code") == "" {
		h.t.Fatalf("no code: %v", a.Fields)
	}
	return value(a, "code")
}

func (h *house) client(id string) client.Client {
	h.t.Helper()
	c, _, err := h.store.ClientByID(h.t.Context(), id)
	must(h.t, err)
	return c
}

// tokens exchanges a code.
func (h *house) tokens(clientID, code string) (grant.Tokens, error) {
	h.t.Helper()
	return h.grants.Exchange(h.t.Context(), h.client(clientID), grant.CodeAsk{Code: code, Verifier: verifier})
}
