package session

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Session is one login. ID (the sid) is public: it stands in tokens and lists.
// The secret in the cookie is known to the browser alone.
type Session struct {
	ID        string        // opaque.ID(opaque.SessionID, ...)
	Secret    opaque.Digest // SHA-256 of the cookie's value; unique
	UserID    string
	ClientID  string // the client that started it, "" for our own pages
	CreatedAt time.Time
	AuthTime  time.Time // when the person last proved who they are
	AMR       []string  // how (RFC 8176): "pwd"
	SeenAt    time.Time // last use, known to the granularity of Limits.Touch
	IdleUntil time.Time // dead from here on unless used before
	ExpiresAt time.Time // absolute: never moves
	Address   string    // network address at login, for the person's list
	Agent     string    // user agent at login, clipped
	Binding   string    // what the session is bound to (package replay), "" for nothing; never changes
}

// Live reports whether the session may be used at now. Both limits are
// exclusive: at the limit it is dead.
func (s Session) Live(now time.Time) bool {
	return now.Before(s.IdleUntil) && now.Before(s.ExpiresAt)
}

// ACR returns how surely the person is known, in the levels of NIST SP 800-63:
// "aal1" for one factor. There is no second one yet.
func (s Session) ACR() string { return "aal1" }

// Touch is one use of a session, to be noted.
type Touch struct {
	ID        string
	Seen      time.Time
	IdleUntil time.Time
}

// Store keeps sessions. Ending one is an effect (revoke.Effects).
type Store interface {
	// StartSession adds a session, with the effects, in one transaction. A
	// session that it replaces is ended by an entry in fx. A taken id or secret
	// is fault.Conflict.
	StartSession(ctx context.Context, s Session, fx revoke.Effects) error
	// SessionBySecret finds a session by the digest of its cookie. A session
	// that is past a limit is still returned: Live decides. rsn is the log
	// position read in the same snapshot.
	SessionBySecret(ctx context.Context, d opaque.Digest) (s Session, rsn int64, found bool, err error)
	// SessionByID finds a session by its sid.
	SessionByID(ctx context.Context, id string) (s Session, found bool, err error)
	// SessionsOf lists a user's sessions, newest first, also those past a limit.
	SessionsOf(ctx context.Context, userID string) ([]Session, error)
	// RenewSession swaps the secret and sets AuthTime, AMR, SeenAt and
	// IdleUntil, if the row still holds the secret old and is live at
	// next.SeenAt. It reports whether it did.
	RenewSession(ctx context.Context, old opaque.Digest, next Session, fx revoke.Effects) (bool, error)
	// TouchSessions moves SeenAt and IdleUntil forward, never back, of each
	// session that is there and live at Seen. It never revives one. It returns
	// how many it found so.
	TouchSessions(ctx context.Context, touches []Touch) (int, error)
	// PurgeSessions removes at most limit sessions that are past a limit at
	// now, with their grants and opaque tokens, in small steps. It returns how
	// many sessions.
	PurgeSessions(ctx context.Context, now time.Time, limit int) (int, error)
}
