package revocation

import (
	"context"
	"math"
	"sync"
	"time"
)

// watches are those who want to know when something covers a credential, or when
// the lease ends.
type watches struct {
	mu     sync.Mutex
	byKey  map[uint64]map[*watch]struct{}
	leases map[*watch]struct{}
}

type watch struct {
	rsn  int64
	once sync.Once
	end  func()
}

func (w *watch) fire() { w.once.Do(w.end) }

// Watch calls ended once, when something covers a credential: at once if something
// does already. It does not wait for Fresh. stop forgets it; ended may be under
// way then.
func (f *Feed) Watch(k Keys, rsn int64, ended func()) (stop func()) {
	w := &watch{rsn: rsn, end: ended}
	f.watches.add(k, w)
	// Only now: what came before is in the set, and what comes after finds the watch.
	if known := f.known.Load(); known == nil || known.generation != k.generation || known.set.Covers(&k, rsn) {
		w.fire()
	}
	return func() { f.watches.remove(k, w) }
}

// WatchLease calls ended once, when the feed's answers may no longer be relied on:
// at once if they may not be now.
func (f *Feed) WatchLease(ended func()) (stop func()) {
	w := &watch{end: ended}
	f.watches.mu.Lock()
	if f.watches.leases == nil {
		f.watches.leases = map[*watch]struct{}{}
	}
	f.watches.leases[w] = struct{}{}
	f.watches.mu.Unlock()
	if !f.Fresh(f.c.Now()) {
		w.fire()
	}
	return func() {
		f.watches.mu.Lock()
		defer f.watches.mu.Unlock()
		delete(f.watches.leases, w)
	}
}

func (ws *watches) add(k Keys, w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byKey == nil {
		ws.byKey = map[uint64]map[*watch]struct{}{}
	}
	for _, key := range k.key[:k.n] {
		if ws.byKey[key] == nil {
			ws.byKey[key] = map[*watch]struct{}{}
		}
		ws.byKey[key][w] = struct{}{}
	}
}

func (ws *watches) remove(k Keys, w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, key := range k.key[:k.n] {
		delete(ws.byKey[key], w)
		if len(ws.byKey[key]) == 0 {
			delete(ws.byKey, key)
		}
	}
}

// covered lists whom to tell of an entry that is in the set now.
func (ws *watches) covered(e Entry) (ended []func()) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.byKey[e.Key] {
		if e.covers() > w.rsn || e.covers() == math.MaxInt64 {
			ended = append(ended, w.fire)
		}
	}
	return ended
}

// guard tells those who wait for the end of the lease. It looks at least as often
// as guardEvery: timers stand still while a machine is suspended.
func (ws *watches) guard(ctx context.Context, f *Feed) {
	t := time.NewTimer(guardEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			ws.tell()
			return
		case <-t.C:
		}
		left := f.left()
		if left <= 0 {
			ws.tell()
			left = guardEvery
		}
		t.Reset(min(left, guardEvery))
	}
}

const guardEvery = 250 * time.Millisecond

// left is how long the lease still runs, and a moment: it ends after that.
func (f *Feed) left() time.Duration {
	l := f.lease.Load()
	if l == nil {
		return 0
	}
	return l.longest - l.staleness(f.c.Now(), f.ran()) + time.Nanosecond
}

func (ws *watches) tell() {
	ws.mu.Lock()
	all := make([]*watch, 0, len(ws.leases))
	for w := range ws.leases {
		all = append(all, w)
	}
	clear(ws.leases)
	ws.mu.Unlock()
	for _, w := range all {
		w.fire()
	}
}
