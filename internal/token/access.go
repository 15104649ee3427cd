package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// Type is the typ of an access token (RFC 9068 section 2.1).
const Type = "at+jwt"

// Access is the claims of an access token. A zero field is left out, except
// those that RFC 9068 section 2.2 requires.
type Access struct {
	Issuer    string
	Subject   string // user id, or client id when no user is there
	Audience  string
	ClientID  string
	Scope     string
	SessionID string // sid
	GrantID   string // grant_id
	ID        string // jti
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time
	ACR       string
	AMR       []string
	RSN       int64  // position of the revocation log the token was minted at
	Binding   string // bnd: what the session is bound to, as package bound writes it
	Status    Status // where its status is found; the zero value is nowhere
	Confirm   Confirmation
	Actor     json.RawMessage // act: who acts for the subject (RFC 8693 section 4.1); nil for nobody
}

// Confirmation is the key that whoever shows a token must hold (cnf, RFC 7800). The
// zero value is none: the token is a bearer token.
type Confirmation struct {
	JKT string `json:"jkt,omitempty"`      // thumbprint of a DPoP key (RFC 9449 section 6)
	X5T string `json:"x5t#S256,omitempty"` // thumbprint of a certificate (RFC 8705 section 3.1)
}

// IsZero reports whether there is none.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// TokenType is what the token response calls a token so confirmed (RFC 9449 section
// 5): with a certificate it stays a bearer token by name.
func (c Confirmation) TokenType() string {
	if c.JKT != "" {
		return "DPoP"
	}
	return "Bearer"
}

// Status is a place in a status list (draft-ietf-oauth-status-list-20 section
// 6.2). No URI: there is none.
type Status struct {
	URI   string
	Index int
}

// SharesStatus reports whether Status is a place that the token shares with others
// of its session. What is said of the token alone does not name that.
func (a Access) SharesStatus() bool { return a.Status.URI != "" && a.SessionID != "" }

// claims fixes the names and their order.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	ExpiresAt int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	ID        string   `json:"jti"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	SessionID string   `json:"sid,omitempty"`
	GrantID   string   `json:"grant_id,omitempty"`
	RSN       int64    `json:"rsn"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	Binding   string   `json:"bnd,omitempty"`
	Status    *status  `json:"status,omitempty"`

	Confirm Confirmation    `json:"cnf,omitzero"`
	Actor   json.RawMessage `json:"act,omitempty"`
}

type status struct {
	List statusList `json:"status_list"`
}

type statusList struct {
	Index int    `json:"idx"`
	URI   string `json:"uri"`
}

// Claims returns the claims as JSON. Times are whole seconds, rounded down.
func (a Access) Claims() ([]byte, error) {
	c := claims{
		Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience, ExpiresAt: a.ExpiresAt.Unix(), IssuedAt: a.IssuedAt.Unix(),
		ID: a.ID, ClientID: a.ClientID, Scope: a.Scope, SessionID: a.SessionID, GrantID: a.GrantID, RSN: a.RSN, ACR: a.ACR, AMR: a.AMR,
		Binding: a.Binding, Confirm: a.Confirm, Actor: a.Actor,
	}
	if !a.AuthTime.IsZero() {
		c.AuthTime = a.AuthTime.Unix()
	}
	if a.Status.URI != "" {
		c.Status = &status{statusList{Index: a.Status.Index, URI: a.Status.URI}}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	return b, nil
}

// ParseClaims reads claims that we made ourselves: they come out of our own
// store, or from behind our own signature.
func ParseClaims(b []byte) (Access, error) {
	var c claims
	if err := json.Unmarshal(b, &c); err != nil {
		return Access{}, fmt.Errorf("decode claims: %w", err)
	}
	a := Access{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ClientID: c.ClientID, Scope: c.Scope, SessionID: c.SessionID,
		GrantID: c.GrantID, ID: c.ID, IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: time.Unix(c.ExpiresAt, 0),
		ACR: c.ACR, AMR: c.AMR, RSN: c.RSN, Binding: c.Binding,
		Confirm: c.Confirm, Actor: c.Actor,
	}
	if c.AuthTime != 0 {
		a.AuthTime = time.Unix(c.AuthTime, 0)
	}
	if c.Status != nil {
		a.Status = Status{URI: c.Status.List.URI, Index: c.Status.List.Index}
	}
	return a, nil
}

// opaquePrefix marks an opaque access token, so that one found in a log or a
// repository can be recognized.
const opaquePrefix = "wat_"

// NewOpaque returns an opaque access token of 256 random bits and the digest
// under which it is stored.
func NewOpaque() (string, opaque.Digest) {
	t := opaquePrefix + opaque.Secret()
	return t, opaque.Hash(t)
}

// IsOpaque reports whether t has the form of an opaque access token.
func IsOpaque(t string) bool {
	return strings.HasPrefix(t, opaquePrefix) && len(t) == len(opaquePrefix)+43
}
