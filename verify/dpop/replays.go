package dpop

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// Replays remembers which proofs were shown. A service of several nodes gives all of
// them one that they share, or accepts that a proof counts once on each.
type Replays interface {
	// First reports whether a proof of this key and id is seen for the first time. It
	// need not be remembered past until. An error refuses the proof.
	First(ctx context.Context, p Proof, until time.Time) (bool, error)
}

const (
	defaultMost = 1 << 20
	sharePerKey = 4 // one key fills no more than this part
	sweepEvery  = 10 * time.Second
)

// Seen is a Replays in memory, for one process. It is bounded: when it is full of
// proofs that are still good, further ones are refused, so that a flood lets no proof
// be shown twice; and one key has a quarter of the room, so that its flood alone refuses
// nobody else's. The zero value is ready.
type Seen struct {
	// Most is how many proofs are remembered at once; zero means 1<<20, about 60 MB:
	// enough for 12,000 requests a second, and for 3,000 of one key.
	Most int
	// Since refuses proofs that were made before this moment, in whole seconds: when a
	// process starts anew, those that the one before it has seen. A client whose clock is
	// slow must try again for as long as it is slow; one whose clock is fast is covered
	// less by as much. The zero value refuses none.
	Since time.Time
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu    sync.Mutex
	seed  maphash.Seed
	known map[[2]uint64]shown
	held  map[uint64]int // how many of each key
	swept time.Time
}

type shown struct {
	until int64  // nanoseconds
	key   uint64 // hash of the thumbprint
}

// First implements Replays.
func (s *Seen) First(_ context.Context, p Proof, until time.Time) (bool, error) {
	if p.IssuedAt.Before(s.Since.Truncate(time.Second)) {
		return false, nil
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	most := s.Most
	if most <= 0 {
		most = defaultMost
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.seed, s.known, s.held = maphash.MakeSeed(), map[[2]uint64]shown{}, map[uint64]int{}
	}
	at, key := now(), maphash.String(s.seed, p.JKT)
	s.sweep(at, len(s.known) >= most || s.held[key] >= share(most))
	// Two hashes of 64 bits: a proof that has both by chance would be an honest one that is
	// refused, and nobody who would look for one knows the seed. Ids are of a key: another's
	// may be the same.
	id := [2]uint64{maphash.String(s.seed, p.JKT+"\x00"+p.ID), maphash.String(s.seed, p.ID+"\x01"+p.JKT)}
	if _, again := s.known[id]; again || len(s.known) >= most || s.held[key] >= share(most) {
		return false, nil
	}
	s.known[id] = shown{until: until.UnixNano(), key: key}
	s.held[key]++
	return true, nil
}

func share(most int) int { return max(1, most/sharePerKey) }

// sweep drops what can be shown no more: now and then, and when room is needed, though
// not each time.
func (s *Seen) sweep(now time.Time, needed bool) {
	since := now.Sub(s.swept)
	if since < time.Second || since < sweepEvery && !needed {
		return
	}
	s.swept = now
	for id, p := range s.known {
		if p.until >= now.UnixNano() {
			continue
		}
		delete(s.known, id)
		if s.held[p.key]--; s.held[p.key] <= 0 {
			delete(s.held, p.key)
		}
	}
}
