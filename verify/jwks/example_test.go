package jwks_test

import (
	"context"
	"fmt"
	"log"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

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

func ExampleNew() {
	_, err := jwks.New("http://id.example/.well-known/jwks.json", jwks.Options{})
	fmt.Println(err)
	_, err = jwks.New("https://id.example/.well-known/jwks.json", jwks.Options{})
	fmt.Println(err)
	// Output:
	// key set URL "http://id.example/.well-known/jwks.json": must be https, or http on loopback
	// <nil>
}

func ExampleSet_Key() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	keys, err := jwks.New(issuer.JWKSURL(), jwks.Options{})
	if err != nil {
		log.Fatal(err)
	}

	key, err := keys.Key(context.Background(), issuer.Key().ID(), jose.EdDSA)
	fmt.Println(key.ID() == issuer.Key().ID(), key.CanSign(), err)
	_, err = keys.Key(context.Background(), "made up", jose.EdDSA)
	fmt.Println(verify.Reason(err))
	// Output:
	// true false <nil>
	// key_unknown
}

// A service that wants its keys before its first request.
func ExampleSet_Refresh() {
	t := &exampleTB{}
	defer t.close()
	keys, err := jwks.New(verifytest.NewIssuer(t).JWKSURL(), jwks.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Refresh(context.Background()))
	// Output: <nil>
}

// Where the issuer is not Wafer, or keeps its keys elsewhere.
func ExampleDiscover() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)

	address, err := jwks.Discover(context.Background(), issuer.URL(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(address == issuer.JWKSURL())
	// Output: true
}
