package ssf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The types of events.
const (
	SessionRevoked    = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	CredentialChange  = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	TokenClaimsChange = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
	Verification      = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// Supported are the types that a receiver can ask for, sorted. A verification is
// not one of them: it is sent when it is asked for.
var Supported = []string{CredentialChange, SessionRevoked, TokenClaimsChange}

// TokenType is the "typ" of a security event token.
const TokenType = "secevent+jwt"

// Delivered lists what a stream that asked for types gets, sorted.
func Delivered(requested []string) []string {
	all := []string{}
	for _, t := range Supported {
		if slices.Contains(requested, t) {
			all = append(all, t)
		}
	}
	return all
}

// subject is a subject identifier (RFC 9493), simple or complex.
type subject struct {
	Format  string   `json:"format"`
	Issuer  string   `json:"iss,omitempty"`
	Subject string   `json:"sub,omitempty"`
	ID      string   `json:"id,omitempty"`
	User    *subject `json:"user,omitempty"`
	Session *subject `json:"session,omitempty"`
}

// event is what a message tells, and its body.
type event struct {
	Type        string         `json:"type"`
	Transaction string         `json:"txn"`
	About       subject        `json:"sub_id"`
	Members     map[string]any `json:"event"`
}

func (s *Service) user(id string) *subject {
	return &subject{Format: "iss_sub", Issuer: s.c.Issuer, Subject: id}
}

// eventsOf says what an entry of the log means to other parties, and whom it is
// about; "" when that is not known. What ends grants, single tokens, clients, APIs
// and keys of ours means nothing to them.
func (s *Service) eventsOf(ctx context.Context, r revoke.Recorded) (about string, all []event, err error) {
	if r.Reason == receiver.Reason {
		return "", nil, nil // two servers that tell each other would never end
	}
	one := event{Transaction: strconv.FormatInt(r.Seq, 10), Members: members(r.Entry)}
	switch r.Kind {
	case revoke.Session:
		one.Type, one.About = SessionRevoked, subject{Format: "opaque", ID: r.Key}
		if r.Subject != "" {
			session := one.About
			one.About = subject{Format: "complex", User: s.user(r.Subject), Session: &session}
		}
		return r.Subject, []event{one}, nil
	case revoke.User:
		one.Type, one.About = SessionRevoked, *s.user(r.Key)
		all = []event{one}
		if r.Reason == "password" {
			changed := one
			changed.Type, changed.Members = CredentialChange, members(r.Entry)
			changed.Members["credential_type"], changed.Members["change_type"] = "password", "update"
			all = append(all, changed)
		}
		return r.Key, all, nil
	case revoke.Claims:
		u, found, err := s.c.Users.UserByID(ctx, r.Key)
		if err != nil {
			return "", nil, fmt.Errorf("find user: %w", err)
		}
		if !found {
			return r.Key, nil, nil // the entry of the removal tells it all
		}
		one.Type, one.About = TokenClaimsChange, *s.user(r.Key)
		one.Members["claims"] = map[string][]string{"roles": append([]string{}, u.Roles...)}
		return r.Key, []event{one}, nil
	}
	return "", nil, nil
}

// initiators says who was behind a reason, where it is sure.
var initiators = map[string]string{"logout": "user", "admin": "admin", "ban": "admin", "removed": "admin", "roles": "admin", "reuse": "system", "replaced": "system"}

// members are those that every CAEP event may have (CAEP 1.0 section 2). Its
// interoperability profile wants a reason for administrators.
func members(e revoke.Entry) map[string]any {
	reason := e.Reason
	if reason == "" {
		reason = string(e.Kind)
	}
	m := map[string]any{"event_timestamp": e.At.Unix(), "reason_admin": map[string]string{"en": reason}}
	if by, known := initiators[e.Reason]; known {
		m["initiating_entity"] = by
	}
	return m
}

// claims of a security event token (RFC 8417 section 2.2, SSF 1.0 section 4): one
// event, no "exp" and no "sub".
type claims struct {
	Issuer      string                    `json:"iss"`
	ID          string                    `json:"jti"`
	IssuedAt    int64                     `json:"iat"`
	Audience    string                    `json:"aud"`
	Transaction string                    `json:"txn"`
	About       subject                   `json:"sub_id"`
	Events      map[string]map[string]any `json:"events"`
}

// sign makes the token of a message: the same claims each time.
func (s *Service) sign(m outbox.Message, to outbox.Stream) (string, error) {
	var e event
	if err := json.Unmarshal(m.Body, &e); err != nil {
		return "", fmt.Errorf("read message %s: %w", m.ID, err)
	}
	key, there := s.c.Signer()
	if !there {
		return "", errors.New("no key signs security events yet")
	}
	if key.Algorithm() != jose.RS256 { // CAEP interoperability profile, section 2.6
		return "", fmt.Errorf("security events are signed with RS256, not %s", key.Algorithm())
	}
	payload, err := json.Marshal(claims{
		Issuer: s.c.Issuer, ID: m.ID, IssuedAt: m.CreatedAt.Unix(), Audience: to.Audience, Transaction: e.Transaction, About: e.About,
		Events: map[string]map[string]any{e.Type: e.Members},
	})
	if err != nil {
		return "", fmt.Errorf("encode security event: %w", err)
	}
	text, err := jose.Sign(key, jose.Header{Type: TokenType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign security event: %w", err)
	}
	return text, nil
}
