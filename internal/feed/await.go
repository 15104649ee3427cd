package feed

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/verify/revocation"
)

// How often one who waits looks at the store: for those that other hubs hear, and
// for those that have left.
const (
	lookElsewhere = 25 * time.Millisecond
	lookHere      = 250 * time.Millisecond
	lookLeast     = 2 * time.Millisecond
)

// WantAcks makes verifiers and hubs tell at once what they apply, for as long as
// a call of Await that follows can last.
func (h *Hub) WantAcks(ctx context.Context) error {
	needed := h.Now().Add(h.bound())
	if !h.ring.after(0, 0).eager.Before(needed) {
		return nil // it was said already: who revokes says it before, and waits after
	}
	until := needed.Add(time.Second)
	if err := h.Store.WantAcks(ctx, until); err != nil {
		return err
	}
	h.ring.want(until)
	pull(h.eager)
	return nil
}

// Await returns when the entry at position seq, committed before the call, has
// come as far as level says, and the level. Hubs and Fleet take at most L(1+3rho)
// from the call: no lease that was asked for before it lasts longer, and none that
// was asked for after it is without the entry. If ctx ends first, the entry is
// Durable, and the error is that of ctx.
func (h *Hub) Await(ctx context.Context, seq int64, level Ack) (Ack, error) {
	if level == Durable {
		return Durable, nil
	}
	began := h.clock.elapsed()
	pull(h.wake)
	if err := h.WantAcks(ctx); err != nil {
		h.Log.Warn("verifiers cannot be asked to tell at once: waiting takes as long as a lease", "error", err)
	}
	part := PartVerifier
	if level == Hubs {
		part = PartHub
	}
	w := waiting{Hub: h, part: part, at: revocation.Position{Epoch: h.ring.position().Epoch, Seq: seq}}
	if err := w.wait(ctx, began+h.bound()); err != nil {
		return Durable, err
	}
	return level, nil
}

// waiting is a call of Await.
type waiting struct {
	*Hub
	part    Part
	at      revocation.Position
	pending map[string]bool // nil: nobody knows yet for whom to wait
	looked  time.Duration
	acked   bool // somebody has
}

func (w *waiting) wait(ctx context.Context, until time.Duration) error {
	for {
		changed, ringed := w.heard.watch(), w.ring.after(w.at.Seq, 0).changed
		w.look(ctx)
		if w.settled() {
			return nil
		}
		left := until - w.clock.elapsed()
		if left <= 0 {
			return nil // every lease that does without the entry has run out
		}
		if err := w.rest(ctx, min(left, w.interval()), changed, ringed); err != nil {
			return err
		}
	}
}

// rest waits for news, and a little longer: many come at once.
func (w *waiting) rest(ctx context.Context, d time.Duration, changed, ringed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-changed:
	case <-ringed:
	case <-ctx.Done():
		return ctx.Err()
	}
	pause(ctx, min(d, lookLeast), nil)
	return ctx.Err()
}

func (w *waiting) interval() time.Duration {
	for id := range w.pending {
		if _, here := w.heard.client(id); !here && id != w.id {
			return lookElsewhere
		}
	}
	if w.pending == nil {
		return lookElsewhere
	}
	return lookHere
}

// look reads the store's list, when it is time. Those that have left are waited
// for no more; those that come later begin with all that was there.
func (w *waiting) look(ctx context.Context) {
	now := w.clock.elapsed()
	if w.pending != nil && now-w.looked < w.interval() {
		return
	}
	list, err := w.list(ctx)
	if err != nil {
		return // then the leases have to run out
	}
	w.looked = now
	there := map[string]bool{}
	for _, v := range list {
		if v.Kind == w.part && !w.gone(v) {
			there[v.ID] = true
		}
	}
	if w.pending == nil {
		w.pending = there
		return
	}
	for id := range w.pending {
		if !there[id] {
			delete(w.pending, id)
		}
	}
}

// settled reports whether nobody is waited for any more.
func (w *waiting) settled() bool {
	if w.pending == nil {
		return false
	}
	for id := range w.pending {
		_, has := w.heard.applied(id, w.at)
		if id == w.id {
			has = w.ring.position().Seq >= w.at.Seq
		}
		if has {
			delete(w.pending, id)
			w.acked = true
		}
	}
	return len(w.pending) == 0 || off(ruleFleetFirst) && w.acked
}

// gone reports whether a verifier is silent for so long that it has no lease.
func (h *Hub) gone(v Verifier) bool { return h.Now().Sub(v.Seen) > goneAfter }

// list reads the store's list, and puts in what was heard here.
func (h *Hub) list(ctx context.Context) ([]Verifier, error) {
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := h.Store.Verifiers(brief)
	if err != nil {
		return nil, err
	}
	h.heard.observe(list)
	h.heard.merge(list)
	return list, nil
}

// Acks tells of each verifier that is there whether it has applied the entry at
// seq, and when this hub first heard of that.
func (h *Hub) Acks(ctx context.Context, seq int64) ([]Acked, error) {
	list, err := h.list(ctx)
	if err != nil {
		return nil, err
	}
	var acks []Acked
	for _, v := range list {
		if v.Kind != PartVerifier || h.gone(v) {
			continue
		}
		heard, _ := h.heard.applied(v.ID, revocation.Position{Seq: seq})
		acks = append(acks, Acked{Verifier: v, Heard: heard})
	}
	return acks, nil
}

// View is a verifier beside the log.
type View struct {
	Verifier
	Lag   int64  // positions behind the log
	State string // current, behind or silent
}

// silence is how long a verifier is quiet before people are told.
const silence = 15 * time.Second

// Verifiers lists hubs, relays and verifiers by time of registration, each as it
// was last heard of.
func (h *Hub) Verifiers(ctx context.Context) ([]View, error) {
	if err := h.recent(ctx); err != nil {
		return nil, err
	}
	list, err := h.list(ctx)
	if err != nil {
		return nil, err
	}
	at := h.ring.position()
	views := make([]View, 0, len(list))
	for _, v := range list {
		if v.ID == h.id {
			v.Epoch, v.Applied, v.Seen = at.Epoch, at.Seq, h.Now()
			v.Staleness, _ = h.Age()
		}
		w := View{Verifier: v, Lag: max(at.Seq-v.Applied, 0), State: "current"}
		switch {
		case h.Now().Sub(v.Seen) > silence:
			w.State = "silent"
		case w.Lag > 0 || v.Staleness < 0 || v.Staleness > h.Lease:
			w.State = "behind"
		}
		views = append(views, w)
	}
	slices.SortStableFunc(views, func(a, b View) int {
		return cmp.Or(a.Registered.Compare(b.Registered), cmp.Compare(a.ID, b.ID))
	})
	return views, nil
}
