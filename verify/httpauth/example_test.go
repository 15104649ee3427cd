package httpauth_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

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
	// Output: 401 Bearer realm="orders", scope="orders:read"
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

func ExampleAuth_CORS() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Origins: []string{"https://shop.example"}})
	mux := http.NewServeMux()
	mux.Handle("GET /orders", auth.Require("orders:read")(http.NotFoundHandler()))
	service := auth.CORS(mux)

	for _, origin := range []string{"https://shop.example", "https://evil.example"} {
		r := httptest.NewRequest("OPTIONS", "/orders", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "GET")
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	// Output:
	// 204 "https://shop.example"
	// 403 ""
}

func ExampleCORS() {
	public := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the catalogue") })
	service := httpauth.CORS(public, "https://shop.example")

	r := httptest.NewRequest("GET", "/catalogue", nil)
	r.Header.Set("Origin", "https://shop.example")
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	fmt.Println(w.Body, "for", w.Header().Get("Access-Control-Allow-Origin"))
	// Output: the catalogue for https://shop.example
}

func ExampleAuth_SetTokenCookie() {
	t := &exampleTB{}
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{TokenCookie: "__Host-Http-orders", IgnoreCookie: true})

	// The callback of a login, which has got a token from Wafer.
	w := httptest.NewRecorder()
	err := auth.SetTokenCookie(w, issuer.Token(verifytest.Subject("ada")), time.Now().Add(5*time.Minute))
	if err != nil {
		log.Fatal(err)
	}

	// From now on the browser sends it along.
	r := httptest.NewRequest("GET", "/orders", nil)
	r.AddCookie(w.Result().Cookies()[0])
	auth.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		fmt.Println("orders of", id.Subject)
	})).ServeHTTP(httptest.NewRecorder(), r)
	// Output: orders of ada
}

func ExampleAuth_ClearTokenCookie() {
	t := &exampleTB{}
	defer t.close()
	auth := httpauth.New(verifytest.NewIssuer(t).Verifier(), httpauth.Options{TokenCookie: "__Host-Http-orders"})
	w := httptest.NewRecorder()
	auth.ClearTokenCookie(w)
	fmt.Println(w.Header().Get("Set-Cookie"))
	// Output: __Host-Http-orders=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax
}

func ExampleFrom() {
	r := httptest.NewRequest("GET", "/", nil) // went through no Require
	_, ok := httpauth.From(r.Context())
	fmt.Println(ok)
	// Output: false
}
