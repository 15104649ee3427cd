package sqlstore

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/limit"
)

// Attempt implements limit.Store. While a wait runs nothing is written: a flood
// of attempts that are refused anyway costs a read each.
func (s *Store) Attempt(ctx context.Context, rules []limit.Rule, now time.Time) (wait time.Duration, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, wait, err = c.decide(rules, now)
		return err
	})
	if err != nil || wait > 0 {
		return wait, err
	}
	err = s.write(ctx, func(c *conn) error {
		var next []limit.Counter
		if next, wait, err = c.decide(rules, now); err != nil {
			return err
		}
		for _, counter := range next {
			if err := c.putCounter(counter); err != nil {
				return err
			}
		}
		return nil
	})
	return wait, err
}

func (c *conn) decide(rules []limit.Rule, now time.Time) ([]limit.Counter, time.Duration, error) {
	stored := map[string]limit.Counter{}
	for _, r := range rules {
		counter, _, err := c.counter(r.Key)
		if err != nil {
			return nil, 0, err
		}
		stored[r.Key] = counter
	}
	next, wait := limit.Decide(rules, func(key string) limit.Counter { return stored[key] }, now)
	return next, wait, nil
}

func (c *conn) counter(key string) (counter limit.Counter, found bool, err error) {
	found, err = c.one(func(r *row) {
		counter = limit.Counter{Key: key, Failures: int(r.int()), Last: r.time(), Until: r.time()}
	}, "SELECT failures, last_at, until_at FROM attempts WHERE key = $1", key)
	return counter, found, err
}

func (c *conn) putCounter(counter limit.Counter) error {
	_, err := c.exec(`INSERT INTO attempts (key, failures, last_at, until_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, until_at = excluded.until_at`,
		counter.Key, int64(counter.Failures), micros(counter.Last), micros(counter.Until))
	return err
}

// Refund implements limit.Store.
func (s *Store) Refund(ctx context.Context, success, keep []string) error {
	return s.write(ctx, func(c *conn) error {
		for _, key := range success {
			if err := c.dropCounter(key); err != nil {
				return err
			}
		}
		for _, key := range keep {
			if err := c.takeBack(key); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *conn) takeBack(key string) error {
	counter, found, err := c.counter(key)
	if err != nil || !found {
		return err
	}
	counter, found = limit.TakeBack(counter)
	if !found {
		return c.dropCounter(key)
	}
	return c.putCounter(counter)
}

func (c *conn) dropCounter(key string) error {
	_, err := c.exec("DELETE FROM attempts WHERE key = $1", key)
	return err
}

// PurgeCounters implements limit.Store.
func (s *Store) PurgeCounters(ctx context.Context, before time.Time) (int, error) {
	return s.purge(ctx, unlimited, func(c *conn, most int) (int64, error) {
		return c.exec("DELETE FROM attempts WHERE key IN (SELECT key FROM attempts WHERE last_at < $1 AND until_at < $1 LIMIT $2)",
			micros(before), int64(most))
	})
}
