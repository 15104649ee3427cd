package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/token"
)

// Question is what an introspection asks about (RFC 7662 section 2.1). API is
// ours: for a session cookie it names the API whose scopes are wanted.
type Question struct {
	Token string
	Hint  string // accepted and not needed: the form of a credential says what it is
	API   string
	Once  bool // use an access token up: it is inactive for everybody from then on
}

// Answer is what is told about a credential (RFC 7662 section 2.2). The zero
// value is inactive and says nothing else.
type Answer struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"` // "Bearer", "session", "refresh_token"
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  string   `json:"aud,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	GrantID   string   `json:"grant_id,omitempty"`
	ID        string   `json:"jti,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	RSN       int64    `json:"rsn"`
	Binding   string   `json:"bnd,omitempty"`

	Confirm token.Confirmation `json:"cnf,omitzero"`
	Actor   json.RawMessage    `json:"act,omitempty"`
	// Of a session, in seconds: unused for Idle it ends, and use is to be told
	// once in Touch. A service that goes on by itself must know both.
	Idle  int64 `json:"idle,omitempty"`
	Touch int64 `json:"touch,omitempty"`
}

// MarshalJSON writes {"active":false} and nothing else for an inactive answer.
func (a Answer) MarshalJSON() ([]byte, error) {
	if !a.Active {
		return []byte(`{"active":false}`), nil
	}
	type plain Answer
	return json.Marshal(plain(a))
}

// Introspect tells a client about an access token, a session cookie or its own
// refresh token. What is unknown, expired, revoked, or not for this caller is
// inactive, without a reason.
func (s *Service) Introspect(ctx context.Context, caller client.Client, q Question) (Answer, error) {
	switch {
	case q.Once && (token.IsRefresh(q.Token) || session.WellFormed(q.Token)):
		return Answer{}, refuse(InvalidRequest, "Only an access token can be used once.")
	case token.IsRefresh(q.Token):
		return s.aboutRefresh(ctx, caller, q.Token)
	case session.WellFormed(q.Token):
		return s.aboutSession(ctx, caller, q)
	}
	h, ok, err := s.read(ctx, q.Token)
	if err != nil || !ok {
		return Answer{}, err
	}
	if h.ClientID != caller.ID && !checks(caller, h.apiID) {
		return Answer{}, nil
	}
	why, err := s.alive(ctx, h, s.Now())
	if err != nil || why != "" {
		return Answer{}, err
	}
	if q.Once {
		if named := s.named(q.API); named != "" && named != h.apiID {
			return Answer{}, nil // shown at the wrong API: nothing is used up
		}
		if first, err := s.useUp(ctx, h); err != nil || !first {
			return Answer{}, err
		}
	}
	return Answer{
		Active: true, TokenType: h.Confirm.TokenType(), Issuer: h.Issuer, Subject: h.Subject, Audience: h.Audience, ClientID: h.ClientID,
		Scope: h.Scope, SessionID: h.SessionID, GrantID: h.GrantID, ID: h.ID, IssuedAt: h.IssuedAt.Unix(),
		ExpiresAt: h.ExpiresAt.Unix(), AuthTime: unix(h.AuthTime), ACR: h.ACR, AMR: h.AMR, RSN: h.RSN,
		Binding: h.Binding, Confirm: h.Confirm, Actor: h.Actor,
	}, nil
}

// useUp takes a token back because it was used, and reports whether it was the
// first to do so: the entry is refused when there is one already, in one
// transaction. So of any number of copies shown at any number of nodes one is
// accepted, and every verifier hears of it as of any other revocation.
func (s *Service) useUp(ctx context.Context, h held) (first bool, err error) {
	ref := revoke.Ref{Kind: revoke.Token, Key: h.ID}
	_, err = s.Log.Record(ctx, revoke.Effects{
		Revoke: []revoke.Entry{revoke.NewToken(h.ID, "used once", s.Now(), h.ExpiresAt)},
		Guard:  &revoke.Guard{Refs: []revoke.Ref{ref}},
	})
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("use up a token: %w", err)
	}
	return true, nil
}

// named is the id of the API that goes by a name.
func (s *Service) named(name string) string { return api.Named(s.Issuer, name) }

// aboutSession is how a service first learns of a cookie. Being asked about
// counts as use.
func (s *Service) aboutSession(ctx context.Context, caller client.Client, q Question) (Answer, error) {
	apiID := s.named(q.API)
	if !checks(caller, apiID) {
		return Answer{}, nil
	}
	st, err := s.Store.Snapshot(ctx, Query{SessionSecret: opaque.Hash(q.Token), APIID: apiID})
	if err != nil {
		return Answer{}, fmt.Errorf("read state: %w", err)
	}
	now := s.Now()
	if st.Session == nil || !st.Session.Live(now) || st.User == nil || st.User.Disabled {
		return Answer{}, nil
	}
	if apiID != "" && (st.API == nil || st.API.Disabled) {
		return Answer{}, nil
	}
	s.Sessions.Touch(st.Session, now)
	a := Answer{
		Active: true, TokenType: "session", Issuer: s.Issuer, Subject: st.User.ID, ClientID: st.Session.ClientID,
		Scope: join(userScopes(st.User, st.Roles, st.API)), SessionID: st.Session.ID, IssuedAt: st.Session.CreatedAt.Unix(),
		ExpiresAt: st.Session.ExpiresAt.Unix(), AuthTime: unix(st.Session.AuthTime), ACR: st.Session.ACR(), AMR: st.Session.AMR, RSN: st.RSN,
		Binding: st.Session.Binding,
	}
	limits := s.Sessions.Limits()
	a.Idle, a.Touch = int64(limits.Idle/time.Second), int64(limits.Touch/time.Second)
	if st.API != nil {
		a.Audience = st.API.Audience(s.Issuer)
	}
	return a, nil
}

// aboutRefresh answers the client that holds the token, nobody else.
func (s *Service) aboutRefresh(ctx context.Context, caller client.Client, text string) (Answer, error) {
	id, gen, ok := s.Config.Refresh.Decode(text)
	if !ok {
		return Answer{}, nil
	}
	st, err := s.Store.Snapshot(ctx, Query{GrantID: id})
	if err != nil {
		return Answer{}, fmt.Errorf("read state: %w", err)
	}
	g := st.Grant
	if g == nil || g.Pending() || g.ClientID != caller.ID || g.Gen != gen {
		return Answer{}, nil
	}
	if _, refused := authorizeIssuance(st, byRefresh, want{proved: true}, s.Now()); refused != nil {
		return Answer{}, nil
	}
	return Answer{
		Active: true, TokenType: "refresh_token", Issuer: s.Issuer, Subject: g.UserID, Audience: st.API.Audience(s.Issuer),
		ClientID: g.ClientID, Scope: join(g.Scopes), SessionID: g.SessionID, GrantID: g.ID, IssuedAt: g.RotatedAt.Unix(),
		ExpiresAt: g.ExpiresAt.Unix(), RSN: st.RSN,
	}, nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
