package split

import (
	"context"
	"errors"
	"fmt"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// sweepStep is how many entries are read at once.
const sweepStep = 500

// Sweep removes from homes what entries of the log have ended since the last
// call. It only makes room: nothing depends on it, since the log is asked at each
// use. What hangs from sessions that a user's or a client's end took along is
// removed from the truth as well. Housekeeping calls it every second on each node.
func (s *Store) Sweep(ctx context.Context) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	for {
		v, err := s.current(ctx)
		if err != nil {
			return err
		}
		if v.own() { // an entry ends sessions there in its own transaction
			s.swept, err = s.Truth.Head(ctx)
			return err
		}
		log, err := s.Truth.Revocations(ctx, s.swept, sweepStep)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		for _, r := range log {
			if err := s.end(ctx, v, r); err != nil {
				return fmt.Errorf("sweep ended sessions: %w", err)
			}
			s.swept = r.Seq
		}
		if len(log) < sweepStep {
			return nil
		}
	}
}

// end applies an entry to the homes in the order in which records move.
func (s *Store) end(ctx context.Context, v *view, r revoke.Recorded) error {
	if !endsSessions(r.Kind) || r.Key == "" {
		return nil
	}
	var ended []string
	var lost error
	for i, url := range []string{v.from, v.to} {
		if url == "" || i == 1 && v.Stage == settled {
			continue
		}
		h := []session.Home{v.a, v.b}[i]
		ids, err := h.End(ctx, revoke.Ref{Kind: r.Kind, Key: r.Key}, r.Seq)
		ended = append(ended, ids...)
		if err != nil {
			lost = err
			break
		}
	}
	if r.Kind == revoke.Session { // the entry itself removed what names the session
		return lost
	}
	return errors.Join(lost, s.unhang(ctx, ended))
}

// unhang removes what hangs from sessions that a home has removed. It will not name
// them again, so a caller who was stopped meanwhile does this still.
func (s *Store) unhang(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.Lease)
		defer cancel()
		ctx = brief
	}
	return s.Truth.ForgetSessions(ctx, ids)
}
