package grant_test

import (
	"encoding/json"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

const foreign = "https://idp.example"

// embassy is a house with a client that brings the word of another issuer.
type embassy struct {
	*house
	key, other *jose.Key
}

func newEmbassy(t *testing.T) *embassy {
	t.Helper()
	e := &embassy{house: newHouse(t)}
	var err error
	e.key, err = jose.Generate(jose.ES256, "idp-1")
	must(t, err)
	e.other, err = jose.Generate(jose.ES256, "idp-1")
	must(t, err)
	for id, issuer := range map[string]string{"bridge": foreign, "other-bridge": "https://other.example"} {
		must(t, e.store.AddClient(t.Context(), client.Client{
			ID: id, Kind: client.Confidential, SecretHash: opaque.Hash(id), Grants: []string{client.JWTBearer}, APIs: map[string][]string{orders: {"orders:read"}},
			OAuth: client.OAuth{Assertions: []client.AssertionIssuer{{Issuer: issuer, JWKS: jwksOf(t, e.key)}}},
		}, revoke.Effects{}))
	}
	return e
}

func (e *embassy) assertion(key *jose.Key, typ string, change func(map[string]any)) string {
	e.t.Helper()
	now := e.clock.now()
	c := map[string]any{"iss": foreign, "sub": "ada@example.com", "aud": issuer, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "jti": opaque.Text(16)}
	if change != nil {
		change(c)
	}
	body, err := json.Marshal(maps.Clone(c))
	must(e.t, err)
	text, err := jose.Sign(key, jose.Header{Type: typ}, body)
	must(e.t, err)
	return text
}

func (e *embassy) bring(clientID, assertion string) (grant.Tokens, error) {
	return e.AssertionGrant(e.t.Context(), e.client(clientID), grant.AssertionAsk{Assertion: assertion, API: orders})
}

func TestAssertionOfATrustedIssuerGivesAToken(t *testing.T) {
	t.Parallel()
	e := newEmbassy(t)
	tok, err := e.bring("bridge", e.assertion(e.key, "JWT", nil))
	must(t, err)
	a, err := e.Introspect(t.Context(), e.client("bridge"), grant.Question{Token: tok.AccessToken})
	must(t, err)
	if !a.Active || a.Subject != e.ada.ID || a.Scope != "orders:read" || a.SessionID == "" || tok.RefreshToken != "" {
		t.Fatalf("the token says %+v", a)
	}
	e.record(revoke.New(revoke.User, e.ada.ID, "ban", e.clock.now()))
	a, err = e.Introspect(t.Context(), e.client("bridge"), grant.Question{Token: tok.AccessToken})
	must(t, err)
	if a.Active {
		t.Error("a ban does not reach what an assertion gave")
	}
}

func TestAssertionRefusals(t *testing.T) {
	t.Parallel()
	e := newEmbassy(t)
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	good := func() {
		t.Helper()
		_, err := e.bring("bridge", e.assertion(e.key, "", nil))
		must(t, err)
	}
	good()
	now := e.clock.now()
	for _, c := range []struct {
		name, client, text, want string
	}{
		{"by another key", "bridge", e.assertion(e.other, "JWT", nil), grant.InvalidGrant},
		{"an issuer that is not the client's", "other-bridge", e.assertion(e.key, "JWT", nil), grant.InvalidGrant},
		{"a client without the grant type", "shop", e.assertion(e.key, "JWT", nil), grant.UnauthorizedClient},
		{"about nobody", "bridge", e.assertion(e.key, "JWT", set("sub", "eve@example.com")), grant.InvalidGrant},
		{"without sub", "bridge", e.assertion(e.key, "JWT", drop("sub")), grant.InvalidGrant},
		{"for another server", "bridge", e.assertion(e.key, "JWT", set("aud", "https://another.example")), grant.InvalidGrant},
		{"for the token endpoint", "bridge", e.assertion(e.key, "JWT", set("aud", issuer+"/oauth/token")), grant.InvalidGrant},
		{"for two servers", "bridge", e.assertion(e.key, "JWT", set("aud", []string{issuer, "https://another.example"})), grant.InvalidGrant},
		{"expired", "bridge", e.assertion(e.key, "JWT", set("exp", now.Add(-time.Minute).Unix())), grant.InvalidGrant},
		{"without exp", "bridge", e.assertion(e.key, "JWT", drop("exp")), grant.InvalidGrant},
		{"without jti", "bridge", e.assertion(e.key, "JWT", drop("jti")), grant.InvalidGrant},
		{"from the future", "bridge", e.assertion(e.key, "JWT", set("nbf", now.Add(2*time.Minute).Unix())), grant.InvalidGrant},
		{"made for another client", "bridge", e.assertion(e.key, "oauth-id-jag+jwt", set("client_id", "shop")), grant.InvalidGrant},
		{"an access token", "bridge", e.assertion(e.key, "at+jwt", nil), grant.InvalidGrant},
		{"no JWT", "bridge", "assertion", grant.InvalidGrant},
	} {
		_, err := e.bring(c.client, c.text)
		wantRefusal(t, c.name, err, c.want)
	}
	good()
	used := e.assertion(e.key, "JWT", nil)
	_, err := e.bring("bridge", used)
	must(t, err)
	_, err = e.bring("bridge", used)
	wantRefusal(t, "a second time", err, grant.InvalidGrant)
	_, err = e.bring("bridge", e.assertion(e.key, "oauth-id-jag+jwt", set("client_id", "bridge")))
	must(t, err)
}

func TestAssertionRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	e := newEmbassy(t)
	text := e.assertion(e.key, "JWT", nil)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := e.bring("bridge", text); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one assertion gave %d tokens", won.Load())
	}
}
