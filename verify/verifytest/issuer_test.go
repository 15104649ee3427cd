package verifytest_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

func TestEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			issuer := verifytest.NewIssuer(t, verifytest.WithAlgorithm(alg))
			v := issuer.Verifier()
			token := issuer.Token(verifytest.Set("jti", "t-1"))
			if _, err := v.Token(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			issuer.Rotate()
			if _, err := v.Token(t.Context(), issuer.Token()); err != nil {
				t.Errorf("after rotation: %v", err)
			}
			issuer.Revoke("t-1")
			if _, err := v.Token(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
				t.Errorf("after revocation: got %v, want ErrRevoked", err)
			}
		})
	}
}

func TestCredentialsDieWithTheirKeyTheirTimeAndTheirOwner(t *testing.T) {
	t.Parallel()
	now := time.Now()
	issuer := verifytest.NewIssuer(t, verifytest.WithClock(func() time.Time { return now }))
	v := issuer.Verifier()
	for _, id := range []string{"the-jti", "the-sid", "the-sub"} {
		mine := []verifytest.Claim{verifytest.Set(strings.TrimPrefix(id, "the-"), id)}
		token, opaque, session := issuer.Token(mine...), issuer.Opaque(mine...), issuer.Session(mine...)
		try := func(want error) {
			t.Helper()
			_, tokenErr := v.Token(t.Context(), token)
			_, opaqueErr := v.Token(t.Context(), opaque)
			_, sessionErr := v.Session(t.Context(), session)
			if !errors.Is(tokenErr, want) || !errors.Is(opaqueErr, want) || !errors.Is(sessionErr, want) {
				t.Errorf("%s: got %v, %v, %v, want %v", id, tokenErr, opaqueErr, sessionErr, want)
			}
		}
		try(nil)
		issuer.Revoke(id)
		try(verify.ErrRevoked)
	}
	old := issuer.Session()
	now = now.Add(time.Hour)
	if _, err := v.Session(t.Context(), old); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("old session: got %v, want ErrRevoked", err)
	}
	if _, err := v.Session(t.Context(), issuer.Session()); err != nil {
		t.Errorf("new session: %v", err)
	}
}

func TestIntrospectionIsForTheClientOnly(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	form := url.Values{"token": {issuer.Session()}}
	res, err := http.PostForm(issuer.URL()+"/oauth/introspect", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got status %d, want 401", res.StatusCode)
	}
}
