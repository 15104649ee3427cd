package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	snapshotPage   = 5000
	snapshotBehind = 2000             // positions: a snapshot of late that is no further behind will do
	snapshotAge    = 30 * time.Second // and no older
	snapshotsKept  = 4
	snapshotIdle   = 10 * time.Minute // then what snapshots are made from is given back
)

// Shot is a snapshot and its position.
type Shot struct {
	At   revocation.Position
	Body []byte // whoever gets it must not change it
}

// shots makes snapshots, one at a time, each from the one before and what came
// after it.
type shots struct {
	making gate
	at     revocation.Position
	kept   map[uint64]revocation.Entry // by key; nil before the first
	used   time.Duration

	mu   sync.Mutex
	last []Shot // newest last
	made time.Duration
}

func newShots() *shots { return &shots{making: newGate()} }

// Snapshot returns all that is kept, at some position not below least.
func (h *Hub) Snapshot(ctx context.Context, ticket string, least revocation.Position) ([]byte, error) {
	s, err := h.SnapshotAt(ctx, ticket, least)
	return s.Body, err
}

// SnapshotAt is Snapshot with the position.
func (h *Hub) SnapshotAt(ctx context.Context, ticket string, least revocation.Position) (Shot, error) {
	t, err := h.open(ctx, ticket)
	if err != nil {
		return Shot{}, err
	}
	if err := h.welcome(ctx, t.Verifier); err != nil {
		return Shot{}, err
	}
	if err := h.recent(ctx); err != nil {
		return Shot{}, fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	if s, ok := h.shots.fit(least, h.ring.position(), h.clock.elapsed()); ok {
		return s, nil
	}
	if err := h.shots.making.enter(ctx); err != nil {
		return Shot{}, err
	}
	defer h.shots.making.leave()
	if s, ok := h.shots.fit(least, h.ring.position(), h.clock.elapsed()); ok {
		return s, nil // made by another while we waited
	}
	if err := h.refresh(ctx, h.clock.elapsed()); err != nil {
		return Shot{}, fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	at := h.ring.position()
	if ahead(least, at) {
		return Shot{}, fault.New(fault.Conflict, "The log has not come so far: renew first.")
	}
	return h.shoot(ctx, at)
}

// SnapshotOf returns the snapshot of exactly one position, if this hub has it
// still: fault.NotFound otherwise.
func (h *Hub) SnapshotOf(ctx context.Context, ticket string, at revocation.Position) (Shot, error) {
	if _, err := h.open(ctx, ticket); err != nil {
		return Shot{}, err
	}
	return h.shots.of(at)
}

// shoot makes the snapshot of a position that the log has reached.
func (h *Hub) shoot(ctx context.Context, at revocation.Position) (Shot, error) {
	s := h.shots
	if s.kept == nil || s.at.Epoch != at.Epoch {
		s.at, s.kept = revocation.Position{Epoch: at.Epoch}, map[uint64]revocation.Entry{}
	}
	s.used = h.clock.elapsed()
	for s.at.Seq < at.Seq {
		page, err := h.Store.Revocations(ctx, s.at.Seq, snapshotPage)
		if err != nil {
			return Shot{}, fmt.Errorf("read for snapshot: %w", err)
		}
		for _, e := range page {
			if e.Seq > at.Seq {
				break
			}
			ev, err := h.event(e)
			if err != nil {
				return Shot{}, err
			}
			old := s.kept[ev.Key]
			s.kept[ev.Key] = revocation.Entry{Kind: ev.Kind, Key: ev.Key, Seq: max(old.Seq, e.Seq), KeepUntil: max(old.KeepUntil, ev.KeepUntil)}
			s.at.Seq = e.Seq
		}
		if len(page) < snapshotPage || page[len(page)-1].Seq >= at.Seq {
			s.at.Seq = at.Seq
		}
	}
	now := h.Now().Unix()
	entries := make([]revocation.Entry, 0, len(s.kept))
	for key, e := range s.kept {
		if e.KeepUntil < now {
			delete(s.kept, key) // I9: no covered credential can be shown any more
			continue
		}
		entries = append(entries, e)
	}
	key, ok := h.Signer()
	if !ok {
		return Shot{}, fault.New(fault.Unavailable, "There is no key to sign with yet.")
	}
	body, err := revocation.EncodeSnapshot(h.Issuer, at, entries, key)
	if err != nil {
		return Shot{}, fmt.Errorf("encode snapshot: %w", err)
	}
	shot := Shot{At: at, Body: body}
	s.keep(shot, h.clock.elapsed())
	return shot, nil
}

func (s *shots) keep(shot Shot, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.made = append(s.last, shot), now
	if len(s.last) > snapshotsKept {
		s.last = append(s.last[:0:0], s.last[1:]...)
	}
}

// fit returns the newest snapshot, if it is not below least and not so old that
// much would have to be read after it.
func (s *shots) fit(least, head revocation.Position, now time.Duration) (Shot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) == 0 {
		return Shot{}, false
	}
	shot := s.last[len(s.last)-1]
	ok := shot.At.Epoch == head.Epoch && !ahead(least, shot.At) && head.Seq-shot.At.Seq <= snapshotBehind && now-s.made <= snapshotAge
	return shot, ok
}

func (s *shots) of(at revocation.Position) (Shot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, shot := range s.last {
		if shot.At == at {
			return shot, nil
		}
	}
	return Shot{}, fault.New(fault.NotFound, "This snapshot is not kept: ask for one that is not below a position.")
}

// forget gives back the memory when nobody has asked for long.
func (s *shots) forget(c clock) {
	select {
	case s.making <- struct{}{}:
	default:
		return // somebody asks
	}
	defer s.making.leave()
	if c.elapsed()-s.used <= snapshotIdle {
		return
	}
	s.kept = nil
	s.drop()
}

// drop forgets the snapshots that were made.
func (s *shots) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}
