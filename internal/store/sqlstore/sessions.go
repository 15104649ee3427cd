package sqlstore

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
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
	return s.insist(ctx, fx, func(c *conn) error {
		n, err := c.exec(`INSERT INTO sessions (id, secret, user_id, client_id, created_at, auth_time, amr, seen_at, idle_until,
				expires_at, dead_at, address, agent, binding)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
			one.ID, one.Secret[:], one.UserID, one.ClientID, micros(one.CreatedAt), micros(one.AuthTime), list(one.AMR), micros(one.SeenAt),
			micros(one.IdleUntil), micros(one.ExpiresAt), min(micros(one.IdleUntil), micros(one.ExpiresAt)), one.Address, one.Agent, one.Binding)
		return free("session id or secret", n, err)
	})
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
func (s *Store) SessionsOf(ctx context.Context, userID string) (out []session.Session, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(func(r *row) error {
			out = append(out, r.session())
			return nil
		}, "SELECT "+sessionColumns+" FROM sessions AS s WHERE s.user_id = $1 ORDER BY s.created_at DESC, s.id DESC", userID)
	})
	return out, err
}

// RenewSession implements session.Store.
func (s *Store) RenewSession(ctx context.Context, old opaque.Digest, next session.Session, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		others, err := c.number("SELECT count(*) FROM sessions WHERE secret = $1 AND id <> $2", next.Secret[:], next.ID)
		if err != nil {
			return err
		}
		if others > 0 {
			return fault.New(fault.Conflict, "The session secret is taken.")
		}
		idle := micros(next.IdleUntil)
		return once(c.exec(`UPDATE sessions SET secret = $3, auth_time = $4, amr = $5, seen_at = $6, idle_until = $7,
				dead_at = CASE WHEN $7 < expires_at THEN $7 ELSE expires_at END
			WHERE id = $1 AND secret = $2 AND dead_at > $6`,
			next.ID, old[:], next.Secret[:], micros(next.AuthTime), list(next.AMR), micros(next.SeenAt), idle))
	})
}

// TouchSessions implements session.Store.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch) (n int, err error) {
	err = s.write(ctx, func(c *conn) error {
		n = 0
		for _, t := range touches {
			one, err := c.touch(t)
			if err != nil {
				return err
			}
			n += int(one)
		}
		return nil
	})
	return n, err
}

func (c *conn) touch(t session.Touch) (int64, error) {
	return c.exec(`UPDATE sessions SET
			seen_at = CASE WHEN seen_at < $2 THEN $2 ELSE seen_at END,
			idle_until = CASE WHEN idle_until < $3 THEN $3 ELSE idle_until END,
			dead_at = CASE WHEN $3 <= dead_at THEN dead_at WHEN $3 < expires_at THEN $3 ELSE expires_at END
		WHERE id = $1 AND dead_at > $2`, t.ID, micros(t.Seen), micros(t.IdleUntil))
}

// PurgeSessions implements session.Store.
func (s *Store) PurgeSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.purge(ctx, limit, func(c *conn, most int) (int64, error) {
		var ids []string
		err := c.each(func(r *row) error {
			ids = append(ids, r.text())
			return nil
		}, "SELECT id FROM sessions WHERE dead_at <= $1 ORDER BY dead_at LIMIT $2", micros(now), int64(most))
		if err != nil {
			return 0, err
		}
		for _, id := range ids {
			if err := c.end(revoke.Session, id); err != nil {
				return 0, err
			}
		}
		return int64(len(ids)), nil
	})
}
