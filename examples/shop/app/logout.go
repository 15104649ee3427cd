package app

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// pause lies between two tries of the watch.
const pause = 5 * time.Millisecond

// watch is how long the credentials lived on after the log-out. All times count
// from the press of the button.
type watch struct {
	Ended   time.Duration // Wafer has answered that the session is over
	Cookie  lived
	JWT     lived
	Refresh *exchange // what became of the refresh token; nil: there was none
	Within  time.Duration
}

// lived is how long one credential lived on.
type lived struct {
	Shown   bool // it was there to be shown
	Refused bool
	After   time.Duration
	Tries   int
	last    *exchange
}

// Refused reports whether nothing is let in any more.
func (w *watch) Refused() bool {
	return (w.Cookie.Refused || !w.Cookie.Shown) && (w.JWT.Refused || !w.JWT.Shown)
}

// Took is how long it took until the last of them was refused.
func (w *watch) Took() time.Duration { return max(w.Cookie.After, w.JWT.After) }

func (s *shop) logOut(w http.ResponseWriter, r *http.Request, t turn) string {
	ctx := r.Context()
	v := s.visits.get(t.visit)
	live := s.liveSessions(t, v)
	if len(live) == 0 {
		s.visits.change(t.visit, func(v *visit) { v.notice = "Nobody is signed in here, so there is nothing to log out of." })
		return "#top"
	}
	v.cookie = live[0]
	swapped := s.spareToken(ctx, &v)

	start := s.Now()
	for _, one := range live {
		x, cookies := s.end(ctx, one)
		// 401: it had ended already, which is what was wanted.
		if !x.OK() && !x.Refused() {
			s.visits.change(t.visit, func(v *visit) { v.notice = "You are still signed in. " + x.inWords() })
			return "#top"
		}
		s.forward(w, cookies)
	}
	seen := s.watchBoth(ctx, v, start)
	if v.refresh != "" {
		_, seen.Refresh = s.renew(ctx, v.refresh)
	}
	s.visits.change(t.visit, func(now *visit) {
		now.cookie, now.over, now.cookieCall, now.refreshed, now.watch = v.cookie, true, seen.Cookie.last, nil, seen
		if seen.JWT.last != nil {
			now.token, now.jwtCall = v.token, seen.JWT.last
		}
		if swapped != nil {
			now.swap = swapped
		}
	})
	return "#top"
}

// liveSessions are the cookies to end: the browser's, and the one of the login
// here when that is another.
func (s *shop) liveSessions(t turn, v visit) []string {
	var live []string
	if t.cookie != "" {
		live = append(live, t.cookie)
	}
	if v.cookie != "" && !v.over && !slices.Contains(live, v.cookie) {
		live = append(live, v.cookie)
	}
	return live
}

// spareToken sees to it that there is a JWT that only the log-out can spoil.
func (s *shop) spareToken(ctx context.Context, v *visit) *exchange {
	if v.token != "" && !expired(v.token, s.Now()) {
		return nil
	}
	got, x := s.swap(ctx, v.cookie)
	v.token = got.Access
	return x
}

// watchBoth shows both credentials again and again until both are refused.
func (s *shop) watchBoth(ctx context.Context, v visit, start time.Time) *watch {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	out := &watch{Ended: s.Now().Sub(start), Within: s.Timeout}
	var both sync.WaitGroup
	both.Go(func() { out.Cookie = s.watchOne(ctx, errand{cookie: v.cookie}, start) })
	if v.token != "" {
		both.Go(func() { out.JWT = s.watchOne(ctx, errand{bearer: v.token}, start) })
	}
	both.Wait()
	return out
}

func (s *shop) watchOne(ctx context.Context, e errand, start time.Time) lived {
	out := lived{Shown: true}
	for {
		x := s.callOrders(ctx, e)
		out.Tries++
		// A call that our own deadline cut off says nothing.
		if out.last == nil || ctx.Err() == nil {
			out.last = x
		}
		out.After = s.Now().Sub(start)
		if x.Refused() {
			out.Refused = true
			return out
		}
		select {
		case <-ctx.Done():
			return out
		case <-time.After(pause):
		}
	}
}
