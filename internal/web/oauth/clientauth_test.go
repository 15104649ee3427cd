package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/oauth"
	"github.com/wafer-auth/wafer/verify/jose"
)

func generate(t *testing.T, alg jose.Algorithm, kid string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// addClient registers a confidential client that may have tokens for orders.
func (g rig) addClient(c client.Client) {
	g.t.Helper()
	c.Kind, c.Version = client.Confidential, 1
	c.APIs = map[string][]string{orders: {"orders:read"}}
	if c.Grants == nil {
		c.Grants = []string{client.ClientCredentials}
	}
	g.must(g.store.AddClient(g.t.Context(), c, revoke.Effects{}))
}

func jwksOf(t *testing.T, k *jose.Key) json.RawMessage {
	t.Helper()
	body, err := json.Marshal(jose.KeySet{k.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// assertion is a good one, changed.
func (g rig) assertion(k *jose.Key, id string, change map[string]any) string {
	g.t.Helper()
	now := g.clock()
	claims := map[string]any{"iss": id, "sub": id, "aud": issuer, "jti": opaque.Text(16), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	maps.Copy(claims, change)
	body, err := json.Marshal(claims)
	g.must(err)
	text, err := jose.Sign(k, jose.Header{Type: "JWT"}, body)
	g.must(err)
	return text
}

const forOrders = "grant_type=client_credentials&resource=https%3A%2F%2Forders.example"

func TestClientsProveThemselvesByAssertion(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key := generate(t, jose.ES256, "k")
	g.addClient(client.Client{ID: "signer", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKS: jwksOf(t, key)}})
	ask := func(path string, fields ...string) answer {
		t.Helper()
		return g.post(path, "", append([]string{"grant_type", "client_credentials", "resource", orders, "client_assertion_type", grant.ClientAssertion}, fields...)...)
	}
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", nil)).want(t, 200, "")
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", nil), "client_id", "signer").want(t, 200, "")
	// CONTROL-003
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", map[string]any{"nbf": g.clock().Add(8 * time.Second).Unix()})).want(t, 200, "")
	// CLIENT-005: at two endpoints
	used := g.assertion(key, "signer", nil)
	ask("/oauth/revoke", "client_assertion", used, "token", "x").want(t, 200, "")
	ask("/oauth/token", "client_assertion", used).want(t, 401, "invalid_client")
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", nil), "client_id", "billing").want(t, 401, "invalid_client")
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", map[string]any{"aud": issuer + "/oauth/token"})).want(t, 401, "invalid_client")
	ask("/oauth/token", "client_assertion", "garbage").want(t, 401, "invalid_client")
	ask("/oauth/token", "client_id", "signer").want(t, 401, "invalid_client")
	g.post("/oauth/token", "", "grant_type", "client_credentials", "client_id", "signer", "client_assertion", g.assertion(key, "signer", nil)).want(t, 401, "invalid_client")
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", nil), "client_id", "signer", "client_secret", secret).want(t, 400, "invalid_request")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "client_assertion_type", grant.ClientAssertion,
		"client_assertion", g.assertion(key, "signer", nil)).want(t, 400, "invalid_request")
	ask("/oauth/token", "client_assertion", g.assertion(key, "signer", nil)).want(t, 200, "")
}

// pki is a CA for clients.
type pki struct {
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func newPKI(t *testing.T, now time.Time) pki {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pki{ca, key}
}

func (p pki) leaf(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"Shop"}},
		NotBefore: p.ca.NotBefore, NotAfter: p.ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, p.ca, key.Public(), p.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

const proxyAddress, certHeader = "10.0.0.7:4711", "X-SSL-Client-Cert"

// mtlsRig is a rig that clients show certificates to, at another name.
func mtlsRig(t *testing.T) (rig, pki) {
	t.Helper()
	start := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	p := newPKI(t, start)
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	return newRig(t, func(c *oauth.Config) {
		c.MTLS = "https://mtls.auth.example"
		c.Certificates = &middleware.Certificates{
			Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Header: certHeader, Roots: roots, Now: func() time.Time { return start },
		}
	}), p
}

func shows(r *http.Request, leaf *x509.Certificate) *http.Request {
	if leaf != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	}
	return r
}

func thumbprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// confirmation reads cnf of a JWT.
func confirmation(t *testing.T, token string) map[string]string {
	t.Helper()
	payload, err := jose.DecodeSegment(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Confirm map[string]string `json:"cnf"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c.Confirm
}

func TestClientsProveThemselvesByCertificate(t *testing.T) {
	t.Parallel()
	g, p := mtlsRig(t)
	mine, other := p.leaf(t, "billing"), p.leaf(t, "other")
	own := newPKI(t, g.clock()).ca // signed by itself
	ownKey, err := jose.NewKey(jose.ES256, "k", own.PublicKey)
	g.must(err)
	g.addClient(client.Client{ID: "tls", OAuth: client.OAuth{AuthMethod: client.AuthTLS, TLSSubjectDN: "CN=billing, O=Shop", TLSBound: true}})
	g.addClient(client.Client{ID: "own", OAuth: client.OAuth{AuthMethod: client.AuthSelfSignedTLS, JWKS: jwksOf(t, ownKey), TLSBound: true}})
	g.addClient(client.Client{ID: "bound", SecretHash: g.secretHash("bound"), OAuth: client.OAuth{TLSBound: true}})
	ask := func(id string, leaf *x509.Certificate) answer {
		t.Helper()
		return g.do(shows(rawRequest("/oauth/token", forOrders+"&client_id="+id), leaf))
	}
	for id, leaf := range map[string]*x509.Certificate{"tls": mine, "own": own} {
		a := ask(id, leaf)
		a.want(t, 200, "")
		if got := confirmation(t, a.text("access_token")); got["x5t#S256"] != thumbprint(leaf) || len(got) != 1 {
			t.Errorf("%s: the token is bound to %v", id, got)
		}
		if a.text("token_type") != "Bearer" {
			t.Errorf("token type %s", a.text("token_type"))
		}
	}
	ask("tls", other).want(t, 401, "invalid_client")
	ask("tls", own).want(t, 401, "invalid_client")
	ask("own", mine).want(t, 401, "invalid_client")
	ask("tls", nil).want(t, 401, "invalid_client")
	// A secret proves the client; the certificate is for the token.
	withSecret := func(leaf *x509.Certificate) answer {
		r := shows(rawRequest("/oauth/token", forOrders), leaf)
		r.SetBasicAuth("bound", "p%2Bss+w%25rd%3Awith-everything")
		return g.do(r)
	}
	a := withSecret(other)
	a.want(t, 200, "")
	if got := confirmation(t, a.text("access_token")); got["x5t#S256"] != thumbprint(other) {
		t.Errorf("the token is bound to %v", got)
	}
	withSecret(nil).want(t, 400, "invalid_request")
	// Who is not registered for it has no use for a bound token: a mesh shows certificates to everybody.
	plain := shows(formRequest("/oauth/token", "grant_type", "client_credentials", "resource", orders), mine)
	plain.SetBasicAuth("billing", "p%2Bss+w%25rd%3Awith-everything")
	a = g.do(plain)
	a.want(t, 200, "")
	if got := confirmation(t, a.text("access_token")); len(got) != 0 {
		t.Errorf("the token is bound to %v", got)
	}
}

func (g rig) secretHash(id string) opaque.Digest {
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	g.must(err)
	return grant.SecretCode(root.Derive("client secrets"), id, secret)
}

// CLIENT-008
func TestClientCertificateHeaderSpoof(t *testing.T) {
	t.Parallel()
	g, p := mtlsRig(t)
	mine := p.leaf(t, "billing")
	g.addClient(client.Client{ID: "tls", OAuth: client.OAuth{AuthMethod: client.AuthTLS, TLSSubjectDN: "CN=billing,O=Shop", TLSBound: true}})
	value := ":" + base64.StdEncoding.EncodeToString(mine.Raw) + ":"
	ask := func(from, name string) answer {
		t.Helper()
		r := rawRequest("/oauth/token", forOrders+"&client_id=tls")
		r.RemoteAddr = from
		r.Header.Set(name, value)
		return g.do(r)
	}
	ask(proxyAddress, certHeader).want(t, 200, "")
	for _, name := range []string{"X-SSL-Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert"} {
		ask("203.0.113.9:4711", name).want(t, 401, "invalid_client")
	}
	ask(proxyAddress, "Client-Cert").want(t, 401, "invalid_client")
	ask(proxyAddress, certHeader).want(t, 200, "")
}

func TestMetadataListsHowClientsProveThemselves(t *testing.T) {
	t.Parallel()
	texts := func(a answer, name string) []string {
		var out []string
		list, _ := a.body[name].([]any)
		for _, v := range list {
			text, _ := v.(string)
			out = append(out, text)
		}
		return out
	}
	const path = "/.well-known/oauth-authorization-server"
	without, with := newRig(t).get(path), answer{}
	g, _ := mtlsRig(t)
	with = g.get(path)
	for _, name := range []string{"token_endpoint", "revocation_endpoint", "introspection_endpoint"} {
		have := texts(without, name+"_auth_methods_supported")
		if !slices.Contains(have, "private_key_jwt") || slices.Contains(have, "tls_client_auth") || slices.Contains(have, "self_signed_tls_client_auth") {
			t.Errorf("%s: %v", name, have)
		}
		have = texts(with, name+"_auth_methods_supported")
		if !slices.Contains(have, "tls_client_auth") || !slices.Contains(have, "self_signed_tls_client_auth") || slices.Contains(have, "none") != (name != "introspection_endpoint") {
			t.Errorf("%s: %v", name, have)
		}
		algs := texts(with, name+"_auth_signing_alg_values_supported")
		if !slices.Contains(algs, "ES256") || slices.Contains(algs, "HS256") || slices.Contains(algs, "none") {
			t.Errorf("%s: %v", name, algs)
		}
	}
	if algs := texts(without, "dpop_signing_alg_values_supported"); !slices.Contains(algs, "ES256") || slices.Contains(algs, "HS256") {
		t.Errorf("DPoP: %v", algs)
	}
	if without.body["mtls_endpoint_aliases"] != nil || without.body["tls_client_certificate_bound_access_tokens"] != nil {
		t.Errorf("certificates are listed and not asked for: %s", without.Body)
	}
	aliases, _ := with.body["mtls_endpoint_aliases"].(map[string]any)
	if aliases["token_endpoint"] != "https://mtls.auth.example/oauth/token" || with.body["tls_client_certificate_bound_access_tokens"] != true {
		t.Errorf("aliases %v", aliases)
	}
	for name, at := range aliases {
		own, _ := with.body[name].(string)
		there, _ := at.(string)
		if strings.TrimPrefix(own, issuer) != strings.TrimPrefix(there, "https://mtls.auth.example") {
			t.Errorf("%s is at %s and at %s", name, own, there)
		}
	}
}

// TOKEN-008: who cannot prove to be a client learns nothing of clients, by no word of
// the answer.
func TestRefusedClientsLookAlike(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key := generate(t, jose.ES256, "k")
	g.addClient(client.Client{ID: "signer", OAuth: client.OAuth{AuthMethod: client.AuthPrivateKeyJWT, JWKS: jwksOf(t, key)}})
	strange := generate(t, jose.ES256, "k")
	asserted := "&client_assertion_type=" + strings.ReplaceAll(grant.ClientAssertion, ":", "%3A") + "&client_assertion="
	first := ""
	for name, form := range map[string]string{
		"unknown": "&client_id=nobody&client_secret=x", "wrong secret": "&client_id=billing&client_secret=x", "disabled": "&client_id=gone&client_secret=x",
		"wrong method": "&client_id=signer&client_secret=x", "no secret": "&client_id=billing", "public": "&client_id=shop-web&client_secret=x",
		"wrong key": asserted + g.assertion(strange, "signer", nil), "unknown by assertion": asserted + g.assertion(key, "nobody", nil),
		"garbage": asserted + "x", "disabled by assertion": asserted + g.assertion(key, "gone", nil),
	} {
		a := g.do(rawRequest("/oauth/token", forOrders+form))
		a.want(t, 401, "invalid_client")
		headers := a.Header().Clone()
		headers.Del("X-Request-Id")
		told, err := json.Marshal([]any{a.Code, a.Body.String(), headers})
		g.must(err)
		if first == "" {
			first = string(told)
		}
		if string(told) != first {
			t.Errorf("%s: %s, others %s", name, told, first)
		}
	}
}
