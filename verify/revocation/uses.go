package revocation

import (
	"sync"
	"time"
)

// How many uses wait to be told, and how many are told at once. More are not
// noted: that can only end a session early.
const (
	usesWaiting = 100_000
	usesAtOnce  = 1000
)

type uses struct {
	mu sync.Mutex
	at map[string]time.Time
}

// Used notes that a session was used here at a time. The issuer hears of it with
// the next renewals.
func (f *Feed) Used(sid string, at time.Time) { f.uses.note(sid, at) }

func (u *uses) note(sid string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, there := u.at[sid]
	if !there && len(u.at) >= usesWaiting || there && !at.After(last) {
		return
	}
	if u.at == nil {
		u.at = map[string]time.Time{}
	}
	u.at[sid] = at
}

// take takes some out.
func (u *uses) take(now time.Time) []Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.at) == 0 {
		return nil
	}
	some := make([]Use, 0, min(len(u.at), usesAtOnce))
	for sid, at := range u.at {
		if len(some) == usesAtOnce {
			break
		}
		some = append(some, Use{SessionID: sid, AgoMS: max(now.Sub(at), 0).Milliseconds()})
		delete(u.at, sid)
	}
	return some
}

// putBack keeps what could not be told for the next time.
func (u *uses) putBack(some []Use, now time.Time) {
	for _, use := range some {
		u.note(use.SessionID, now.Add(-time.Duration(use.AgoMS)*time.Millisecond))
	}
}
