package grant_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/verify/jose"
)

// club is a house with clients that prove themselves in every way.
type club struct {
	*house
	keys map[string]*jose.Key
}

// clubKeys are made once: RSA keys take a while.
var clubKeys = sync.OnceValue(func() map[string]*jose.Key {
	keys := map[string]*jose.Key{}
	for name, alg := range map[string]jose.Algorithm{"ec": jose.ES256, "rsa": jose.RS256, "pss": jose.PS256, "ed": jose.Ed25519, "strange": jose.ES256} {
		k, err := jose.Generate(alg, name)
		if err != nil {
			panic(err)
		}
		keys[name] = k
	}
	return keys
})

func jwksOf(t *testing.T, keys ...*jose.Key) json.RawMessage {
	t.Helper()
	set := jose.KeySet{}
	for _, k := range keys {
		set = append(set, k.Public())
	}
	body, err := json.Marshal(set)
	must(t, err)
	return body
}

func newClub(t *testing.T, in store.Store) *club {
	t.Helper()
	h := &club{house: houseOn(t, in), keys: clubKeys()}
	all := jwksOf(t, h.keys["ec"], h.keys["rsa"], h.keys["pss"], h.keys["ed"])
	h.web = map[string]string{"https://remote.example/jwks": string(all)}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	secrets := root.Derive("client secrets")
	code := func(id, secret string) opaque.Digest { return grant.SecretCode(secrets, id, secret) }
	apis := map[string][]string{orders: {"orders:read"}}
	grants := []string{client.ClientCredentials}
	for _, c := range []client.Client{
		{ID: "basic", SecretHash: code("basic", "s"), OAuth: client.OAuth{AuthMethod: client.AuthSecretBasic}},
		{ID: "post", SecretHash: code("post", "s"), OAuth: client.OAuth{AuthMethod: client.AuthSecretPost}},
		{ID: "either", SecretHash: code("either", "s"), OldSecretHash: code("either", "old"), OldSecretUntil: h.clock.now().Add(time.Hour)},
		// It has a secret too, from before: that is worth nothing.
		{ID: "signer", SecretHash: code("signer", "s"), OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKS: all}},
		{ID: "signer2", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKS: all}},
		{ID: "remote", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKSURI: "https://remote.example/jwks"}},
		{ID: "down", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKSURI: "https://down.example/jwks"}},
		{ID: "only-ed", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, AuthAlg: jose.EdDSA, JWKS: all}},
		{ID: "bank", OAuth: client.OAuth{Profile: client.FAPI2, AuthMethod: client.AuthPrivateKeyJWT, JWKS: all}},
		{ID: "lazy-bank", SecretHash: code("lazy-bank", "s"), OAuth: client.OAuth{Profile: client.FAPI2}},
		{ID: "gone", Disabled: true, OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKS: all}},
		{ID: "open", OAuth: client.OAuth{AuthMethod: client.AuthNone}}, // confidential: a mistake in its registration
	} {
		c.Kind, c.Grants, c.APIs = client.Confidential, grants, apis
		must(t, h.store.AddClient(t.Context(), c, revoke.Effects{}))
	}
	return h
}

// claims are those of a good assertion, changed as a test wants. A nil removes one.
func (h *club) claims(id string, change map[string]any) map[string]any {
	now := h.clock.now()
	c := map[string]any{
		"iss": id, "sub": id, "aud": issuer, "jti": opaque.Text(16), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(c, change)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

func (h *club) signed(key *jose.Key, typ string, claims map[string]any) string {
	h.t.Helper()
	body, err := json.Marshal(claims)
	must(h.t, err)
	text, err := jose.Sign(key, jose.Header{Type: typ}, body)
	must(h.t, err)
	return text
}

func asserting(id, text string) grant.Credentials {
	return grant.Credentials{ID: id, Assertion: text, AssertionType: grant.ClientAssertion}
}

func (h *club) assertion(id string) grant.Credentials {
	return asserting(id, h.signed(h.keys["ec"], "JWT", h.claims(id, nil)))
}

func (h *club) wantClient(what string, c grant.Credentials, id string) {
	h.t.Helper()
	got, err := h.Authenticate(h.t.Context(), c)
	if err != nil || got.ID != id {
		h.t.Errorf("%s: got %s, %v", what, got.ID, err)
	}
}

func (h *club) wantNobody(what string, c grant.Credentials) {
	h.t.Helper()
	got, err := h.Authenticate(h.t.Context(), c)
	var refused *grant.Error
	if got.ID != "" || !errors.As(err, &refused) || refused.Code != grant.InvalidClient {
		h.t.Errorf("%s: got %q, %v", what, got.ID, err)
	}
}

// CLIENT-002: a client is registered with one method, and no other will do.
func TestMethodConfusion(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	cert := &grant.Certificate{Leaf: leafOf(t, "billing"), Chained: true}
	for _, id := range []string{"basic", "either"} {
		h.wantClient(id, grant.Credentials{ID: id, Secret: "s", Basic: true}, id)
	}
	for _, id := range []string{"post", "either"} {
		h.wantClient(id, grant.Credentials{ID: id, Secret: "s"}, id)
	}
	h.wantClient("signer", h.assertion("signer"), "signer")
	h.wantClient("signer, named by its assertion alone", asserting("", h.assertion("signer").Assertion), "signer")
	h.wantClient("public", grant.Credentials{ID: "shop"}, "shop")
	h.wantClient("secret, on a connection with a certificate", grant.Credentials{ID: "post", Secret: "s", Certificate: cert}, "post")
	bare := h.assertion("basic")
	for what, c := range map[string]grant.Credentials{
		"basic in the body":          {ID: "basic", Secret: "s"},
		"post in the header":         {ID: "post", Secret: "s", Basic: true},
		"basic without":              {ID: "basic"},
		"basic by assertion":         bare,
		"basic by certificate":       {ID: "basic", Certificate: cert},
		"signer by its old secret":   {ID: "signer", Secret: "s", Basic: true},
		"signer by secret in body":   {ID: "signer", Secret: "s"},
		"signer without":             {ID: "signer"},
		"public with a secret":       {ID: "shop", Secret: "s"},
		"public with a header":       {ID: "shop", Basic: true},
		"public by assertion":        h.assertion("shop"),
		"confidential, open":         {ID: "open"},
		"fapi by secret":             {ID: "lazy-bank", Secret: "s", Basic: true},
		"unknown":                    {ID: "nobody", Secret: "s"},
		"nobody":                     {},
		"disabled":                   h.assertion("gone"),
		"assertion of another type":  {ID: "signer", Assertion: h.assertion("signer").Assertion, AssertionType: "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
		"assertion without a type":   {ID: "signer", Assertion: h.assertion("signer").Assertion},
		"a type without assertion":   {ID: "shop", AssertionType: grant.ClientAssertion},
		"no assertion at all":        asserting("signer", "not.a.jwt"),
		"assertion and a secret":     withSecret(h.assertion("signer"), false),
		"assertion and a header":     withSecret(h.assertion("signer"), true),
		"assertion of somebody else": asserting("signer", h.assertion("signer2").Assertion),
	} {
		h.wantNobody(what, c)
	}
	h.wantClient("signer, after", h.assertion("signer"), "signer")
}

func digestOf(b []byte) []byte {
	d := opaque.Hash(string(b))
	return d[:]
}

func withSecret(c grant.Credentials, basic bool) grant.Credentials {
	c.Secret, c.Basic = "s", basic
	return c
}

func TestTheOldSecretCountsForAWhile(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	before, after := grant.Credentials{ID: "either", Secret: "old", Basic: true}, grant.Credentials{ID: "either", Secret: "s", Basic: true}
	h.wantClient("old", before, "either")
	h.wantClient("new", after, "either")
	h.wantNobody("another client's", grant.Credentials{ID: "basic", Secret: "old", Basic: true})
	h.clock.forward(time.Hour)
	h.wantNobody("old, too late", before)
	h.wantClient("new, later", after, "either")
}

func TestAssertionsOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	for _, tt := range []struct {
		client string
		good   []string
		bad    []string
	}{
		{"signer", []string{"ec", "rsa", "pss", "ed"}, []string{"strange"}},
		{"remote", []string{"ec", "rsa", "pss", "ed"}, []string{"strange"}},
		{"only-ed", []string{"ed"}, []string{"ec", "rsa", "pss"}},
		{"bank", []string{"ec", "pss", "ed"}, []string{"rsa"}},
	} {
		for _, name := range tt.good {
			h.wantClient(tt.client+" with "+name, asserting(tt.client, h.signed(h.keys[name], "JWT", h.claims(tt.client, nil))), tt.client)
			noKid := h.keys[name].WithID("")
			h.wantClient(tt.client+" without kid "+name, asserting(tt.client, h.signed(noKid, "", h.claims(tt.client, nil))), tt.client)
		}
		for _, name := range tt.bad {
			h.wantNobody(tt.client+" with "+name, asserting(tt.client, h.signed(h.keys[name], "JWT", h.claims(tt.client, nil))))
		}
	}
	// A secret made of the public key, and no signature at all.
	public, err := json.Marshal(h.keys["ec"].Public())
	must(t, err)
	shared, err := jose.NewKey(jose.HS256, "ec", digestOf(public))
	must(t, err)
	h.wantNobody("HS256", asserting("signer", h.signed(shared, "JWT", h.claims("signer", nil))))
	good := h.assertion("signer").Assertion
	parts := strings.Split(good, ".")
	h.wantNobody("none", asserting("signer", jose.EncodeSegment([]byte(`{"alg":"none"}`))+"."+parts[1]+"."))
	h.wantNobody("no signature", asserting("signer", parts[0]+"."+parts[1]+"."))
	for _, typ := range []string{"at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt"} {
		h.wantNobody(typ, asserting("signer", h.signed(h.keys["ec"], typ, h.claims("signer", nil))))
	}
	h.wantClient("its own type", asserting("signer", h.signed(h.keys["ec"], "client-authentication+jwt", h.claims("signer", nil))), "signer")
	_, err = h.Authenticate(t.Context(), h.assertion("down"))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("keys that are not at hand: %v", err)
	}
}

// The address of the token endpoint as audience is the known attack: another server
// passes on what it was sent (RFC 7523bis). CONTROL-003 is among the good ones.
func TestAssertionClaims(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	at := func(d time.Duration) int64 { return h.clock.now().Add(d).Unix() }
	type change map[string]any
	for what, good := range map[string]change{
		"as it is":            {},
		"audience in a list":  {"aud": []string{issuer}},
		"nbf 8 s ahead":       {"nbf": at(8 * time.Second)},
		"iat 10 s ahead":      {"iat": at(10 * time.Second)},
		"iat 10 s behind":     {"iat": at(-10 * time.Second), "nbf": nil},
		"no iat, no nbf":      {"iat": nil, "nbf": nil},
		"an hour":             {"exp": at(time.Hour)},
		"ended 5 s ago":       {"exp": at(-5 * time.Second)},
		"with a fraction":     {"exp": float64(at(time.Minute)) + 0.5},
		"with something more": {"extra": map[string]any{"a": 1}},
	} {
		h.wantClient(what, asserting("signer", h.signed(h.keys["ec"], "JWT", h.claims("signer", good))), "signer")
	}
	for what, bad := range map[string]change{
		"token endpoint":            {"aud": issuer + "/oauth/token"},
		"issuer and a slash":        {"aud": issuer + "/"},
		"two audiences":             {"aud": []string{issuer, "https://evil.example"}},
		"issuer twice":              {"aud": []string{issuer, issuer}},
		"no audience in a list":     {"aud": []string{}},
		"no audience":               {"aud": nil},
		"audience of another kind":  {"aud": map[string]any{"a": issuer}},
		"another issuer":            {"iss": "signer2"},
		"no issuer":                 {"iss": nil},
		"another subject":           {"sub": "signer2"},
		"no subject":                {"sub": nil},
		"no exp":                    {"exp": nil},
		"exp as text":               {"exp": "2030-01-01"},
		"ended":                     {"exp": at(-11 * time.Second)},
		"two hours":                 {"exp": at(2 * time.Hour)},
		"nbf 61 s ahead":            {"nbf": at(61 * time.Second)},
		"iat 61 s ahead":            {"iat": at(61 * time.Second)},
		"no jti":                    {"jti": nil},
		"jti empty":                 {"jti": ""},
		"jti as a number":           {"jti": 7},
		"jti longer than an id is":  {"jti": strings.Repeat("x", 257)},
		"jti as large as a request": {"jti": strings.Repeat("x", 10<<10)},
	} {
		h.wantNobody(what, asserting("signer", h.signed(h.keys["ec"], "JWT", h.claims("signer", bad))))
	}
	h.wantNobody("fapi: audience in a list", asserting("bank", h.signed(h.keys["ec"], "JWT", h.claims("bank", change{"aud": []string{issuer}}))))
	h.wantClient("fapi", h.assertion("bank"), "bank")
}

// CLIENT-005: an assertion counts once, whoever is asked.
func TestAssertionReplay(t *testing.T) {
	t.Parallel()
	sqlite, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "wafer.db")})
	must(t, err)
	t.Cleanup(func() { _ = sqlite.Close() })
	for name, in := range map[string]store.Store{"memory": memory.New(), "sqlite": sqlite} {
		t.Run(name, func(t *testing.T) {
			h := newClub(t, in)
			c := h.assertion("signer")
			var passed atomic.Int32
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					if _, err := h.Authenticate(context.WithoutCancel(t.Context()), c); err == nil {
						passed.Add(1)
					}
				})
			}
			all.Wait()
			if passed.Load() != 1 {
				t.Fatalf("one assertion passed %d times of 50", passed.Load())
			}
			h.wantNobody("again", c)
			// Until it has ended, and when what was remembered is tidied up.
			h.clock.forward(69 * time.Second)
			_, err := h.store.PurgeTickets(t.Context(), h.clock.now(), 100)
			must(t, err)
			h.wantNobody("at its end", c)
			jti := map[string]any{"jti": "the same"}
			for _, id := range []string{"signer", "signer2"} { // each client has ids of its own
				h.wantClient(id, asserting(id, h.signed(h.keys["ec"], "JWT", h.claims(id, jti))), id)
			}
			h.wantNobody("another assertion, the same id", asserting("signer", h.signed(h.keys["ec"], "JWT", h.claims("signer", jti))))
		})
	}
}

// An assertion that was refused is not used up: nobody can spend another's.
func TestRefusedAssertionsAreNotUsedUp(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	jti := map[string]any{"jti": "mine"}
	h.wantNobody("forged", asserting("signer", h.signed(h.keys["strange"].WithID("ec"), "JWT", h.claims("signer", jti))))
	h.wantClient("the real one", asserting("signer", h.signed(h.keys["ec"], "JWT", h.claims("signer", jti))), "signer")
}

func leafOf(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name + ".example"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return leaf
}

func TestCertificatesProveTheirClient(t *testing.T) {
	t.Parallel()
	h := newClub(t, memory.New())
	mine, other := leafOf(t, "billing"), leafOf(t, "billing")
	key, err := jose.NewKey(jose.ES256, "k", mine.PublicKey)
	must(t, err)
	for _, c := range []client.Client{
		{ID: "tls", OAuth: client.OAuth{AuthMethod: client.AuthTLS, TLSSubjectDN: "CN=billing"}},
		{ID: "own", OAuth: client.OAuth{AuthMethod: client.AuthSelfSignedTLS, JWKS: jwksOf(t, key)}},
	} {
		c.Kind = client.Confidential
		must(t, h.store.AddClient(t.Context(), c, revoke.Effects{}))
	}
	by := func(id string, leaf *x509.Certificate, chained bool) grant.Credentials {
		return grant.Credentials{ID: id, Certificate: &grant.Certificate{Leaf: leaf, Chained: chained}}
	}
	h.wantClient("tls", by("tls", mine, true), "tls")
	h.wantClient("own", by("own", mine, false), "own")
	// Whoever makes a certificate can write any name into it.
	h.wantNobody("the name, without a chain", by("tls", mine, false))
	h.wantNobody("a chain, another name", by("tls", leafOf(t, "other"), true))
	h.wantNobody("another key of the same name", by("own", other, true))
	h.wantNobody("tls without a certificate", grant.Credentials{ID: "tls"})
	h.wantNobody("own without a certificate", grant.Credentials{ID: "own"})
	h.wantNobody("certificate and secret", grant.Credentials{ID: "own", Secret: "s", Certificate: &grant.Certificate{Leaf: mine}})
	h.wantNobody("the certificate of another client", by("signer", mine, true))
	h.wantClient("own, after", by("own", mine, false), "own")
}
