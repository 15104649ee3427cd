package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// own is a store's own sessions as a home.
type own struct{ m *Store }

func (o own) record(s session.Session) session.Record {
	return session.Record{Session: sessionCopy(s), RSN: o.m.head, Leaving: o.m.leaving[s.ID]}
}

// Add implements session.Home.
func (o own) Add(ctx context.Context, r session.Record) error {
	return o.m.write(ctx, func() error {
		if o.m.stale(&revoke.Guard{RSN: r.RSN, Refs: r.Refs()}) {
			return fault.New(fault.Conflict, "The session has ended.")
		}
		return o.m.putSession(r.Session)
	})
}

// BySecret implements session.Home.
func (o own) BySecret(ctx context.Context, d opaque.Digest) (r session.Record, found bool, err error) {
	err = o.m.read(ctx, func() { r, found = o.find(o.m.secrets[d]) })
	return r, found, err
}

// ByID implements session.Home.
func (o own) ByID(ctx context.Context, id string) (r session.Record, found bool, err error) {
	err = o.m.read(ctx, func() { r, found = o.find(id) })
	return r, found, err
}

func (o own) find(id string) (session.Record, bool) {
	s, found := o.m.sessions[id]
	if !found {
		return session.Record{}, false
	}
	return o.record(s), true
}

// Of implements session.Home.
func (o own) Of(ctx context.Context, owner revoke.Ref) (out []session.Record, err error) {
	err = o.m.read(ctx, func() {
		for _, s := range o.m.sessions {
			if owned(s, owner) {
				out = append(out, o.record(s))
			}
		}
	})
	newestFirst(out)
	return out, err
}

func owned(s session.Session, owner revoke.Ref) bool {
	switch owner.Kind {
	case revoke.Session:
		return s.ID == owner.Key
	case revoke.User:
		return s.UserID == owner.Key
	case revoke.Client:
		return owner.Key != "" && s.ClientID == owner.Key
	}
	return false
}

func newestFirst(all []session.Record) {
	slices.SortFunc(all, func(a, b session.Record) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
}

// Renew implements session.Home.
func (o own) Renew(ctx context.Context, old opaque.Digest, next session.Session) (bool, error) {
	return o.m.RenewSession(ctx, old, next, revoke.Effects{})
}

// Touch implements session.Home.
func (o own) Touch(ctx context.Context, touches []session.Touch) (int, error) {
	return o.m.TouchSessions(ctx, touches)
}

// End implements session.Home. Every row was there at the head of the log.
func (o own) End(ctx context.Context, ref revoke.Ref, seq int64) (ids []string, err error) {
	err = o.m.write(ctx, func() error {
		for id, s := range o.m.sessions {
			if owned(s, ref) && o.m.head < seq {
				ids = append(ids, id)
				o.m.dropSession(id)
			}
		}
		return nil
	})
	return ids, err
}

// Purge implements session.Home.
func (o own) Purge(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	err = o.m.write(ctx, func() error {
		for id, s := range o.m.sessions {
			if len(ids) < limit && !s.Live(now) {
				ids = append(ids, id)
				o.m.dropSession(id)
			}
		}
		return nil
	})
	return ids, err
}

// Page implements session.Home: the cursor is the last id.
func (o own) Page(ctx context.Context, cursor string, limit int) (some []session.Record, next string, err error) {
	err = o.m.read(ctx, func() {
		for _, s := range page(o.m.sessions, cursor, limit, sessionCopy) {
			some = append(some, o.record(s))
		}
	})
	if len(some) > 0 && len(some) == limit {
		next = some[len(some)-1].ID
	}
	return some, next, err
}

// Count implements session.Home.
func (o own) Count(ctx context.Context) (n int64, err error) {
	err = o.m.read(ctx, func() { n = int64(len(o.m.sessions)) })
	return n, err
}

// Leave implements session.Home.
func (o own) Leave(ctx context.Context, id string) (r session.Record, found bool, err error) {
	err = o.m.write(ctx, func() error {
		if _, there := o.m.sessions[id]; there {
			o.m.leaving[id] = true
		}
		r, found = o.find(id)
		return nil
	})
	return r, found, err
}

// Risks implements session.Home.
func (own) Risks(context.Context) ([]string, error) {
	return []string{"Sessions are kept in memory: a restart signs everybody out."}, nil
}

// Ping implements session.Home.
func (o own) Ping(ctx context.Context) error { return o.m.Ping(ctx) }

// Close implements session.Home: the store is closed by whoever opened it.
func (own) Close() error { return nil }
