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

// Seen is a Replays in memory, for one process. It is bounded: when it is full of
// proofs that are still good, further ones are refused, so that a flood costs the
// flooder's requests and lets no proof be shown twice. The zero value is ready.
type Seen struct {
	// Most is how many proofs are remembered at once; zero means 1<<20, about 50 MB.
	Most int
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu     sync.Mutex
	seed   maphash.Seed
	known  map[[2]uint64]int64 // until, in nanoseconds
	sweep  time.Time
	seeded bool
}

// First implements Replays.
func (s *Seen) First(_ context.Context, p Proof, until time.Time) (bool, error) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seeded {
		s.seed, s.known, s.seeded = maphash.MakeSeed(), map[[2]uint64]int64{}, true
	}
	at := now()
	most := s.Most
	if most <= 0 {
		most = 1 << 20
	}
	if at.After(s.sweep) || len(s.known) >= most {
		s.forget(at)
	}
	// Two hashes of 64 bits: one that is the same by chance refuses an honest proof, and
	// the seed is not known to anybody who would look for one.
	key := [2]uint64{maphash.String(s.seed, p.JKT+"\x00"+p.ID), maphash.String(s.seed, p.ID+"\x01"+p.JKT)}
	if _, seen := s.known[key]; seen || len(s.known) >= most {
		return false, nil
	}
	s.known[key] = until.UnixNano()
	return true, nil
}

// forget drops what can be shown no more, at most once in a while.
func (s *Seen) forget(now time.Time) {
	if now.Before(s.sweep.Add(-9 * time.Second)) {
		return // a moment ago
	}
	for key, until := range s.known {
		if until < now.UnixNano() {
			delete(s.known, key)
		}
	}
	s.sweep = now.Add(10 * time.Second)
}
