package feed

import (
	"context"
	"sync"
	"time"
)

// moment is one moment by two clocks.
type moment struct {
	mono time.Duration
	wall time.Time
}

// clock tells how long something is ago by the clock that says more: one may be
// set back, the other may stand still while a machine sleeps.
type clock struct {
	now     func() time.Time
	elapsed func() time.Duration
}

func newClock(now func() time.Time, elapsed func() time.Duration) clock {
	if elapsed == nil {
		start := now()
		elapsed = func() time.Duration { return now().Sub(start) }
	}
	return clock{now: now, elapsed: elapsed}
}

func (c clock) moment() moment {
	return moment{mono: c.elapsed(), wall: c.now().Round(0)}
}

func (c clock) since(m moment) time.Duration { return c.moment().after(m) }

// after is how long m is after another, 0 if it is before it.
func (m moment) after(other moment) time.Duration {
	return max(m.mono-other.mono, m.wall.Sub(other.wall), 0)
}

// gate is a lock that one can stop waiting for.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// pull rings a bell that has one place: it need not ring twice.
func pull(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// pause waits, or ends early: with false when ctx did.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
		return false
	}
	return true
}

// gauge counts who is here, and knows when somebody was last.
type gauge struct {
	mu    sync.Mutex
	count int
	last  time.Duration
	ever  bool
}

func (g *gauge) add(n int, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count += n
	g.last, g.ever = now, true
}

func (g *gauge) busy(now, within time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count > 0 || g.ever && now-g.last < within
}
