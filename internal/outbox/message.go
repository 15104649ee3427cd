package outbox

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// messageID is the prefix of the ids of messages.
const messageID = "msg"

// Unread is the place of a topic that has not begun to read the log.
const Unread int64 = -1

// State is what became of a message so far. One that was delivered is removed.
type State string

// The states.
const (
	Waiting State = "waiting"
	GivenUp State = "given up" // it will not be sent again; it is kept a while to be listed
)

// Message is something to be told to one receiver.
type Message struct {
	Number    int64 // the order in which messages were added; the store gives it
	ID        string
	Topic     string
	To        string // the receiver, as the topic knows it
	Seq       int64  // the entry of the log it tells of; 0 for none
	Body      []byte // as the topic understands it
	CreatedAt time.Time
	DueAt     time.Time
	Attempts  int
	Holder    string // who claimed it last; "" when nobody holds it
	HeldUntil time.Time
	State     State
	Problem   string // what went wrong the last time, for the operator
	SettledAt time.Time
}

// NewMessage returns a message that is due at once, with an id of its own.
func NewMessage(topic, to string, body []byte, now time.Time) Message {
	return Message{
		ID: opaque.ID(messageID, now), Topic: topic, To: to, Body: body, CreatedAt: now, DueAt: now, State: Waiting,
	}
}

// Advance moves a topic on in the log, together with the messages that what it
// passed asks for.
type Advance struct {
	Topic string
	From  int64 // Unread for the first step
	To    int64
	Add   []Message
}

// Claim asks for messages to deliver.
type Claim struct {
	Topic, To string
	Holder    string
	Now       time.Time
	Until     time.Time // after that, others may take them
	Limit     int
}

// Verdict says what becomes of a message.
type Verdict int

// The verdicts.
const (
	Done   Verdict = iota + 1 // it is removed
	Again                     // it waits until DueAt
	Giving                    // it is given up
)

// Settlement ends a claim on one message.
type Settlement struct {
	ID       string
	To       string // must be the message's own, so that no receiver settles another's
	Holder   string // must hold the message, or "" for one that nobody holds
	Verdict  Verdict
	Attempts int
	DueAt    time.Time
	Problem  string
	At       time.Time
}

// Which selects messages; what is empty selects all.
type Which struct {
	Topic, To string
	State     State
	After     int64 // numbers above
	Limit     int
}

// Purge says what is too old.
type Purge struct {
	Now    time.Time
	GiveUp time.Time // messages waiting since before then are given up, unless somebody holds them
	Forget time.Time // messages given up before then are removed
}

// Queue keeps messages. Every method is one atomic change, durable when it returns.
type Queue interface {
	// TopicPlace returns how far a topic has come in the log, Unread at first.
	TopicPlace(ctx context.Context, topic string) (int64, error)
	// AdvanceTopic makes a step if the topic still is at its From: both the place
	// and the messages, or neither. It reports whether it did. A Message's id that
	// is taken is fault.Conflict.
	AdvanceTopic(ctx context.Context, a Advance) (bool, error)
	// DueReceivers lists the receivers with messages waiting that are due and not
	// held, at most limit, those first that have waited longest.
	DueReceivers(ctx context.Context, topic string, now time.Time, limit int) ([]string, error)
	// ClaimMessages takes messages that are due, those due first in front, and holds
	// them. It takes none while anybody holds a message to the same receiver.
	ClaimMessages(ctx context.Context, c Claim) ([]Message, error)
	// SettleMessages ends claims. What is not there, not waiting, to somebody else
	// or held by somebody else is left alone. It returns how many were settled.
	SettleMessages(ctx context.Context, all []Settlement) (int, error)
	// Messages lists messages by number.
	Messages(ctx context.Context, w Which) ([]Message, error)
	// PurgeMessages gives up and removes what is too old, and returns how many.
	PurgeMessages(ctx context.Context, p Purge) (int, error)
}

// Log is the revocation log.
type Log interface {
	Head(ctx context.Context) (int64, error)
	Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error)
}
