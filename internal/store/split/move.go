package split

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

const (
	pageStep   = 200  // records that are listed at once
	straysMost = 1000 // records that may be cleared away before a move
)

// Progress is how far a move is.
type Progress struct {
	Stage  string // "settled", "announced" or "moving"
	From   string // where sessions are or were moving from, without passwords; "" when they never moved
	To     string // where they are, or are moving to
	Copied int64  // records that have left
	Left   int64  // records that have not
	Total  int64
	Done   bool   // the last move is complete
	Error  string // why it does not go on at the moment; it goes on by itself
}

// StartMove announces that sessions move to the home at a URL ("" is the truth's
// own table). It opens the home, and refuses one that is not empty, or is the same
// place under another name (fault.Conflict), or cannot be used (fault.Invalid).
// A move to that home which is under way is not an error, one to another is
// fault.Conflict. Every node must be able to open the URL, and to the same place.
// Housekeeping does the rest.
func (s *Store) StartMove(ctx context.Context, toURL string) error {
	v, err := s.latest(ctx)
	if err != nil {
		return err
	}
	if v.Stage != settled {
		if place(v.to) == place(toURL) {
			return nil
		}
		return fault.New(fault.Conflict, "Sessions are on their way to "+label(v.to)+" already.")
	}
	if place(v.from) == place(toURL) {
		return fault.New(fault.Invalid, "Sessions are kept in "+label(v.from)+" already.")
	}
	s.reading.Lock()
	target, err := s.lodge(ctx, toURL)
	s.reading.Unlock()
	if err == nil {
		err = target.Ping(ctx)
	}
	if err != nil {
		return fault.Wrap(errors.New(hide(err.Error(), toURL)), fault.Invalid, "The new home of sessions, "+label(toURL)+", cannot be used.")
	}
	if err := s.prove(ctx, v, target, toURL); err != nil {
		return err
	}
	err = s.advance(ctx, v, func(l *layout) {
		l.Revision++
		l.Stage, l.Target, l.Total, l.Trouble, l.Mover = announced, s.seal(toURL), 0, "", claim{}
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

func (s *Store) latest(ctx context.Context) (*view, error) {
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	return s.current(ctx)
}

// prove makes sure that a home takes records, is not the one they come from, and
// is empty. Moving within one place would remove every record right after "adding" it.
// What is left over from long ago would answer to secrets of long ago.
func (s *Store) prove(ctx context.Context, v *view, target session.Home, toURL string) error {
	now := s.c.Now()
	head, err := s.Truth.Head(ctx)
	if err != nil {
		return err
	}
	probe := session.Record{RSN: head, Session: session.Session{
		ID: opaque.ID(opaque.SessionID, now), Secret: opaque.Hash(opaque.Secret()), UserID: "probe", CreatedAt: now, AuthTime: now, SeenAt: now,
		IdleUntil: now.Add(time.Minute), ExpiresAt: now.Add(time.Minute),
	}}
	if err := target.Add(ctx, probe); err != nil {
		return fault.Wrap(errors.New(hide(err.Error(), toURL)), fault.Invalid, "The new home of sessions, "+label(toURL)+", takes no records.")
	}
	_, same, lost := v.a.ByID(ctx, probe.ID)
	if _, err := target.End(ctx, revoke.Ref{Kind: revoke.Session, Key: probe.ID}, whatever); err != nil {
		return fmt.Errorf("try the new home of sessions: %w", err)
	}
	if lost != nil {
		return fmt.Errorf("read the home of sessions: %w", lost)
	}
	if same {
		return fault.New(fault.Conflict, label(toURL)+" is where sessions are kept already, under another name.")
	}
	if _, err := target.Purge(ctx, now, straysMost); err != nil {
		return fmt.Errorf("empty the new home of sessions: %w", err)
	}
	if err := s.clearStrays(ctx, v, target, toURL); err != nil {
		return fmt.Errorf("empty the new home of sessions: %w", err)
	}
	n, err := target.Count(ctx)
	if err != nil {
		return fmt.Errorf("count the records of the new home of sessions: %w", err)
	}
	if n > 0 {
		return fault.New(fault.Conflict, fmt.Sprintf("%s holds %d sessions of its own. Use a home that is empty.", label(toURL), n))
	}
	return nil
}

// clearStrays empties the home that sessions came from. It was empty when they
// had left it; what is there now is of logins that never were acknowledged.
func (s *Store) clearStrays(ctx context.Context, v *view, target session.Home, toURL string) error {
	if v.Past == nil {
		return nil
	}
	before, err := s.unseal(v.Past.Home)
	if err != nil || place(before) != place(toURL) {
		return err
	}
	some, _, err := target.Page(ctx, "", straysMost)
	if err != nil {
		return err
	}
	for _, r := range some {
		if _, err := target.End(ctx, revoke.Ref{Kind: revoke.Session, Key: r.ID}, whatever); err != nil {
			return err
		}
	}
	return nil
}

// AbortMove takes back what was announced. Once records are moving it is refused
// (fault.Conflict): they can be moved back when all have arrived.
func (s *Store) AbortMove(ctx context.Context) error {
	v, err := s.latest(ctx)
	if err != nil {
		return err
	}
	switch v.Stage {
	case settled:
		return fault.New(fault.Conflict, "No move is under way.")
	case moving:
		return fault.New(fault.Conflict, "Sessions are moving already. Let them arrive, then move them back.")
	}
	err = s.advance(ctx, v, func(l *layout) {
		l.Revision++
		l.Stage, l.Target, l.Trouble, l.Mover = settled, "", "", claim{}
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// MoveStatus returns how far a move is.
func (s *Store) MoveStatus(ctx context.Context) (Progress, error) {
	v, err := s.latest(ctx)
	if err != nil {
		return Progress{}, err
	}
	return s.progress(ctx, v)
}

func (s *Store) progress(ctx context.Context, v *view) (p Progress, err error) {
	p = Progress{Stage: string(v.Stage), From: label(v.from), To: label(v.to), Total: v.Total, Error: v.Trouble}
	if v.Stage == settled {
		p.From, p.To = "", label(v.from)
		if v.Past == nil {
			return p, nil
		}
		before, err := s.unseal(v.Past.Home)
		p.From, p.Done, p.Total, p.Copied = label(before), true, v.Past.Total, v.Past.Total
		return p, err
	}
	if p.Left, err = v.a.Count(ctx); err != nil {
		p.Left = v.Total
		if p.Error == "" {
			p.Error = hide(err.Error(), v.from, v.to)
		}
	}
	p.Total = max(p.Total, p.Left)
	p.Copied = p.Total - p.Left
	return p, nil
}

// Move does a bounded part of the move that is under way, if there is one and no
// other node is at it. Housekeeping of every node calls it, again at once while
// the move is not Done and goes on. An error is also in the progress, for
// everybody; the next call tries again.
func (s *Store) Move(ctx context.Context) (Progress, error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	v, err := s.latest(ctx)
	if err != nil {
		return Progress{}, err
	}
	if v.Stage == settled {
		return s.progress(ctx, v)
	}
	mine, err := s.claim(ctx, v)
	if mine && err == nil {
		err = s.step(ctx, v)
		s.note(ctx, v, err)
	}
	p, lost := s.MoveStatus(ctx)
	return p, errors.Join(err, lost)
}

// claim takes or keeps the claim to move records.
func (s *Store) claim(ctx context.Context, v *view) (mine bool, err error) {
	now := s.c.Now()
	err = s.advance(ctx, v, func(l *layout) {
		if l.Mover.Node != s.c.Node && now.Before(l.Mover.Until) {
			mine = false
			return
		}
		mine = true
		if l.Mover.Node != s.c.Node || l.Mover.Until.Sub(now) < s.c.Lease {
			l.Mover = claim{Node: s.c.Node, Until: now.Add(2 * s.c.Lease).UTC()}
		}
	})
	if fault.Is(err, fault.Conflict) {
		return false, nil // somebody else went on meanwhile
	}
	return mine, err
}

// note writes why a move does not go on, or that it does again.
func (s *Store) note(ctx context.Context, v *view, trouble error) {
	text := ""
	if trouble != nil {
		text = hide(trouble.Error(), v.from, v.to)
	}
	err := s.swap(ctx, func(l *layout) error {
		if l.Stage != settled {
			l.Trouble = text
		}
		return nil
	})
	if err != nil {
		s.c.Log.Warn("note how far sessions have moved", "err", err)
	}
}

func (s *Store) step(ctx context.Context, v *view) error {
	if v.Stage == announced {
		return s.begin(ctx, v)
	}
	return s.carry(ctx, v)
}

// begin lets records move, once every node at work knows where to.
func (s *Store) begin(ctx context.Context, v *view) error {
	if !s.waited(v) {
		return nil
	}
	if err := errors.Join(v.a.Ping(ctx), v.b.Ping(ctx)); err != nil {
		return fmt.Errorf("a home does not answer: %w", err)
	}
	n, err := v.a.Count(ctx)
	if err != nil {
		return err
	}
	return s.advance(ctx, v, func(l *layout) {
		l.Revision++
		l.Stage, l.Total = moving, n
	})
}

// carry pulls records, always from the start: what has left is not there any
// more. When a whole pass is done, nobody adds to A any more and it is empty, the
// move is complete.
func (s *Store) carry(ctx context.Context, v *view) error {
	quiet := s.waited(v) // no node is still announced: A gets nothing new
	cursor := ""
	for n := 0; ; {
		some, next, err := v.a.Page(ctx, cursor, min(pageStep, s.c.Slice))
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		for _, r := range some {
			if err := s.pull(ctx, v, r.ID); err != nil {
				return err
			}
		}
		if n += len(some); next == "" {
			break
		}
		if cursor = next; n >= s.c.Slice {
			return nil
		}
	}
	left, err := v.a.Count(ctx)
	if err != nil || left > 0 || !quiet {
		return err
	}
	return s.advance(ctx, v, func(l *layout) {
		l.Revision++
		l.Past = &past{Home: l.Home, Total: l.Total}
		l.Stage, l.Home, l.Target, l.Total, l.Trouble, l.Mover = settled, l.Target, "", 0, "", claim{}
	})
}
