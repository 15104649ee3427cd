package outbox

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Feed moves every topic on to the end of the log. A topic that has never read
// begins at the end: what happened before somebody could ask to be told is nobody's
// message.
func (o *Outbox) Feed(ctx context.Context) error {
	var errs []error
	lowest := int64(math.MaxInt64)
	for _, t := range o.c.Topics {
		at, err := o.feedTopic(ctx, t)
		if err != nil {
			errs = append(errs, fmt.Errorf("feed topic %s: %w", t.Name(), err))
			continue
		}
		lowest = min(lowest, at)
	}
	if len(errs) == 0 {
		o.reached.Store(lowest)
	}
	return errors.Join(errs...)
}

// feedTopic moves a topic on as far as there are entries, and returns its place.
func (o *Outbox) feedTopic(ctx context.Context, t Topic) (int64, error) {
	for {
		from, err := o.c.Queue.TopicPlace(ctx, t.Name())
		if err != nil {
			return 0, err
		}
		more, err := o.feedOne(ctx, t, from)
		if err != nil || !more {
			return from, err
		}
	}
}

// feedOne makes one step. It reports whether the place may be another now.
func (o *Outbox) feedOne(ctx context.Context, t Topic, from int64) (moved bool, err error) {
	if from == Unread {
		head, err := o.c.Log.Head(ctx)
		if err != nil {
			return false, err
		}
		_, err = o.c.Queue.AdvanceTopic(ctx, Advance{Topic: t.Name(), From: Unread, To: head})
		return err == nil, err
	}
	entries, err := o.c.Log.Revocations(ctx, from, entriesAtOnce)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	step := Advance{Topic: t.Name(), From: from}
	for _, e := range entries {
		some, err := t.Plan(ctx, e)
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		for _, m := range some {
			m.Seq = e.Seq
			step.Add = append(step.Add, m)
		}
		step.To = e.Seq
	}
	// Refused: another node was faster, and has added what we would have.
	if _, err := o.c.Queue.AdvanceTopic(ctx, step); err != nil {
		return false, err
	}
	return true, nil
}
