package records

import (
	"cmp"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Kept returns a copy of a record as it is kept: times to the microsecond, in
// UTC.
func Kept(r session.Record) session.Record {
	r.AMR = slices.Clone(r.AMR)
	for _, t := range []*time.Time{&r.CreatedAt, &r.AuthTime, &r.SeenAt, &r.IdleUntil, &r.ExpiresAt} {
		*t = when(*t)
	}
	return r
}

// Copy returns a copy that shares nothing with the record.
func Copy(r *session.Record) session.Record {
	c := *r
	c.AMR = slices.Clone(r.AMR)
	return c
}

func when(t time.Time) time.Time { return t.Truncate(time.Microsecond).UTC() }

// Renewed returns what a renewal makes of a record, and whether it is allowed:
// see session.Home. It does not know who else has the secret.
func Renewed(r *session.Record, old opaque.Digest, next session.Session) (session.Record, bool) {
	if r.ID != next.ID || r.Leaving || !r.Secret.Equal(old) || !r.Live(next.SeenAt) {
		return session.Record{}, false
	}
	c := *r
	c.Secret, c.AuthTime, c.AMR, c.SeenAt, c.IdleUntil = next.Secret, next.AuthTime, next.AMR, next.SeenAt, next.IdleUntil
	return Kept(c), true
}

// Touched returns what a use makes of a record, whether that changes it, and
// whether the record was live for it: see session.Home.
func Touched(r *session.Record, t session.Touch) (touched session.Record, changed, live bool) {
	seen, idleUntil := when(t.Seen), when(t.IdleUntil)
	if r.Leaving || !r.Live(seen) {
		return session.Record{}, false, false
	}
	c := *r
	if seen.After(c.SeenAt) {
		c.SeenAt, changed = seen, true
	}
	if idleUntil.After(c.IdleUntil) {
		c.IdleUntil, changed = idleUntil, true
	}
	return c, changed, true
}

// Covers reports whether an entry of the log for ref, at position seq, ends the
// record.
func Covers(ref revoke.Ref, seq int64, r *session.Record) bool {
	if r.RSN >= seq {
		return false
	}
	switch ref.Kind {
	case revoke.Session:
		return r.ID == ref.Key
	case revoke.User:
		return r.UserID == ref.Key
	case revoke.Client:
		return ref.Key != "" && r.ClientID == ref.Key
	}
	return false
}

// newestFirst returns copies in the order of session.Home.Of, each id once.
func newestFirst(some []*session.Record) []session.Record {
	slices.SortFunc(some, func(a, b *session.Record) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	var out []session.Record
	for _, r := range some {
		if len(out) == 0 || out[len(out)-1].ID != r.ID {
			out = append(out, Copy(r))
		}
	}
	return out
}
