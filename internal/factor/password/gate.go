package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// BusyError says that the gate would not let a caller in, or not in time. Nothing
// was computed.
type BusyError struct {
	RetryAfter time.Duration // whole seconds, at least one
}

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("too many passwords are being hashed, retry in %v", e.RetryAfter)
}

type lane int

const (
	others lane = iota
	known
)

// gate lets a fixed number of callers compute at once and a bounded number wait.
type gate struct {
	workers int
	places  [2]int // each lane's length
	maxWait time.Duration
	now     func() time.Time

	mu      sync.Mutex
	running int
	waiting [2][]*waiter // oldest first
	turn    lane         // whose turn it is when both lanes wait
	cost    time.Duration
	shed    uint64
}

type waiter struct {
	ready chan struct{} // closed when a worker's slot is handed over
	since time.Time
	lane  lane
}

// enter waits for a slot, at most within. After nil the caller must leave.
func (g *gate) enter(ctx context.Context, l lane, within time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := g.queue(l)
	if w == nil {
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	return g.giveUp(w, err)
}

// queue takes a free slot (nil, nil), a place in the lane, or neither.
func (g *gate) queue(l lane) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running < g.workers {
		g.running++
		return nil, nil
	}
	patience := g.maxWait
	if l == others {
		patience /= 2
	}
	if len(g.waiting[l]) >= g.places[l] || g.expected(l) > patience {
		return nil, g.busy(l)
	}
	w := &waiter{ready: make(chan struct{}), since: g.now(), lane: l}
	g.waiting[l] = append(g.waiting[l], w)
	return w, nil
}

// tryEnter takes a slot only if one is idle.
func (g *gate) tryEnter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running >= g.workers {
		return g.busy(others)
	}
	g.running++
	return nil
}

// giveUp takes a waiter out of its lane. With a nil cause its time was over.
func (g *gate) giveUp(w *waiter, cause error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting[w.lane], w)
	if i < 0 && cause == nil {
		return nil // the slot came in the same moment as the end of the wait
	}
	if i < 0 {
		g.handOver()
		return cause
	}
	g.waiting[w.lane] = slices.Delete(g.waiting[w.lane], i, i+1)
	if cause == nil {
		return g.busy(w.lane)
	}
	return cause
}

// leave frees a slot after a computation that took so long.
func (g *gate) leave(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cost = max((7*g.cost+took)/8, time.Microsecond)
	g.handOver()
}

// handOver passes a slot to the next waiter, or frees it. Callers hold mu.
func (g *gate) handOver() {
	l := g.turn
	if len(g.waiting[l]) == 0 {
		l = 1 - l
	}
	queue := g.waiting[l]
	if len(queue) == 0 {
		g.running--
		return
	}
	g.turn = 1 - l
	i := 0
	if l == others && g.now().Sub(queue[0].since) > g.maxWait*3/4 {
		i = len(queue) - 1
	}
	next := queue[i]
	g.waiting[l] = slices.Delete(queue, i, i+1)
	close(next.ready)
}

// expected is how long a newcomer to the lane will wait: those before it in its
// own lane, as many turns of the other lane as come between, and the hashes that
// run now. Callers hold mu.
func (g *gate) expected(l lane) time.Duration {
	own, other := len(g.waiting[l]), len(g.waiting[1-l])
	before := own + min(own+1, other)
	return g.cost * time.Duration(before+g.workers) / time.Duration(g.workers)
}

// busy counts and words a refusal. Callers hold mu.
func (g *gate) busy(l lane) error {
	g.shed++
	wait := g.expected(l)
	return &BusyError{RetryAfter: max((wait + time.Second - 1).Truncate(time.Second), time.Second)}
}
