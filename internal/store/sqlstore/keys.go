package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Keys implements keyring.Store.
func (s *Store) Keys(ctx context.Context) ([]keyring.Record, error) {
	return list(ctx, s.database, (*row).key, `SELECT id, api_id, alg, state, created_at, active_at, retired_at, removed_at, read_at, public, sealed
		FROM keys ORDER BY created_at, id`)
}

func (r *row) key() keyring.Record {
	return keyring.Record{
		ID: r.text(), API: r.text(), Alg: jose.Algorithm(r.text()), State: keyring.State(r.text()), CreatedAt: r.time(),
		ActiveAt: r.time(), RetiredAt: r.time(), RemovedAt: r.time(), ReadAt: r.time(), Public: r.bytes(), Sealed: r.bytes(),
	}
}

// ChangeKeys implements keyring.Store.
func (s *Store) ChangeKeys(ctx context.Context, add []keyring.Record, moves []keyring.Move, fx revoke.Effects) (bool, error) {
	// Keys that stop being active go first, so that no API ever has two.
	moves = slices.Clone(moves)
	slices.SortStableFunc(moves, func(a, b keyring.Move) int {
		switch {
		case a.From == keyring.Active && b.From != keyring.Active:
			return -1
		case a.From != keyring.Active && b.From == keyring.Active:
			return 1
		}
		return 0
	})
	return s.report(ctx, fx, func(c *conn) error {
		for _, m := range moves {
			if err := c.moveKey(m); err != nil {
				return err
			}
		}
		for _, k := range add {
			if err := c.addKey(k); err != nil {
				return err
			}
		}
		return c.keysChanged()
	})
}

// keysChanged tells every hub that there is another key set.
func (c *conn) keysChanged() error {
	_, err := c.exec(`INSERT INTO counters (name, value) VALUES ('keys', 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1`)
	c.rings = c.rings || err == nil
	return err
}

// moveKeyTo says, for each state, what becomes of a key that comes into it.
var moveKeyTo = map[keyring.State]string{
	keyring.Announced: "UPDATE keys SET state = $3 WHERE id = $1 AND state = $2 AND CAST($4 AS BIGINT) = CAST($4 AS BIGINT)",
	keyring.Retired:   "UPDATE keys SET state = $3, retired_at = $4 WHERE id = $1 AND state = $2",
	keyring.Removed:   "UPDATE keys SET state = $3, removed_at = $4, sealed = NULL WHERE id = $1 AND state = $2",
	keyring.Active: `UPDATE keys SET state = $3, active_at = $4 WHERE id = $1 AND state = $2
		AND NOT EXISTS (SELECT 1 FROM keys AS other WHERE other.api_id = keys.api_id AND other.state = 'active' AND other.id <> $1)`,
}

func (c *conn) moveKey(m keyring.Move) error {
	query, known := moveKeyTo[m.To]
	if !known {
		return errRefused
	}
	return once(c.exec(query, m.ID, string(m.From), string(m.To), micros(m.At)))
}

func (c *conn) addKey(k keyring.Record) error {
	if k.State == keyring.Active {
		n, err := c.number("SELECT count(*) FROM keys WHERE api_id = $1 AND state = 'active'", k.API)
		if err != nil {
			return err
		}
		if n > 0 {
			return errRefused
		}
	}
	n, err := c.exec(`INSERT INTO keys (id, api_id, alg, state, created_at, active_at, retired_at, removed_at, read_at, public, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
		k.ID, k.API, string(k.Alg), string(k.State), micros(k.CreatedAt), micros(k.ActiveAt), micros(k.RetiredAt), micros(k.RemovedAt),
		micros(k.ReadAt), blob(k.Public), blob(k.Sealed))
	return free("key id", n, err)
}

// MarkRead implements keyring.Store.
func (s *Store) MarkRead(ctx context.Context, kid string, at time.Time, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		return once(c.exec("UPDATE keys SET read_at = $2 WHERE id = $1 AND read_at = $3", kid, micros(at), micros(time.Time{})))
	})
}
