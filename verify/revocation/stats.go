package revocation

import (
	"sync/atomic"
	"time"
)

// Version of the library, as the list of verifiers shows it.
const Version = "0.3"

type counts struct {
	frames, gaps, resyncs, renewals, failures, refused, streamsLost, registrations atomic.Int64
}

// Stats is how a feed is doing.
type Stats struct {
	Verifier      string        // the id of this start, "" before it was registered
	At            Position      // up to which the set is complete
	Staleness     time.Duration // since it was known to be; -1 before the first lease
	Fresh         bool
	Entries       int   // in the set
	Frames        int64 // applied
	Gaps          int64 // frames that did not continue what was there
	Resyncs       int64 // snapshots taken over
	Renewals      int64 // leases taken
	Failures      int64 // calls that failed
	Refused       int64 // frames that no feed key had signed, or that were none
	StreamsLost   int64
	Registrations int64
}

// Stats reads all figures.
func (f *Feed) Stats() Stats {
	now := f.c.Now()
	s := Stats{
		Staleness: f.Staleness(now), Fresh: f.Fresh(now), Frames: f.counts.frames.Load(), Gaps: f.counts.gaps.Load(),
		Resyncs: f.counts.resyncs.Load(), Renewals: f.counts.renewals.Load(), Failures: f.counts.failures.Load(),
		Refused: f.counts.refused.Load(), StreamsLost: f.counts.streamsLost.Load(), Registrations: f.counts.registrations.Load(),
	}
	if known := f.known.Load(); known != nil {
		s.Entries = known.set.Len()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.At = f.at
	if f.session != nil {
		s.Verifier = f.session.Verifier
	}
	return s
}
