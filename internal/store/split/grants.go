package split

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Snapshot implements grant.Store.
//
// Apart, the truth is read at a position R, and then the log is asked, at a
// position H that is not below R, whether an entry covers the record. If none
// does at H, none did at R, and the state is what it was at R (I3), whenever the
// record itself was read: of a session only its end matters to the log. If one does,
// or there is no record, the truth is read again, without the session: whoever is
// told that a session is gone has a position at or above its end.
func (s *Store) Snapshot(ctx context.Context, q grant.Query) (st grant.State, err error) {
	if q.SessionSecret.IsZero() && q.SessionID == "" && q.GrantID == "" {
		return s.Truth.Snapshot(ctx, q)
	}
	done, err := s.direct(ctx, func() (bool, error) {
		st, err = s.Truth.Snapshot(ctx, q)
		return false, err
	})
	if done || err != nil {
		return st, err
	}
	if q.GrantID != "" {
		return s.snapshotOfGrant(ctx, q)
	}
	look := byID(q.SessionID)
	if !q.SessionSecret.IsZero() {
		look = bySecret(q.SessionSecret)
	}
	rest := grant.Query{UserID: q.UserID, ClientID: q.ClientID, APIID: q.APIID}
	h, found, err := s.find(ctx, look)
	if err != nil {
		return grant.State{}, err
	}
	if !found {
		return s.Truth.Snapshot(ctx, rest)
	}
	whole := rest
	if whole.UserID == "" {
		whole.UserID = h.UserID
	}
	if st, err = s.Truth.Snapshot(ctx, whole); err != nil {
		return grant.State{}, err
	}
	covered, err := s.covered(ctx, h)
	if err != nil {
		return grant.State{}, err
	}
	if covered {
		return s.Truth.Snapshot(ctx, rest)
	}
	st.Session = &h.Session
	return st, nil
}

func (s *Store) covered(ctx context.Context, h hit) (bool, error) {
	_, covered, err := s.Truth.Standing(ctx, h.RSN, h.Refs())
	if err != nil {
		return false, fmt.Errorf("ask whether a session was ended: %w", err)
	}
	return covered, nil
}

func (s *Store) snapshotOfGrant(ctx context.Context, q grant.Query) (grant.State, error) {
	st, err := s.Truth.Snapshot(ctx, q)
	if err != nil || st.Grant == nil {
		return st, err
	}
	h, found, err := s.find(ctx, byID(st.Grant.SessionID))
	if err != nil {
		return grant.State{}, err
	}
	covered := !found
	if found {
		if covered, err = s.covered(ctx, h); err != nil {
			return grant.State{}, err
		}
	}
	st.Session = &h.Session
	if covered {
		st, err = s.Truth.Snapshot(ctx, q)
		st.Session = nil // the truth's own table may hold what is on its way
	}
	return st, err
}

// AddGrant implements grant.Store.
func (s *Store) AddGrant(ctx context.Context, g grant.Grant, fx revoke.Effects) (ok bool, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		ok, err = s.Truth.AddGrant(ctx, g, s.keep(fx))
		return ok, err
	})
	if done || err != nil {
		return ok, err
	}
	h, head, found, err := s.alive(ctx, byID(g.SessionID))
	if err != nil || !found {
		return false, err
	}
	return s.Truth.AddGrantApart(ctx, g, s.keep(fx), revoke.Guard{RSN: head, Refs: h.Refs()})
}

// AddToken implements grant.Store.
func (s *Store) AddToken(ctx context.Context, t grant.AccessToken) (ok bool, err error) {
	if t.SessionID == "" {
		return s.Truth.AddToken(ctx, t)
	}
	done, err := s.direct(ctx, func() (bool, error) {
		ok, err = s.Truth.AddToken(ctx, t)
		return ok, err
	})
	if done || err != nil {
		return ok, err
	}
	h, head, found, err := s.alive(ctx, byID(t.SessionID))
	if err != nil || !found {
		return false, err
	}
	return s.Truth.AddTokenApart(ctx, t, revoke.Guard{RSN: head, Refs: h.Refs()})
}

// ChangeGrant implements grant.Store.
func (s *Store) ChangeGrant(ctx context.Context, grantID string, decide func(grant.State) grant.Change) error {
	alone := false // the grant was there and its session was not
	kept := func(st grant.State) grant.Change {
		alone = st.Grant != nil && st.Session == nil
		ch := decide(st)
		ch.Effects = s.keep(ch.Effects)
		return ch
	}
	done, err := s.direct(ctx, func() (bool, error) {
		err := s.Truth.ChangeGrant(ctx, grantID, kept)
		return !alone, err
	})
	if done || err != nil {
		return err
	}
	for range tries {
		one, also, err := s.sessionOfGrant(ctx, grantID)
		if err != nil {
			return err
		}
		err = s.Truth.ChangeGrantApart(ctx, grantID, one, also, kept)
		if !fault.Is(err, fault.Conflict) || len(also.Refs) == 0 {
			return err
		}
		_, ended, lost := s.Truth.Standing(ctx, also.RSN, also.Refs)
		if lost != nil {
			return fmt.Errorf("ask whether a session was ended: %w", lost)
		}
		if !ended {
			return err // it was the decision's own guard
		}
	}
	return fault.New(fault.Conflict, "The session is being changed. Try again.")
}

// sessionOfGrant reads what a decision about a grant needs of its session, and
// the guard under which it still holds when the decision is written.
func (s *Store) sessionOfGrant(ctx context.Context, grantID string) (*session.Session, revoke.Guard, error) {
	st, err := s.Truth.Snapshot(ctx, grant.Query{GrantID: grantID})
	if err != nil || st.Grant == nil {
		return nil, revoke.Guard{}, err
	}
	h, head, found, err := s.alive(ctx, byID(st.Grant.SessionID))
	if err != nil || !found {
		return nil, revoke.Guard{}, err
	}
	return &h.Session, revoke.Guard{RSN: head, Refs: h.Refs()}, nil
}
