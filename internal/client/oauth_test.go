package client_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// published returns a key set with the public halves of new keys.
func published(t *testing.T, algs ...jose.Algorithm) json.RawMessage {
	t.Helper()
	var set jose.KeySet
	for i, alg := range algs {
		set = append(set, key(t, alg, fmt.Sprint("key-", i)))
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func key(t *testing.T, alg jose.Algorithm, kid string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// change is one way to make a client another.
type change = func(*client.Client)

func all(changes ...change) change {
	return func(c *client.Client) {
		for _, edit := range changes {
			edit(c)
		}
	}
}

// refusal is a client that is refused with these words, and its neighbor that is not.
type refusal struct {
	name     string
	bad, ok  change
	sentence string
}

// check begins with a confidential client without OAuth that is sound.
func check(t *testing.T, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := confidential()
			c.RedirectURIs = []string{"https://shop.example/callback"}
			good, bad := c, c
			tt.ok(&good)
			tt.bad(&bad)
			if err := good.Check(); err != nil {
				t.Errorf("the neighbor is refused: %v", err)
			}
			if err := bad.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.sentence) {
				t.Errorf("got %v, want %q", err, tt.sentence)
			}
		})
	}
}

func method(m client.AuthMethod) change {
	return func(c *client.Client) {
		c.OAuth.AuthMethod = m
		if !c.KeepsSecret() {
			c.SecretHash = opaque.Digest{}
		}
	}
}

func asPublic(c *client.Client) {
	c.Kind, c.SecretHash, c.Grants = client.Public, opaque.Digest{}, nil
}

func oauth(edit func(*client.OAuth)) change { return func(c *client.Client) { edit(&c.OAuth) } }

func keys(set json.RawMessage) change { return oauth(func(o *client.OAuth) { o.JWKS = set }) }

func keysAt(uri string) change { return oauth(func(o *client.OAuth) { o.JWKSURI = uri }) }

func TestClientsProveThemselvesByOneMethod(t *testing.T) {
	t.Parallel()
	set := published(t, jose.ES256, jose.PS256)
	dn := oauth(func(o *client.OAuth) { o.TLSSubjectDN = "CN=billing,O=Example" })
	dns := func(name string) change { return oauth(func(o *client.OAuth) { o.TLSSANDNS = name }) }
	tls := method(client.AuthTLS)
	alg := func(a jose.Algorithm) change { return oauth(func(o *client.OAuth) { o.AuthAlg = a }) }
	assertion := all(method(client.AuthPrivateKeyJWT), keys(set))
	oldSecret := func(c *client.Client) { c.OldSecretHash, c.OldSecretUntil = opaque.Hash("old"), time.Unix(1, 0) }
	check(t, []refusal{
		{"unknown method", method("client_secret_jwt"), method(client.AuthSecretPost), "token_endpoint_auth_method client_secret_jwt is not one of"},
		{"public client with a method", all(asPublic, method(client.AuthSecretBasic)), all(asPublic, method(client.AuthNone)), "its token_endpoint_auth_method is none"},
		{"public client with keys for it", all(asPublic, assertion), asPublic, "its token_endpoint_auth_method is none"},
		{"confidential client without a method", method(client.AuthNone), method(client.AuthSecretBasic), "cannot be none"},
		{"secret method without a secret", all(method(client.AuthSecretBasic), func(c *client.Client) { c.SecretHash = opaque.Digest{} }), method(client.AuthSecretBasic), "has a secret"},
		{"secret beside a key", all(assertion, func(c *client.Client) { c.SecretHash = opaque.Hash("s") }), assertion, "private_key_jwt has no secret"},
		{"old secret beside a key", all(assertion, oldSecret), oldSecret, "private_key_jwt has no secret"},
		{"old secret without an end", all(oldSecret, func(c *client.Client) { c.OldSecretUntil = time.Time{} }), oldSecret, "an old secret has an end"},
		{"private_key_jwt without keys", method(client.AuthPrivateKeyJWT), assertion, "private_key_jwt needs jwks or jwks_uri"},
		{"self-signed certificate without keys", method(client.AuthSelfSignedTLS), all(method(client.AuthSelfSignedTLS), keysAt("https://shop.example/keys")), "needs jwks or jwks_uri"},
		{"keys in two places", all(assertion, keysAt("https://shop.example/keys")), assertion, "both jwks and jwks_uri"},
		{"keys at an address by http", keysAt("http://shop.example/keys"), keysAt("http://localhost:3000/keys"), "jwks_uri"},
		{"assertions with HMAC", all(assertion, alg(jose.HS256)), all(assertion, alg(jose.PS256)), "token_endpoint_auth_signing_alg HS256 is not one of"},
		{"assertions without a signature", all(assertion, alg("none")), all(assertion, alg(jose.ES256)), "token_endpoint_auth_signing_alg none is not one of"},
		{"assertions no key can make", all(assertion, alg(jose.EdDSA)), all(assertion, alg(jose.ES256)), "jwks has no key for token_endpoint_auth_signing_alg EdDSA"},
		{"algorithm of assertions beside a secret", alg(jose.ES256), all(assertion, alg(jose.ES256)), "is for private_key_jwt"},
		{"certificate without a name", tls, all(tls, dn), "exactly one of"},
		{"certificate of two names", all(tls, dn, dns("billing.example")), all(tls, dns("billing.example")), "exactly one of"},
		{"certificate with a wildcard", all(tls, dns("*.billing.example")), all(tls, dns("Billing.example")), "wildcard"},
		{"certificate of no IP address", all(tls, oauth(func(o *client.OAuth) { o.TLSSANIP = "10.0.0.256" })), all(tls, oauth(func(o *client.OAuth) { o.TLSSANIP = "2001:db8::1" })), "no IP address"},
		{"certificate of no e-mail address", all(tls, oauth(func(o *client.OAuth) { o.TLSSANEmail = "billing" })), all(tls, oauth(func(o *client.OAuth) { o.TLSSANEmail = "billing@shop.example" })), "no address"},
		{"certificate of a relative URI", all(tls, oauth(func(o *client.OAuth) { o.TLSSANURI = "billing" })), all(tls, oauth(func(o *client.OAuth) { o.TLSSANURI = "spiffe://shop.example/billing" })), "no absolute URI"},
		{"certificate of no distinguished name", all(tls, oauth(func(o *client.OAuth) { o.TLSSubjectDN = "billing" })), all(tls, dn), "tls_client_auth_subject_dn"},
		{"certificate of an endless name", all(tls, oauth(func(o *client.OAuth) { o.TLSSubjectDN = "CN=" + strings.Repeat("a", 1000) })), all(tls, dn), "longer than 1000 bytes"},
		{"name of a certificate beside a secret", dn, all(tls, dn), "are for token_endpoint_auth_method tls_client_auth"},
	})
}

func TestKeySetsHoldPublicKeysOnly(t *testing.T) {
	t.Parallel()
	secret := func(alg jose.Algorithm) json.RawMessage {
		raw, err := key(t, alg, "s").PrivateJWK()
		if err != nil {
			t.Fatal(err)
		}
		return json.RawMessage(`{"keys":[` + string(raw) + `]}`)
	}
	es := published(t, jose.ES256)
	one := strings.TrimSuffix(strings.TrimPrefix(string(es), `{"keys":[`), `]}`)
	list := func(keys ...string) change { return keysOf(strings.Join(keys, ",")) }
	another := func(i int) string { return strings.Replace(one, "key-0", fmt.Sprint("key-", i), 1) }
	many := func(n int) (keys []string) {
		for i := range n {
			keys = append(keys, another(i))
		}
		return keys
	}
	bare := strings.NewReplacer(`"alg":"ES256",`, "", `"use":"sig",`, "").Replace(one)
	check(t, []refusal{
		{"private EC key", keys(secret(jose.ES256)), keys(es), "key 1 of jwks is a private key (d)"},
		{"private RSA key", keys(secret(jose.PS256)), keys(published(t, jose.PS256)), "is a private key"},
		{"private Ed25519 key", keys(secret(jose.EdDSA)), keys(published(t, jose.EdDSA)), "is a private key (d)"},
		{"second key private", list(one, strings.Replace(another(1), `{`, `{"d":"x",`, 1)), list(one, another(1)), "key 2 of jwks is a private key (d)"},
		{"symmetric key", keys(secret(jose.HS256)), keys(es), "is symmetric"},
		{"no keys", list(), list(bare), "no key that a signature can be checked with"},
		{"key for encryption only", list(strings.Replace(one, `"use":"sig"`, `"use":"enc"`, 1)), list(one), "no key that a signature"},
		{"21 keys", list(many(21)...), list(many(20)...), "more than 20 keys"},
		{"two keys of one kid", list(one, one), list(one, another(1)), "key 2 of jwks has the kid of another one"},
		{"kid that is a number", list(strings.Replace(one, `"key-0"`, `7`, 1)), list(one), "a kid that is no text"},
		{"no set", keys(json.RawMessage(one)), keys(es), `{"keys": [...]}`},
		{"null", keys(json.RawMessage(`{"keys":null}`)), keys(es), `{"keys": [...]}`},
		{"no JSON", keys(json.RawMessage(`keys`)), keys(es), `{"keys": [...]}`},
		{"a member twice", keys(json.RawMessage(`{"keys":[],` + string(es[1:]))), keys(es), `{"keys": [...]}`},
		{"endless", list(one, `{"kty":"x","x":"`+strings.Repeat("a", 64<<10)+`"}`), list(one, `{"kty":"x"}`), "longer than 64 KiB"},
	})
}

func keysOf(elements string) change { return keys(json.RawMessage(`{"keys":[` + elements + `]}`)) }

func TestAlgorithmsAreThoseThatProveSomething(t *testing.T) {
	t.Parallel()
	set := func(f func(*client.OAuth) *jose.Algorithm, alg jose.Algorithm) change {
		return oauth(func(o *client.OAuth) { *f(o) = alg })
	}
	request := func(o *client.OAuth) *jose.Algorithm { return &o.RequestAlg }
	idToken := func(o *client.OAuth) *jose.Algorithm { return &o.IDTokenAlg }
	userinfo := func(o *client.OAuth) *jose.Algorithm { return &o.UserinfoAlg }
	introspection := func(o *client.OAuth) *jose.Algorithm { return &o.IntrospectionAlg }
	signed := oauth(func(o *client.OAuth) { o.RequireSigned = true })
	check(t, []refusal{
		{"request objects with HMAC", set(request, jose.HS256), set(request, jose.RS256), "request_object_signing_alg HS256"},
		{"request objects without a signature", set(request, "none"), set(request, jose.ES512), "request_object_signing_alg none"},
		{"signed requests without keys", signed, all(signed, keysAt("https://shop.example/keys")), "require_signed_request_object needs jwks or jwks_uri"},
		{"request objects no key can sign", all(set(request, jose.EdDSA), keys(published(t, jose.ES256))), all(set(request, jose.ES256), keys(published(t, jose.ES256))), "jwks has no key for request_object_signing_alg"},
		{"ID tokens with HMAC", set(idToken, jose.HS256), set(idToken, jose.PS256), "id_token_signed_response_alg HS256"},
		{"ID tokens without a signature", set(idToken, "none"), set(idToken, jose.EdDSA), "id_token_signed_response_alg none"},
		{"ID tokens nobody signs", set(idToken, jose.ES512), set(idToken, jose.ES256), "id_token_signed_response_alg ES512"},
		{"userinfo nobody signs", set(userinfo, jose.RS512), set(userinfo, jose.RS256), "userinfo_signed_response_alg RS512"},
		{"introspection nobody signs", set(introspection, jose.HS512), set(introspection, jose.RS256), "introspection_signed_response_alg HS512"},
	})
}

// REDIR-013: no address that people are sent to or shown runs as a page of ours.
func TestAttackDangerousAddressesAreRefused(t *testing.T) {
	t.Parallel()
	places := map[string]func(o *client.OAuth, uri string){
		"post-logout redirect URI": func(o *client.OAuth, uri string) { o.PostLogoutRedirectURIs = []string{uri} },
		"frontchannel_logout_uri":  func(o *client.OAuth, uri string) { o.FrontchannelLogoutURI = uri },
		"initiate_login_uri":       func(o *client.OAuth, uri string) { o.InitiateLoginURI = uri },
		"client_uri":               func(o *client.OAuth, uri string) { o.URI = uri },
		"logo_uri":                 func(o *client.OAuth, uri string) { o.LogoURI = uri },
		"policy_uri":               func(o *client.OAuth, uri string) { o.PolicyURI = uri },
		"tos_uri":                  func(o *client.OAuth, uri string) { o.TermsURI = uri },
		"sector_identifier_uri":    func(o *client.OAuth, uri string) { o.SectorURI = uri },
		"jwks_uri":                 func(o *client.OAuth, uri string) { o.JWKSURI = uri },
	}
	good := []string{"https://shop.example/bye", "https://shop.example/bye?a=1"}
	bad := []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
		"blob:https://shop.example/x", "about:blank", "/bye", "bye", "//evil.test", "https://shop.example/#x", "https://shop.example/#",
		"http://shop.example/bye", "https://", "https:shop.example", "https://user@shop.example/", `https://shop.example\@evil.test/`, "https://shop.example/\n", "https://shöp.example/",
		"https://shop.example/" + strings.Repeat("a", 2000),
	}
	for member, set := range places {
		t.Run(member, func(t *testing.T) {
			t.Parallel()
			try := func(uri string) error {
				c := confidential()
				c.RedirectURIs = []string{"https://shop.example/callback"}
				set(&c.OAuth, uri)
				return c.Check()
			}
			for _, uri := range good {
				if err := try(uri); err != nil {
					t.Errorf("%s: %v", uri, err)
				}
			}
			for _, uri := range bad {
				if err := try(uri); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), member) {
					t.Errorf("%q: %v", uri, err)
				}
			}
			if err := try(good[0]); err != nil {
				t.Error(err)
			}
		})
	}
	check(t, []refusal{{
		"wildcard after logout",
		oauth(func(o *client.OAuth) { o.PostLogoutRedirectURIs = []string{"https://*.shop.example/"} }),
		oauth(func(o *client.OAuth) { o.PostLogoutRedirectURIs = []string{"com.example.shop:/bye"} }),
		"wildcard",
	}})
}

func TestWhatIsAskedAndShownIsBounded(t *testing.T) {
	t.Parallel()
	age := func(seconds int) change { return oauth(func(o *client.OAuth) { o.DefaultMaxAge = &seconds }) }
	acr := func(values ...string) change { return oauth(func(o *client.OAuth) { o.DefaultACR = values }) }
	contacts := func(values ...string) change { return oauth(func(o *client.OAuth) { o.Contacts = values }) }
	consent := func(how client.Consents) change { return oauth(func(o *client.OAuth) { o.Consents = how }) }
	application := func(s string) change { return oauth(func(o *client.OAuth) { o.ApplicationType = s }) }
	front := func(uri string) change { return oauth(func(o *client.OAuth) { o.FrontchannelLogoutURI = uri }) }
	frontSession := oauth(func(o *client.OAuth) { o.FrontchannelLogoutSession = true })
	firstParty := func(c *client.Client) { c.FirstParty = true }
	goodbyes := func(n int) change {
		return oauth(func(o *client.OAuth) {
			for i := range n {
				o.PostLogoutRedirectURIs = append(o.PostLogoutRedirectURIs, fmt.Sprint("https://shop.example/", i))
			}
		})
	}
	origins := func(c *client.Client) { c.Origins = []string{"https://shop.example"} }
	elsewhere := oauth(func(o *client.OAuth) { o.PostLogoutRedirectURIs = []string{"https://other.example/"} })
	check(t, []refusal{
		{"negative age", age(-1), age(0), "default_max_age"},
		{"age beyond all", age(1 << 40), age(1<<31 - 1), "default_max_age"},
		{"acr of two words", acr("aal 2"), acr("aal2"), "default_acr_values"},
		{"empty acr", acr(""), acr(), "default_acr_values"},
		{"21 acr values", acr(strings.Fields(strings.Repeat("x ", 21))...), acr(strings.Fields(strings.Repeat("x ", 20))...), "default_acr_values"},
		{"endless contact", contacts(strings.Repeat("a", 201)), contacts("ops@shop.example"), "contacts"},
		{"contact with a line break", contacts("a\nb"), contacts(strings.Repeat("a", 200)), "contacts"},
		{"21 contacts", contacts(strings.Fields(strings.Repeat("x ", 21))...), contacts(strings.Fields(strings.Repeat("x ", 20))...), "contacts"},
		{"unknown consent", consent("never"), consent(client.Ask), "consent must be"},
		{"consent skipped for strangers", consent(client.Skip), all(firstParty, consent(client.Skip)), "consent skip is for first-party clients"},
		{"unknown application type", application("browser"), application("native"), "application_type"},
		{"front channel elsewhere", front("https://other.example/out"), front("https://shop.example/out"), "none of its redirect URIs"},
		{"front channel at another port", front("https://shop.example:8443/out"), front("https://shop.example:443/out"), "none of its redirect URIs"},
		{"front channel session without an address", frontSession, all(frontSession, front("https://shop.example/out")), "needs frontchannel_logout_uri"},
		{"101 addresses after logout", goodbyes(101), goodbyes(100), "more than 100"},
		{"after logout outside of the origins", all(origins, elsewhere), elsewhere, "post-logout redirect URI https://other.example/ lies outside of its origins"},
	})
}

func TestGrantTypesHaveWhatTheyNeed(t *testing.T) {
	t.Parallel()
	may := func(grants ...string) change { return func(c *client.Client) { c.Grants = grants } }
	home := func(uris ...string) change { return func(c *client.Client) { c.RedirectURIs = uris } }
	trusts := func(issuers ...client.AssertionIssuer) change {
		return all(may(client.JWTBearer), oauth(func(o *client.OAuth) { o.Assertions = issuers }))
	}
	partner := client.AssertionIssuer{Issuer: "https://idp.example", JWKSURI: "https://idp.example/keys"}
	edited := func(edit func(*client.AssertionIssuer)) client.AssertionIssuer {
		a := partner
		edit(&a)
		return a
	}
	set := published(t, jose.ES256)
	tests := []refusal{
		// REDIR-017: the first address that comes is not learned.
		{"codes without an address", all(may(client.AuthorizationCode), home()), may(client.AuthorizationCode), "authorization_code needs a redirect URI"},
		{"assertions of nobody", may(client.JWTBearer), trusts(partner), "needs assertion_issuers"},
		{"issuer without keys", trusts(edited(func(a *client.AssertionIssuer) { a.JWKSURI = "" })), trusts(partner), "needs jwks or jwks_uri"},
		{"issuer with keys in two places", trusts(edited(func(a *client.AssertionIssuer) { a.JWKS = set })), trusts(edited(func(a *client.AssertionIssuer) { a.JWKS, a.JWKSURI = set, "" })), "both jwks and jwks_uri"},
		{"issuer with a broken set", trusts(edited(func(a *client.AssertionIssuer) { a.JWKS, a.JWKSURI = json.RawMessage(`{"keys":[]}`), "" })), trusts(partner), "the assertion issuer https://idp.example: jwks has no key"},
		{"issuer by http", trusts(edited(func(a *client.AssertionIssuer) { a.Issuer = "http://idp.example" })), trusts(edited(func(a *client.AssertionIssuer) { a.Issuer = "http://127.0.0.1:9000" })), "the issuer in assertion_issuers"},
		{"relative issuer", trusts(edited(func(a *client.AssertionIssuer) { a.Issuer = "idp" })), trusts(partner), "the issuer in assertion_issuers"},
		{"issuer twice", trusts(partner, partner), trusts(partner), "twice"},
		{"unknown grant type", may("password"), may(client.DeviceCode), "grant type password is not one of"},
	}
	for _, g := range []string{client.JWTBearer, client.TokenExchange, client.ClientCredentials} {
		tests = append(tests, refusal{"public client with " + g, all(asPublic, trusts(partner), may(g)), all(trusts(partner), may(g)), "a public client cannot use " + g})
	}
	check(t, tests)
	c := public()
	c.Grants, c.OAuth.DPoPBound = []string{client.DeviceCode}, true
	if err := c.Check(); err != nil {
		t.Errorf("a public client with the device grant and bound tokens: %v", err)
	}
}

func TestProfilesAreHeldTo(t *testing.T) {
	t.Parallel()
	profile := func(p client.Profile) change { return oauth(func(o *client.OAuth) { o.Profile = p }) }
	set := published(t, jose.ES256, jose.RS256)
	fapi := all(profile(client.FAPI2), method(client.AuthPrivateKeyJWT), keys(set), oauth(func(o *client.OAuth) { o.DPoPBound = true }))
	tls := all(fapi, method(client.AuthTLS), oauth(func(o *client.OAuth) { o.TLSSubjectDN, o.DPoPBound, o.TLSBound = "CN=shop", false, true }))
	idToken := func(alg jose.Algorithm) change { return oauth(func(o *client.OAuth) { o.IDTokenAlg = alg }) }
	redirect := func(uri string) change { return func(c *client.Client) { c.RedirectURIs = []string{uri} } }
	check(t, []refusal{
		{"unknown profile", profile("lax"), profile(client.Strict), "profile must be"},
		{"certification of a public client", all(asPublic, profile(client.Certification)), profile(client.Certification), "profile certification: the client must be confidential"},
		{"FAPI with a secret", all(profile(client.FAPI2), oauth(func(o *client.OAuth) { o.TLSBound = true })), tls, "token_endpoint_auth_method must be private_key_jwt"},
		{"FAPI of a public client", all(asPublic, profile(client.FAPI2)), fapi, "the client must be confidential; token_endpoint_auth_method must be"},
		{"FAPI without bound tokens", all(fapi, oauth(func(o *client.OAuth) { o.DPoPBound = false })), fapi, "tokens must be bound"},
		{"FAPI with RS256 ID tokens", all(fapi, idToken(jose.RS256)), all(fapi, idToken(jose.PS256)), "id_token_signed_response_alg must be one of PS256, ES256, EdDSA"},
		{"FAPI with RS256 assertions", all(fapi, oauth(func(o *client.OAuth) { o.AuthAlg = jose.RS256 })), all(fapi, oauth(func(o *client.OAuth) { o.AuthAlg = jose.ES256 })), "token_endpoint_auth_signing_alg must be one of"},
		{"FAPI with RS256 requests", all(fapi, oauth(func(o *client.OAuth) { o.RequestAlg = jose.RS256 })), all(fapi, oauth(func(o *client.OAuth) { o.RequestAlg = jose.ES256 })), "request_object_signing_alg must be one of"},
		{"FAPI with a key for RS256 only", all(fapi, keys(published(t, jose.RS256))), fapi, "jwks must have a key for one of"},
		{"FAPI with a private-use scheme", all(fapi, redirect("com.example.shop:/done")), all(fapi, redirect("http://127.0.0.1/cb")), "redirect URI com.example.shop:/done must be https"},
	})
	c := confidential()
	all(profile(client.FAPI2), idToken(jose.RS256))(&c)
	err := c.Check()
	for _, reason := range []string{"token_endpoint_auth_method", "tokens must be bound", "id_token_signed_response_alg"} {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%v does not name %s", err, reason)
		}
	}
}

func TestOnlyDocumentsHaveURLsForIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"https://app.example/client.json": true, "https://app.example:8443/a/b.json": true, "https://app.example/a/": true,
		"https://app.example": false, "https://app.example/": false, "http://app.example/client.json": false, "http://localhost/client.json": true, "http://127.0.0.1:8099/c.json": true, "http://localhost.evil.test/c.json": false, "ftp://localhost/c": false,
		"https://app.example/../client.json": false, "https://app.example/a/./b": false, "https://app.example/a/..": false, "https://app.example/%2e%2e/b": false,
		"https://app.example/client.json#x": false, "https://app.example/client.json#": false, "https://app.example/client.json?v=1": false, "https://app.example/client.json?": false,
		"https://user@app.example/client.json": false, "https://user:pass@app.example/c": false, "https://APP.example/client.json": false, "HTTPS://app.example/client.json": false,
		"https://app.example:443/client.json": false, "https://app.example:/client.json": false, "https://app.example./client.json": false, "https:///client.json": false,
		"https://app.example/ client.json": false, `https://app.example\@evil.test/c`: false, "https://äpp.example/c": false, "https://*.example/c": false,
		"https://app.example/" + strings.Repeat("a", 300): false, "shop-web": false, "": false,
	} {
		c := public()
		c.ID, c.Source = id, client.ByDocument
		if err := c.Check(); (err == nil) != want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want it accepted: %t", id, err, want)
		}
		c.Source = client.ByItself
		if err := c.Check(); (err == nil) != (id == "shop-web") {
			t.Errorf("%q, registered: %v", id, err)
		}
	}
}

func TestAttackUnknownClientsGetNothingOfAnOperators(t *testing.T) {
	t.Parallel()
	for _, source := range []client.Source{client.ByItself, client.ByDocument} {
		try := func(edit change) error {
			c := confidential()
			c.Source = source
			if source == client.ByDocument {
				c.ID = "https://app.example/client.json"
			}
			edit(&c)
			return c.Check()
		}
		trusts := oauth(func(o *client.OAuth) {
			o.Assertions = []client.AssertionIssuer{{Issuer: "https://evil.test", JWKSURI: "https://evil.test/keys"}}
		})
		if err := try(all()); err != nil {
			t.Error(err)
		}
		for name, edit := range map[string]change{"first party": func(c *client.Client) { c.FirstParty = true }, "assertions": trusts,
			"management": func(c *client.Client) { c.APIs = map[string][]string{"management": {"users:read"}} }} {
			if err := try(edit); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %s: got %v", source, name, err)
			}
		}
		if err := try(all()); err != nil {
			t.Error(err)
		}
	}
	c := confidential()
	c.FirstParty = true
	if err := c.Check(); err != nil {
		t.Errorf("an operator's: %v", err)
	}
}
