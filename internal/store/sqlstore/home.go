package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// OpenSessions opens a database that holds sessions and nothing else, makes its
// table when it is not there and brings an older one up to date. A file that is
// open already is ErrLocked; a server serves any number. Close it.
func OpenSessions(ctx context.Context, c Config) (session.Home, error) {
	if c.URL == "" {
		d, err := openFile(ctx, c, apartFile)
		if err != nil {
			return nil, err
		}
		go d.writer.loop()
		return apart{home{d, &inApart}}, nil
	}
	d, err := openFar(ctx, c, apartFar)
	if err != nil {
		return nil, err
	}
	if err := d.fill(nil); err != nil {
		return nil, errors.Join(err, d.release())
	}
	return apart{home{d, &inApart}}, nil
}

// home is a table of sessions as session.Home. With a server each change is one
// statement and needs no lock but those of its rows, which are taken in the order
// of their ids.
type home struct {
	*database
	t *table
}

// BySecret implements session.Home.
func (h home) BySecret(ctx context.Context, d opaque.Digest) (session.Record, bool, error) {
	return h.find(ctx, h.t.bySecret, d[:])
}

// ByID implements session.Home.
func (h home) ByID(ctx context.Context, id string) (session.Record, bool, error) {
	return h.find(ctx, h.t.byID, id)
}

func (h home) find(ctx context.Context, query string, key any) (r session.Record, found bool, err error) {
	err = h.read(ctx, func(c *conn) error {
		found, err = c.one(func(row *row) { r = row.record() }, query, key)
		return err
	})
	return r, found, err
}

// Of implements session.Home.
func (h home) Of(ctx context.Context, owner revoke.Ref) ([]session.Record, error) {
	query := map[revoke.Kind]string{revoke.Session: h.t.byID, revoke.User: h.t.ofUser, revoke.Client: h.t.ofClient}[owner.Kind]
	if query == "" {
		return nil, h.usable(ctx)
	}
	all, err := list(ctx, h.database, (*row).record, query, owner.Key)
	slices.SortFunc(all, func(a, b session.Record) int { return newest(a.Session, b.Session) })
	return all, err
}

// Renew implements session.Home.
func (h home) Renew(ctx context.Context, old opaque.Digest, next session.Session) (bool, error) {
	err := h.write(ctx, func(c *conn) error { return c.renew(h.t, old, next) })
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, err
}

// Touch implements session.Home.
func (h home) Touch(ctx context.Context, touches []session.Touch) (n int, err error) {
	err = h.write(ctx, func(c *conn) error {
		n, err = c.touch(h.t, touches)
		return err
	})
	return n, err
}

// End implements session.Home.
func (h home) End(ctx context.Context, ref revoke.Ref, seq int64) ([]string, error) {
	find := map[revoke.Kind]string{revoke.Session: h.t.endID, revoke.User: h.t.endUser, revoke.Client: h.t.endClient}[ref.Kind]
	if find == "" {
		return nil, h.usable(ctx)
	}
	return h.drop(ctx, unlimited, h.t.dropBefore, seq, func(c *conn, most int64) ([]string, error) {
		return c.ids(find, ref.Key, seq, most)
	})
}

// Purge implements session.Home.
func (h home) Purge(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return h.drop(ctx, limit, h.t.dropDead, micros(now), func(c *conn, most int64) ([]string, error) {
		return c.ids(h.t.dead, micros(now), hour(now), most)
	})
}

// drop removes at most limit of the records that find gives, a few at a time. Each
// must still be as what says with bound, and the ids of those that were come back,
// also those of before an error.
func (h home) drop(
	ctx context.Context, limit int, what string, bound int64, find func(c *conn, most int64) ([]string, error),
) (gone []string, err error) {
	for len(gone) < limit {
		most := min(step, limit-len(gone))
		var ids, some []string
		err := h.read(ctx, func(c *conn) (err error) {
			ids, err = find(c, int64(most))
			return err
		})
		if err != nil || len(ids) == 0 {
			return gone, err
		}
		err = h.write(ctx, func(c *conn) (err error) {
			some, err = c.removeEach(what, ids, bound)
			return err
		})
		if err != nil {
			return gone, err
		}
		gone = append(gone, some...)
		if len(ids) < most {
			return gone, nil
		}
	}
	return gone, nil
}

// Page implements session.Home: the cursor is a mark and the last id, which may be
// empty.
func (h home) Page(ctx context.Context, cursor string, limit int) (some []session.Record, next string, err error) {
	const mark = "+"
	query := h.t.page
	after, begun := strings.CutPrefix(cursor, mark)
	if !begun {
		query, after = h.t.first, ""
	}
	some, err = list(ctx, h.database, (*row).record, query, after, atMost(limit))
	if err == nil && len(some) > 0 && len(some) == limit {
		next = mark + some[len(some)-1].ID
	}
	return some, next, err
}

// Count implements session.Home.
func (h home) Count(ctx context.Context) (n int64, err error) {
	err = h.read(ctx, func(c *conn) error {
		n, err = c.number(h.t.count)
		return err
	})
	return n, err
}

// Leave implements session.Home. What is leaving changes no more, so what is read
// after the change is what it made.
func (h home) Leave(ctx context.Context, id string) (session.Record, bool, error) {
	err := h.write(ctx, func(c *conn) error {
		_, err := c.exec(h.t.leave, id)
		return err
	})
	if err != nil {
		return session.Record{}, false, err
	}
	return h.ByID(ctx, id)
}

// Risks implements session.Home: what the settings of a server put at risk.
func (h home) Risks(ctx context.Context) ([]string, error) {
	if h.engine.alone() {
		return nil, h.usable(ctx)
	}
	all, err := list(ctx, h.database, func(r *row) string { return risks[r.text()] },
		"SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("look at the server's settings: %w", err)
	}
	return all, nil
}

var risks = map[string]string{
	"fsync":              "PostgreSQL runs with fsync off: a crash of its machine can lose or damage everything.",
	"full_page_writes":   "PostgreSQL runs with full_page_writes off: a crash of its machine can damage pages beyond repair.",
	"synchronous_commit": "PostgreSQL runs with synchronous_commit off: a crash can lose what was just acknowledged.",
}

// removeEach removes records, in the order of their ids.
func (c *conn) removeEach(what string, ids []string, bound int64) (gone []string, err error) {
	slices.Sort(ids)
	all := make([][]any, len(ids))
	for i, id := range ids {
		all[i] = []any{id, bound}
	}
	counts, err := c.many(what, all)
	for i, n := range counts {
		if n > 0 {
			gone = append(gone, ids[i])
		}
	}
	return gone, err
}

// apart is a home in a database of its own.
type apart struct{ home }

// Add implements session.Home.
func (a apart) Add(ctx context.Context, r session.Record) error {
	return a.write(ctx, func(c *conn) error {
		n, err := c.exec("INSERT INTO apart_sessions "+sessionValues("rsn"), append(sessionArgs(r.Session), r.RSN)...)
		return free("session id or secret", n, err)
	})
}

// Ping implements session.Home. It reads, and writes for real.
func (a apart) Ping(ctx context.Context) error {
	if err := a.read(ctx, func(c *conn) error { _, err := c.number("SELECT id FROM apart_tries"); return err }); err != nil {
		return err
	}
	return a.write(ctx, func(c *conn) error {
		_, err := c.exec("UPDATE apart_tries SET id = id")
		return err
	})
}

// Sessions implements store.Truth.
func (s *Store) Sessions() session.Home { return own{home{s.database, &inTruth}, s} }

// own is a store's own sessions as a home.
type own struct {
	home
	s *Store
}

// Add implements session.Home.
func (o own) Add(ctx context.Context, r session.Record) error {
	ok, err := o.s.report(ctx, revoke.Effects{Guard: &revoke.Guard{RSN: r.RSN, Refs: r.Refs()}}, func(c *conn) error {
		return c.putSession(r.Session)
	})
	if err == nil && !ok {
		return fault.New(fault.Conflict, "The session has ended.")
	}
	return err
}

// Ping implements session.Home.
func (o own) Ping(ctx context.Context) error { return o.s.Ping(ctx) }

// Close implements session.Home: the store is closed by whoever opened it.
func (own) Close() error { return nil }
