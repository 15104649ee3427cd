package split

import (
	"context"
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
	for i, url := range []string{v.from, v.to} {
		if url == "" || i == 1 && v.Stage == settled {
			continue
		}
		h := []session.Home{v.a, v.b}[i]
		ids, err := h.End(ctx, revoke.Ref{Kind: r.Kind, Key: r.Key}, r.Seq)
		if err != nil {
			return err
		}
		ended = append(ended, ids...)
	}
	if r.Kind == revoke.Session || len(ended) == 0 {
		return nil // the entry itself removed what names the session
	}
	return s.Truth.ForgetSessions(ctx, ended)
}
