package verifytest_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
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

func ExampleNewIssuer() {
	t := &exampleTB{} // in a test: the *testing.T
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()

	ctx := context.Background()
	for _, token := range []string{
		issuer.Token(),
		issuer.Token(verifytest.ExpiresIn(-time.Minute)),
		issuer.Token(verifytest.Without("jti")),
		issuer.Token(verifytest.Type("JWT")),
	} {
		_, err := v.Token(ctx, token)
		fmt.Printf("%q\n", verify.Reason(err))
	}
	// Output:
	// ""
	// "token_expired"
	// "claims_invalid"
	// "typ_mismatch"
}

func ExampleIssuer_Revoke() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v, ctx := issuer.Verifier(), context.Background()
	token, cookie := issuer.Token(verifytest.Subject("ada")), issuer.Session(verifytest.Subject("ada"))

	issuer.Revoke("ada")
	_, err := v.Token(ctx, token)
	fmt.Println(verify.Reason(err))
	_, err = v.Session(ctx, cookie)
	fmt.Println(verify.Reason(err))
	// Output:
	// token_revoked
	// token_revoked
}

func ExampleIssuer_Fail() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v, ctx := issuer.Verifier(), context.Background()
	token := issuer.Opaque()

	issuer.Fail()
	_, err := v.Token(ctx, token)
	fmt.Println(verify.Reason(err))
	issuer.Recover()
	_, err = v.Token(ctx, token)
	fmt.Println(err)
	// Output:
	// server_unavailable
	// <nil>
}

func ExampleIssuer_Rotate() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t, verifytest.WithAlgorithm(jose.ES256))
	v, ctx := issuer.Verifier(), context.Background()
	old := issuer.Token()

	issuer.Rotate()
	_, err := v.Token(ctx, issuer.Token())
	fmt.Println(err)
	_, err = v.Token(ctx, old)
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
}

func ExampleWithClock() {
	t := &exampleTB{}
	defer t.close()
	now := time.Now()
	issuer := verifytest.NewIssuer(t, verifytest.WithClock(func() time.Time { return now }))
	v, ctx := issuer.Verifier(), context.Background()
	token := issuer.Token()

	now = now.Add(time.Hour)
	_, err := v.Token(ctx, token)
	fmt.Println(verify.Reason(err))
	// Output: token_expired
}

func ExampleIssuer_Prover() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	client := issuer.Prover()
	quiet := slog.New(slog.DiscardHandler)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Base: "https://orders.example", Logger: quiet})
	service := auth.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		fmt.Println("orders of", id.Subject)
	}))

	token := issuer.Token(verifytest.Subject("ada"), verifytest.Bound(client.Key()))
	r := httptest.NewRequest("GET", "https://orders.example/orders?open=true", nil)
	client.Show(r, token)
	service.ServeHTTP(httptest.NewRecorder(), r)

	// Whoever records this request can do nothing with it.
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// orders of ada
	// 401 {"error":"invalid_dpop_proof"}
}
