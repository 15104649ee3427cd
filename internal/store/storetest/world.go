package storetest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

var none revoke.Effects

func newUser(id string) account.User {
	return account.User{
		ID: id, Login: id + "@Example.com", Canonical: id + "@example.com", Name: "Name of " + id, PasswordHash: "$hash$" + id, Profile: newProfile(id),
		PasswordChangedAt: at(-time.Hour), Roles: []string{"clerk"}, CreatedAt: at(-2 * time.Hour), UpdatedAt: at(-time.Hour), Version: 1,
	}
}

func newClient(id string) client.Client {
	return client.Client{
		ID: id, Name: "Name of " + id, Kind: client.Confidential, FirstParty: true, SecretHash: opaque.Hash(id),
		RedirectURIs: []string{"https://" + id + ".example/cb"}, Origins: []string{"https://" + id + ".example"},
		Grants: []string{client.AuthorizationCode, client.RefreshToken}, APIs: map[string][]string{"orders": {"read"}, "vault": {"*"}}, Serves: []string{"vault"},
		Bind:          bound.Policy{Network: bound.Refuse, Device: bound.Report},
		OldSecretHash: opaque.Hash("old " + id), OldSecretUntil: at(time.Hour), OAuth: newOAuth(id), Source: client.ByItself,
		RegistrationHash:     opaque.Hash("registration of " + id),
		BackchannelLogoutURI: "https://" + id + ".example/logout", BackchannelLogoutSession: true,
		CreatedAt: at(-2 * time.Hour), UpdatedAt: at(-time.Hour), Version: 1,
	}
}

// newProfile and newOAuth have something in every field: one that a backend drops is
// missed by every test.
func newProfile(id string) account.Profile {
	return account.Profile{
		GivenName: "Given " + id, FamilyName: "Family", MiddleName: "Middle", Nickname: "nick", PreferredUsername: id, ProfileURL: "https://p.example/" + id,
		Picture: "https://p.example/" + id + ".png", Website: "https://w.example", Gender: "other", Birthdate: "0000-12-10", Zoneinfo: "Europe/Berlin",
		Locale: "de-DE", Email: id + "@example.com", EmailVerified: true, Phone: "+49 30 1", PhoneVerified: true,
		Address: json.RawMessage(`{"formatted":"Smith & Sons\u2028<1 \"A\">","locality":"Köln"}`),
	}
}

func newOAuth(id string) client.OAuth {
	age := 0
	keys := json.RawMessage(`{"keys":[{"kty":"OKP","kid":"<` + id + `>&"}]}`)
	return client.OAuth{
		Profile: client.FAPI2, AuthMethod: client.AuthTLS, AuthAlg: jose.PS256, JWKS: keys, JWKSURI: "https://" + id + ".example/jwks?a=1&b=2",
		TLSSubjectDN: "CN=" + id, TLSSANDNS: "dns", TLSSANURI: "uri", TLSSANIP: "::1", TLSSANEmail: "a@b", TLSBound: true, DPoPBound: true, RequirePAR: true,
		RequireSigned: true, RequestAlg: jose.ES256, IDTokenAlg: jose.PS256, UserinfoAlg: jose.ES256, IntrospectionAlg: jose.EdDSA,
		PostLogoutRedirectURIs: []string{"https://" + id + ".example/bye"}, FrontchannelLogoutURI: "https://" + id + ".example/front",
		FrontchannelLogoutSession: true, DefaultMaxAge: &age, RequireAuthTime: true, DefaultACR: []string{"b", "a"}, InitiateLoginURI: "https://i.example",
		ApplicationType: "native", SectorURI: "https://s.example", URI: "https://u.example", LogoURI: "https://l.example", PolicyURI: "https://p.example",
		TermsURI: "https://t.example", Contacts: []string{"ops@example.com"}, Consents: client.Ask,
		Assertions: []client.AssertionIssuer{{Issuer: "https://as.example", JWKS: keys, JWKSURI: "https://as.example/jwks"}},
	}
}

func newDetails() grant.Details {
	return grant.Details{
		RedirectURI: "https://web.example/cb?a=1&b=<2>", RedirectSent: true, Challenge: "challenge", CodeJKT: "code-jkt", Nonce: "n\x00\"<&>\u2028",
		Claims: &oidc.Claims{IDToken: []string{"email"}, Userinfo: []string{"name", "address"}, ACR: []string{"phr"}, Sub: "ada"}, JKT: "jkt", X5T: "x5t",
	}
}

func newAPI(id string) api.API {
	return api.API{
		ID: id, Name: "Name of " + id, Token: api.Token{Format: api.JWE, Alg: jose.EdDSA, Lifetime: 5 * time.Minute,
			Encrypt: &api.Encrypt{Alg: "ECDH-ES", Enc: "A256GCM", JWK: []byte(`{"kty":"EC"}`)}},
		Scopes: []string{"read", "write"}, Stale: api.Degrade, CreatedAt: at(-2 * time.Hour), UpdatedAt: at(-time.Hour), Version: 1,
	}
}

func newRole(id string) role.Role {
	return role.Role{
		ID: id, Scopes: map[string][]string{"orders": {"read", "write"}}, CreatedAt: at(-2 * time.Hour), UpdatedAt: at(-time.Hour), Version: 1,
	}
}

func newSession(id, userID, clientID string) session.Session {
	return session.Session{
		ID: id, Secret: opaque.Hash("secret of " + id), UserID: userID, ClientID: clientID, CreatedAt: at(0), AuthTime: at(0),
		AMR: []string{"pwd"}, SeenAt: at(0), IdleUntil: at(time.Hour), ExpiresAt: at(24 * time.Hour), Address: "192.0.2.1", Agent: "test", Binding: "bound",
	}
}

func newGrant(id string, s session.Session, clientID, apiID string) grant.Grant {
	return grant.Grant{
		ID: id, SessionID: s.ID, UserID: s.UserID, ClientID: clientID, APIID: apiID, Scopes: []string{"read"},
		CreatedAt: at(0), ExpiresAt: at(24 * time.Hour), Gen: 1, RotatedAt: at(0), Details: newDetails(),
	}
}

func newToken(id string, g grant.Grant) grant.AccessToken {
	return grant.AccessToken{
		Digest: opaque.Hash("token " + id), ID: id, GrantID: g.ID, SessionID: g.SessionID, UserID: g.UserID, ClientID: g.ClientID,
		APIID: g.APIID, Claims: []byte(`{"jti":"` + id + `"}`), ExpiresAt: at(5 * time.Minute),
	}
}

func entry(kind revoke.Kind, key string) revoke.Entry {
	return revoke.Entry{Kind: kind, Key: key, At: at(0), KeepUntil: at(25 * time.Hour), Reason: "test"}
}

func takes(kind revoke.Kind, key string) revoke.Effects {
	return revoke.Effects{Revoke: []revoke.Entry{entry(kind, key)}}
}

func event(action string) audit.Event {
	return audit.Event{
		At: at(0), Action: action, Actor: "usr_1", Target: "usr_2", Client: "web", Session: "ses_1", Address: "192.0.2.1", Detail: "d",
	}
}

// A world is two users, clients and APIs, and what hangs from them:
//
//	s1 ada at web    g1 web orders  t1      g2 app vault  t2
//	s2 ada           g3 app orders  t3      t6 web orders, without a grant
//	s3 bob at app    g4 app vault   t4
//	                 t5 app orders, without a user
type world struct {
	store.Store
	sessions map[string]session.Session
	grants   map[string]grant.Grant
	tokens   map[string]grant.AccessToken
}

func newWorld(t *testing.T, s store.Store) *world {
	t.Helper()
	w := &world{Store: s, sessions: map[string]session.Session{}, grants: map[string]grant.Grant{}, tokens: map[string]grant.AccessToken{}}
	ctx := t.Context()
	must(t, s.AddRole(ctx, newRole("clerk"), none))
	for _, id := range []string{"ada", "bob"} {
		must(t, s.AddUser(ctx, newUser(id), none))
	}
	for _, id := range []string{"app", "web"} {
		must(t, s.AddClient(ctx, newClient(id), none))
	}
	for _, id := range []string{"orders", "vault"} {
		must(t, s.AddAPI(ctx, newAPI(id), none))
	}
	w.session(t, newSession("s1", "ada", "web"))
	w.session(t, newSession("s2", "ada", ""))
	w.session(t, newSession("s3", "bob", "app"))
	w.grant(t, newGrant("g1", w.sessions["s1"], "web", "orders"))
	w.grant(t, newGrant("g2", w.sessions["s1"], "app", "vault"))
	w.grant(t, newGrant("g3", w.sessions["s2"], "app", "orders"))
	w.grant(t, newGrant("g4", w.sessions["s3"], "app", "vault"))
	for _, n := range []string{"1", "2", "3", "4"} {
		w.token(t, newToken("t"+n, w.grants["g"+n]))
	}
	w.token(t, newToken("t5", grant.Grant{ClientID: "app", APIID: "orders"}))
	w.token(t, newToken("t6", grant.Grant{SessionID: "s2", UserID: "ada", ClientID: "web", APIID: "orders"}))
	return w
}

func (w *world) session(t *testing.T, s session.Session) {
	t.Helper()
	must(t, w.StartSession(t.Context(), s, none))
	w.sessions[s.ID] = s
}

func (w *world) grant(t *testing.T, g grant.Grant) {
	t.Helper()
	ok, err := w.AddGrant(t.Context(), g, none)
	did(t, "AddGrant", ok, err)
	w.grants[g.ID] = g
}

func (w *world) token(t *testing.T, a grant.AccessToken) {
	t.Helper()
	ok, err := w.AddToken(t.Context(), a)
	did(t, "AddToken", ok, err)
	w.tokens[a.ID] = a
}

// gone lists, sorted, what is not there any more.
func (w *world) gone(t *testing.T) []string {
	t.Helper()
	settle(t, w.Store)
	ctx := t.Context()
	missing := []string{}
	for id := range w.sessions {
		_, found, err := w.SessionByID(ctx, id)
		must(t, err)
		if !found {
			missing = append(missing, id)
		}
	}
	for id := range w.grants {
		if w.grantNow(ctx, t, id) == nil {
			missing = append(missing, id)
		}
	}
	for id, a := range w.tokens {
		_, found, err := w.TokenByDigest(ctx, a.Digest)
		must(t, err)
		if !found {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing
}

func (w *world) grantNow(ctx context.Context, t *testing.T, id string) *grant.Grant {
	t.Helper()
	st, err := w.Snapshot(ctx, grant.Query{GrantID: id})
	must(t, err)
	return st.Grant
}

// A ledger is how far the two logs are.
type ledger struct {
	head   int64
	events int
}

func ledgerOf(t *testing.T, s store.Store) ledger {
	t.Helper()
	head, err := s.Head(t.Context())
	must(t, err)
	events, err := s.Events(t.Context(), 0, 10_000)
	must(t, err)
	return ledger{head, len(events)}
}
