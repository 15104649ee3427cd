package revoke

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
)

// Kind says what an entry takes back.
type Kind string

// The kinds. Key is what stands in Entry.Key.
const (
	Token   Kind = "token"   // one access token; key is its jti
	Session Kind = "session" // one login and all that hangs from it; key is the sid
	Grant   Kind = "grant"   // one refresh family and its access tokens; key is the grant id
	User    Kind = "user"    // every session of a user; key is the sub
	Client  Kind = "client"  // every credential of a client; key is the client id
	API     Kind = "api"     // every access token for an API; key is the API id
	Key     Kind = "key"     // every token signed by a key; key is the kid
	Claims  Kind = "claims"  // a user's roles changed: tokens die, sessions and grants live on; key is the sub
)

// Entry is one thing taken back. It covers credentials with rsn < its position.
// Entries of kind Token and Key cover whatever the rsn.
type Entry struct {
	Kind      Kind
	Key       string
	At        time.Time
	KeepUntil time.Time // the last moment a covered credential could be shown (I9)
	Reason    string    // a short code: "logout", "password", "ban", "reuse", ...
	// Subject and Clients say who is to be told: whose the credentials were, and
	// which clients held a grant or a session of what the entry ends, sorted, each
	// once, nil for none. The store adds to entries of kind Session, Grant and User
	// what its own rows say (see Named); a caller who knows more fills them in.
	Subject string
	Clients []string
}

// Named returns the entry with what a store has found: the subject, unless there
// is one, and the clients beside those that are there; "" names none.
func (e Entry) Named(subject string, clients ...string) Entry {
	if e.Subject == "" {
		e.Subject = subject
	}
	all := slices.Concat(e.Clients, clients)
	all = slices.DeleteFunc(all, func(id string) bool { return id == "" })
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		all = nil
	}
	e.Clients = all
	return e
}

// Recorded is an entry with its position in the log. Positions are dense.
type Recorded struct {
	Seq int64
	Entry
}

// Ref names one thing a credential hangs from.
type Ref struct {
	Kind Kind
	Key  string
}

// Always reports whether entries of the kind cover tokens of any rsn.
func (k Kind) Always() bool { return k == Token || k == Key }

// Effects are written in the same transaction as the change they come with, or
// not at all (I2). Appending an entry also removes, in that transaction, what
// the entry ends:
//
//	Session: the session row, its grants and their opaque tokens
//	Grant:   the grant row and its opaque tokens
//	User:    all sessions of the user and what Session removes
//	Client:  all grants and opaque tokens of the client, and sessions started by it
//	Token:   the opaque token with that jti
//	API:     all opaque tokens and grants of the API
//	Key, Claims: nothing
type Effects struct {
	Revoke []Entry
	Audit  []audit.Event
	Guard  *Guard // nil: the change does not depend on the log
}

// Guard ties a change to the state that allowed it. The change and its effects
// are refused when the log holds an entry with a position above RSN for one of
// Refs: a call that reports answers false, any other returns fault.Conflict.
// RSN is read no later than that state (a password checked, an account found
// enabled), so that nothing is started from what was taken back meanwhile.
type Guard struct {
	RSN  int64
	Refs []Ref
}

// Store keeps the log.
type Store interface {
	// Record appends the effects and returns the position of the last entry
	// (or the head, when there is none). It is durable when it returns.
	Record(ctx context.Context, fx Effects) (int64, error)
	// Covered returns the newest entry that covers a credential minted at rsn
	// with these refs. found is false when none does.
	Covered(ctx context.Context, rsn int64, refs []Ref) (r Recorded, found bool, err error)
	// Head returns the highest position given so far, 0 at first.
	Head(ctx context.Context) (int64, error)
	// Revocations returns entries with Seq > after, in order, at most limit.
	Revocations(ctx context.Context, after int64, limit int) ([]Recorded, error)
	// PurgeRevocations drops entries whose KeepUntil is before now; positions
	// are never given again. It returns how many were dropped.
	PurgeRevocations(ctx context.Context, now time.Time) (int, error)
}
