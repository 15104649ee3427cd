package session

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Record is a session as a home keeps it.
type Record struct {
	Session
	// RSN is the position of the revocation log from no later than what allowed
	// the login. A later entry that covers the session has ended it, whatever
	// the home still holds.
	RSN int64
	// Leaving says that the record is on its way to another home: it changes no
	// more where it is.
	Leaving bool
}

// Refs are what an entry of the log must name to end the session.
func (r Record) Refs() []revoke.Ref {
	refs := []revoke.Ref{{Kind: revoke.Session, Key: r.ID}, {Kind: revoke.User, Key: r.UserID}}
	if r.ClientID != "" {
		refs = append(refs, revoke.Ref{Kind: revoke.Client, Key: r.ClientID})
	}
	return refs
}

// Home keeps session records apart from the database that holds everything else:
// in memory, in files, in another database, in Redis. It decides nothing. Whether
// a session was ended is a fact of the revocation log, so a home that loses or
// brings back records signs people out at worst.
//
// Every method is atomic for each record and safe for concurrent use, also from
// several processes when the home is shared. Records given and returned are
// copies. Times are kept to the microsecond, in UTC; ids are any text. A record
// that is past a limit is still returned, until it is purged or its home drops
// it by itself: Live decides. What is acknowledged is as durable as the home is;
// Risks tells when that is less than one expects.
type Home interface {
	// Add adds a record. A taken id or secret is fault.Conflict and changes
	// nothing.
	Add(ctx context.Context, r Record) error
	// BySecret finds a record by the digest of its cookie.
	BySecret(ctx context.Context, d opaque.Digest) (Record, bool, error)
	// ByID finds a record by its sid.
	ByID(ctx context.Context, id string) (Record, bool, error)
	// Of lists the sessions of a user (revoke.User) or started by a client
	// (revoke.Client), newest first, by time of creation and then by id. It
	// looks only at theirs.
	Of(ctx context.Context, owner revoke.Ref) ([]Record, error)
	// Renew swaps the secret and sets AuthTime, AMR, SeenAt and IdleUntil, if
	// the record holds the secret old, is live at next.SeenAt and is not
	// leaving. It reports whether it did. A secret taken by another session is
	// fault.Conflict.
	Renew(ctx context.Context, old opaque.Digest, next Session) (bool, error)
	// Touch moves SeenAt and IdleUntil forward, never back, of each session that
	// is there, live at Seen and not leaving. It never brings one back. It
	// returns how many it found so.
	Touch(ctx context.Context, touches []Touch) (int, error)
	// End removes every record that an entry of the log at position seq ends:
	// those of ref (kind revoke.Session, revoke.User or revoke.Client; other
	// kinds end none) with an RSN below seq. It returns their ids. However many
	// there are, nobody else waits longer for it than for a few of them.
	End(ctx context.Context, ref revoke.Ref, seq int64) ([]string, error)
	// Purge removes at most limit records that are past a limit at now, in small
	// steps, and returns their ids.
	Purge(ctx context.Context, now time.Time, limit int) ([]string, error)

	// Page returns about limit records from after cursor on ("" for the start),
	// and the cursor of the next page, "" when there is none. A record that is
	// there all the while is on one page at least; others may be, and a page may
	// be empty.
	Page(ctx context.Context, cursor string, limit int) (some []Record, next string, err error)
	// Count returns how many records there are.
	Count(ctx context.Context) (int64, error)
	// Leave marks a record as leaving and returns it as it is from now on. It
	// finds one that is leaving already as well.
	Leave(ctx context.Context, id string) (Record, bool, error)

	// Risks are what an operator should know of how records are kept, one
	// sentence each; none when they survive a restart of everything.
	Risks(ctx context.Context) ([]string, error)
	// Ping reports whether records can be read and written.
	Ping(ctx context.Context) error
	// Close waits for what is being written and releases everything. After it
	// every method fails.
	Close() error
}
