package verify

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Kind says what the caller presented.
type Kind int

// The kinds of credential.
const (
	// Token is a JWT, checked here.
	Token Kind = iota + 1
	// Session is a session cookie, checked by the server.
	Session
	// Opaque is an access token without inner structure, checked by the server.
	Opaque
)

// String gives the kind's name in the log.
func (k Kind) String() string {
	switch k {
	case Token:
		return "token"
	case Session:
		return "session"
	case Opaque:
		return "opaque"
	}
	return "unknown"
}

// Identity is who is calling and what they may do, as far as a verified
// credential says. It is shared between goroutines: read it, do not change it.
type Identity struct {
	Kind      Kind
	Subject   string // the user, or the client itself when nobody signed in
	SessionID string // the login behind it; empty when there is none
	ClientID  string // the application
	Issuer    string
	Audience  []string
	Scopes    []string
	TokenID   string
	GrantID   string
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time // when the user last proved who they are; zero when unknown
	ACR       string
	AMR       []string
	RSN       int64 // position in the revocation log at which it was minted
	// Confirm is the key that whoever shows the credential must hold; the zero value is
	// none. Token refuses what has one; Bound asks for the proof.
	Confirm Confirmation
	// Binding is the network and device that the session is bound to, salted
	// with SessionID; httpauth compares it with each request.
	Binding bound.Binding

	object string // all of it, as it was signed or answered
	keyID  string // kid of the key that signed it
}

// HasScope reports whether the credential holds this very scope: no prefix,
// no wildcard, no change of case.
func (id *Identity) HasScope(scope string) bool {
	return slices.Contains(id.Scopes, scope)
}

// Claim gives the JSON of one member of the verified token, or of the server's
// answer for sessions and opaque tokens. The bytes are the caller's own.
func (id *Identity) Claim(name string) (json.RawMessage, bool) {
	members, err := jose.Members([]byte(id.object))
	if err != nil {
		return nil, false // an Identity that no verifier has made
	}
	for i := range members {
		if members[i].Name == name {
			return members[i].Value, true
		}
	}
	return nil, false
}
