package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

const sessionColumns = "s.id, s.secret, s.user_id, s.client_id, s.created_at, s.auth_time, s.amr, s.seen_at, s.idle_until, s.expires_at, s.address, s.agent, s.binding"

// session takes the next columns, sessionColumns.
func (r *row) session() session.Session {
	return session.Session{
		ID: r.text(), Secret: r.digest(), UserID: r.text(), ClientID: r.text(), CreatedAt: r.time(), AuthTime: r.time(),
		AMR: r.list(), SeenAt: r.time(), IdleUntil: r.time(), ExpiresAt: r.time(), Address: r.text(), Agent: r.text(), Binding: r.text(),
	}
}

const sessionWidth = 13

// StartSession implements session.Store.
func (s *Store) StartSession(ctx context.Context, one session.Session, fx revoke.Effects) error {
	return s.insist(ctx, fx, func(c *conn) error { return c.putSession(one) })
}

func (c *conn) putSession(one session.Session) error {
	n, err := c.exec("INSERT INTO sessions "+sessionValues(""), sessionArgs(one)...)
	return free("session id or secret", n, err)
}

// SessionBySecret implements session.Store.
func (s *Store) SessionBySecret(ctx context.Context, d opaque.Digest) (one session.Session, rsn int64, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.one(func(r *row) {
			rsn = r.int()
			if found = !r.missing(); found {
				one = r.session()
			}
		}, "SELECT k.value, "+sessionColumns+" FROM counters AS k LEFT JOIN sessions AS s ON s.secret = $1 WHERE k.name = 'revocations'", d[:])
		return err
	})
	return one, rsn, found, err
}

// SessionByID implements session.Store.
func (s *Store) SessionByID(ctx context.Context, id string) (one session.Session, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) { one = r.session() }, "SELECT "+sessionColumns+" FROM sessions AS s WHERE s.id = $1", id)
		return err
	})
	return one, found, err
}

// SessionsOf implements session.Store.
func (s *Store) SessionsOf(ctx context.Context, userID string) ([]session.Session, error) {
	all, err := list(ctx, s.database, (*row).session, "SELECT "+sessionColumns+" FROM sessions AS s WHERE s.user_id = $1", userID)
	slices.SortFunc(all, newest)
	return all, err
}

// RenewSession implements session.Store.
func (s *Store) RenewSession(ctx context.Context, old opaque.Digest, next session.Session, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error { return c.renew(&inTruth, old, next) })
}

// TouchSessions implements session.Store.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch) (n int, err error) {
	err = s.write(ctx, func(c *conn) error {
		n, err = c.touch(&inTruth, touches)
		return err
	})
	return n, err
}

// PurgeSessions implements session.Store.
func (s *Store) PurgeSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.purge(ctx, limit, func(c *conn, most int) (int64, error) {
		ids, err := c.ids(inTruth.dead, micros(now), hour(now), int64(most))
		if err != nil {
			return 0, err
		}
		args := argsOf(ids)
		for _, query := range ends[revoke.Session] {
			if _, err := c.many(query, args); err != nil {
				return 0, err
			}
		}
		return int64(len(ids)), nil
	})
}
