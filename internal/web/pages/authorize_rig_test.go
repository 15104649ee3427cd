package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	orders     = "https://orders.example"
	verifier   = "a-verifier-of-at-least-forty-three-characters-0123"
	rpBack     = "https://rp.example/cb"
	ownBack    = "https://own.example/cb"
	nativeBack = "com.example.planner:/done"
	rpBye      = "https://rp.example/bye"
	rpSecret   = "a-secret-that-is-long-enough"
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// requests is the rules of the authorization endpoint over what the rig has.
func (g *rig) requests(store *memory.Store, ring *keyring.Ring, root *opaque.Root) *authorize.Service {
	g.t.Helper()
	g.grants = grant.New(grant.Config{
		Store: store, Log: store, Sessions: g.sessions, Keys: ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: root.Derive("secrets"), Issuer: g.url, Now: g.clock.Now, Codes: token.NewCodeKey(root.Derive("codes")), Devices: store, UserCodes: root.Derive("user codes"),
		Jitter: func(time.Duration) time.Duration { return 0 },
		IssuerKey: func(alg jose.Algorithm) (*jose.Key, bool) {
			g.must(ring.Ensure(g.t.Context(), keyring.BuiltIn(keyring.ForIssuer(alg))))
			return ring.Signer(keyring.ForIssuer(alg))
		},
	})
	g.requestsOf = authorize.New(authorize.Config{
		Issuer: g.url, Clients: store, APIs: store, Grants: g.grants, Tickets: store, Consents: store, Seal: root.Derive("requests"), Now: g.clock.Now,
	})
	return g.requestsOf
}

// furnish adds an API, who may use it, and clients that ask for codes.
func (g *rig) furnish() {
	ctx, by := g.t.Context(), admin.ByCLI()
	_, err := g.admin.AddAPI(ctx, by, api.API{ID: orders, Name: "Orders", Scopes: []string{"orders:read", "orders:write"}})
	g.must(err)
	_, err = g.admin.AddRole(ctx, by, role.Role{ID: "clerk", Scopes: map[string][]string{orders: {"orders:read"}}})
	g.must(err)
	codes, all := []string{client.AuthorizationCode, client.RefreshToken}, map[string][]string{orders: {"*"}}
	for _, c := range []client.Client{
		{ID: "rp", Name: "Rita's <Planner>", Kind: client.Confidential, RedirectURIs: []string{rpBack, rpBack + "?a=b"}, Grants: codes, APIs: all,
			OAuth: client.OAuth{PostLogoutRedirectURIs: []string{rpBye, rpBye + "?x=1"}}},
		{ID: "front", Name: "Front", Kind: client.Public, RedirectURIs: []string{"https://front.example/cb"}, Grants: codes, APIs: all,
			OAuth: client.OAuth{FrontchannelLogoutURI: "https://front.example/out?a=b", FrontchannelLogoutSession: true, PostLogoutRedirectURIs: []string{"https://front.example/bye"}}},
		{ID: "front2", Name: "Front 2", Kind: client.Public, RedirectURIs: []string{"https://front2.example/cb"}, Grants: codes, APIs: all,
			OAuth: client.OAuth{FrontchannelLogoutURI: "https://front2.example/out"}},
		{ID: "own", Name: "Our own", Kind: client.Public, FirstParty: true, RedirectURIs: []string{ownBack}, Grants: codes, APIs: all,
			OAuth: client.OAuth{Consents: client.Skip}},
		{ID: "tv", Name: "The <Television>", Kind: client.Public, Grants: []string{client.DeviceCode, client.RefreshToken}, APIs: all},
		{ID: "cli_unknown", Name: "The <Bank>", Kind: client.Public, Source: client.ByItself, RedirectURIs: []string{"https://unknown.example/cb"}, Grants: codes},
		{ID: "native", Name: "Pocket Planner", Kind: client.Public, RedirectURIs: []string{nativeBack, "http://127.0.0.1/cb"}, Grants: codes, APIs: all},
	} {
		n := admin.NewClient{Client: c}
		if c.Kind == client.Confidential {
			n.Secret = rpSecret
		}
		_, _, err := g.admin.AddClient(ctx, by, n)
		g.must(err)
	}
}

// link is an authorization request that is all right but for what is given: name,
// value, name, value; an empty value takes a parameter away.
func link(more ...string) string {
	q := url.Values{
		"client_id": {"rp"}, "redirect_uri": {rpBack}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s t&a=te"},
		"nonce": {"n-1"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
		if more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return "/oauth/authorize?" + q.Encode()
}

// follow goes where an answer leads, as long as that is one of our pages.
func (b *browser) follow(p page) page {
	b.g.t.Helper()
	for range 10 {
		to := p.header.Get("Location")
		if p.status != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
			return p
		}
		p = b.get(to)
	}
	b.g.t.Fatal("round and round")
	return p
}

// back is the query that a client gets with an answer.
func (p page) back(t *testing.T, redirect string) url.Values {
	t.Helper()
	to, ok := strings.CutPrefix(p.header.Get("Location"), redirect)
	if p.status != http.StatusSeeOther || !ok {
		t.Fatalf("no answer to %s: %d to %q\n%s", redirect, p.status, p.header.Get("Location"), p.body)
	}
	q, err := url.ParseQuery(strings.TrimLeft(to, "?&"))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// authTime reads the claim of an ID token.
func authTime(t *testing.T, text string) int64 {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("no ID token: %q", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.AuthTime
}

// seen is a browser that no session is bound to.
var seen = bound.Seen{}
