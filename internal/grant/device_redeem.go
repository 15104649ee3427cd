package grant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/bound"
)

// DevicePoll is a device that asks whether it was decided on.
type DevicePoll struct {
	Code  string
	Proof Proof
	Seen  bound.Seen // where the device is
}

// slower is by how much a device must poll slower that polls too fast (RFC 8628
// section 3.5).
const slower = 5 * time.Second

var errDeviceCode = refuse(InvalidGrant, "The device code is not known, was used, or was given to another client.")

// RedeemDevice answers a device that polls: not yet, too fast, no, too late, or, once,
// tokens. The device gets a session of its own, which says of the person what the
// sign-in said that allowed it. That sign-in, the account, the consent, the client
// and the API must still be good: an approval is worth no more than what it came from.
func (s *Service) RedeemDevice(ctx context.Context, c client.Client, in DevicePoll) (Tokens, error) {
	if refused := mayWalk(c, byDevice); refused != nil {
		return Tokens{}, refused
	}
	if s.Devices == nil || !strings.HasPrefix(in.Code, devicePrefix) || !session.WellFormed(in.Code[len(devicePrefix):]) {
		return Tokens{}, errDeviceCode
	}
	key := opaque.Hash(in.Code)
	d, err := s.poll(ctx, c, key)
	if err != nil {
		return Tokens{}, err
	}
	if d.JKT != "" && d.JKT != in.Proof.JKT {
		return Tokens{}, refuse(InvalidGrant, "The device code is bound to another key.")
	}
	st, err := s.stillAllowed(ctx, d, in.Proof)
	if err != nil {
		return Tokens{}, err
	}
	_, mine, err := s.Devices.TakeTicket(ctx, ticket.Device, key)
	if err != nil {
		return Tokens{}, fmt.Errorf("take device code: %w", err)
	}
	if !mine {
		return Tokens{}, errDeviceCode // of several polls one gets the tokens
	}
	return s.openDevice(ctx, st, d, in)
}

// poll returns a device that was allowed. Everything else is a refusal, and notes
// when it was asked.
func (s *Service) poll(ctx context.Context, c client.Client, key opaque.Digest) (device, error) {
	for range deviceTries {
		t, d, found, err := s.readDevice(ctx, key)
		if err != nil {
			return device{}, err
		}
		now := s.Now()
		switch {
		case !found || d.Client != c.ID:
			return device{}, errDeviceCode
		case d.Step == deviceDenied:
			return device{}, refuse(oidc.AccessDenied, "The person said no.")
		case !now.Before(d.Expires):
			return device{}, refuse(oidc.ExpiredToken, "The device code has expired. Start again.")
		case d.Step == deviceAllowed:
			return d, nil
		}
		why := refuse(oidc.AuthorizationPending, "Nobody has decided yet.")
		if !d.Polled.IsZero() && now.Sub(d.Polled) < d.Interval {
			d.Interval += slower
			why = refuse(oidc.SlowDown, fmt.Sprintf("Poll no more often than every %d seconds.", d.Interval/time.Second))
		}
		d.Polled = now
		done, err := s.writeDevice(ctx, t, d, revoke.Effects{})
		if err != nil {
			return device{}, err
		}
		if done {
			return device{}, why
		}
	}
	return device{}, refuse(oidc.SlowDown, "The device polls many times at once.")
}

// stillAllowed reads the state again that the person's decision was made on, and
// passes it through the gate.
func (s *Service) stillAllowed(ctx context.Context, d device, p Proof) (State, error) {
	given, found, err := s.Devices.ConsentFor(ctx, d.UserID, d.Client, d.API)
	if err != nil {
		return State{}, fmt.Errorf("find consent: %w", err)
	}
	if !found || !given.Covers(d.Scopes) {
		return State{}, refuse(oidc.AccessDenied, "The person took it back.")
	}
	st, err := s.Store.Snapshot(ctx, Query{SessionID: d.SessionID, ClientID: d.Client, APIID: d.API})
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	_, refused := authorizeIssuance(st, byDevice, want{scopes: d.Scopes, proof: p}, s.Now())
	switch {
	case refused == nil && st.User.ID == d.UserID:
		return st, nil
	case refused == nil || refused.Code == InvalidGrant || refused.Code == InvalidScope || refused.Code == InvalidTarget:
		return State{}, refuse(oidc.AccessDenied, "What the person allowed is not theirs to allow any more.")
	}
	return State{}, refused
}

// openDevice starts the device's own session, and opens its grant. The guard is at
// the position of the decision: what was taken back since then refuses it.
func (s *Service) openDevice(ctx context.Context, st State, d device, in DevicePoll) (Tokens, error) {
	ended := refuse(oidc.AccessDenied, "What the person allowed ended meanwhile.")
	sess, _, err := s.Sessions.Start(ctx, session.Login{
		UserID: d.UserID, ClientID: d.Client, AMR: st.Session.AMR, AuthTime: st.Session.AuthTime, Seen: in.Seen, Bind: st.Client.Bind,
		Guard: &revoke.Guard{RSN: d.RSN, Refs: d.refs()},
	})
	if errors.Is(err, session.ErrGone) {
		return Tokens{}, ended
	}
	if err != nil {
		return Tokens{}, err
	}
	t, err := s.open(ctx, sess, opening{
		ask: Ask{ClientID: d.Client, API: d.API, Scopes: d.Scopes, Proof: in.Proof}, apiID: d.API, by: byDevice,
	})
	if err == nil {
		return t, nil
	}
	_, endErr := s.Sessions.End(context.WithoutCancel(ctx), session.EndOne{ID: sess.ID, Actor: d.Client, Reason: "device"})
	if errors.Is(err, session.ErrGone) && endErr == nil {
		return Tokens{}, ended
	}
	return Tokens{}, errors.Join(err, endErr)
}
