package session

import (
	"context"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// ErrGone means that the session ended, or changed its secret, meanwhile.
var ErrGone = fault.New(fault.Unauthenticated, "The session has ended. Sign in again.")

// EndOne says which session ends, and why.
type EndOne struct {
	ID     string
	UserID string // the owner it must have; "" for any
	Actor  string // who ends it
	Reason string // "logout", "admin", ...
}

// End ends one session and all that hangs from it. It reports whether there was
// such a session of that owner; one that is past a limit counts.
func (k *Keeper) End(ctx context.Context, e EndOne) (bool, error) {
	_, found, err := k.EndAt(ctx, e)
	return found, err
}

// EndAt is End, and returns the position of the entry that did.
func (k *Keeper) EndAt(ctx context.Context, e EndOne) (seq int64, found bool, err error) {
	s, found, err := k.store.SessionByID(ctx, e.ID)
	if err != nil {
		return 0, false, fmt.Errorf("end session: %w", err)
	}
	if !found || e.UserID != "" && s.UserID != e.UserID {
		return 0, false, nil
	}
	seq, err = k.ender.Record(ctx, k.ending([]Session{s}, e.Actor, e.Reason))
	if err != nil {
		return 0, false, fmt.Errorf("end session: %w", err)
	}
	return seq, true, nil
}

// EndAll ends every session of a user. It returns the position of the entry
// that did.
func (k *Keeper) EndAll(ctx context.Context, userID, actor, reason string) (int64, error) {
	now := k.now()
	seq, err := k.ender.Record(ctx, revoke.Effects{
		Revoke: []revoke.Entry{revoke.New(revoke.User, userID, reason, now)},
		Audit:  []audit.Event{{At: now, Action: "session.end_all", Actor: actor, Target: userID, Detail: reason}},
	})
	if err != nil {
		return 0, fmt.Errorf("end all sessions: %w", err)
	}
	return seq, nil
}

// OthersEnding returns the effects that end every session of a user but one, for
// a change that must write them in its own transaction.
func (k *Keeper) OthersEnding(ctx context.Context, userID, keep, actor, reason string) (revoke.Effects, error) {
	all, err := k.store.SessionsOf(ctx, userID)
	if err != nil {
		return revoke.Effects{}, fmt.Errorf("list sessions: %w", err)
	}
	others := make([]Session, 0, len(all))
	for _, s := range all {
		if s.ID != keep {
			others = append(others, s)
		}
	}
	return k.ending(others, actor, reason), nil
}

func (k *Keeper) ending(all []Session, actor, reason string) revoke.Effects {
	now := k.now()
	var fx revoke.Effects
	for _, s := range all {
		e := event(s, now, "session.end", actor)
		e.Detail = reason
		fx.Revoke = append(fx.Revoke, revoke.New(revoke.Session, s.ID, reason, now).Named(s.UserID, s.ClientID))
		fx.Audit = append(fx.Audit, e)
	}
	return fx
}

// List returns a user's live sessions, newest first.
func (k *Keeper) List(ctx context.Context, userID string) ([]Session, error) {
	all, err := k.store.SessionsOf(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now := k.now()
	live := all[:0]
	for _, s := range all {
		if s.Live(now) {
			live = append(live, s)
		}
	}
	return live, nil
}

// Purge removes sessions that are past a limit, a few at a time so that nobody
// waits, until none is left or ctx ends. It returns how many.
func (k *Keeper) Purge(ctx context.Context, now time.Time) (int, error) {
	const step = 500
	total := 0
	for ctx.Err() == nil {
		n, err := k.store.PurgeSessions(ctx, now, step)
		total += n
		if err != nil || n < step {
			return total, err
		}
	}
	return total, ctx.Err()
}
