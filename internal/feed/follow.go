package feed

import (
	"context"
	"errors"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// burst is how many frames a follower takes from the ring at once.
const burst = 64

// errBehind ends a connection whose verifier needs a snapshot: its next renewal
// says so.
var errBehind = fault.New(fault.Conflict, "What comes after this position is not kept: renew, and fetch a snapshot.")

// Follow hands every frame after a position to deliver, in order, until ctx ends,
// deliver returns an error, the ticket is worth nothing any more, or the hub ends
// (then it returns nil). A position of another epoch begins at the head.
func (h *Hub) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(frame string, eager bool) error) error {
	s, err := h.Subscribe(ctx, ticket, after)
	if err != nil {
		return err
	}
	return s.Run(ctx, Outlet{Deliver: deliver})
}

// Subscription is leave to follow, and where from.
type Subscription struct {
	run func(ctx context.Context, out Outlet) error
}

// Outlet is where a follower's frames go. One goroutine calls it.
type Outlet struct {
	// Deliver is called with each frame, as in revocation.Hub.
	Deliver func(frame string, eager bool) error
	// Alive is called with each tick of Beat. An error ends the connection. nil: never.
	Alive func() error
	Beat  <-chan time.Time
}

// Run is the rest of Follow. It is called once.
func (s *Subscription) Run(ctx context.Context, out Outlet) error { return s.run(ctx, out) }

// Subscribe is the part of Follow that can refuse.
func (h *Hub) Subscribe(ctx context.Context, ticket string, after revocation.Position) (*Subscription, error) {
	ends := h.state.ends.Load() // before the look: what ends the ticket meanwhile is looked at again
	t, err := h.open(ctx, ticket)
	if err != nil {
		return nil, err
	}
	if err := h.welcome(ctx, t.Verifier); err != nil {
		return nil, err
	}
	if err := h.recent(ctx); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	return &Subscription{run: func(ctx context.Context, out Outlet) error {
		h.follow.add(1, h.clock.elapsed())
		defer func() { h.follow.add(-1, h.clock.elapsed()) }()
		pull(h.wake)
		check := func() error {
			n := h.state.ends.Load()
			if n == ends && h.Now().Unix() < t.Expires {
				return nil
			}
			ends = n
			_, err := h.open(ctx, ticket)
			return err
		}
		f := follower{ring: h.ring, now: h.Now, done: h.done, check: check, old: h.old, out: out}
		return f.run(ctx, after)
	}}, nil
}

// follower is one who follows a ring.
type follower struct {
	ring  *ring
	now   func() time.Time
	done  <-chan struct{}
	check func() error // whether it still may
	old   func(ctx context.Context, after revocation.Position, to int64) (piece, error)
	out   Outlet

	poked time.Time // until then the verifier knows that acks are wanted
	pokes int       // of the ring, that the verifier was told of
}

func (f *follower) run(ctx context.Context, after revocation.Position) error {
	f.pokes = f.ring.after(after.Seq, 0).pokes
	for {
		if err := f.check(); err != nil {
			return err
		}
		v := f.ring.after(after.Seq, burst)
		next, more, err := f.step(ctx, v, after)
		if err != nil {
			return err
		}
		after = next
		if more {
			continue
		}
		if ended, err := f.wait(ctx, v); ended || err != nil {
			return err
		}
	}
}

// wait waits for more than a view has; ended tells that the hub ends.
func (f *follower) wait(ctx context.Context, v view) (ended bool, err error) {
	for {
		select {
		case <-v.changed:
			return false, nil
		case <-f.out.Beat:
			if err := f.out.Alive(); err != nil {
				return false, err
			}
		case <-f.done:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// step hands on what there is after a position. more tells that there may be more
// already.
func (f *follower) step(ctx context.Context, v view, after revocation.Position) (next revocation.Position, more bool, err error) {
	eager := v.eager.After(f.now())
	switch {
	case after.Epoch != v.at.Epoch:
		// The newest frame tells of the epoch; all before it is in the snapshot.
		after = v.at
		return after, true, f.last(ctx, v, eager)
	case after.Seq < v.base:
		if v.at.Seq-after.Seq > maxBehind {
			return after, false, errBehind
		}
		p, err := f.old(ctx, after, v.base)
		if err != nil {
			return after, false, err
		}
		after.Seq = p.to
		return after, true, f.hand(p, v, eager)
	case len(v.pieces) > 0:
		for _, p := range v.pieces {
			if err := f.hand(p, v, eager); err != nil {
				return after, false, err
			}
			after.Seq = p.to
		}
		return after, len(v.pieces) == burst || v.pokes != f.pokes, nil
	case eager && v.eager.After(f.poked):
		return after, false, f.last(ctx, v, eager)
	case v.pokes != f.pokes:
		f.pokes = v.pokes
		return after, false, f.last(ctx, v, true)
	}
	return after, false, nil
}

func (f *follower) hand(p piece, v view, eager bool) error {
	if eager {
		f.poked = v.eager
	}
	return f.out.Deliver(p.text, eager)
}

// last hands on the newest frame, again perhaps: it tells something by being
// there. A log without an entry has none, nor has a relay that has seen none yet:
// then who is to renew at once is told just that, which earlier releases pass over.
func (f *follower) last(ctx context.Context, v view, eager bool) error {
	p, ok := f.ring.last()
	if !ok && v.at.Seq > 0 {
		var err error
		p, err = f.old(ctx, revocation.Position{Epoch: v.at.Epoch, Seq: v.at.Seq - 1}, v.at.Seq)
		if err != nil && !errors.Is(err, errBehind) {
			return err
		}
		ok = err == nil
	}
	if !ok && !eager {
		return nil
	}
	return f.hand(p, v, eager)
}
