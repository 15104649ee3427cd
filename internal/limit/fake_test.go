package limit_test

import (
	"context"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/limit"
)

// fake is a Store in memory, the shortest that keeps the contract.
type fake struct {
	mu       sync.Mutex
	counters map[string]limit.Counter
}

var _ limit.Store = (*fake)(nil)

func newFake() *fake { return &fake{counters: map[string]limit.Counter{}} }

func (f *fake) Attempt(_ context.Context, rules []limit.Rule, now time.Time) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, wait := limit.Decide(rules, func(key string) limit.Counter { return f.counters[key] }, now)
	for _, c := range next {
		f.counters[c.Key] = c
	}
	return wait, nil
}

func (f *fake) Refund(_ context.Context, success, keep []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range success {
		delete(f.counters, key)
	}
	for _, key := range keep {
		c, found := f.counters[key]
		if !found {
			continue
		}
		c, left := limit.TakeBack(c)
		if left {
			f.counters[key] = c
		} else {
			delete(f.counters, key)
		}
	}
	return nil
}

func (f *fake) PurgeCounters(_ context.Context, before time.Time) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for key, c := range f.counters {
		if c.Last.Before(before) && c.Until.Before(before) {
			delete(f.counters, key)
			n++
		}
	}
	return n, nil
}

func (f *fake) failures(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counters[key].Failures
}
