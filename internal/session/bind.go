package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/bound"
)

// ErrElsewhere means that a session is used from another network or device than
// it was started on, and is bound to it.
var ErrElsewhere = fault.New(fault.Unauthenticated, "This session was started on another network or device. Sign in again.")

// Judge compares what is seen with what a session is bound to. It returns nil
// when that is the same, when the session is not bound, or when the difference is
// only to be told of; ErrElsewhere otherwise. A difference is written to the
// audit log, the same one at most once an hour.
func (k *Keeper) Judge(ctx context.Context, s Session, seen bound.Seen) error {
	b, err := bound.Parse(s.Binding)
	if err != nil {
		return fmt.Errorf("session %s: %w", s.ID, err)
	}
	v := b.Check(s.ID, seen)
	if v.Mode == bound.Off {
		return nil
	}
	if err := k.tell(ctx, s, v, seen); err != nil {
		return err
	}
	if v.Mode == bound.Report {
		return nil
	}
	return ErrElsewhere
}

func (k *Keeper) tell(ctx context.Context, s Session, v bound.Verdict, seen bound.Seen) error {
	now := k.now()
	address := ""
	if seen.Address.IsValid() {
		address = seen.Address.String()
	}
	if !k.told.first(fmt.Sprint(s.ID, v, address), now) {
		return nil
	}
	e := event(s, now, "session.elsewhere", s.UserID)
	e.Address = address
	e.Detail = fmt.Sprintf("%s: another network %t, another device %t", v.Mode, v.Network, v.Device)
	if _, err := k.ender.Record(ctx, revoke.Effects{Audit: []audit.Event{e}}); err != nil {
		return fmt.Errorf("note use elsewhere: %w", err)
	}
	return nil
}

// again is after how long the same difference is told once more; toldMost is how
// many are remembered before all are forgotten.
const (
	again    = time.Hour
	toldMost = 10_000
)

// told remembers what was told of, so that a thief cannot fill the audit log.
type told struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (t *told) first(what string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, known := t.last[what]; known && now.Sub(at) < again {
		return false
	}
	if t.last == nil || len(t.last) >= toldMost {
		t.last = map[string]time.Time{}
	}
	t.last[what] = now
	return true
}
