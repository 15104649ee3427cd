package audit

import (
	"context"
	"time"
)

// Event is one line of the audit log. It never holds a secret, a token, a
// cookie or a password; Login texts are capped and stored as data.
type Event struct {
	Seq     int64 // given by the store, from 1
	At      time.Time
	Action  string // "signin.ok", "signin.refused", "session.end", "refresh.theft", ...
	Actor   string // user id, client id, "cli", "system" or "" for nobody
	Target  string // the id of what was acted upon
	Client  string // client id, where one is involved
	Session string // session id, where one is involved
	Address string // the caller's network address, "" for none
	Detail  string // one short sentence or code; no free input beyond 200 bytes
}

// The actors that are not users or clients.
const (
	ByCLI    = "cli"
	BySystem = "system"
)

// Clip shortens free input for Detail, Target or Address to 200 bytes.
func Clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most]
}

// Store keeps events.
type Store interface {
	// Audit appends events that come with no other change.
	Audit(ctx context.Context, events ...Event) error
	// Events returns events with Seq > after, oldest first, at most limit.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)
}
