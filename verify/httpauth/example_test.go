package httpauth_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/wafer-auth/wafer/verify/httpauth"
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

func ExampleRequire() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t) // stands in for Wafer

	mux := http.NewServeMux()
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		fmt.Fprintln(w, "orders of", id.Subject)
	})
	mux.Handle("GET /orders", httpauth.Require(issuer.Verifier(), "orders:read")(orders))

	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(verifytest.Subject("ada"), verifytest.Scope("orders:read")))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 orders of ada
}

func ExampleNew() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)

	auth := httpauth.New(issuer.Verifier(), httpauth.Options{
		Realm:        "orders",
		IgnoreCookie: true,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w := httptest.NewRecorder()
	auth.Require("orders:read")(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="orders"
}

func ExampleAuth_Require() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})

	r := httptest.NewRequest("DELETE", "/orders/7", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(verifytest.Scope("orders:read")))
	w := httptest.NewRecorder()
	auth.Require("orders:read", "orders:write")(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 403 Bearer realm="wafer", error="insufficient_scope", scope="orders:read orders:write"
}

func ExampleFrom() {
	r := httptest.NewRequest("GET", "/", nil) // went through no Require
	_, ok := httpauth.From(r.Context())
	fmt.Println(ok)
	// Output: false
}
