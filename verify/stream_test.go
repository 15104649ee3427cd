package verify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// caller is who a token is of, found under Open: that lets in while nobody knows.
func (h *house) caller() *verify.Identity {
	h.Helper()
	id, err := h.v.Under(verify.Open).Token(h.Context(), h.token(nil))
	h.must(err)
	return id
}

// streams wants a stream to be open, or to have ended for a reason.
func (h *house) streams(when string, ctx context.Context, want error) {
	h.Helper()
	if got := context.Cause(ctx); !errors.Is(got, want) || want == nil && got != nil {
		h.Errorf("%s: the stream has ended for %v, want %v", when, got, want)
	}
}

// A feed that has not begun says of nobody that they were revoked: only Strict ends
// the stream, and says that nobody knows. Nothing is missed once it begins.
func TestStreamBeforeTheFirstLease(t *testing.T) {
	for _, c := range []struct {
		stale verify.Policy
		dark  error
	}{{verify.Strict, verify.ErrStale}, {verify.Degrade, nil}, {verify.Open, nil}} {
		t.Run(c.stale.String(), func(t *testing.T) {
			inEmptyHouse(t, c.stale, func(h *house) {
				ctx, stop := h.v.Follow(h.Context(), h.caller())
				defer stop()
				h.streams("at once", ctx, c.dark)
				wait(time.Minute)
				h.streams("a minute later, still without a lease", ctx, c.dark)
				if c.dark != nil {
					return
				}
				h.opens()
				wait(soon)
				h.streams("with a lease", ctx, nil)
				h.log.revoke(revocation.User, "u_2")
				wait(soon)
				h.streams("somebody else was banned", ctx, nil)
				h.log.revoke(revocation.User, "u_01J9ZK3Q8Y")
				wait(soon)
				h.streams("banned", ctx, verify.ErrRevoked)
			})
		})
	}
}

// Whoever was banned before the feed began is put out by its first snapshot.
func TestBannedBeforeTheFirstLeaseLosesTheStream(t *testing.T) {
	inEmptyHouse(t, verify.Open, func(h *house) {
		h.log.revoke(revocation.Session, "s_8Qw3eRt6YuIo1pAs")
		mine, stop := h.v.Follow(h.Context(), h.caller())
		defer stop()
		id, err := h.v.Token(h.Context(), h.token(object{"jti": "t_2", "sid": "s_2"}))
		h.must(err)
		other, stopOther := h.v.Follow(h.Context(), id)
		defer stopOther()
		h.streams("before", mine, nil)
		h.opens()
		wait(soon)
		h.streams("with a lease", mine, verify.ErrRevoked)
		h.streams("somebody else", other, nil)
	})
}

// The issuer changes the secret of its feed: a stream from before is neither put out
// nor out of reach of what is revoked after.
func TestOpenStreamHearsOfRevocationsUnderTheNextSecret(t *testing.T) {
	inHouse(t, verify.Degrade, func(h *house) {
		ctx, stop := h.v.Follow(h.Context(), h.caller())
		defer stop()
		gone, forget := h.v.Follow(h.Context(), h.caller())
		h.log.rekey()
		wait(3 * time.Second)
		h.streams("after the change", ctx, nil)
		forget()
		h.log.revoke(revocation.User, "u_2")
		wait(soon)
		h.streams("somebody else was banned", ctx, nil)
		h.log.revoke(revocation.User, "u_01J9ZK3Q8Y")
		wait(soon)
		h.streams("banned", ctx, verify.ErrRevoked)
		h.streams("stopped before", gone, context.Canceled)
	})
}
