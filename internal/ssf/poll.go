package ssf

import (
	"context"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/outbox"
)

// What one poll gives and takes at most.
const (
	MostEvents = 100
	MostAcks   = 1000

	lookEvery = 500 * time.Millisecond
)

// PollAsk is what a receiver that comes for events says (RFC 8936 section 2.2).
type PollAsk struct {
	Max  int           // events wanted at most; 0: none
	Wait time.Duration // how long to wait for the first; 0: not at all
	Ack  []string      // ids of events it has, durably
	Errs []PollError
}

// PollError is an event that a receiver has and refuses.
type PollError struct {
	ID          string
	Code        string
	Description string
}

// Polled is what it gets.
type Polled struct {
	Sets map[string]string // id -> token
	More bool
}

// Poll settles what the receiver has dealt with, then gives it the oldest events of
// its stream that are left. They are given again until they are acknowledged. A
// stream that is not polled is fault.NotFound.
func (s *Service) Poll(ctx context.Context, clientID, id string, ask PollAsk) (Polled, error) {
	if ask.Max < 0 || len(ask.Ack)+len(ask.Errs) > MostAcks {
		return Polled{}, fault.New(fault.Invalid, "maxEvents is negative, or more than 1000 events are acknowledged at once.")
	}
	one, err := s.Stream(ctx, clientID, id)
	if err != nil {
		return Polled{}, err
	}
	if one.Method != outbox.Poll {
		return Polled{}, fault.New(fault.NotFound, "The events of this stream are pushed.")
	}
	if err := s.settle(ctx, one, ask); err != nil {
		return Polled{}, err
	}
	ask.Max = min(ask.Max, MostEvents)
	deadline, stop := context.WithTimeout(ctx, ask.Wait)
	defer stop()
	for {
		got, err := s.take(ctx, one, ask.Max)
		if err != nil || ask.Max == 0 || len(got.Sets) > 0 || !pause(deadline) {
			return got, err
		}
		if one, err = s.Stream(ctx, clientID, id); err != nil { // it may have been changed meanwhile
			return Polled{}, err
		}
	}
}

// pause waits a little. It reports false when the time is over.
func pause(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(lookEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *Service) settle(ctx context.Context, one outbox.Stream, ask PollAsk) error {
	var all []outbox.Settlement
	for _, id := range ask.Ack {
		all = append(all, outbox.Settlement{ID: id, To: one.ID, Verdict: outbox.Done, At: s.c.Now()})
	}
	for _, e := range ask.Errs {
		problem := "the receiver refused the event: " + clip(e.Code+" "+e.Description)
		s.c.Log.Warn("event was refused", "stream", one.ID, "client", one.ClientID, "message", clip(e.ID), "problem", problem)
		all = append(all, outbox.Settlement{ID: e.ID, To: one.ID, Verdict: outbox.Giving, Attempts: 1, Problem: problem, At: s.c.Now()})
	}
	if len(all) == 0 {
		return nil
	}
	if _, err := s.c.Store.SettleMessages(ctx, all); err != nil {
		return fmt.Errorf("settle events: %w", err)
	}
	return nil
}

func (s *Service) take(ctx context.Context, one outbox.Stream, most int) (Polled, error) {
	got := Polled{Sets: map[string]string{}}
	if most == 0 || one.Status != outbox.Enabled || one.Method != outbox.Poll {
		return got, nil
	}
	waiting, err := s.c.Store.Messages(ctx, outbox.Which{Topic: Topic, To: one.ID, State: outbox.Waiting, Limit: most + 1})
	if err != nil {
		return Polled{}, fmt.Errorf("read events: %w", err)
	}
	got.More = len(waiting) > most
	for _, m := range waiting[:min(most, len(waiting))] {
		token, err := s.sign(m, one)
		if err != nil {
			return Polled{}, err
		}
		got.Sets[m.ID] = token
	}
	return got, nil
}
