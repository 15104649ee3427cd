package memory

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/limit"
)

// Attempt implements limit.Store.
func (m *Store) Attempt(ctx context.Context, rules []limit.Rule, now time.Time) (wait time.Duration, err error) {
	err = m.write(ctx, func() error {
		var next []limit.Counter
		next, wait = limit.Decide(rules, func(key string) limit.Counter { return m.counters[key] }, now)
		for _, c := range next {
			c.Last, c.Until = when(c.Last), when(c.Until)
			m.counters[c.Key] = c
		}
		return nil
	})
	return wait, err
}

// Refund implements limit.Store.
func (m *Store) Refund(ctx context.Context, success, keep []string) error {
	return m.write(ctx, func() error {
		for _, key := range success {
			delete(m.counters, key)
		}
		for _, key := range keep {
			c, found := m.counters[key]
			if !found {
				continue
			}
			if c, found = limit.TakeBack(c); !found {
				delete(m.counters, key)
				continue
			}
			c.Last, c.Until = when(c.Last), when(c.Until)
			m.counters[key] = c
		}
		return nil
	})
}

// PurgeCounters implements limit.Store.
func (m *Store) PurgeCounters(ctx context.Context, before time.Time) (n int, err error) {
	err = m.write(ctx, func() error {
		for key, c := range m.counters {
			if c.Last.Before(before) && c.Until.Before(before) {
				delete(m.counters, key)
				n++
			}
		}
		return nil
	})
	return n, err
}
