package verifytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// following makes a verifier that follows the issuer's feed under Strict.
func following(t *testing.T, issuer *verifytest.Issuer) *verify.Verifier {
	t.Helper()
	c := issuer.Config()
	c.Feed, c.Stale = issuer.Feed(), verify.Strict
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// follow verifies a token and gives the context that ends when it does.
func follow(t *testing.T, v *verify.Verifier, token string) context.Context {
	t.Helper()
	id, err := v.Token(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := v.Follow(t.Context(), id)
	t.Cleanup(stop)
	return ctx
}

func ends(t *testing.T, ctx context.Context, want error) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("it did not end, want %v", want)
	}
	if got := context.Cause(ctx); !errors.Is(got, want) {
		t.Errorf("it ended with %v, want %v", got, want)
	}
}

func TestFeedEndsWhatItsCredentialStarted(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	v := following(t, issuer)
	stays := follow(t, v, issuer.Token())
	byValue := issuer.Token()
	opaque := issuer.Opaque()
	for _, c := range []struct{ name, token, revoke string }{
		{"jti", issuer.Token(verifytest.Set("jti", "t-1")), "t-1"},
		{"sid", issuer.Token(verifytest.Set("sid", "s-1")), "s-1"},
		{"sub", issuer.Token(verifytest.Subject("ada")), "ada"},
		{"value", byValue, byValue},
		{"opaque value", opaque, opaque},
	} {
		ctx := follow(t, v, c.token)
		if ctx.Err() != nil {
			t.Errorf("%s: it ended at once", c.name)
		}
		issuer.Revoke(c.revoke)
		ends(t, ctx, verify.ErrRevoked)
		if _, err := v.Token(t.Context(), c.token); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("%s: got %v, want ErrRevoked", c.name, err)
		}
	}
	if stays.Err() != nil {
		t.Errorf("another credential ended: %v", context.Cause(stays))
	}
	// Who comes later knows of it too.
	if _, err := following(t, issuer).Token(t.Context(), byValue); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("a later feed: got %v, want ErrRevoked", err)
	}
}

func TestFeedIsCutOffByFail(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	v := following(t, issuer)
	token := issuer.Token()
	ctx := follow(t, v, token)
	issuer.Fail()
	ends(t, ctx, verify.ErrStale)
	if _, err := v.Token(t.Context(), token); !errors.Is(err, verify.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}
