package split

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/session"
)

// A view is a layout as one node knows it. It never changes.
type view struct {
	layout
	raw      string
	from, to string       // what Home and Target name
	a, b     session.Home // at from and to; b is nil when settled
	read     time.Time    // when the last reading that gave it was sent
	since    time.Time    // when this node first knew the revision
	tried    time.Time    // when an absent home was last tried
}

// own reports whether sessions simply are in the truth.
func (v *view) own() bool { return v.Stage == settled && v.from == "" }

// fresh is where new sessions go.
func (v *view) fresh() session.Home {
	if v.Stage == moving {
		return v.b
	}
	return v.a
}

func (v *view) homes() []session.Home {
	if v.Stage == settled {
		return []session.Home{v.a}
	}
	return []session.Home{v.a, v.b}
}

// The lease. A node acts on a view only while less than Lease has passed since it
// sent the reading that gave it. So while a node acts at one stage, the next
// stage was written less than Lease ago, and whoever writes the stage after that
// waits until wait has passed. Nodes at work are never further apart than two
// neighbors: settled A and announced, announced and moving, moving and settled B.
//
// An operation that began within the lease may finish after it. What it then
// found is not used unless the layout is still the same (still).

// wait is how long a stage stays before the next, from when the writer of the
// next knew it. The fourth part is for clocks that run at different speeds.
func (s *Store) wait() time.Duration { return 2*s.c.Lease + s.c.Lease/4 }

// holds reports whether a view may be acted on. The clock that went further
// counts: a suspended machine stops one of the two.
func (s *Store) holds(v *view) bool {
	now := s.c.Now()
	return max(now.Sub(v.read), now.Round(0).Sub(v.read.Round(0))) < s.c.Lease
}

// waited is the opposite of holds: the clock that went less far counts.
func (s *Store) waited(v *view) bool {
	now := s.c.Now()
	return min(now.Sub(v.since), now.Round(0).Sub(v.since.Round(0))) >= s.wait()
}

// current returns a view that may be acted on. It reads the layout when the last
// reading is too old, and fails with fault.Unavailable when it cannot.
func (s *Store) current(ctx context.Context) (*view, error) {
	if v := s.seen.Load(); s.holds(v) {
		return v, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if v := s.seen.Load(); s.holds(v) { // somebody else has just read it
		return v, nil
	}
	if err := s.reread(ctx); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "Sessions cannot be reached at the moment.")
	}
	v := s.seen.Load()
	if !s.holds(v) {
		return nil, fault.New(fault.Unavailable, "Sessions cannot be reached in time.")
	}
	return v, nil
}

// still reports whether v may be acted on even now, or says the same as what may.
func (s *Store) still(ctx context.Context, v *view) (bool, error) {
	if s.holds(v) {
		return true, nil
	}
	now, err := s.current(ctx)
	if err != nil {
		return false, err
	}
	return now.Revision == v.Revision, nil
}

// Refresh reads where sessions live. Housekeeping calls it every second; a node
// that could not for as long as Lease does it before each use of a session, and
// refuses those when it still cannot.
func (s *Store) Refresh(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.reread(ctx)
}

// reread publishes what is recorded. The caller holds s.reading, so readings do
// not overtake each other: a view never goes back.
func (s *Store) reread(ctx context.Context) error {
	sent := s.c.Now()
	raw, err := s.Truth.Setting(ctx, setting)
	if err != nil {
		return fmt.Errorf("read where sessions live: %w", err)
	}
	old := s.seen.Load()
	if old == nil || old.raw != raw {
		if old, err = s.viewOf(raw, old); err != nil {
			return err
		}
	}
	next := *old
	next.read = sent
	s.seen.Store(&next)
	s.connect(ctx, &next)
	s.vacate(s.seen.Load())
	return nil
}

// viewOf makes a view of a layout. Homes that are not open yet are absent.
func (s *Store) viewOf(raw string, old *view) (*view, error) {
	l, err := decode(raw)
	if err != nil {
		return nil, err
	}
	v := &view{layout: l, raw: raw, since: s.c.Now()}
	if old != nil && old.Revision == l.Revision {
		v.since, v.tried = old.since, old.tried
	}
	if v.from, err = s.unseal(l.Home); err != nil {
		return nil, err
	}
	v.a = s.at(v.from)
	if l.Stage == settled {
		return v, nil
	}
	if v.to, err = s.unseal(l.Target); err != nil {
		return nil, err
	}
	v.b = s.at(v.to)
	return v, nil
}

func (s *Store) at(url string) session.Home {
	if url == "" {
		return s.Truth.Sessions()
	}
	if l, found := s.lodgings[url]; found {
		return l.Home
	}
	return absent{cause: errNotOpened}
}

// connect opens absent homes, at most once in a lease, and publishes the view
// that has them. Until it succeeds every use of such a home fails: nobody is
// taken for signed out because a home was not asked.
func (s *Store) connect(ctx context.Context, v *view) {
	missing := func(h session.Home) bool { _, is := h.(absent); return is }
	if !missing(v.a) && !missing(v.b) || s.c.Now().Sub(v.tried) < s.c.Lease {
		return
	}
	next := *v
	next.tried = s.c.Now()
	for _, one := range []struct {
		home *session.Home
		url  string
	}{{&next.a, v.from}, {&next.b, v.to}} {
		if !missing(*one.home) {
			continue
		}
		h, err := s.lodge(ctx, one.url)
		if err != nil {
			why := hide(err.Error(), one.url)
			s.c.Log.Error("open a home of sessions", "home", label(one.url), "err", why)
			h = absent{cause: fault.Wrap(errors.New(why), fault.Unavailable, "Sessions cannot be reached at the moment.")}
		}
		*one.home = h
	}
	s.seen.Store(&next)
}
