package keyring

import (
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// What a retired key waits for besides the longest lifetime of a token (K2):
// the leeway verifiers grant, and how far two clocks may be apart.
const (
	leeway = 60 * time.Second
	skew   = 60 * time.Second
)

// policy is the times that plans are made with.
type policy struct {
	window  time.Duration // from announced to active (K1)
	overlap time.Duration // from retired to removed (K2)
	rotate  time.Duration // the age at which an active key gets a successor; 0: never
}

func newPolicy(maxAge, rotate time.Duration) policy {
	return policy{
		window: 2 * maxAge,
		// Another node may sign with the old key until it reads the new state,
		// which it does at least once in maxAge.
		overlap: api.MaxLifetime + leeway + skew + maxAge,
		rotate:  rotate,
	}
}

// want is a key that is to be made.
type want struct {
	api   string
	alg   jose.Algorithm
	state State // Announced or Active
}

// step is what is to be done at once.
type step struct {
	adds   []want
	moves  []Move
	revoke []revoke.Entry
	reason string // for the audit log
}

func (s step) empty() bool { return len(s.adds) == 0 && len(s.moves) == 0 && len(s.revoke) == 0 }

// plan says what is due for the given APIs. It is pure; keys of other APIs are
// left alone.
func (p policy) plan(records []Record, apis []api.API, now time.Time) step {
	var s step
	for _, a := range apis {
		s.join(p.planOne(keysOf(records, a.ID), a, now))
	}
	return s
}

func (p policy) planOne(k keys, a api.API, now time.Time) step {
	var s step
	// A successor of another algorithm was overtaken by a later change; a second
	// one was made by another node at the same time. Neither ever signed.
	var next *Record
	for i, r := range k.announced {
		if r.Alg != a.Token.Alg || next != nil {
			s.move(r, Removed, now)
			continue
		}
		next = &k.announced[i]
	}
	switch {
	case k.active == nil && next == nil:
		s.adds = append(s.adds, want{api: a.ID, alg: a.Token.Alg, state: Active})
	case k.active == nil:
		s.move(*next, Active, now)
	case next != nil && p.due(*next, now):
		s.succeed(*k.active, *next, now)
	case next == nil && (k.active.Alg != a.Token.Alg || p.old(*k.active, now)):
		s.adds = append(s.adds, want{api: a.ID, alg: a.Token.Alg, state: Announced})
	}
	p.expire(&s, k, now)
	return s
}

// planOrphans says what is due for the keys of APIs that are gone. apis is the
// whole register. A young key may belong to an API added since it was read.
func (p policy) planOrphans(records []Record, apis []api.API, now time.Time) step {
	var s step
	var seen []string
	for _, a := range apis {
		seen = append(seen, a.ID)
	}
	for _, r := range records {
		if slices.Contains(seen, r.API) || r.CreatedAt.Add(p.window).After(now) {
			continue
		}
		seen = append(seen, r.API)
		k := keysOf(records, r.API)
		for _, n := range k.announced {
			s.move(n, Removed, now)
		}
		if k.active != nil {
			s.move(*k.active, Retired, now)
		}
		p.expire(&s, k, now)
	}
	return s
}

func (p policy) expire(s *step, k keys, now time.Time) {
	for _, r := range k.retired {
		if !now.Before(r.RetiredAt.Add(p.overlap)) {
			s.move(r, Removed, now)
		}
	}
}

// knownFrom is when every verifier may know an announced key (K1); zero means
// not yet. Nobody knows an HMAC secret before it was read.
func (p policy) knownFrom(r Record) time.Time {
	if !r.Alg.Symmetric() {
		return r.CreatedAt.Add(p.window)
	}
	if r.ReadAt.IsZero() {
		return time.Time{}
	}
	return r.ReadAt.Add(p.window)
}

func (p policy) due(r Record, now time.Time) bool {
	from := p.knownFrom(r)
	return !from.IsZero() && !now.Before(from)
}

// old reports whether an active key is due for a successor. An HMAC secret has
// to be carried by a person, so it is never rotated unasked.
func (p policy) old(r Record, now time.Time) bool {
	return p.rotate > 0 && !r.Alg.Symmetric() && !now.Before(r.ActiveAt.Add(p.rotate))
}

func (s *step) join(other step) {
	s.adds = append(s.adds, other.adds...)
	s.moves = append(s.moves, other.moves...)
}

func (s *step) move(r Record, to State, now time.Time) {
	s.moves = append(s.moves, Move{ID: r.ID, From: r.State, To: to, At: now})
}

func (s *step) succeed(old, next Record, now time.Time) {
	s.move(old, Retired, now)
	s.move(next, Active, now)
}

// keys are the keys of one API that are not removed, each list oldest first.
type keys struct {
	active    *Record
	announced []Record
	retired   []Record
}

func keysOf(records []Record, apiID string) keys {
	var k keys
	for _, r := range records {
		if r.API != apiID {
			continue
		}
		switch r.State {
		case Announced:
			k.announced = append(k.announced, r)
		case Active:
			k.active = &r
		case Retired:
			k.retired = append(k.retired, r)
		}
	}
	return k
}
