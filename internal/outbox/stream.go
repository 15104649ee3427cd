package outbox

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
)

// Method is how a stream's messages get to its receiver.
type Method string

// The methods.
const (
	Push Method = "push" // we send them to Endpoint
	Poll Method = "poll" // the receiver comes for them
)

// Status says whether a stream flows.
type Status string

// The statuses.
const (
	Enabled  Status = "enabled"
	Paused   Status = "paused"   // messages wait
	Disabled Status = "disabled" // there are none
)

// Stream is a receiver that said what it wants to hear.
type Stream struct {
	ID            string
	ClientID      string // whose it is
	Audience      string
	Description   string
	Method        Method
	Endpoint      string   // of Push
	Authorization []byte   // of Push, sealed: what the Authorization header is to say; nil for none
	Requested     []string // event types
	Status        Status
	Reason        string    // for the status, as whoever set it gave it
	VerifiedAt    time.Time // when it last asked for a verification
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64 // 1 when added
}

// StreamChange changes a stream and what waits in it.
type StreamChange struct {
	Next  Stream // its Version is the one that is to be changed
	Add   []Message
	Empty bool // what waits for it is removed
	Audit []audit.Event
}

// Omission is a subject that a stream is not to hear of.
type Omission struct {
	Stream  string
	Subject string
	At      time.Time
}

// Streams keeps streams. Every method is one atomic change, durable when it returns,
// with the events for the audit log that it is given.
type Streams interface {
	// AddStream adds a stream. A taken id, or a second one for the same client and
	// audience, is fault.Conflict.
	AddStream(ctx context.Context, s Stream, notes ...audit.Event) error
	// ChangeStream reports false when the version is not the present one any more.
	ChangeStream(ctx context.Context, c StreamChange) (bool, error)
	// RemoveStream removes a stream, its messages and its omissions. It reports
	// whether it was there.
	RemoveStream(ctx context.Context, id string, notes ...audit.Event) (bool, error)
	// Streams lists streams by id, with ids above after, at most limit.
	Streams(ctx context.Context, after string, limit int) ([]Stream, error)
	// StreamByID finds one.
	StreamByID(ctx context.Context, id string) (s Stream, found bool, err error)
	// Omit adds an omission, once. It reports false when the stream is gone or has
	// most of them already.
	Omit(ctx context.Context, o Omission, most int) (bool, error)
	// Include takes an omission back, if it is there.
	Include(ctx context.Context, stream, subject string) error
	// OmittedBy lists the streams that are not to hear of a subject, sorted.
	OmittedBy(ctx context.Context, subject string) ([]string, error)
}

// Store is all that the package needs kept.
type Store interface {
	Queue
	Streams
}
