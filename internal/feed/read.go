package feed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// mostEnded is how many ended clients and keys a hub remembers.
const mostEnded = 50_000

// state is what a hub knows beside the frames.
type state struct {
	mu      sync.Mutex
	began   moment // of the last read that succeeded
	ever    bool
	failing bool                 // the last read did not succeed
	ended   map[revoke.Ref]int64 // clients and keys that were taken back since this hub began
	ends    atomic.Int64         // has grown after whatever may end what a ticket allows
	signer  string               // the key that signed what the ring holds; only the reader looks
	doubted bool                 // a claim without proof was believed
	doubt   time.Duration        // when
}

func (s *state) at() (moment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.ever
}

func (s *state) fails() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

// settle notes how a read went, and reports whether that has changed.
func (s *state) settle(began moment, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.failing
	s.failing = err != nil
	if err == nil {
		s.began, s.ever = began, true
	}
	return was != s.failing
}

// end remembers what ends tickets. It is false when there is no more room: then
// all is forgotten, and tickets have to be held against the store again.
func (s *state) end(e revoke.Recorded) bool {
	if e.Kind != revoke.Client && e.Kind != revoke.Key {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	room := len(s.ended) < mostEnded
	if !room {
		clear(s.ended)
	}
	seq := e.Seq
	if e.Kind.Always() {
		seq = math.MaxInt64
	}
	ref := revoke.Ref{Kind: e.Kind, Key: e.Key}
	s.ended[ref] = max(s.ended[ref], seq)
	s.ends.Add(1)
	return room
}

func (s *state) covers(rsn int64, refs []revoke.Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ref := range refs {
		if s.ended[ref] > rsn {
			return true
		}
	}
	return false
}

// poll reads the log, often while somebody follows.
func (h *Hub) poll(ctx context.Context) {
	for ctx.Err() == nil {
		h.tell(h.refresh(ctx, h.clock.elapsed()))
		if !pause(ctx, coalesce, nil) {
			return
		}
		wait := idlePoll
		if h.follow.busy(h.clock.elapsed(), h.Lease) {
			wait = h.Poll
		}
		pause(ctx, wait-coalesce, h.wake)
	}
}

// tell logs that the log cannot be read, and that it can be again: once each.
func (h *Hub) tell(err error) {
	var r *readError
	if errors.As(err, &r) && r.first {
		h.Log.Error("the revocation log cannot be read: verifiers are told how old the last answer is", "error", err)
	}
}

// readError is a read that failed; first tells that the one before did not.
type readError struct {
	cause error
	first bool
}

func (e *readError) Error() string { return "read revocation log: " + e.cause.Error() }
func (e *readError) Unwrap() error { return e.cause }

// listen wakes the poller when the store rings.
func (h *Hub) listen(ctx context.Context) {
	for ctx.Err() == nil {
		v := h.ring.after(math.MaxInt64, 0)
		_ = h.Store.AwaitRevocations(ctx, v.at.Seq) // only a doorbell: the poller finds out what is wrong
		pull(h.wake)
		pause(ctx, h.Poll, v.changed)
	}
}

// refresh reads the log, unless a read that began after a moment has succeeded
// meanwhile.
func (h *Hub) refresh(ctx context.Context, after time.Duration) error {
	if err := h.reading.enter(ctx); err != nil {
		return err
	}
	defer h.reading.leave()
	if began, ok := h.state.at(); ok && began.mono > after {
		return nil
	}
	began := h.clock.moment()
	err := h.read(ctx)
	if err != nil && ctx.Err() != nil {
		return err // who asked has left; that says nothing of the store
	}
	changed := h.state.settle(began, err)
	if err != nil {
		return &readError{cause: err, first: changed}
	}
	if changed {
		h.Log.Info("the revocation log can be read again")
	}
	return nil
}

// recent sees to it that what is known is not older than the poller would leave
// it while somebody follows. When the log cannot be read, the age says so.
func (h *Hub) recent(ctx context.Context) error {
	began, ever := h.state.at()
	if ever && (h.state.fails() || h.clock.since(began) <= 2*h.Poll) {
		return nil
	}
	brief, cancel := context.WithTimeout(ctx, patience/5)
	defer cancel()
	err := h.refresh(brief, h.clock.elapsed()-2*h.Poll)
	if ever {
		return nil
	}
	return err
}

// read brings the ring to where the log stands. Only one reads at a time.
func (h *Hub) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := h.Store.FeedHead(ctx)
	if err != nil {
		return err
	}
	known := h.ring.position()
	if head.Epoch == known.Epoch && head.Seq < known.Seq {
		// I16: positions that this hub has seen are gone.
		if err := h.raise(ctx, known); err != nil {
			return err
		}
		if head, err = h.Store.FeedHead(ctx); err != nil {
			return err
		}
	}
	if head.Epoch < known.Epoch || head.Epoch == known.Epoch && head.Seq < known.Seq {
		return fmt.Errorf("the log is at %d:%d, and was at %s", head.Epoch, head.Seq, known)
	}
	if head.Epoch > known.Epoch || head.Seq-known.Seq > maxBehind {
		h.ring.reset(revocation.Position{Epoch: head.Epoch, Seq: head.Seq})
		h.tickets.forget() // what came in between was not looked at
		h.state.ends.Add(1)
	} else if err := h.extend(ctx, known, head.Seq); err != nil {
		return err
	}
	h.renewFrames()
	h.keySet.note(head.KeyChanges)
	h.ring.want(head.EagerUntil)
	if head.EagerUntil.After(h.Now()) {
		pull(h.eager)
	}
	return nil
}

// renewFrames drops what another key than the signing one has signed: verifiers may
// not know that key any more. It is made anew for whoever asks.
func (h *Hub) renewFrames() {
	key, ok := h.Signer()
	if !ok || key.ID() == h.state.signer {
		return
	}
	if h.state.signer != "" {
		h.ring.reset(h.ring.position())
		h.shots.drop()
	}
	h.state.signer = key.ID()
}

// extend adds the frames from a position to the head.
func (h *Hub) extend(ctx context.Context, at revocation.Position, head int64) error {
	for at.Seq < head {
		p, entries, err := h.frame(ctx, at, head)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !h.state.end(e) {
				h.tickets.forget()
				h.state.ends.Add(1)
			}
		}
		h.ring.add(p)
		at.Seq = p.to
	}
	return nil
}

// frame signs what comes after a position: up to a head, as far as it fits.
func (h *Hub) frame(ctx context.Context, after revocation.Position, head int64) (piece, []revoke.Recorded, error) {
	n := min(head-after.Seq, maxEvents)
	entries, err := h.Store.Revocations(ctx, after.Seq, int(n))
	if err != nil {
		return piece{}, nil, err
	}
	f := revocation.Frame{
		Issuer: h.Issuer, Epoch: after.Epoch, From: after.Seq + 1, To: after.Seq + n, IssuedAt: h.Now().Unix(), Events: make([]revocation.Event, n),
	}
	for i, e := range entries {
		if e.Seq > f.To {
			entries = entries[:i]
			break
		}
		if f.Events[e.Seq-f.From], err = h.event(e); err != nil {
			return piece{}, nil, err
		}
	}
	key, ok := h.Signer()
	if !ok {
		return piece{}, nil, errors.New("there is no key to sign frames with")
	}
	text, err := f.Sign(key)
	if err != nil {
		return piece{}, nil, fmt.Errorf("sign frame: %w", err)
	}
	return piece{epoch: f.Epoch, from: f.From, to: f.To, text: text}, entries, nil
}

var kinds = map[revoke.Kind]revocation.Kind{
	revoke.Token: revocation.Token, revoke.Session: revocation.Session, revoke.Grant: revocation.Grant, revoke.User: revocation.User,
	revoke.Claims: revocation.Claims, revoke.Client: revocation.Client, revoke.API: revocation.API, revoke.Key: revocation.SignKey,
}

// event hides who is meant. A kind that has no code stops the feed: to leave it
// out would be to accept what it took back.
func (h *Hub) event(e revoke.Recorded) (revocation.Event, error) {
	kind, ok := kinds[e.Kind]
	if !ok {
		return revocation.Event{}, fmt.Errorf("entry %d of the log is of kind %q, which verifiers do not know", e.Seq, e.Kind)
	}
	key := e.Key
	if e.Kind == revoke.API {
		key = h.audience(key)
	}
	keep := e.KeepUntil.Add(time.Second - time.Nanosecond).Unix() // rounded up
	return revocation.Event{Kind: kind, Key: h.Secret.Key(kind, key), KeepUntil: keep}, nil
}

// raise begins a new epoch, because the log has lost positions up to one (I16).
func (h *Hub) raise(ctx context.Context, lost revocation.Position) error {
	done, err := h.Store.RaiseEpoch(ctx, lost.Epoch, lost.Seq)
	if err != nil {
		return fmt.Errorf("raise epoch: %w", err)
	}
	if done {
		h.Log.Warn("the revocation log has lost entries that were given out: a new epoch begins, and verifiers fetch all of it", "lost", lost.String())
	}
	return nil
}
