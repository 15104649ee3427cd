package revocation

import (
	"context"
	"fmt"
)

// take applies a frame. One that cannot be read or does not continue what is there
// changes nothing; the next lease brings what is missing.
func (f *Feed) take(signed string) error {
	frame, err := ParseFrame(signed, f.c.Issuer, f.keys.find)
	if err != nil {
		f.counts.refused.Add(1)
		return err
	}
	f.mu.Lock()
	ended, gap := f.apply(frame, signed)
	f.mu.Unlock()
	for _, end := range ended {
		end()
	}
	if gap {
		f.counts.gaps.Add(1)
		f.kick()
	}
	return nil
}

// apply adds what is new in a frame, and returns whom to tell. The caller holds mu.
func (f *Feed) apply(frame Frame, signed string) (ended []func(), gap bool) {
	known := f.known.Load()
	if known == nil || !known.complete.Load() {
		return nil, true
	}
	if frame.Epoch != f.at.Epoch {
		return nil, frame.Epoch > f.at.Epoch // of an older one: long known
	}
	if frame.From > f.at.Seq+1 && !off(RuleGap) {
		return nil, true
	}
	if frame.To <= f.at.Seq {
		return nil, false
	}
	for i, e := range frame.Events {
		seq := frame.From + int64(i)
		if e.Kind == None || seq <= f.at.Seq {
			continue
		}
		entry := Entry{Kind: e.Kind, Key: e.Key, Seq: seq, KeepUntil: e.KeepUntil}
		known.set.Add(entry)
		ended = append(ended, f.watches.covered(entry)...)
	}
	f.at.Seq, f.proof = frame.To, signed
	if !off(RuleVersion) {
		f.version.Add(1)
	}
	f.counts.frames.Add(1)
	for _, hear := range f.taps {
		hear(signed, frame.From, frame.To)
	}
	return ended, false
}

// resync takes over a snapshot: everything in it is added to what is known, and the
// position is its own, unless the feed is further in the same epoch already.
func (f *Feed) resync(ctx context.Context, s *session) error {
	call, cancel := context.WithTimeout(ctx, 6*callTimeout)
	defer cancel()
	least := f.At()
	if least.Epoch != s.Epoch {
		least = Position{Epoch: s.Epoch}
	}
	b, err := f.hub.Snapshot(call, s.Ticket, least)
	if err != nil {
		return fmt.Errorf("fetch snapshot: %w", err)
	}
	at, entries, err := DecodeSnapshot(b, f.c.Issuer, f.keys.find)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	f.mu.Lock()
	ended := f.absorb(s, at, entries)
	f.mu.Unlock()
	for _, end := range ended {
		end()
	}
	return nil
}

// absorb is the change that resync makes. The caller holds mu.
func (f *Feed) absorb(s *session, at Position, entries []Entry) (ended []func()) {
	known := f.known.Load()
	if f.session != s || at.Epoch < f.at.Epoch {
		return nil
	}
	newEpoch := known.complete.Load() && at.Epoch > f.at.Epoch
	if off(RuleSnapshotUnion) && !newEpoch || off(RuleEpochUnion) && newEpoch {
		known = &knowledge{secret: known.secret, generation: known.generation, set: NewSet()}
		f.at = at
	}
	for _, e := range entries {
		known.set.Add(e)
		ended = append(ended, f.watches.covered(e)...)
	}
	if newEpoch {
		f.lease.Store(nil) // it vouched for another log
	}
	if at.Epoch > f.at.Epoch || at.Seq > f.at.Seq {
		f.at, f.proof = at, ""
	}
	known.complete.Store(true)
	f.known.Store(known)
	f.version.Add(1)
	f.counts.resyncs.Add(1)
	return ended
}
