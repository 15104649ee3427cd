package httpauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// A handler that streams is told when its caller's credential ends.
func TestStreamIsBoundToItsCredential(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()
	auth := httpauth.New(v, httpauth.Options{})
	var cause error
	handler := auth.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, stop := auth.Stream(r)
		if ctx.Err() != nil {
			t.Error("the stream ended at once")
		}
		stop()
		cause = context.Cause(ctx)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token())
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if cause != context.Canceled {
		t.Errorf("got %v, want that stop ends it", cause)
	}
}

func TestStreamNeedsRequire(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{})
	defer func() {
		if recover() == nil {
			t.Error("a stream without a credential")
		}
	}()
	auth.Stream(httptest.NewRequest(http.MethodGet, "/", nil))
}

// What was seen before costs a context and a copy of the request, and nothing else.
func TestRememberedRequestAllocatesTwice(t *testing.T) {
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier().Under(verify.Open)
	handler := httpauth.Require(v)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token())
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d", w.Code)
	}
	if got := testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }); got > 2 {
		t.Errorf("%v allocations", got)
	}
}
