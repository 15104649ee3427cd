package split

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// tries is how often something is done again when the layout changed meanwhile,
// or a record moved.
const tries = 5

// whatever is above every position of the log, and a whole number in every
// language a home may be written in.
const whatever = int64(1)<<53 - 1

// A look-up is how to look for one record in a home.
type lookup func(context.Context, session.Home) (session.Record, bool, error)

func bySecret(d opaque.Digest) lookup {
	return func(ctx context.Context, h session.Home) (session.Record, bool, error) { return h.BySecret(ctx, d) }
}

func byID(id string) lookup {
	return func(ctx context.Context, h session.Home) (session.Record, bool, error) { return h.ByID(ctx, id) }
}

// A hit is a record and the home that has the say about it.
type hit struct {
	session.Record
	home session.Home
}

// find finds a record, wherever it is, and puts it where it can be changed. What
// it answers was true while the view it used could be acted on.
func (s *Store) find(ctx context.Context, look lookup) (hit, bool, error) {
	for range tries {
		v, err := s.current(ctx)
		if err != nil {
			return hit{}, false, err
		}
		h, found, lost := s.locate(ctx, v, look)
		still, err := s.still(ctx, v)
		if lost == nil {
			lost = err
		}
		if still || lost != nil && err != nil {
			return h, found, lost
		}
	}
	return hit{}, false, errMoving
}

// locate looks in the homes of a view, in the order in which a record moves:
// whoever does not find it where it was finds it where it went.
//
// Announced nodes work beside moving ones. A record that is not leaving has no
// copy elsewhere, so A has the say about it. One that is leaving may have a copy
// in B that was renewed since: it is never used, but pulled, and B is asked.
// Moving nodes do the same with every record that A still has. That is why a
// secret that was renewed away cannot come back: A's copy answers to it, B does not.
func (s *Store) locate(ctx context.Context, v *view, look lookup) (hit, bool, error) {
	if v.Stage == moving {
		if r, found, err := look(ctx, v.b); found || err != nil {
			return hit{r, v.b}, found, err
		}
	}
	r, found, err := look(ctx, v.a)
	if err != nil || v.Stage == settled {
		return hit{r, v.a}, found, err
	}
	if found && v.Stage == announced && !r.Leaving {
		return hit{r, v.a}, true, nil
	}
	if found {
		if err := s.pull(ctx, v, r.ID); err != nil {
			return hit{}, false, err
		}
	}
	r, found, err = look(ctx, v.b) // it may have gone from A to B between the looks
	return hit{r, v.b}, found, err
}

// pull takes one record from A to B. Any number of nodes may do it at once, and
// stop after any step: whoever needs the record next, or the mover, does the rest.
//
//   - Frozen first (Leave): from here on it is the same for everybody who takes
//     it, so it does not matter whose Add wins, and nothing that a person did to it
//     is left behind.
//   - Then added. A conflict is a copy that was added before, perhaps renewed
//     since, or, in the truth's own table, an entry of the log that ended it.
//   - Then removed from A: B has it, or nobody may.
//
// An Add that is late, after the session ended and was swept from B, leaves a
// record whose RSN is from before the entry that ended it, so the log covers it. One
// that is late after the record was purged for its age leaves one that is past
// the same limits.
func (s *Store) pull(ctx context.Context, v *view, id string) error {
	r, found, err := v.a.Leave(ctx, id)
	if err != nil {
		return fmt.Errorf("take a session out of its home: %w", err)
	}
	if !found {
		return nil // somebody else took it, or it ended
	}
	r.Leaving = false
	if err := v.b.Add(ctx, r); err != nil && !fault.Is(err, fault.Conflict) {
		return fmt.Errorf("put a session into its new home: %w", err)
	}
	if _, err := v.a.End(ctx, revoke.Ref{Kind: revoke.Session, Key: id}, whatever); err != nil {
		return fmt.Errorf("remove a session from its old home: %w", err)
	}
	return nil
}

// alive finds a record that no entry of the log covers. head is the position at
// which none did.
func (s *Store) alive(ctx context.Context, look lookup) (h hit, head int64, found bool, err error) {
	h, found, err = s.find(ctx, look)
	if err != nil || !found {
		return hit{}, 0, false, err
	}
	head, covered, err := s.Truth.Standing(ctx, h.RSN, h.Refs())
	if err != nil {
		return hit{}, 0, false, fmt.Errorf("ask whether a session was ended: %w", err)
	}
	return h, head, !covered, nil
}

// direct does something in the truth alone, as long as sessions simply live there.
// done is false when they do not, or when they began to leave while it was done:
// unless the answer is sure whatever happened meanwhile, it is then not to be used.
func (s *Store) direct(ctx context.Context, do func() (sure bool, err error)) (done bool, err error) {
	v, err := s.current(ctx)
	if err != nil || !v.own() {
		return false, err
	}
	sure, err := do()
	if sure || err != nil {
		return true, err
	}
	return s.still(ctx, v)
}
