package ticket

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Kind keeps tickets of different uses apart: a key of one kind means nothing in
// another.
type Kind string

// The kinds.
const (
	Pushed       Kind = "pushed"       // a pushed authorization request (RFC 9126)
	Device       Kind = "device"       // a device authorization, by its device code (RFC 8628)
	UserCode     Kind = "user code"    // which device authorization a user code stands for
	Assertion    Kind = "assertion"    // the jti of a client assertion or an assertion grant that was seen (RFC 7523)
	Proof        Kind = "proof"        // the jti of a DPoP proof that was seen (RFC 9449 section 11.1)
	Registration Kind = "registration" // an initial access token of dynamic registration (RFC 7591)
)

// Ticket is one of them. Key is a digest: who reads the store learns no code.
type Ticket struct {
	Kind      Kind
	Key       opaque.Digest
	Body      []byte // what its owner keeps in it; nil when being there is all; an empty one comes back as nil
	ExpiresAt time.Time
	Version   int64 // 1 when added
}

// Store keeps tickets. An expired ticket is there until it is purged: whoever
// reads one looks at ExpiresAt.
type Store interface {
	// AddTicket adds a ticket, with the effects, if none of its kind and key is
	// there, not even an expired one. It reports whether it did: of any number of
	// callers with one key one is told so.
	AddTicket(ctx context.Context, t Ticket, fx revoke.Effects) (bool, error)
	// TicketByKey finds a ticket, also an expired one, and leaves it.
	TicketByKey(ctx context.Context, kind Kind, key opaque.Digest) (t Ticket, found bool, err error)
	// ChangeTicket replaces Body and ExpiresAt, with the effects, if the ticket is
	// still there with the Version of next, and raises that by one. It reports
	// whether it did.
	ChangeTicket(ctx context.Context, next Ticket, fx revoke.Effects) (bool, error)
	// TakeTicket removes a ticket and returns it, also an expired one: of any
	// number of callers one gets it.
	TakeTicket(ctx context.Context, kind Kind, key opaque.Digest) (t Ticket, found bool, err error)
	// PurgeTickets removes at most limit tickets that expired before now, in small
	// steps. It returns how many.
	PurgeTickets(ctx context.Context, now time.Time, limit int) (int, error)
}
