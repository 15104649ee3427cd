package keyring

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// State is where a key is in its life.
type State string

// The states, in their order.
const (
	Announced State = "announced" // published, signs nothing yet
	Active    State = "active"    // signs; one for each API
	Retired   State = "retired"   // verifies only
	Removed   State = "removed"   // neither; kept for the record
)

// Record is one key as stored. The private part is sealed under the master key.
type Record struct {
	ID        string // the kid: opaque.ID(opaque.KeyID, ...)
	API       string // the API id it signs for
	Alg       jose.Algorithm
	State     State
	CreatedAt time.Time
	ActiveAt  time.Time // zero until then
	RetiredAt time.Time // zero until then
	RemovedAt time.Time // zero until then
	ReadAt    time.Time // when an HMAC secret was read; zero: not yet
	Public    []byte    // public JWK; nil for HMAC
	Sealed    []byte    // private part, sealed with the kid as its place; nil once removed
}

// Move is one step of one key.
type Move struct {
	ID       string
	From, To State
	At       time.Time
}

// Store keeps keys.
type Store interface {
	// Keys returns every key, oldest first, removed ones too.
	Keys(ctx context.Context) ([]Record, error)
	// ChangeKeys adds keys and makes moves, with the effects, in one
	// transaction, if every moved key is still in its From state and if no API
	// ends with more than one active key. It reports whether it did; if not,
	// nothing changed. A move to Removed drops Sealed.
	ChangeKeys(ctx context.Context, add []Record, moves []Move, fx revoke.Effects) (bool, error)
	// MarkRead notes that an HMAC secret was read, if it had not been. It
	// reports whether this call did.
	MarkRead(ctx context.Context, kid string, at time.Time, fx revoke.Effects) (bool, error)
}
