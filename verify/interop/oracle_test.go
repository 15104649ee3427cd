package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/wafer-auth/wafer/verify/jose"
)

const claims = `{"sub":"u1","aud":"orders","exp":4102444800,"n":12.5,"s":["a","b"]}`

// oracle is another library, reduced to what is compared.
type oracle struct {
	name   string
	knows  func(jose.Algorithm) bool
	sign   func(material, jose.Algorithm) (string, error)
	verify func(material, jose.Algorithm, string) ([]byte, error)
}

// material is one key as the standard library has it: private, and what verifies.
type material struct {
	kid             string
	private, public any
}

func oracles() []oracle {
	return []oracle{
		{"go-jose", notNewName, goJoseSign, goJoseVerify},
		{"jwx", func(jose.Algorithm) bool { return true }, jwxSign, jwxVerify},
		{"golang-jwt", notNewName, golangJWTSign, golangJWTVerify},
	}
}

// notNewName leaves out the name that RFC 9864 brought, which is younger than
// these libraries' tables.
func notNewName(a jose.Algorithm) bool { return a != jose.Ed25519 }

func goJoseSign(m material, alg jose.Algorithm) (string, error) {
	opts := (&gojose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", m.kid)
	signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: m.private}, opts)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func goJoseVerify(m material, alg jose.Algorithm, token string) ([]byte, error) {
	signed, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, err
	}
	return signed.Verify(m.public)
}

func jwxAlgorithm(alg jose.Algorithm) (jwa.SignatureAlgorithm, error) {
	a, ok := jwa.LookupSignatureAlgorithm(string(alg))
	if !ok {
		return a, fmt.Errorf("jwx does not know %s", alg)
	}
	return a, nil
}

func jwxSign(m material, alg jose.Algorithm) (string, error) {
	a, err := jwxAlgorithm(alg)
	if err != nil {
		return "", err
	}
	h := jws.NewHeaders()
	if err := errors.Join(h.Set("typ", "at+jwt"), h.Set("kid", m.kid)); err != nil {
		return "", err
	}
	b, err := jws.Sign([]byte(claims), jws.WithKey(a, m.private, jws.WithProtectedHeaders(h)))
	return string(b), err
}

func jwxVerify(m material, alg jose.Algorithm, token string) ([]byte, error) {
	a, err := jwxAlgorithm(alg)
	if err != nil {
		return nil, err
	}
	return jws.Verify([]byte(token), jws.WithKey(a, m.public), jws.WithCompact())
}

func golangJWTSign(m material, alg jose.Algorithm) (string, error) {
	var c jwt.MapClaims
	if err := json.Unmarshal([]byte(claims), &c); err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(string(alg)), c)
	token.Header["typ"], token.Header["kid"] = "at+jwt", m.kid
	return token.SignedString(m.private)
}

func golangJWTVerify(m material, alg jose.Algorithm, token string) ([]byte, error) {
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{string(alg)}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()).
		Parse(token, func(*jwt.Token) (any, error) { return m.public, nil })
	if err != nil {
		return nil, err
	}
	return jose.DecodeSegment(strings.Split(token, ".")[1])
}

type pair struct {
	key *jose.Key
	material
}

var pairs sync.Map // jose.Algorithm -> pair

// keyPair returns a key of ours and the same key as go-jose reads it from our JWK,
// so that the JWK is compared too.
func keyPair(tb testing.TB, alg jose.Algorithm) pair {
	tb.Helper()
	if p, ok := pairs.Load(alg); ok {
		return p.(pair)
	}
	k, err := jose.Generate(alg, "k-"+string(alg))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := k.PrivateJWK()
	if err != nil {
		tb.Fatal(err)
	}
	var other gojose.JSONWebKey
	if err := json.Unmarshal(text, &other); err != nil {
		tb.Fatalf("go-jose does not read %s", text)
	}
	p := pair{key: k, material: material{kid: k.ID(), private: other.Key, public: other.Key}}
	if !alg.Symmetric() {
		p.public = other.Public().Key
	}
	actual, _ := pairs.LoadOrStore(alg, p)
	return actual.(pair)
}

// verifier returns the half of ours that checks.
func (p pair) verifier() *jose.Key {
	if public := p.key.Public(); public != nil {
		return public
	}
	return p.key
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// jwxKey returns the key that jwx reads from our JWK.
func jwxKey(tb testing.TB, text []byte) jwk.Key {
	tb.Helper()
	k, err := jwk.ParseKey(text)
	if err != nil {
		tb.Fatalf("jwx does not read %s: %v", text, err)
	}
	return k
}
