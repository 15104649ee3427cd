package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// start begins to serve every receiver that has something due, as far as there are
// hands. What is begun is counted in under.
func (o *Outbox) start(ctx context.Context, under *sync.WaitGroup) error {
	var errs []error
	for _, t := range o.c.Topics {
		errs = append(errs, o.startTopic(ctx, t, under))
	}
	return errors.Join(errs...)
}

func (o *Outbox) startTopic(ctx context.Context, t Topic, under *sync.WaitGroup) error {
	waiting, err := o.c.Queue.DueReceivers(ctx, t.Name(), o.c.Now(), receiversAtOnce)
	if err != nil {
		return fmt.Errorf("list receivers of topic %s: %w", t.Name(), err)
	}
	for _, to := range waiting {
		open, err := t.Open(ctx, to)
		if err != nil {
			return fmt.Errorf("look at receiver %s of topic %s: %w", to, t.Name(), err)
		}
		if !open || !o.occupy(t, to) {
			continue
		}
		select {
		case o.slots <- struct{}{}:
		default:
			o.leave(t, to)
			return nil // whoever finishes calls us again
		}
		under.Go(func() {
			defer func() {
				<-o.slots
				o.leave(t, to)
				o.wake()
			}()
			if err := o.serve(ctx, t, to); err != nil && ctx.Err() == nil {
				o.c.Logger.Error("deliver messages", "topic", t.Name(), "to", to, "error", err)
			}
		})
	}
	return nil
}

func (o *Outbox) occupy(t Topic, to string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := [2]string{t.Name(), to}
	if o.busy[key] {
		return false
	}
	o.busy[key] = true
	return true
}

func (o *Outbox) leave(t Topic, to string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, [2]string{t.Name(), to})
}

// wake ends the rest of Run.
func (o *Outbox) wake() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// serve sends what is due to one receiver, until one attempt fails: a receiver that
// does not answer is not asked again for each message.
func (o *Outbox) serve(ctx context.Context, t Topic, to string) error {
	now := o.c.Now()
	until := now.Add(claimFor)
	claimed, err := o.c.Queue.ClaimMessages(ctx, Claim{
		Topic: t.Name(), To: to, Holder: o.c.Node, Now: now, Until: until, Limit: messagesAtOnce,
	})
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	for i, m := range claimed {
		if ctx.Err() != nil || o.c.Now().Add(attemptFor).After(until) {
			return o.settle(ctx, o.unsent(claimed[i:], o.c.Now()))
		}
		out := o.attempt(ctx, t, m)
		// An attempt that our own end cut off says nothing of the receiver.
		if ctx.Err() != nil && out.Result == Failed {
			return o.settle(ctx, o.unsent(claimed[i:], o.c.Now()))
		}
		s := o.judge(m, out)
		all := []Settlement{s}
		if out.Result == Failed {
			retry := s.DueAt
			if s.Verdict != Again {
				retry = o.c.Now().Add(wait(1))
			}
			all = append(all, o.unsent(claimed[i+1:], retry)...)
		}
		if err := o.settle(ctx, all); err != nil || out.Result == Failed {
			return err
		}
	}
	return nil
}

func (o *Outbox) attempt(ctx context.Context, t Topic, m Message) Outcome {
	ctx, cancel := context.WithTimeout(ctx, attemptFor)
	defer cancel()
	return t.Deliver(ctx, m)
}

// settle is done even when our end has come: what was sent is not sent again.
func (o *Outbox) settle(ctx context.Context, all []Settlement) error {
	if len(all) == 0 {
		return nil
	}
	if _, err := o.c.Queue.SettleMessages(context.WithoutCancel(ctx), all); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

func (o *Outbox) unsent(rest []Message, due time.Time) []Settlement {
	all := make([]Settlement, 0, len(rest))
	for _, m := range rest {
		all = append(all, Settlement{
			ID: m.ID, To: m.To, Holder: o.c.Node, Verdict: Again, Attempts: m.Attempts, DueAt: due, Problem: m.Problem, At: o.c.Now(),
		})
	}
	return all
}

// judge says what becomes of a message after an attempt.
func (o *Outbox) judge(m Message, out Outcome) Settlement {
	now := o.c.Now()
	s := Settlement{ID: m.ID, To: m.To, Holder: o.c.Node, Verdict: Done, Attempts: m.Attempts + 1, Problem: out.Problem, At: now}
	if out.Result == Delivered || out.Result == Moot {
		return s
	}
	s.Verdict, s.DueAt = Again, now.Add(max(wait(s.Attempts), min(out.After, longestWait)))
	if out.Result == Refused && s.Attempts >= refusals || s.DueAt.After(m.CreatedAt.Add(Lifetime)) {
		s.Verdict, s.DueAt = Giving, time.Time{}
	}
	note := o.c.Logger.Warn
	if s.Verdict == Giving {
		note = o.c.Logger.Error
	}
	note("message was not delivered", "topic", m.Topic, "to", m.To, "message", m.ID, "attempts", s.Attempts,
		"given_up", s.Verdict == Giving, "problem", out.Problem)
	return s
}

// The waits between attempts.
const (
	firstWait   = time.Second
	longestWait = 15 * time.Minute
)

// wait is how long to leave a receiver alone after so many attempts: twice as long
// each time, between half of that and all of it, so that what failed together does
// not come back together.
func wait(attempts int) time.Duration {
	d := longestWait
	if attempts < 11 {
		d = min(d, firstWait<<max(attempts-1, 0))
	}
	b := opaque.Bytes(2)
	part := time.Duration(b[0])<<8 | time.Duration(b[1]) // of 65536
	return d/2 + d/2*part/65536
}
