package grant

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/ticket"
)

var (
	// One answer for a code that never was, that expired, that was decided, and that
	// somebody else claimed: whoever guesses learns nothing.
	errUserCode  = fault.New(fault.Invalid, "This code is not known here, or not good any more. Look at the device again.")
	errNotForYou = fault.New(fault.Forbidden, "Your account may not use this application.")
	errGuessing  = fault.New(fault.TooMany, "Too many attempts. Try again later.")
)

// DeviceClaim is a user code that somebody typed.
type DeviceClaim struct {
	Code    string
	Session session.Session
	Address netip.Addr // of the person; the zero Addr counts as one network
}

// DeviceRequest is what a device asks for, to be shown to the person who decides.
type DeviceRequest struct {
	Client   client.Client
	API      string   // the name of the API, "" when Scopes are about the person alone
	Scopes   []string // what the device will have
	UserCode string   // as the device shows it
	Started  time.Time
	Address  string // the network address of the device, "" when unknown
}

// ClaimDevice finds what a user code stands for and ties it to the session: from
// then on nobody else decides on it. Attempts are counted before anything is looked
// up, by session, by network and over all (RFC 8628 section 5.1); a code that is
// found gives the attempt back.
func (s *Service) ClaimDevice(ctx context.Context, in DeviceClaim) (DeviceRequest, error) {
	code, ok := FoldUserCode(in.Code)
	if !ok || s.Devices == nil {
		return DeviceRequest{}, errUserCode // no code has this form: it was no guess
	}
	rules := guessing(in)
	wait, err := s.Devices.Attempt(ctx, rules, s.Now())
	if err != nil {
		return DeviceRequest{}, fmt.Errorf("count attempt: %w", err)
	}
	if wait > 0 {
		return DeviceRequest{}, errGuessing.Retry(wait)
	}
	out, err := s.claim(ctx, code, in.Session.ID)
	if errors.Is(err, errUserCode) {
		return DeviceRequest{}, err
	}
	if err := s.Devices.Refund(ctx, []string{rules[0].Key}, keysOf(rules[1:])); err != nil {
		return DeviceRequest{}, fmt.Errorf("give back attempt: %w", err)
	}
	return out, err
}

// claim ties a device to a session, unless it is another's.
func (s *Service) claim(ctx context.Context, code, sessionID string) (DeviceRequest, error) {
	for range deviceTries {
		t, d, err := s.deviceOf(ctx, code)
		if err != nil {
			return DeviceRequest{}, err
		}
		mine := d.Step == deviceClaimed && d.SessionID == sessionID
		if d.Step != devicePending && !mine {
			return DeviceRequest{}, errUserCode
		}
		st, scopes, err := s.deviceGate(ctx, d, sessionID)
		if err != nil {
			return DeviceRequest{}, err
		}
		d.Step, d.UserID, d.SessionID, d.Scopes = deviceClaimed, st.User.ID, sessionID, scopes
		done, err := s.writeDevice(ctx, t, d, revoke.Effects{})
		if err != nil {
			return DeviceRequest{}, err
		}
		if done {
			return describe(st, d, code), nil
		}
	}
	return DeviceRequest{}, errUserCode
}

// guessing are the counters of one typed code: of the session, of its network, and
// one of everybody. None of them locks anybody out for long: a code lives ten
// minutes, and 34 bits are far from what these let through in that time.
func guessing(in DeviceClaim) []limit.Rule {
	keys := limit.NetworkKeys(in.Address)
	return []limit.Rule{
		{Key: "device/session/" + in.Session.ID, Free: 5, Base: time.Second, Max: 5 * time.Minute, Forget: time.Hour},
		{Key: "device/" + keys[0], Free: 20, Base: 250 * time.Millisecond, Max: 30 * time.Second, Forget: 10 * time.Minute},
		{Key: "device/" + keys[1], Free: 100, Base: 250 * time.Millisecond, Max: 10 * time.Second, Forget: 10 * time.Minute},
		{Key: "device/all", Free: 200, Base: 50 * time.Millisecond, Max: time.Second, Forget: 10 * time.Minute},
	}
}

func keysOf(rules []limit.Rule) []string {
	keys := make([]string, 0, len(rules))
	for _, r := range rules {
		keys = append(keys, r.Key)
	}
	return keys
}

func describe(st State, d device, code string) DeviceRequest {
	out := DeviceRequest{Client: *st.Client, Scopes: d.Scopes, UserCode: ShowUserCode(code), Started: d.Started, Address: d.Address}
	if _, ofAPI := oidc.SplitScopes(d.Scopes); len(ofAPI) > 0 {
		if out.API = st.API.Name; out.API == "" {
			out.API = st.API.ID
		}
	}
	return out
}

// deviceOf finds the device of a folded user code, if it has not expired.
func (s *Service) deviceOf(ctx context.Context, code string) (ticket.Ticket, device, error) {
	u, found, err := s.Devices.TicketByKey(ctx, ticket.UserCode, s.userKey(code))
	if err != nil {
		return ticket.Ticket{}, device{}, fmt.Errorf("find user code: %w", err)
	}
	var key opaque.Digest
	if !found || len(u.Body) != len(key) {
		return ticket.Ticket{}, device{}, errUserCode
	}
	t, d, found, err := s.readDevice(ctx, opaque.Digest(u.Body))
	if err != nil {
		return ticket.Ticket{}, device{}, err
	}
	if !found || !s.Now().Before(d.Expires) {
		return ticket.Ticket{}, device{}, errUserCode
	}
	return t, d, nil
}

// deviceGate asks the one gate what the person of a session may give a device.
func (s *Service) deviceGate(ctx context.Context, d device, sessionID string) (State, []string, error) {
	st, err := s.Store.Snapshot(ctx, Query{SessionID: sessionID, ClientID: d.Client, APIID: d.API})
	if err != nil {
		return State{}, nil, fmt.Errorf("read state: %w", err)
	}
	scopes, refused := authorizeIssuance(st, byDevice, want{scopes: d.Scopes, proved: true}, s.Now())
	switch {
	case refused == nil:
		return st, scopes, nil
	case refused.Code == InvalidGrant:
		return State{}, nil, session.ErrGone
	}
	return State{}, nil, errNotForYou
}

// AllowDevice lets the device have what was shown when its code was claimed. Only the
// session that claimed it may say so. What the person allowed is remembered, so that
// they can take it back.
func (s *Service) AllowDevice(ctx context.Context, typed string, sess session.Session) error {
	return s.decideDevice(ctx, typed, sess, func(d *device) (revoke.Effects, error) {
		st, scopes, err := s.deviceGate(ctx, *d, sess.ID)
		if err != nil {
			return revoke.Effects{}, err
		}
		now := s.Now()
		given, err := s.Devices.GiveConsent(ctx, consent.Consent{
			UserID: st.User.ID, ClientID: d.Client, APIID: d.API, Scopes: slices.Sorted(slices.Values(scopes)), GivenAt: now, UpdatedAt: now,
		}, revoke.Effects{})
		if err != nil {
			return revoke.Effects{}, fmt.Errorf("keep consent: %w", err)
		}
		if !given {
			return revoke.Effects{}, session.ErrGone
		}
		d.Step, d.Scopes, d.RSN = deviceAllowed, scopes, st.RSN
		return revoke.Effects{
			Guard: &revoke.Guard{RSN: st.RSN, Refs: d.refs()}, Audit: []audit.Event{d.event("device.allow", sess, now)},
		}, nil
	})
}

// DenyDevice sends the device away. Only the session that claimed it may say so.
func (s *Service) DenyDevice(ctx context.Context, typed string, sess session.Session) error {
	return s.decideDevice(ctx, typed, sess, func(d *device) (revoke.Effects, error) {
		d.Step = deviceDenied
		return revoke.Effects{Audit: []audit.Event{d.event("device.deny", sess, s.Now())}}, nil
	})
}

func (d device) refs() []revoke.Ref {
	return []revoke.Ref{
		{Kind: revoke.User, Key: d.UserID}, {Kind: revoke.Session, Key: d.SessionID}, {Kind: revoke.Client, Key: d.Client}, {Kind: revoke.API, Key: d.API},
	}
}

func (d device) event(action string, sess session.Session, now time.Time) audit.Event {
	return audit.Event{
		At: now, Action: action, Actor: sess.UserID, Target: sess.UserID, Client: d.Client, Session: sess.ID, Address: d.Address,
		Detail: audit.Clip(join(d.Scopes)),
	}
}

// decideDevice makes a decision on a device that the session has claimed, once.
func (s *Service) decideDevice(ctx context.Context, typed string, sess session.Session, how func(*device) (revoke.Effects, error)) error {
	code, ok := FoldUserCode(typed)
	if !ok || s.Devices == nil {
		return errUserCode
	}
	for range deviceTries {
		t, d, err := s.deviceOf(ctx, code)
		if err != nil {
			return err
		}
		if d.Step != deviceClaimed || d.SessionID != sess.ID {
			return errUserCode
		}
		fx, err := how(&d)
		if err != nil {
			return err
		}
		done, err := s.writeDevice(ctx, t, d, fx)
		if err != nil {
			return err
		}
		if done {
			_, _, err = s.Devices.TakeTicket(ctx, ticket.UserCode, s.userKey(code))
			return err
		}
	}
	return errUserCode
}
