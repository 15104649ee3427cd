package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

func TestPossessionThatCannotBeMeantIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]verify.PossessionConfig{
		"nothing": {}, "https": {Base: "https://a.example"}, "a path": {Base: "https://a.example/api/"}, "loopback": {Base: "http://127.0.0.1:8081"},
		"nonces": {Base: "https://a.example", Nonces: make([]byte, 32)},
	} {
		p, err := verify.NewPossession(c)
		if err != nil || p.Checks() != (c.Base != "") || (p.Nonce() != "") != (c.Nonces != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]verify.PossessionConfig{
		"a host": {Base: "a.example"}, "in the clear": {Base: "http://a.example"}, "a user": {Base: "https://u@a.example"}, "a query": {Base: "https://a.example?x"},
		"a fragment": {Base: "https://a.example#"}, "a short key": {Nonces: make([]byte, 31)}, "an empty key": {Nonces: []byte{}},
	} {
		if _, err := verify.NewPossession(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	_, err := verify.NewPossession(verify.PossessionConfig{Base: "a.example", Nonces: []byte("short")})
	if err == nil || strings.Count(err.Error(), "verify: ") != 2 {
		t.Errorf("not everything that is wrong is told: %v", err)
	}
}

type forgetful struct{}

var errForgetful = errors.New("the shared memory is down")

func (forgetful) First(context.Context, dpop.Proof, time.Time) (bool, error) {
	return false, errForgetful
}

// The reason and its cause, for a log; and nothing but a reason of this package.
func TestPossessionTellsReasons(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	client := issuer.Prover()
	key := verify.Confirmation{JKT: client.Key().Thumbprint()}
	remembering := func(r dpop.Replays) *verify.Possession {
		p, err := verify.NewPossession(verify.PossessionConfig{Base: "https://a.example", Replays: r})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	show := func() verify.Shown {
		return verify.Shown{
			Token: "token", Scheme: verify.SchemeDPoP, Method: "GET", Path: "/x", Proofs: []string{client.Proof("GET", "https://a.example/x", "token")},
		}
	}
	p, down := remembering(nil), remembering(forgetful{})
	used := p.Prove(t.Context(), show())
	if err := used(key); err != nil {
		t.Fatal(err)
	}
	bearer := show()
	bearer.Scheme = verify.SchemeBearer
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"again", used(key), verify.ErrProofReplayed},
		{"another key", p.Prove(t.Context(), show())(verify.Confirmation{JKT: issuer.Prover().Key().Thumbprint()}), verify.ErrProof},
		{"bound to nothing", p.Prove(t.Context(), show())(verify.Confirmation{}), verify.ErrBinding},
		{"a bearer token that is bound", p.Prove(t.Context(), bearer)(key), verify.ErrBinding},
		{"a certificate that is not there", p.Prove(t.Context(), bearer)(verify.Confirmation{X5T: dpop.Hash("x")}), verify.ErrBinding},
		{"nobody can tell", down.Prove(t.Context(), show())(key), verify.ErrUnavailable},
		{"a bearer token", p.Prove(t.Context(), bearer)(verify.Confirmation{}), nil},
		{"a new proof", p.Prove(t.Context(), show())(key), nil},
	} {
		if !errors.Is(c.got, c.want) || c.want == nil && c.got != nil || c.want != nil && verify.Reason(c.got) != verify.Reason(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if err := down.Prove(t.Context(), show())(key); !errors.Is(err, errForgetful) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// For a service that speaks neither net/http nor gRPC.
func ExampleVerifier_Bound() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()
	possession, err := verify.NewPossession(verify.PossessionConfig{Base: "https://orders.example"})
	if err != nil {
		t.Fatalf("%v", err)
	}
	client := issuer.Prover()
	token := issuer.Token(verifytest.Subject("ada"), verifytest.Bound(client.Key()))
	r := httptest.NewRequest("GET", "https://orders.example/orders", nil)
	client.Show(r, token)

	shown := verify.Shown{Token: token, Scheme: verify.SchemeDPoP, Method: r.Method, Path: r.URL.EscapedPath(), Proofs: r.Header["Dpop"]}
	id, err := v.Bound(context.Background(), token, possession.Prove(context.Background(), shown))
	fmt.Println(id.Subject, err)
	_, err = v.Bound(context.Background(), token, possession.Prove(context.Background(), shown))
	fmt.Println(verify.Reason(err))
	_, err = v.Token(context.Background(), token)
	fmt.Println(verify.Reason(err))
	// Output:
	// ada <nil>
	// proof_replayed
	// binding_unsupported
}
