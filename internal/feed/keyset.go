package feed

import (
	"context"
	"sync/atomic"
)

// keySet is which key set this node publishes, as verifiers are told: so that they
// know a new key before a token shows it.
type keySet struct {
	changes int64         // Head.KeyChanges as it was last; only who reads the log looks
	news    chan struct{} // one place: the keys may be others
	version atomic.Pointer[string]
}

func newKeySet() *keySet { return &keySet{changes: -1, news: make(chan struct{}, 1)} }

// note takes from the head that keys were changed, by whichever node.
func (k *keySet) note(changes int64) {
	if changes != k.changes {
		k.changes = changes
		pull(k.news)
	}
}

// now is "" before the keys were read.
func (k *keySet) now() string {
	if v := k.version.Load(); v != nil {
		return *v
	}
	return ""
}

// watchKeys reads the keys when they were changed. It does so beside the reading of
// the log: leases do not wait for somebody who makes a key.
func (h *Hub) watchKeys(ctx context.Context) {
	for failing := false; ; {
		select {
		case <-h.keySet.news:
		case <-ctx.Done():
			return
		}
		if h.KeySet == nil {
			continue
		}
		version, err := h.KeySet(ctx)
		if err != nil && ctx.Err() == nil {
			if !failing {
				h.Log.Error("the signing keys cannot be read: verifiers are not told of changes", "error", err)
			}
			failing = true
			pull(h.keySet.news)
			pause(ctx, idlePoll, nil)
			continue
		}
		failing = false
		if err == nil && version != h.keySet.now() {
			h.keySet.version.Store(&version)
			h.ring.poke()
		}
	}
}
