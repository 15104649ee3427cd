package app

import (
	"context"
	"crypto/subtle"
	"net/http"
	"sync"
)

// refreshed tells of a refresh token that was used twice.
type refreshed struct {
	First, Second *exchange
	Same          bool // both gave the same successor
}

// current is the session cookie to use: the browser's. Where Wafer is another
// host and its cookie stays with us, the one of the login here.
func (s *shop) current(t turn, v visit) string {
	if t.cookie == "" && !s.oneHost && !v.over {
		return v.cookie
	}
	return t.cookie
}

func (s *shop) callWithCookie(_ http.ResponseWriter, r *http.Request, t turn) string {
	ctx := r.Context()
	used := s.current(t, s.visits.get(t.visit))
	x := s.callOrders(ctx, errand{cookie: used})
	var me *person
	note := "No cookie came with the request. Sign in first."
	if used != "" {
		var asked *exchange
		if me, asked = s.whoIs(ctx, used); me == nil {
			note = "Wafer does not know this cookie any more."
			if !asked.Refused() {
				note = "Wafer does not say whose cookie it is. " + asked.Trouble
			}
		}
	}
	s.visits.change(t.visit, func(v *visit) {
		v.cookie, v.over, v.cookieCall, v.me, v.meNote, v.watch = used, false, x, me, note, nil
	})
	return "#cookie"
}

func (s *shop) swapAndCall(_ http.ResponseWriter, r *http.Request, t turn) string {
	ctx := r.Context()
	got, swap := s.swap(ctx, s.current(t, s.visits.get(t.visit)))
	var x *exchange
	if got.Access != "" {
		x = s.callOrders(ctx, errand{bearer: got.Access})
	}
	s.visits.change(t.visit, func(v *visit) {
		v.swap, v.refreshed = swap, nil
		if x != nil {
			v.token, v.jwtCall, v.watch = got.Access, x, nil
		}
	})
	return "#jwt"
}

func (s *shop) signIn(w http.ResponseWriter, r *http.Request, t turn) string {
	ctx := r.Context()
	t.cookie = s.current(t, s.visits.get(t.visit))
	got, login, cookies := s.logIn(ctx, t)
	if login.Status == http.StatusAccepted {
		s.visits.change(t.visit, func(v *visit) {
			v.swap, v.notice = login, "This account needs more than a password. Sign in on Wafer's own page."
		})
		return "#top"
	}
	if got.Access == "" {
		s.visits.change(t.visit, func(v *visit) { v.swap, v.notice = login, "Nobody was signed in. "+login.inWords() })
		return "#top"
	}
	s.forward(w, cookies)
	session := sessionOf(cookies)
	x := s.callOrders(ctx, errand{bearer: got.Access})
	s.visits.change(t.visit, func(v *visit) {
		*v = visit{cookie: session, token: got.Access, refresh: got.Refresh, swap: login, jwtCall: x}
	})
	return "#jwt"
}

// forward hands Wafer's cookies on to the browser, when they are for this host.
func (s *shop) forward(w http.ResponseWriter, cookies []string) {
	if !s.oneHost {
		return
	}
	for _, line := range cookies {
		w.Header().Add("Set-Cookie", line)
	}
}

// refresh uses the refresh token twice, as two tabs would, and calls with what
// it gave.
func (s *shop) refresh(_ http.ResponseWriter, r *http.Request, t turn) string {
	ctx := r.Context()
	old := s.visits.get(t.visit).refresh
	if old == "" {
		s.visits.change(t.visit, func(v *visit) {
			v.notice = "There is no refresh token. Use \u201cSign in for tokens\u201d first: the swap gives none, because the session itself renews."
		})
		return "#top"
	}
	first, a := s.renew(ctx, old)
	done := &refreshed{First: a}
	var x *exchange
	if first.Access != "" {
		var second tokens
		second, done.Second = s.renew(ctx, old)
		done.Same = first.Refresh != "" && subtle.ConstantTimeCompare([]byte(first.Refresh), []byte(second.Refresh)) == 1
		x = s.callOrders(ctx, errand{bearer: first.Access})
	}
	s.visits.change(t.visit, func(v *visit) {
		v.swap, v.refreshed = nil, done
		if x != nil {
			v.token, v.jwtCall, v.watch = first.Access, x, nil
		}
		if first.Refresh != "" {
			v.refresh = first.Refresh
		}
	})
	return "#jwt"
}

// again makes both calls again, each with the credential of the last time.
func (s *shop) again(_ http.ResponseWriter, r *http.Request, t turn) string {
	v := s.visits.get(t.visit)
	if v.cookie == "" {
		v.cookie = s.current(t, v)
	}
	cookieCall, jwtCall := s.callBoth(r.Context(), v)
	s.visits.change(t.visit, func(now *visit) {
		now.cookie, now.cookieCall = v.cookie, cookieCall
		if jwtCall != nil {
			now.jwtCall = jwtCall
		}
		if v.token == "" {
			now.notice = "There is no JWT yet, so only the cookie was shown again."
		}
	})
	return "#panels"
}

// callBoth shows both credentials at the same time. A JWT that is not there is
// not shown.
func (s *shop) callBoth(ctx context.Context, v visit) (cookieCall, jwtCall *exchange) {
	var both sync.WaitGroup
	both.Go(func() { cookieCall = s.callOrders(ctx, errand{cookie: v.cookie}) })
	if v.token != "" {
		both.Go(func() { jwtCall = s.callOrders(ctx, errand{bearer: v.token}) })
	}
	both.Wait()
	return cookieCall, jwtCall
}

// inWords is what an answer that was not wished for says.
func (e *exchange) inWords() string {
	if e.Status == 0 || e.Trouble != "" {
		return e.Trouble
	}
	return "Wafer says: " + e.message()
}
