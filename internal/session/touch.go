package session

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// usesMost is how many uses wait to be written at most. More are not noted: that
// can only end a session early, by what Limits.Touch is (S4).
const usesMost = 100_000

// touchStep is how many uses are written in one step.
const touchStep = 500

// uses are touches that wait to be written.
type uses struct {
	mu      sync.Mutex
	waiting map[string]Touch
	writing sync.Mutex // one flush at a time
}

// Touch notes the use of a live session, when the last note is old enough, and
// sets what the note will. It is written behind: by the next Flush. A use that is
// never written can only end the session early, never late, and never revives
// one: the store moves limits forward only while the session is live.
func (k *Keeper) Touch(s *Session, now time.Time) {
	if now.Sub(s.SeenAt) < k.limits.Touch {
		return
	}
	s.SeenAt, s.IdleUntil = now, k.idleUntil(*s, now)
	k.uses.note(Touch{ID: s.ID, Seen: s.SeenAt, IdleUntil: s.IdleUntil})
}

// TouchByID notes that a session was used at a time, told by a service that knows
// it by its sid and checked it by itself. A time in the future counts as now. The
// store decides, as with Touch, whether the session was still live then.
func (k *Keeper) TouchByID(id string, at time.Time) {
	if now := k.now(); at.After(now) {
		at = now
	}
	k.uses.note(Touch{ID: id, Seen: at, IdleUntil: at.Add(k.limits.Idle)})
}

func (u *uses) note(t Touch) {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, known := u.waiting[t.ID]
	if !known && len(u.waiting) >= usesMost || known && !t.Seen.After(last.Seen) {
		return
	}
	if u.waiting == nil {
		u.waiting = map[string]Touch{}
	}
	u.waiting[t.ID] = t
}

// take returns what waits, and leaves nothing waiting.
func (u *uses) take() []Touch {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]Touch, 0, len(u.waiting))
	for _, t := range u.waiting {
		all = append(all, t)
	}
	clear(u.waiting)
	return all
}

// Flush writes the uses noted so far. Call it every second or so, and before the
// end. What could not be written waits for the next call.
func (k *Keeper) Flush(ctx context.Context) error {
	k.uses.writing.Lock()
	defer k.uses.writing.Unlock()
	all := k.uses.take()
	for len(all) > 0 {
		some := all[:min(touchStep, len(all))]
		if _, err := k.store.TouchSessions(ctx, some); err != nil {
			for _, t := range all {
				k.uses.note(t)
			}
			return fmt.Errorf("note uses of sessions: %w", err)
		}
		all = all[len(some):]
	}
	return nil
}
