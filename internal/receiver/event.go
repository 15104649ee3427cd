package receiver

import (
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Type is the typ of a security event token (RFC 8417 section 2.3).
const Type = "secevent+jwt"

// The events that mean something here: CAEP 1.0, RISC 1.0 and SSF 1.0.
const (
	sessionRevoked  = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	accountDisabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	verification    = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// How old an event may be, and how much a transmitter's clock may be ahead. What
// is kept of an event that was obeyed (revoke.KeepFor) outlives both.
const (
	oldest = 24 * time.Hour
	skew   = time.Minute
)

// mostID is the longest jti, in bytes.
const mostID = 255

// event is a verified token's one event.
type event struct {
	id      string // jti
	kind    string
	subject subject
}

// subject is a subject identifier (RFC 9493), or one of several parts (SSF 1.0).
type subject struct {
	format                 string
	issuer, sub, id, email string
	user, session          *subject
}

type members map[string][]byte

// object reads a JSON object that names nothing twice, at any depth.
func object(raw []byte) (members, bool) {
	list, err := jose.Members(raw)
	if err != nil {
		return nil, false
	}
	m := make(members, len(list))
	for _, one := range list {
		m[one.Name] = one.Value
	}
	return m, true
}

// text is a member that is a string and not empty.
func (m members) text(name string) (string, bool) {
	s, err := jose.String(m[name])
	return s, err == nil && s != ""
}

// readEvent judges the claims of a token whose signature is the transmitter's.
func readEvent(payload []byte, t Transmitter, audience string, now time.Time) (event, *Error) {
	m, ok := object(payload)
	if !ok {
		return event{}, refuse(InvalidRequest, "The claims are not one JSON object without repeated members.")
	}
	if iss, _ := m.text("iss"); iss != t.Issuer {
		return event{}, refuse(InvalidIssuer, "iss is not the issuer that this transmitter is set up with.")
	}
	if list, err := jose.StringOrArray(m["aud"]); err != nil || !slices.Contains(list, audience) {
		return event{}, refuse(InvalidAudience, "The token is not for this receiver.")
	}
	id, ok := m.text("jti")
	if !ok || len(id) > mostID {
		return event{}, refuse(InvalidRequest, "jti is missing or too long.")
	}
	issued, err := jose.NumericDate(m["iat"])
	if err != nil || issued.After(now.Add(skew)) || !issued.After(now.Add(-oldest)) {
		return event{}, refuse(InvalidRequest, "iat is missing, too old, or in the future.")
	}
	// SSF 1.0: a token that expires, or has a sub, is of another kind.
	if m["exp"] != nil || m["sub"] != nil {
		return event{}, refuse(InvalidRequest, "A security event has neither exp nor sub.")
	}
	events, ok := object(m["events"])
	if !ok || len(events) != 1 {
		return event{}, refuse(InvalidRequest, "events must hold exactly one event.")
	}
	e := event{id: id}
	for kind, body := range events {
		if _, ok := object(body); !ok {
			return event{}, refuse(InvalidRequest, "The event is not a JSON object.")
		}
		e.kind = kind
	}
	if e.kind != sessionRevoked && e.kind != accountDisabled {
		return e, nil
	}
	if e.subject, ok = readSubject(m["sub_id"]); !ok {
		return event{}, refuse(InvalidRequest, "sub_id is missing, or not a subject identifier.")
	}
	return e, nil
}

func readSubject(raw []byte) (subject, bool) {
	m, ok := object(raw)
	if !ok {
		return subject{}, false
	}
	format, ok := m.text("format")
	if !ok {
		return subject{}, false
	}
	if format != "complex" {
		return simple(m, format)
	}
	s := subject{format: format}
	for name, part := range map[string]**subject{"user": &s.user, "session": &s.session} {
		if m[name] == nil {
			continue
		}
		inner, ok := object(m[name])
		if !ok {
			return subject{}, false
		}
		format, _ := inner.text("format")
		one, ok := simple(inner, format)
		if !ok {
			return subject{}, false
		}
		*part = &one
	}
	return s, s.user != nil || s.session != nil
}

// simple reads the formats that are known; of any other only its name.
func simple(m members, format string) (subject, bool) {
	s := subject{format: format}
	ok := format != "" && format != "complex"
	switch format {
	case "iss_sub":
		var had bool
		s.issuer, had = m.text("iss")
		s.sub, ok = m.text("sub")
		ok = ok && had
	case "email":
		s.email, ok = m.text("email")
	case "opaque":
		s.id, ok = m.text("id")
	}
	return s, ok
}

// ofDomain reports whether a login is one of some domains. No domains: any.
func ofDomain(login string, domains []string) bool {
	at := strings.LastIndexByte(login, '@')
	return len(domains) == 0 || at > 0 && slices.Contains(domains, login[at+1:])
}
