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
	all    map[*watch]struct{}
	byKey  map[uint64]map[*watch]struct{}
	leases map[*watch]struct{}
}

type watch struct {
	of   Subject
	keys Keys // of it, with the secret that the feed has
	rsn  int64
	once sync.Once
	end  func()
}

func (w *watch) fire() { w.once.Do(w.end) }

// Watch calls ended once, when something covers a credential: at once if something
// is known to already. It waits for neither Fresh nor the first snapshot, and goes on
// when the issuer changes its secret. stop forgets it; ended may be under way then.
func (f *Feed) Watch(of Subject, rsn int64, ended func()) (stop func()) {
	w := &watch{of: of, rsn: rsn, end: ended}
	k := f.watches.add(f, w)
	// Only now: what came before is in the set, and what comes after finds the watch. If the
	// secret is another meanwhile, all that is in its set came after.
	if known := f.known.Load(); known != nil && known.generation == k.generation && known.set.Covers(&k, rsn) {
		w.fire()
	}
	return func() { f.watches.remove(w) }
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

// add returns the keys under which the watch stands.
func (ws *watches) add(f *Feed, w *watch) Keys {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all, ws.byKey = map[*watch]struct{}{}, map[uint64]map[*watch]struct{}{}
	}
	ws.all[w] = struct{}{}
	ws.index(w, f.Keys(w.of)) // under the lock: rekey comes before, or finds it
	return w.keys
}

// index puts a watch under its keys: none before the feed has a secret. The caller
// holds mu.
func (ws *watches) index(w *watch, k Keys) {
	w.keys = k
	for _, key := range k.key[:k.n] {
		if ws.byKey[key] == nil {
			ws.byKey[key] = map[*watch]struct{}{}
		}
		ws.byKey[key][w] = struct{}{}
	}
}

// rekey puts all watches under the keys of the secret that the feed has now: entries
// that come would find none of them else.
func (ws *watches) rekey(f *Feed) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	clear(ws.byKey)
	for w := range ws.all {
		ws.index(w, f.Keys(w.of))
	}
}

func (ws *watches) remove(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
	for _, key := range w.keys.key[:w.keys.n] {
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
