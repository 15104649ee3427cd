package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
)

// FeedHead implements feed.Store.
func (s *Store) FeedHead(ctx context.Context) (h feed.Head, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.one(func(r *row) { h = feed.Head{Seq: r.int(), Epoch: r.int(), EagerUntil: r.time(), KeyChanges: r.int()} }, feedHead)
		return err
	})
	return h, err
}

const feedHead = `SELECT k.value, (SELECT value FROM counters WHERE name = 'epoch'), (SELECT value FROM counters WHERE name = 'eager'),
	COALESCE((SELECT value FROM counters WHERE name = 'keys'), 0)
	FROM counters AS k WHERE k.name = 'revocations'`

// AwaitRevocations implements feed.Store.
func (s *Store) AwaitRevocations(ctx context.Context, after int64) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.listen()
	rung := s.bell.next() // before the look: what comes after it rings
	head, err := s.position(ctx)
	if err != nil || head > after {
		return err
	}
	select {
	case <-rung:
		return s.usable(ctx)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

// position is the log's, from memory where nobody else writes.
func (s *Store) position(ctx context.Context) (int64, error) {
	if v := s.latest(); v != nil {
		return v.head, nil
	}
	return s.Head(ctx)
}

// WantAcks implements feed.Store.
func (s *Store) WantAcks(ctx context.Context, until time.Time) error {
	return s.write(ctx, func(c *conn) error {
		n, err := c.exec("UPDATE counters SET value = $1 WHERE name = 'eager' AND value < $1", micros(until))
		c.rings = c.rings || n > 0
		return err
	})
}

// RaiseEpoch implements feed.Store.
func (s *Store) RaiseEpoch(ctx context.Context, from, least int64) (bool, error) {
	err := s.write(ctx, func(c *conn) error {
		if err := once(c.exec("UPDATE counters SET value = value + 1 WHERE name = 'epoch' AND value = $1", from)); err != nil {
			return err
		}
		c.rings = true
		_, err := c.exec("UPDATE counters SET value = $1 WHERE name = 'revocations' AND value < $1", least)
		return err
	})
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, err
}

const verifierColumns = "id, kind, client_id, name, audience, policy, version, registered, epoch, applied, staleness, entries, node, seen"

// verifier takes the next columns, verifierColumns.
func (r *row) verifier() feed.Verifier {
	v := feed.Verifier{
		ID: r.text(), Kind: feed.Part(r.text()), ClientID: r.text(), Name: r.text(), Audience: r.text(), Policy: r.text(), Version: r.text(),
		Registered: r.time(), Note: feed.Note{
			Epoch: r.int(), Applied: r.int(), Staleness: time.Duration(r.int()), Entries: r.int(), Node: r.text(), Seen: r.time(),
		},
	}
	v.Note.ID = v.ID
	return v
}

// AddVerifier implements feed.Store.
func (s *Store) AddVerifier(ctx context.Context, v feed.Verifier) error {
	return s.write(ctx, func(c *conn) error {
		n, err := c.exec("INSERT INTO verifiers ("+verifierColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
				ON CONFLICT DO NOTHING`,
			v.ID, string(v.Kind), v.ClientID, v.Name, v.Audience, v.Policy, v.Version, micros(v.Registered),
			v.Epoch, v.Applied, int64(v.Staleness), v.Entries, v.Node, micros(v.Seen))
		return free("verifier id", n, err)
	})
}

// NoteVerifiers implements feed.Store. How far somebody has come only grows; the
// rest is of the later note.
func (s *Store) NoteVerifiers(ctx context.Context, notes []feed.Note) error {
	if len(notes) == 0 {
		return s.usable(ctx)
	}
	all := make([][]any, len(notes))
	for i, n := range notes {
		all[i] = []any{n.ID, n.Epoch, n.Applied, int64(n.Staleness), n.Entries, n.Node, micros(n.Seen)}
	}
	return s.write(ctx, func(c *conn) error {
		_, err := c.many(`UPDATE verifiers SET
				applied = CASE WHEN $2 > epoch OR $2 = epoch AND $3 > applied THEN $3 ELSE applied END,
				epoch = CASE WHEN $2 > epoch THEN $2 ELSE epoch END,
				staleness = CASE WHEN $7 >= seen THEN $4 ELSE staleness END,
				entries = CASE WHEN $7 >= seen THEN $5 ELSE entries END,
				node = CASE WHEN $7 >= seen THEN $6 ELSE node END,
				seen = CASE WHEN $7 >= seen THEN $7 ELSE seen END
			WHERE id = $1`, all)
		return err
	})
}

// Verifiers implements feed.Store.
func (s *Store) Verifiers(ctx context.Context) ([]feed.Verifier, error) {
	all, err := list(ctx, s.database, (*row).verifier, "SELECT "+verifierColumns+" FROM verifiers")
	slices.SortFunc(all, func(a, b feed.Verifier) int {
		return cmp.Or(a.Registered.Compare(b.Registered), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// RemoveVerifiers implements feed.Store.
func (s *Store) RemoveVerifiers(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return s.usable(ctx)
	}
	return s.write(ctx, func(c *conn) error {
		_, err := c.many("DELETE FROM verifiers WHERE id = $1", argsOf(ids))
		return err
	})
}

// PurgeVerifiers implements feed.Store.
func (s *Store) PurgeVerifiers(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.purge(ctx, limit, func(c *conn, most int) (int64, error) {
		return c.exec("DELETE FROM verifiers WHERE id IN (SELECT id FROM verifiers WHERE seen < $1 LIMIT $2)", micros(before), int64(most))
	})
}
