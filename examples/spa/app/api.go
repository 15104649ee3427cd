package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// meAnswer answers GET /api/me. Everything but SignedIn is absent when nobody is.
type meAnswer struct {
	SignedIn bool       `json:"signed_in"`
	User     string     `json:"user,omitempty"`
	Login    string     `json:"login,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
}

// me says who is signed in. That nobody ever was is an answer; that a session has
// ended is a refusal.
func (s *spa) me(w http.ResponseWriter, r *http.Request) error {
	e, shown, err := s.seat(r)
	if err != nil {
		return err
	}
	if !shown {
		write(w, http.StatusOK, meAnswer{})
		return nil
	}
	if e == nil {
		return errOver
	}
	p, err := s.who(r.Context(), e)
	if err != nil {
		return s.checkOver(e, err)
	}
	write(w, http.StatusOK, meAnswer{SignedIn: true, User: p.User, Login: p.Login, Since: &p.AuthTime, Until: &p.ExpiresAt})
	return nil
}

// checkOver forgets an entry whose session has ended. The cookie is left where it
// is: clearing it could hit the one that another tab has just been given.
func (s *spa) checkOver(e *entry, err error) error {
	if errors.Is(err, errOver) {
		s.sessions.drop(e)
	}
	return err
}

// order and ordersAnswer are what the page gets of the orders API's answer: these
// members and no others.
type order struct {
	ID      string `json:"id"`
	Item    string `json:"item"`
	Count   int    `json:"count"`
	InStock *int   `json:"in_stock,omitempty"`
}

type ordersAnswer struct {
	User   string  `json:"user"`
	Orders []order `json:"orders"`
	Note   string  `json:"note,omitempty"`
}

var errNoOrders = &problem{status: http.StatusBadGateway, Code: "unavailable", Message: "The orders cannot be loaded at the moment. You are still signed in; try again in a little while."}

// orders calls the orders API for the page. A token that it refuses is renewed
// once: then either the session has ended, which Wafer says, or orders has a
// problem of its own.
func (s *spa) orders(w http.ResponseWriter, r *http.Request) error {
	e, shown, err := s.seat(r)
	switch {
	case err != nil:
		return err
	case !shown:
		return signedOut("Nobody is signed in here.")
	case e == nil:
		return errOver
	}
	refused := ""
	for range 2 {
		token, err := e.bearer(r.Context(), refused, renewal{now: s.Now, renew: s.renew})
		if err != nil {
			return s.checkOver(e, err)
		}
		got, err := s.run(r.Context(), errand{method: http.MethodGet, url: s.Orders + "/orders", bearer: token})
		if err == nil && got.status == http.StatusUnauthorized {
			refused = token
			continue
		}
		if err != nil || got.status != http.StatusOK {
			return s.noOrders(r.Context(), got, err)
		}
		return s.passOn(w, r, e, got)
	}
	s.Logger.WarnContext(r.Context(), "orders refuses a token that Wafer has just made")
	return errNoOrders
}

func (s *spa) noOrders(ctx context.Context, got reply, err error) error {
	if err == nil && got.status == http.StatusForbidden {
		return errForbidden
	}
	if err := s.unavailable(ctx, "get orders", got, err); !errors.Is(err, errUpstream) {
		return err
	}
	return errNoOrders
}

// passOn gives the page what it is meant to have of an answer.
func (s *spa) passOn(w http.ResponseWriter, r *http.Request, e *entry, got reply) error {
	out := ordersAnswer{Orders: []order{}}
	if err := json.Unmarshal(got.body, &out); err != nil {
		return s.noOrders(r.Context(), got, err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	// A service that repeats what it was sent must not hand the page a token.
	for _, secret := range e.secrets() {
		if bytes.Contains(text, []byte(secret)) {
			s.Logger.ErrorContext(r.Context(), "the answer of orders holds a credential; it was not passed on")
			return errNoOrders
		}
	}
	write(w, http.StatusOK, out)
	return nil
}

// signIn starts a session. Whatever cookie the browser brought, it gets a new one:
// a value planted by somebody else is worth nothing.
func (s *spa) signIn(w http.ResponseWriter, r *http.Request) error {
	var in credentials
	if err := read(r, &in); err != nil {
		return err
	}
	old, _, err := s.seat(r)
	if err != nil {
		return err
	}
	e, err := s.begin(r, in, old)
	if err != nil {
		return err
	}
	if old != nil {
		s.sessions.drop(old)
	}
	value, pushed := s.sessions.add(e)
	for _, one := range pushed {
		go s.end(context.WithoutCancel(r.Context()), one.cookie)
	}
	setCookie(w, value)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// outAnswer answers both ways of signing out.
type outAnswer struct {
	Complete bool   `json:"complete"` // Wafer has ended all that was to end
	Message  string `json:"message"`
}

// leave forgets the browser's entry before anything else is tried. It returns nil
// when there was none.
func (s *spa) leave(w http.ResponseWriter, r *http.Request) (*entry, error) {
	if err := read(r, &struct{}{}); err != nil {
		return nil, err
	}
	e, _, err := s.seat(r)
	if err != nil {
		return nil, err
	}
	setCookie(w, "")
	if e == nil || !s.sessions.drop(e) {
		return nil, nil
	}
	return e, nil
}

const nobody = "Nobody was signed in here any more."

func (s *spa) signOut(w http.ResponseWriter, r *http.Request) error {
	e, err := s.leave(w, r)
	if err != nil {
		return err
	}
	out := outAnswer{Complete: true, Message: "You are signed out."}
	switch {
	case e == nil:
		out.Message = nobody
	case !s.end(context.WithoutCancel(r.Context()), e.cookie): // also when the browser leaves at once
		out = outAnswer{Message: "You are signed out here. Wafer could not be told; its session ends by itself."}
	}
	write(w, http.StatusOK, out)
	return nil
}

func (s *spa) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	e, err := s.leave(w, r)
	if err != nil {
		return err
	}
	if e == nil {
		write(w, http.StatusOK, outAnswer{Message: nobody + " Sign in, then sign out everywhere."})
		return nil
	}
	s.sessions.dropUser(e.user)
	ctx := context.WithoutCancel(r.Context())
	_, err = s.endOthers(ctx, e.cookie)
	if err != nil {
		s.Logger.WarnContext(ctx, "not every session was ended at Wafer", "error", err)
	}
	// Last: with it the right to end the others is gone.
	ended := s.end(ctx, e.cookie)
	out := outAnswer{Complete: true, Message: "You are signed out everywhere."}
	if err != nil || !ended {
		out = outAnswer{Message: "You are signed out here, but not everywhere: Wafer could not end every session. Sign in and try again."}
	}
	write(w, http.StatusOK, out)
	return nil
}
