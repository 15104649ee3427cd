package split

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// StartSession implements session.Store. Apart, the record is added first and the
// effects are written afterwards: until they are, nobody has the secret. When
// they are refused, or fail, the record is removed again; one that stays all the
// same is found by nobody and goes with its age.
func (s *Store) StartSession(ctx context.Context, one session.Session, fx revoke.Effects) error {
	started := false
	done, err := s.direct(ctx, func() (bool, error) {
		err := s.Truth.StartSession(ctx, one, s.keep(fx))
		started = err == nil
		return false, err
	})
	if done || err != nil {
		return err
	}
	if started { // and sessions began to leave while it was
		return s.arrived(ctx, one.ID)
	}
	return s.startApart(ctx, one, fx)
}

func (s *Store) startApart(ctx context.Context, one session.Session, fx revoke.Effects) error {
	v, err := s.current(ctx)
	if err != nil {
		return err
	}
	// The position from no later than what allowed the login: what proved the
	// person was read at the guard's, or nothing was, and then it is now.
	r := session.Record{Session: one}
	if fx.Guard != nil {
		r.RSN = fx.Guard.RSN
	} else if r.RSN, err = s.Truth.Head(ctx); err != nil {
		return err
	}
	home := v.fresh()
	if err := home.Add(ctx, r); err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	still, err := s.still(ctx, v)
	if err == nil && !still {
		err = s.arrived(ctx, one.ID)
	}
	if err == nil {
		_, err = s.Truth.Record(ctx, s.keep(fx))
	}
	if err != nil {
		s.forget(ctx, home, one.ID)
	}
	return err
}

// arrived reports, for a record that was added while the layout changed, whether
// it is where nodes look for it.
func (s *Store) arrived(ctx context.Context, id string) error {
	_, found, err := s.find(ctx, byID(id))
	if err == nil && !found {
		err = errMoving
	}
	return err
}

// forget removes a record that was added for a login that failed.
func (s *Store) forget(ctx context.Context, home session.Home, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.Lease)
	defer cancel()
	ref := revoke.Ref{Kind: revoke.Session, Key: id}
	if _, err := home.End(ctx, ref, whatever); err != nil {
		s.c.Log.Warn("remove the session of a login that failed", "session", id, "err", err)
	}
}

// SessionBySecret implements session.Store.
//
// rsn is the head at a moment at which no entry covered the session. The record
// is older than that moment, and that is no harm (I3): a session ends by an entry
// of the log and by its own limits only, so at the head it was as alive as the
// record says. An entry that ends it has a position above rsn.
func (s *Store) SessionBySecret(ctx context.Context, d opaque.Digest) (one session.Session, rsn int64, found bool, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		one, rsn, found, err = s.Truth.SessionBySecret(ctx, d)
		return false, err
	})
	if err != nil {
		return session.Session{}, 0, false, err
	}
	if done {
		return one, rsn, found, nil
	}
	h, rsn, found, err := s.alive(ctx, bySecret(d))
	if err == nil && !found {
		rsn, err = s.Truth.Head(ctx) // at or after whatever ended it
	}
	if err != nil || !found {
		return session.Session{}, rsn, false, err
	}
	return h.Session, rsn, true, nil
}

// SessionByID implements session.Store.
func (s *Store) SessionByID(ctx context.Context, id string) (one session.Session, found bool, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		one, found, err = s.Truth.SessionByID(ctx, id)
		return false, err
	})
	if done || err != nil {
		return one, found, err
	}
	h, _, found, err := s.alive(ctx, byID(id))
	if err != nil || !found {
		return session.Session{}, false, err
	}
	return h.Session, true, nil
}

// SessionsOf implements session.Store.
func (s *Store) SessionsOf(ctx context.Context, userID string) (out []session.Session, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		out, err = s.Truth.SessionsOf(ctx, userID)
		return false, err
	})
	if done || err != nil {
		return out, err
	}
	for range tries {
		v, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		all, err := of(ctx, v, revoke.Ref{Kind: revoke.User, Key: userID})
		if err != nil {
			return nil, err
		}
		still, err := s.still(ctx, v)
		if err != nil {
			return nil, err
		}
		if still {
			return s.standingOf(ctx, userID, all)
		}
	}
	return nil, errMoving
}

// of lists records of all homes of a view, in the order in which they move, so
// that none is missed. Of two copies the one where it moves to counts.
func of(ctx context.Context, v *view, owner revoke.Ref) ([]session.Record, error) {
	byID := map[string]session.Record{}
	for _, h := range v.homes() {
		some, err := h.Of(ctx, owner)
		if err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		for _, r := range some {
			byID[r.ID] = r
		}
	}
	all := make([]session.Record, 0, len(byID))
	for _, r := range byID {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b session.Record) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return all, nil
}

// standingOf leaves out the sessions that the log covers. It asks once, for all
// and from the oldest position on; only when something was found, for each.
func (s *Store) standingOf(ctx context.Context, userID string, all []session.Record) (out []session.Session, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	rsn, refs := all[0].RSN, []revoke.Ref{{Kind: revoke.User, Key: userID}}
	for _, r := range all {
		rsn = min(rsn, r.RSN)
		for _, ref := range r.Refs() {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	_, some, err := s.Truth.Standing(ctx, rsn, refs)
	if err != nil {
		return nil, fmt.Errorf("ask whether sessions were ended: %w", err)
	}
	for _, r := range all {
		covered := false
		if some {
			if _, covered, err = s.Truth.Standing(ctx, r.RSN, r.Refs()); err != nil {
				return nil, fmt.Errorf("ask whether a session was ended: %w", err)
			}
		}
		if !covered {
			out = append(out, r.Session)
		}
	}
	return out, nil
}

// RenewSession implements session.Store. Apart, the home decides, and the effects
// are written afterwards. When they fail or are refused then, the old secret is
// dead and nobody has the new one: the person signs in again, no more.
func (s *Store) RenewSession(ctx context.Context, old opaque.Digest, next session.Session, fx revoke.Effects) (ok bool, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		ok, err = s.Truth.RenewSession(ctx, old, next, s.keep(fx))
		return ok, err
	})
	if done || err != nil {
		return ok, err
	}
	if g := fx.Guard; g != nil {
		_, covered, err := s.Truth.Standing(ctx, g.RSN, g.Refs)
		if err != nil || covered {
			return false, err
		}
	}
	guard, ok, err := s.renewApart(ctx, old, next)
	if err != nil || !ok {
		return false, err
	}
	if fx.Guard == nil {
		fx.Guard = guard
	}
	_, err = s.Truth.Record(ctx, s.keep(fx))
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	return err == nil, err
}

// renewApart swaps the secret where the record is. A record that leaves between
// the look and the renewal refuses it, and is found where it went.
func (s *Store) renewApart(ctx context.Context, old opaque.Digest, next session.Session) (*revoke.Guard, bool, error) {
	for range tries {
		h, head, found, err := s.alive(ctx, byID(next.ID))
		if err != nil || !found || !h.Secret.Equal(old) || !h.Live(next.SeenAt) {
			return nil, false, err
		}
		ok, err := h.home.Renew(ctx, old, next)
		if err != nil {
			return nil, false, fmt.Errorf("renew session: %w", err)
		}
		if ok {
			return &revoke.Guard{RSN: head, Refs: h.Refs()}, true, nil
		}
	}
	return nil, false, nil
}

// TouchSessions implements session.Store. A session that the log covers may be
// touched until it is swept: that revives nothing.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch) (n int, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		n, err = s.Truth.TouchSessions(ctx, touches)
		return n == len(touches), err
	})
	for try := 0; !done && err == nil && try < tries; try++ {
		var v *view
		if v, err = s.current(ctx); err != nil {
			break
		}
		if n, err = s.touchIn(ctx, v, touches); err == nil && n < len(touches) {
			done, err = s.still(ctx, v)
			continue
		}
		done = true
	}
	return n, err
}

// touchIn touches where the records are. When some were not found so, each that is
// still to be moved is pulled, and where they go is touched again: touching twice
// is touching once.
func (s *Store) touchIn(ctx context.Context, v *view, touches []session.Touch) (n int, err error) {
	switch v.Stage {
	case settled:
		return v.a.Touch(ctx, touches)
	case announced:
		if n, err = v.a.Touch(ctx, touches); err != nil || n == len(touches) {
			return n, err
		}
	}
	there, err := v.b.Touch(ctx, touches)
	if err != nil || n+there == len(touches) {
		return n + there, err
	}
	for _, t := range touches {
		if err := s.bring(ctx, v, t.ID); err != nil {
			return n, err
		}
	}
	there, err = v.b.Touch(ctx, touches)
	return n + there, err
}

// bring pulls a record that A has no say about any more.
func (s *Store) bring(ctx context.Context, v *view, id string) error {
	r, found, err := v.a.ByID(ctx, id)
	if err != nil || !found || v.Stage == announced && !r.Leaving {
		return err
	}
	return s.pull(ctx, v, id)
}

// PurgeSessions implements session.Store. While sessions are moving only those
// that have arrived are purged: the others are on their way there.
func (s *Store) PurgeSessions(ctx context.Context, now time.Time, limit int) (n int, err error) {
	done, err := s.direct(ctx, func() (bool, error) {
		n, err = s.Truth.PurgeSessions(ctx, now, limit)
		return true, err
	})
	if done || err != nil {
		return n, err
	}
	v, err := s.current(ctx)
	if err != nil {
		return 0, err
	}
	ids, lost := v.fresh().Purge(ctx, now, limit)
	if lost != nil {
		lost = fmt.Errorf("purge sessions: %w", lost)
	}
	all := len(ids)
	gone, err := s.gone(ctx, v, ids)
	if err != nil {
		return all, errors.Join(lost, err) // their grants are of no use without them, and expire
	}
	return all, errors.Join(lost, s.unhang(ctx, gone))
}

// gone leaves out the ids of records that were purged where they are no more: an
// older copy must not take along what hangs from the session.
func (s *Store) gone(ctx context.Context, v *view, ids []string) ([]string, error) {
	if v.Stage == announced {
		kept := ids[:0]
		for _, id := range ids {
			_, found, err := v.b.ByID(ctx, id)
			if err != nil {
				return nil, err
			}
			if !found {
				kept = append(kept, id)
			}
		}
		ids = kept
	}
	still, err := s.still(ctx, v)
	if err != nil || !still {
		return nil, err
	}
	return ids, nil
}
