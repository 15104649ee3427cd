package outbox

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

// Topic is one kind of message.
type Topic interface {
	// Name never changes: places and messages are stored under it.
	Name() string
	// Plan makes the messages that an entry of the log asks for. It may be called
	// again for the same entry; only what one call returned is ever stored.
	Plan(ctx context.Context, r revoke.Recorded) ([]Message, error)
	// Open reports whether we send what waits for a receiver. What is not sent
	// stays, until it is too old.
	Open(ctx context.Context, to string) (bool, error)
	// Deliver sends a message, once. It may have been sent before.
	Deliver(ctx context.Context, m Message) Outcome
}

// Result is how an attempt went.
type Result int

// The results.
const (
	Delivered Result = iota + 1
	Failed           // to be tried again, later and later, for a day
	Refused          // the receiver understood and wants it not: three times are enough
	Moot             // nobody is there to be told any more
)

// Outcome is the result of an attempt.
type Outcome struct {
	Result  Result
	Problem string        // for the operator, without anything secret
	After   time.Duration // the receiver asked to be left alone so long; 0: it did not
}

// Letter is one HTTP POST to another party.
type Letter struct {
	URL           string
	ContentType   string
	Accept        string // "" for anything
	Authorization string // "" for none
	Body          []byte
}

// Reply is what came back. Body is cut at a bound of the sender's.
type Reply struct {
	Status int
	Body   []byte
	After  time.Duration // of Retry-After; 0 for none
}

// Post sends a letter. An error means that there was no answer, or that the
// address is one that we do not send to. Redirects are answers like any other.
type Post func(ctx context.Context, l Letter) (Reply, error)
