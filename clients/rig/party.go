package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Party is a client that does everything by hand, rightly or, when told so, wrongly.
type Party struct {
	t        *testing.T
	Issuer   string
	ID       string
	Secret   string
	Method   string // of authentication: client_secret_basic, client_secret_post, private_key_jwt, none
	Redirect string
	Key      jose.JSONWebKey // its own, for assertions and request objects
	Proof    *jose.JSONWebKey
	Meta     map[string]any // what discovery says
	nonce    string         // of DPoP
	// Assertion changes what a client assertion claims. nil: nothing.
	Assertion func(map[string]any)
	// DPoP changes what a proof claims. nil: nothing.
	DPoP func(map[string]any)
}

// NewParty returns a client of a server, which is asked what it can do.
func NewParty(t *testing.T, issuer, id string) *Party {
	t.Helper()
	p := &Party{t: t, Issuer: issuer, ID: id, Redirect: RedirectURI}
	res := p.Get(issuer+"/.well-known/openid-configuration", nil)
	p.Meta = res.JSON
	return p
}

// Endpoint is an address that discovery names.
func (p *Party) Endpoint(name string) string {
	p.t.Helper()
	address, ok := p.Meta[name].(string)
	if !ok {
		p.t.Fatalf("discovery names no %s: %v", name, p.Meta)
	}
	return address
}

// Answer is what came back, its JSON read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

// Text is a member of the JSON.
func (a Answer) Text(name string) string {
	s, _ := a.JSON[name].(string)
	return s
}

// NewKey makes a key of P-256 for ES256.
func NewKey(id string) jose.JSONWebKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// Public is the key set of public keys, as JSON.
func Public(keys ...jose.JSONWebKey) string {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Random is a text that nobody guesses.
func Random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Challenge is that of a code verifier.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Sign signs claims with a key of the party's.
func (p *Party) Sign(key jose.JSONWebKey, typ string, claims map[string]any) string {
	p.t.Helper()
	return Sign(p.t, key, claims, jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"typ": typ}})
}

// Sign signs claims.
func Sign(t *testing.T, key jose.JSONWebKey, claims map[string]any, o jose.SignerOptions) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, &o)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (p *Party) assertion() string {
	now := time.Now()
	claims := map[string]any{
		"iss": p.ID, "sub": p.ID, "aud": p.Issuer, "jti": Random(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if p.Assertion != nil {
		p.Assertion(claims)
	}
	return p.Sign(p.Key, "JWT", claims)
}

// proof is a DPoP proof for a request; token is the access token that goes with it.
func (p *Party) proof(method, address, token string) string {
	claims := map[string]any{"htm": method, "htu": address, "jti": Random(), "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if p.nonce != "" {
		claims["nonce"] = p.nonce
	}
	if p.DPoP != nil {
		p.DPoP(claims)
	}
	key := *p.Proof
	key.KeyID = ""
	return Sign(p.t, key, claims, jose.SignerOptions{EmbedJWK: true, ExtraHeaders: map[jose.HeaderKey]any{"typ": "dpop+jwt"}})
}

// JKT is the thumbprint of the party's DPoP key.
func (p *Party) JKT() string {
	sum, err := p.Proof.Thumbprint(5) // SHA-256
	if err != nil {
		p.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// Ask posts a form as the party, with its credentials, and with a proof when it has a
// key for them. A nonce that is asked for is given.
func (p *Party) Ask(address string, form url.Values) Answer {
	p.t.Helper()
	a := p.ask(address, form)
	if p.Proof != nil && a.Text("error") == "use_dpop_nonce" {
		p.nonce = a.Header.Get("DPoP-Nonce")
		a = p.ask(address, form)
	}
	return a
}

func (p *Party) ask(address string, form url.Values) Answer {
	p.t.Helper()
	form = maps.Clone(form)
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	switch p.Method {
	case "client_secret_basic":
		text := url.QueryEscape(p.ID) + ":" + url.QueryEscape(p.Secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
	case "client_secret_post":
		form.Set("client_id", p.ID)
		form.Set("client_secret", p.Secret)
	case "private_key_jwt":
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", p.assertion())
	default:
		form.Set("client_id", p.ID)
	}
	if p.Proof != nil {
		header.Set("DPoP", p.proof(http.MethodPost, address, ""))
	}
	return p.Send(http.MethodPost, address, form.Encode(), header)
}

// Get asks with an access token, "" for none in a map.
func (p *Party) Get(address string, header http.Header) Answer {
	p.t.Helper()
	return p.Send(http.MethodGet, address, "", header)
}

// Call asks an endpoint with an access token, with a proof when the party has a key.
func (p *Party) Call(method, address, token string) Answer {
	p.t.Helper()
	if p.Proof == nil {
		return p.Send(method, address, "", http.Header{"Authorization": {"Bearer " + token}})
	}
	return p.CallAs("DPoP", method, address, token)
}

// Send sends a request.
func (p *Party) Send(method, address, body string, header http.Header) Answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Body: string(text)}
	_ = json.Unmarshal(text, &a.JSON)
	return a
}

// Claims reads a JWT of the server's, whose signature must be right.
func (p *Party) Claims(text string) (header map[string]any, claims map[string]any) {
	p.t.Helper()
	signed, err := jose.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		p.t.Fatalf("%q: %v", text, err)
	}
	set := jose.JSONWebKeySet{}
	if err := json.Unmarshal([]byte(p.Get(p.Endpoint("jwks_uri"), nil).Body), &set); err != nil {
		p.t.Fatal(err)
	}
	kid := signed.Signatures[0].Header.KeyID
	keys := set.Key(kid)
	if len(keys) != 1 {
		p.t.Fatalf("%d keys %q", len(keys), kid)
	}
	body, err := signed.Verify(keys[0])
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		p.t.Fatal(err)
	}
	raw, _, _ := strings.Cut(text, ".")
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &header); err != nil {
		p.t.Fatal(err)
	}
	return header, claims
}

// CallAs is Call with a scheme spelled as given.
func (p *Party) CallAs(scheme, method, address, token string) Answer {
	p.t.Helper()
	send := func() Answer {
		return p.Send(method, address, "", http.Header{"Authorization": {scheme + " " + token}, "Dpop": {p.proof(method, address, token)}})
	}
	a := send()
	if strings.Contains(a.Header.Get("WWW-Authenticate"), "use_dpop_nonce") {
		p.nonce = a.Header.Get("DPoP-Nonce")
		a = send()
	}
	return a
}

// NewRSAKey makes an RSA key for an algorithm.
func NewRSAKey(id, alg string) jose.JSONWebKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: alg, Use: "sig"}
}
