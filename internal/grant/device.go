package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// The times of the device flow (RFC 8628 section 3.2).
const (
	DeviceFor      = 10 * time.Minute
	DeviceInterval = 5 * time.Second
)

// deviceAfter is how long it is remembered that a device code has expired: a device
// that asks late is told so.
const deviceAfter = 10 * time.Minute

// DevicePath is the page where people type user codes.
const DevicePath = "/device"

const devicePrefix = "wdc_"

// A user code is eight consonants: 34 bits, no words, nothing that looks like
// something else (RFC 8628 section 6.1).
const (
	userLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userLength  = 8
)

// deviceTries is how often a change of a device's ticket is tried again that
// somebody else overtook.
const deviceTries = 32

// DeviceStore is what the device flow needs of a store.
type DeviceStore interface {
	AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error)
	TicketByKey(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error)
	ChangeTicket(ctx context.Context, next ticket.Ticket, fx revoke.Effects) (bool, error)
	TakeTicket(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error)
	GiveConsent(ctx context.Context, c consent.Consent, fx revoke.Effects) (bool, error)
	ConsentFor(ctx context.Context, userID, clientID, apiID string) (c consent.Consent, found bool, err error)
	Attempt(ctx context.Context, rules []limit.Rule, now time.Time) (wait time.Duration, err error)
	Refund(ctx context.Context, success, keep []string) error
}

// deviceStep is how far a device has come.
type deviceStep string

// The steps. Allowed ends with the one redemption, which takes the ticket.
//
//	pending --code typed--> claimed --allow--> allowed --poll--> (a session of its own)
//	                        claimed --deny---> denied
const (
	devicePending deviceStep = "pending"
	deviceClaimed deviceStep = "claimed"
	deviceAllowed deviceStep = "allowed"
	deviceDenied  deviceStep = "denied"
)

// device is what is kept of one.
type device struct {
	Client  string     `json:"client"`
	API     string     `json:"api"`
	Scopes  []string   `json:"scopes,omitempty"` // as asked for; from the claim on, as shown to the person
	JKT     string     `json:"jkt,omitempty"`    // the key that it proved at the start, and must prove at the end
	Step    deviceStep `json:"step"`
	Started time.Time  `json:"started"`
	Expires time.Time  `json:"expires"`
	Address string     `json:"address,omitempty"` // where it asked from

	Interval time.Duration `json:"interval"`
	Polled   time.Time     `json:"polled,omitzero"`

	UserID    string `json:"user,omitempty"`
	SessionID string `json:"session,omitempty"` // that claimed it: nobody else decides
	RSN       int64  `json:"rsn,omitempty"`     // of what allowed it
}

// DeviceStart is the answer to a device (RFC 8628 section 3.2).
type DeviceStart struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int    `json:"expires_in"` // seconds
	Interval                int    `json:"interval"`   // seconds
}

var errNoDevices = errors.New("there is no device flow here")

// StartDevice begins an authorization of a device that has no browser: it polls with
// one code, while a person types the other somewhere else. What the client may not
// ask for is refused here, before anybody is bothered.
func (s *Service) StartDevice(ctx context.Context, c client.Client, ask Ask, from netip.Addr) (DeviceStart, error) {
	if s.Devices == nil {
		return DeviceStart{}, errNoDevices
	}
	ask.ClientID = c.ID
	id, err := s.deviceAPI(ctx, ask)
	if err != nil {
		return DeviceStart{}, err
	}
	st, err := s.Store.Snapshot(ctx, Query{ClientID: c.ID, APIID: id})
	if err != nil {
		return DeviceStart{}, fmt.Errorf("read state: %w", err)
	}
	ofClient, refused := clientMay(st, byDevice, want{proved: true})
	if refused == nil {
		refused = mayAsk(st, byDevice, ofClient, ask.Scopes)
	}
	if refused != nil {
		return DeviceStart{}, refused
	}
	now := s.Now()
	d := device{
		Client: c.ID, API: id, Scopes: ask.Scopes, JKT: ask.Proof.JKT, Step: devicePending, Started: now, Expires: now.Add(DeviceFor),
		Interval: DeviceInterval,
	}
	if from.IsValid() {
		d.Address = from.String()
	}
	return s.addDevice(ctx, d)
}

// deviceAPI resolves what a device asks for. Who somebody is needs no other API.
func (s *Service) deviceAPI(ctx context.Context, ask Ask) (string, error) {
	identity, ofAPI := oidc.SplitScopes(ask.Scopes)
	if ask.API == "" && len(ofAPI) == 0 && len(identity) > 0 {
		return api.Userinfo, nil
	}
	return s.apiID(ctx, ask)
}

// addDevice keeps it under the two codes. A user code that another device has is not
// used: it would lead people to the wrong one.
func (s *Service) addDevice(ctx context.Context, d device) (DeviceStart, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return DeviceStart{}, fmt.Errorf("encode device: %w", err)
	}
	code := devicePrefix + opaque.Secret()
	key := opaque.Hash(code)
	added, err := s.Devices.AddTicket(ctx, ticket.Ticket{Kind: ticket.Device, Key: key, Body: body, ExpiresAt: d.Expires.Add(deviceAfter)}, revoke.Effects{})
	if err != nil || !added {
		return DeviceStart{}, fmt.Errorf("keep device code (new: %t): %w", added, err)
	}
	for range deviceTries {
		user := newUserCode()
		added, err = s.Devices.AddTicket(ctx, ticket.Ticket{Kind: ticket.UserCode, Key: s.userKey(user), Body: key[:], ExpiresAt: d.Expires}, revoke.Effects{})
		if err != nil {
			return DeviceStart{}, fmt.Errorf("keep user code: %w", err)
		}
		if added {
			at, shown := s.Issuer+DevicePath, ShowUserCode(user)
			return DeviceStart{
				DeviceCode: code, UserCode: shown, VerificationURI: at, VerificationURIComplete: at + "?user_code=" + shown,
				ExpiresIn: int(DeviceFor / time.Second), Interval: int(DeviceInterval / time.Second),
			}, nil
		}
	}
	return DeviceStart{}, fmt.Errorf("no free user code in %d tries", deviceTries)
}

// userKey is under what a user code is kept.
func (s *Service) userKey(code string) opaque.Digest { return s.UserCodes.MAC("user code", code) }

// newUserCode draws letters without favoring any: bytes past the last whole multiple
// of the alphabet are dropped.
func newUserCode() string {
	const fair = 256 / len(userLetters) * len(userLetters)
	var b strings.Builder
	for b.Len() < userLength {
		for _, x := range opaque.Bytes(2 * userLength) {
			if int(x) < fair && b.Len() < userLength {
				b.WriteByte(userLetters[int(x)%len(userLetters)])
			}
		}
	}
	return b.String()
}

// ShowUserCode writes a user code as people read it: XXXX-XXXX.
func ShowUserCode(code string) string {
	if len(code) != userLength {
		return code
	}
	return code[:userLength/2] + "-" + code[userLength/2:]
}

// FoldUserCode reads a user code as people type it: in any case, with spaces and
// dashes anywhere. ok is false for what can be no code.
func FoldUserCode(typed string) (code string, ok bool) {
	if len(typed) > 100 {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
	if len(code) != userLength {
		return "", false
	}
	return code, !strings.ContainsFunc(code, func(r rune) bool { return !strings.ContainsRune(userLetters, r) })
}

// readDevice finds a device by the digest of its code.
func (s *Service) readDevice(ctx context.Context, key opaque.Digest) (t ticket.Ticket, d device, found bool, err error) {
	t, found, err = s.Devices.TicketByKey(ctx, ticket.Device, key)
	if err != nil {
		return t, d, false, fmt.Errorf("find device: %w", err)
	}
	if !found {
		return t, d, false, nil
	}
	if err := json.Unmarshal(t.Body, &d); err != nil {
		return t, d, false, fmt.Errorf("read device: %w", err)
	}
	return t, d, true, nil
}

// writeDevice writes what became of a device, unless somebody was faster.
func (s *Service) writeDevice(ctx context.Context, t ticket.Ticket, d device, fx revoke.Effects) (bool, error) {
	var err error
	if t.Body, err = json.Marshal(d); err != nil {
		return false, fmt.Errorf("encode device: %w", err)
	}
	done, err := s.Devices.ChangeTicket(ctx, t, fx)
	if err != nil {
		return false, fmt.Errorf("change device: %w", err)
	}
	return done, nil
}
