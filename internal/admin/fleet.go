package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// Fleet is what the rules need of the revocation feed.
type Fleet interface {
	// WantAcks makes those who check credentials tell at once what they apply.
	WantAcks(ctx context.Context) error
	// Await returns when the entry at position seq, written before the call, has
	// come as far as level says, and the level.
	Await(ctx context.Context, seq int64, level feed.Ack) (feed.Ack, error)
	// Acks tells of each verifier that is there whether it has applied the entry
	// at seq, and when that was first heard.
	Acks(ctx context.Context, seq int64) ([]feed.Acked, error)
}

// Revoked is a revocation and how far it has come.
type Revoked struct {
	Seq  int64 // its position in the log
	Ack  feed.Ack
	Took time.Duration // from the call to Ack
}

// RevokeAs is Revoke, and waits until the entry has come as far as level says.
// The entry is durable also when it returns an error of the waiting.
func (s *Service) RevokeAs(ctx context.Context, by By, r Revocation, level feed.Ack) (Revoked, error) {
	start := s.Now()
	if !level.Valid() {
		return Revoked{}, fault.New(fault.Invalid, "ack must be durable, hubs or fleet.")
	}
	if level != feed.Durable {
		if err := s.Fleet.WantAcks(ctx); err != nil {
			return Revoked{}, wrap(err, "ask verifiers to tell")
		}
	}
	seq, err := s.Revoke(ctx, by, r)
	if err != nil {
		return Revoked{}, err
	}
	reached, err := s.Fleet.Await(ctx, seq, level)
	return Revoked{Seq: seq, Ack: reached, Took: s.Now().Sub(start)}, wrap(err, "wait for "+string(level))
}

// Drilled is what a drill found.
type Drilled struct {
	Seq       int64         // of the throwaway user's revocation
	Fleet     time.Duration // from the call of Revoke until no verifier could accept any more
	Verifiers []Refusing    // slowest first
}

// Refusing is how one verifier did in a drill.
type Refusing struct {
	feed.Verifier
	// After is the time from the call of Revoke until the server had heard that the
	// verifier refuses: an upper bound, with the way back in it. Negative when it
	// did not tell in time: then the end of its lease is what made it refuse.
	After time.Duration
}

// Quantile is the time within which the share q of the verifiers refused, by the
// nearest rank; those that did not tell count as Fleet.
func (d Drilled) Quantile(q float64) time.Duration {
	if len(d.Verifiers) == 0 {
		return 0
	}
	all := make([]time.Duration, 0, len(d.Verifiers))
	for _, v := range d.Verifiers {
		all = append(all, d.after(v))
	}
	slices.Sort(all)
	rank := int(q*float64(len(all))+0.999999) - 1
	return all[min(max(rank, 0), len(all)-1)]
}

func (d Drilled) after(v Refusing) time.Duration {
	if v.After < 0 {
		return d.Fleet
	}
	return v.After
}

// Drill revokes a throwaway user, as for a ban, and measures when each verifier
// has told that it refuses whatever that user held.
func (s *Service) Drill(ctx context.Context, by By) (Drilled, error) {
	if err := s.Fleet.WantAcks(ctx); err != nil {
		return Drilled{}, wrap(err, "ask verifiers to tell")
	}
	// The name says what it is to whoever reads the log. Nobody can sign in as it.
	u, err := s.AddUser(ctx, by, NewUser{Login: "drill-" + opaque.Text(8) + "@wafer.invalid"})
	if err != nil {
		return Drilled{}, fmt.Errorf("add the throwaway user: %w", err)
	}
	start := s.Now()
	seq, err := s.Revoke(ctx, by, Revocation{User: u.ID, Reason: "drill"})
	if err != nil {
		return Drilled{}, err
	}
	d := Drilled{Seq: seq}
	_, waited := s.Fleet.Await(ctx, seq, feed.Fleet)
	d.Fleet = s.Now().Sub(start)
	if err := s.RemoveUser(ctx, by, u.ID); err != nil {
		return Drilled{}, fmt.Errorf("remove the throwaway user: %w", err)
	}
	if waited != nil {
		return Drilled{}, wrap(waited, "wait for the fleet")
	}
	acks, err := s.Fleet.Acks(ctx, seq)
	if err != nil {
		return Drilled{}, wrap(err, "read acknowledgements")
	}
	for _, a := range acks {
		v := Refusing{Verifier: a.Verifier, After: -1}
		if !a.Heard.IsZero() {
			v.After = max(a.Heard.Sub(start), 0)
		}
		d.Verifiers = append(d.Verifiers, v)
	}
	slices.SortStableFunc(d.Verifiers, func(a, b Refusing) int { return cmp.Compare(d.after(b), d.after(a)) })
	return d, nil
}
