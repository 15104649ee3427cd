package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// An API that takes JWTs and session cookies and feels a revocation at once.
func ExampleNew() {
	const issuer = "https://id.example"
	keys, err := jwks.New(issuer+"/.well-known/jwks.json", jwks.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server, err := verify.NewServer(verify.ServerConfig{
		Issuer: issuer, ClientID: "orders-api", ClientSecret: "read me from a file",
	})
	if err != nil {
		log.Fatal(err)
	}
	v, err := verify.New(verify.Config{
		Issuer:     issuer,
		Audience:   "https://orders.example",
		Algorithms: []jose.Algorithm{jose.EdDSA},
		Keys:       keys,
		Server:     server,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Audience(), v.Sessions())
	// Output: https://orders.example true
}

// A configuration that would skip a check is refused, with all that is wrong.
func ExampleNew_incomplete() {
	_, err := verify.New(verify.Config{Issuer: "https://id.example", Keys: verify.StaticKeys(), Stale: verify.Open})
	fmt.Println(err)
	// Output:
	// verify: Audience is empty: set it to this API's identifier
	// verify: Algorithms is empty: name the algorithm of this API's tokens
}

func ExampleNewServer() {
	_, err := verify.NewServer(verify.ServerConfig{Issuer: "http://id.example", ClientID: "orders-api", ClientSecret: "secret"})
	fmt.Println(err)
	// Output: verify: introspection URL "http://id.example/oauth/introspect": must be https, or http on loopback
}

// exampleTB stands in for the *testing.T that a test has.
type exampleTB struct{ end []func() }

func (*exampleTB) Helper()                      {}
func (e *exampleTB) Cleanup(f func())           { e.end = append(e.end, f) }
func (*exampleTB) Fatalf(text string, a ...any) { log.Fatalf(text, a...) }
func (e *exampleTB) close() {
	for _, f := range e.end {
		f()
	}
}

func ExampleVerifier_Token() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()

	id, err := v.Token(context.Background(), issuer.Token(verifytest.Subject("ada"), verifytest.Scope("orders:read")))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id.Kind, id.Subject, id.HasScope("orders:read"), id.HasScope("orders:write"))

	_, err = v.Token(context.Background(), issuer.Token(verifytest.ExpiresIn(-time.Minute)))
	fmt.Println(errors.Is(err, verify.ErrExpired))
	// Output:
	// token ada true false
	// true
}

func ExampleVerifier_Session() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()
	cookie := issuer.Session(verifytest.Subject("ada"))

	id, err := v.Session(context.Background(), cookie)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id.Kind, id.Subject)

	issuer.Revoke("ada")
	_, err = v.Session(context.Background(), cookie)
	fmt.Println(verify.Reason(err))
	// Output:
	// session ada
	// token_revoked
}

func ExampleReason() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)

	_, err := issuer.Verifier().Token(context.Background(), issuer.Token(verifytest.Audience("https://other.example")))
	fmt.Println(verify.Reason(err))
	// Output: aud_mismatch
}

// An HMAC secret is shared by the issuer and one API alone.
func ExampleStaticKeys() {
	secret := []byte("made by Wafer, read with: wafer api secret ID")
	key, err := jose.NewKey(jose.HS256, "orders-1", secret)
	if err != nil {
		log.Fatal(err)
	}
	keys := verify.StaticKeys(key)
	_, err = keys.Key(context.Background(), "orders-2", jose.HS256)
	fmt.Println(verify.Reason(err))
	// Output: key_unknown
}

func ExampleIdentity_Claim() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)

	token := issuer.Token(verifytest.Set("https://orders.example/region", "north"))
	id, err := issuer.Verifier().Token(context.Background(), token)
	if err != nil {
		log.Fatal(err)
	}
	region, found := id.Claim("https://orders.example/region")
	fmt.Println(string(region), found)
	// Output: "north" true
}

func ExampleValidScope() {
	fmt.Println(verify.ValidScope("orders:read"), verify.ValidScope("orders:read orders:write"))
	// Output: true false
}
