package grant

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
)

// Grant is what a user gave a client, and the state of its refresh family.
type Grant struct {
	ID        string // opaque.ID(opaque.GrantID, ...)
	SessionID string // the login it hangs from; it dies with it
	UserID    string
	ClientID  string
	APIID     string
	Scopes    []string // as granted; each refresh narrows to what is still allowed
	CreatedAt time.Time
	ExpiresAt time.Time // absolute: no refresh moves it (R5)
	Gen       uint32    // the current generation (R1), 1 at first; 0 while there is a code and nothing else
	RotatedAt time.Time // when Gen became current
	Replays   int       // how often the previous generation came again within the window
	Details   Details
}

// Pending reports whether the grant is a code that was not exchanged yet.
func (g Grant) Pending() bool { return g.Gen == 0 }

// Details is what a grant keeps of the request that opened it. The zero value is
// that of a grant which a sign-in opened.
type Details struct {
	// What the exchange of the code must show (RFC 6749 section 4.1.3, RFC 7636).
	RedirectURI  string `json:"redirect_uri,omitempty"`
	RedirectSent bool   `json:"redirect_sent,omitempty"` // the request named it
	Challenge    string `json:"code_challenge,omitempty"`
	CodeJKT      string `json:"code_jkt,omitempty"` // dpop_jkt of the request

	Nonce  string       `json:"nonce,omitempty"`
	Claims *oidc.Claims `json:"claims,omitempty"`
	// What refreshing must show: the key that the family is bound to.
	JKT string `json:"jkt,omitempty"` // thumbprint of a DPoP key (RFC 9449 section 5)
	X5T string `json:"x5t,omitempty"` // thumbprint of a certificate (RFC 8705 section 3)

	// Consented says that the grant rests on a consent which is remembered: it is not
	// added without one that covers its scopes.
	Consented bool `json:"consented,omitempty"`
}

// AccessToken is an opaque access token as stored.
type AccessToken struct {
	Digest    opaque.Digest // SHA-256 of the token; unique
	ID        string        // the jti
	GrantID   string        // "" when there is none
	SessionID string        // "" for client credentials
	UserID    string        // "" for client credentials
	ClientID  string
	APIID     string
	Claims    []byte // the same claims, as JSON, that a JWT would carry
	ExpiresAt time.Time
}

// State is what issuance is decided on. Everything in it was read in one
// snapshot, RSN included (I3). A nil pointer means that there is no such row.
type State struct {
	RSN     int64
	User    *account.User
	Roles   []role.Role // those of User.Roles that exist
	Client  *client.Client
	API     *api.API
	Session *session.Session
	Grant   *Grant
}

// Query names the rows of a snapshot; an empty field asks for nothing. With
// SessionSecret (which goes before SessionID) or SessionID the session's user is
// read too, unless UserID names one. GrantID fills all others from the grant.
type Query struct {
	SessionSecret opaque.Digest
	SessionID     string
	UserID        string
	ClientID      string
	APIID         string
	GrantID       string
}

// bound reports whether the family is bound to a key.
func (d Details) bound() bool { return d.JKT != "" || d.X5T != "" }

// Change is what a decision makes of a grant.
type Change struct {
	// Next has the Scopes, Gen, RotatedAt and Replays to write, and of a grant that was
	// pending also ExpiresAt and Details; nil leaves them. Nothing else ever changes.
	Next    *Grant
	Effects revoke.Effects
}

// Store keeps grants and opaque access tokens, and reads states.
type Store interface {
	// Snapshot reads the rows of q at one moment.
	Snapshot(ctx context.Context, q Query) (State, error)
	// AddGrant adds a grant with its effects, if its session, user and client
	// are still there, and with Details.Consented the consent too. It reports
	// whether it did. A taken id is fault.Conflict.
	AddGrant(ctx context.Context, g Grant, fx revoke.Effects) (bool, error)
	// ChangeGrant reads the state of a grant, asks decide, and writes what it
	// says, all in one write transaction that no other change of the grant can
	// enter. decide is pure, may be called again after a conflict, and must not
	// call the store. With an unknown id decide sees a State whose Grant is nil,
	// and Next is ignored; its effects are written all the same.
	ChangeGrant(ctx context.Context, grantID string, decide func(State) Change) error
	// AddToken adds an opaque access token, if its client and, when it has them,
	// its grant, session and user are still there. It reports whether it did. A
	// taken digest is fault.Conflict.
	AddToken(ctx context.Context, t AccessToken) (bool, error)
	// TokenByDigest finds an opaque access token, also an expired one.
	TokenByDigest(ctx context.Context, d opaque.Digest) (t AccessToken, found bool, err error)
	// PurgeTokens removes at most limit opaque tokens and grants that expired
	// before now, in small steps. It returns how many.
	PurgeTokens(ctx context.Context, now time.Time, limit int) (int, error)
}
