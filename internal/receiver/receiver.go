package receiver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The error codes of RFC 8935 section 2.4.
const (
	InvalidRequest       = "invalid_request"
	InvalidKey           = "invalid_key"
	InvalidIssuer        = "invalid_issuer"
	InvalidAudience      = "invalid_audience"
	AuthenticationFailed = "authentication_failed"
	AccessDenied         = "access_denied"
)

// Error is a refusal in the words of RFC 8935. The transmitter gives up on the
// event. Every other error means that it is to try again.
type Error struct {
	Code        string
	Description string // for whoever runs the transmitter
}

// Error is for logs.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

func refuse(code, description string) *Error { return &Error{Code: code, Description: description} }

// ErrNoKey means that a transmitter has no key of that id and algorithm.
var ErrNoKey = errors.New("no such key")

// Store is what a Service needs of the store.
type Store interface {
	Setting(ctx context.Context, name string) (string, error)
	Audit(ctx context.Context, events ...audit.Event) error
}

// People finds users and their sessions.
type People interface {
	// UserByLogin returns the id of the user with a canonical login.
	UserByLogin(ctx context.Context, canonical string) (id string, found bool, err error)
	// HasUser reports whether there is a user with an id.
	HasUser(ctx context.Context, id string) (bool, error)
	// SessionUser returns whose a session is. found is false for one that is over.
	SessionUser(ctx context.Context, sid string) (userID string, found bool, err error)
}

// Revocation is what an event asks for: the end of one user's sessions, or of one
// session.
type Revocation struct {
	UserID    string
	SessionID string // instead of UserID
	Reason    string // a short code
	Actor     string // for the audit log
	Once      string // names the event: it is obeyed once
}

// Reason is the code in the log of what other servers asked for. Whoever tells
// other servers of revocations must not pass these on: two servers that trust each
// other would never come to an end.
const Reason = "received"

// Config is what a Service is made of. All fields are needed.
type Config struct {
	Store  Store
	People People
	// Keys finds a key of a transmitter that has a JWKSURI. ErrNoKey: it has none;
	// any other error: nobody can tell now.
	Keys func(ctx context.Context, t Transmitter, kid string, alg jose.Algorithm) (*jose.Key, error)
	// Revoke does what an event asks for, durably when it returns. fault.Conflict:
	// it was done before, by its Once; fault.NotFound: there is nobody any more.
	Revoke  func(ctx context.Context, r Revocation) error
	Secrets *opaque.Key // as of SecretCode
	Issuer  string      // ours; also the audience of transmitters without one
	Now     func() time.Time
}

// Service receives security events. It is safe for concurrent use.
type Service struct{ Config }

// New returns a service.
func New(c Config) *Service { return &Service{c} }

// Push is a token as it was pushed.
type Push struct {
	Transmitter string // the id in the path
	Secret      string // of the Authorization header
	Token       string
}

// mostToken is the longest token, in bytes.
const mostToken = 16 << 10

// Receive obeys a security event. When it returns nil the event is on disk, or was
// before, or asks for nothing here: the transmitter need not send it again. A
// refusal is *Error.
func (s *Service) Receive(ctx context.Context, p Push) error {
	t, err := s.authenticate(ctx, p)
	if err != nil {
		return err
	}
	payload, err := s.open(ctx, t, p.Token)
	if err != nil {
		return err
	}
	e, refused := readEvent(payload, t, s.audience(t), s.Now())
	if refused != nil {
		return refused
	}
	switch e.kind {
	case sessionRevoked, accountDisabled:
		return s.obey(ctx, t, e)
	case verification:
		return s.note(ctx, t, "receiver.verified", "")
	}
	return s.note(ctx, t, "receiver.ignored", e.kind)
}

func (s *Service) audience(t Transmitter) string {
	if t.Audience == "" {
		return s.Issuer
	}
	return t.Audience
}

// authenticate goes before everything that costs: whoever has no secret learns
// neither which transmitters there are nor what is wrong with a token.
func (s *Service) authenticate(ctx context.Context, p Push) (Transmitter, error) {
	text, err := s.Store.Setting(ctx, Setting)
	if err != nil {
		return Transmitter{}, fmt.Errorf("read transmitters: %w", err)
	}
	all, err := Decode(text)
	if err != nil {
		return Transmitter{}, err
	}
	var t Transmitter
	for _, one := range all {
		if one.ID == p.Transmitter && !one.Disabled {
			t = one
		}
	}
	if match := SecretCode(s.Secrets, p.Transmitter, p.Secret).Equal(t.Secret); !match || t.ID == "" {
		return Transmitter{}, refuse(AuthenticationFailed, "There is no transmitter with this secret at this address.")
	}
	return t, nil
}

// open returns the payload of a token that the transmitter signed.
func (s *Service) open(ctx context.Context, t Transmitter, token string) ([]byte, error) {
	m, err := jose.Parse(token, jose.Limits{Token: mostToken})
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, refuse(InvalidKey, "The algorithm is none that is accepted.")
	case err != nil:
		return nil, refuse(InvalidRequest, "The body is not a signed token in its compact form.")
	case m.Header.Type != Type:
		// Other tokens of the same issuer are not events, whatever they hold.
		return nil, refuse(InvalidRequest, "typ is not "+Type+".")
	case m.Header.Algorithm.Symmetric():
		return nil, refuse(InvalidKey, "The algorithm is none that is accepted.")
	case m.Header.KeyID == "":
		return nil, refuse(InvalidKey, "kid is missing.")
	}
	key, err := s.key(ctx, t, m.Header)
	if errors.Is(err, ErrNoKey) {
		return nil, refuse(InvalidKey, "The transmitter has no key of this kid and algorithm.")
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The keys of the transmitter are not at hand. Try again.").Retry(10 * time.Second)
	}
	payload, err := m.Verify(key)
	if err != nil {
		return nil, refuse(InvalidKey, "The signature does not match.")
	}
	return payload, nil
}

func (s *Service) key(ctx context.Context, t Transmitter, h jose.Header) (*jose.Key, error) {
	if len(t.JWKS) == 0 {
		return s.Keys(ctx, t, h.KeyID, h.Algorithm)
	}
	set, err := jose.ParseKeySet(t.JWKS)
	if err != nil {
		return nil, fmt.Errorf("read the keys of transmitter %s: %w", t.ID, err)
	}
	key, ok := set.Find(h.KeyID, h.Algorithm)
	if !ok {
		return nil, ErrNoKey
	}
	return key, nil
}

// obey ends what the event names, once.
func (s *Service) obey(ctx context.Context, t Transmitter, e event) error {
	r, refused, err := s.target(ctx, t, e.subject)
	if err != nil {
		return err
	}
	if refused != nil {
		if err := s.note(ctx, t, "receiver.refused", refused.Description); err != nil {
			return err
		}
		return refused
	}
	if r.UserID == "" && r.SessionID == "" {
		return s.note(ctx, t, "receiver.unknown_subject", "")
	}
	// A jti is the transmitter's own (RFC 8417 section 2.2).
	digest := opaque.Hash(t.ID + "\x00" + e.id)
	r.Reason, r.Actor, r.Once = Reason, "transmitter:"+t.ID, "set_"+jose.EncodeSegment(digest[:])
	err = s.Revoke(ctx, r)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil // sent again, or somebody was quicker
	}
	if err != nil {
		return fmt.Errorf("obey a security event: %w", err)
	}
	return nil
}

// target is whom the subject names, as far as the transmitter may name them. Nobody
// is the zero Revocation.
func (s *Service) target(ctx context.Context, t Transmitter, sub subject) (Revocation, *Error, error) {
	user, session := &sub, (*subject)(nil)
	if sub.format == "complex" {
		user, session = sub.user, sub.session
	}
	// Sessions of the transmitter's own are not known here: the user's all end.
	if t.Subjects.By != BySub || session == nil || session.format != "opaque" || !opaque.IsID(opaque.SessionID, session.id) {
		if user == nil {
			return Revocation{}, refuse(InvalidRequest, "sub_id names no user."), nil
		}
		id, refused, err := s.user(ctx, t, *user)
		return Revocation{UserID: id}, refused, err
	}
	owner, found, err := s.People.SessionUser(ctx, session.id)
	if err != nil {
		return Revocation{}, nil, fmt.Errorf("find session: %w", err)
	}
	if user != nil {
		id, refused, err := s.user(ctx, t, *user)
		if err != nil || refused != nil {
			return Revocation{}, refused, err
		}
		if found && owner != id {
			return Revocation{}, refuse(AccessDenied, "The session is another user's."), nil
		}
	}
	return Revocation{SessionID: session.id}, nil, nil
}

// user finds whom a subject names, "" for nobody.
func (s *Service) user(ctx context.Context, t Transmitter, sub subject) (string, *Error, error) {
	switch {
	case t.Subjects.By == BySub && sub.format == "opaque":
		return s.byID(ctx, sub.id)
	case t.Subjects.By == BySub && sub.format == "iss_sub":
		if sub.issuer != s.Issuer {
			return "", refuse(AccessDenied, "The subject is of another issuer."), nil
		}
		return s.byID(ctx, sub.sub)
	case t.Subjects.By == ByIssSub && sub.format == "iss_sub":
		if sub.issuer != t.Issuer {
			return "", refuse(AccessDenied, "The subject is of another issuer."), nil
		}
		login, known := t.Subjects.Users[sub.sub]
		if !known {
			return "", nil, nil
		}
		return s.byLogin(ctx, login, nil)
	case t.Subjects.By == ByEmail && sub.format == "email":
		return s.byLogin(ctx, sub.email, t.Subjects.Domains)
	}
	return "", refuse(InvalidRequest, "This transmitter is not set up to name subjects in the format "+strings.ToValidUTF8(clip(sub.format), "")+"."), nil
}

func (s *Service) byID(ctx context.Context, id string) (string, *Error, error) {
	if !opaque.IsID(opaque.UserID, id) {
		return "", nil, nil
	}
	found, err := s.People.HasUser(ctx, id)
	if err != nil {
		return "", nil, fmt.Errorf("find user: %w", err)
	}
	if !found {
		return "", nil, nil
	}
	return id, nil, nil
}

func (s *Service) byLogin(ctx context.Context, login string, domains []string) (string, *Error, error) {
	canonical, err := limit.Canonical(login)
	if err != nil {
		return "", nil, nil // nobody has it
	}
	if !ofDomain(canonical, domains) {
		return "", refuse(AccessDenied, "The subject is of a domain that this transmitter is not trusted for."), nil
	}
	id, found, err := s.People.UserByLogin(ctx, canonical)
	if err != nil {
		return "", nil, fmt.Errorf("find user: %w", err)
	}
	if !found {
		return "", nil, nil
	}
	return id, nil, nil
}

// note writes what an authenticated transmitter said that ended nothing.
func (s *Service) note(ctx context.Context, t Transmitter, action, detail string) error {
	e := audit.Event{At: s.Now(), Action: action, Actor: "transmitter:" + t.ID, Target: t.ID, Detail: audit.Clip(detail)}
	if err := s.Store.Audit(ctx, e); err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return nil
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most]
	}
	return s
}
