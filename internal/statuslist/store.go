package statuslist

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

// Holder is what the tokens of one index have in common: whatever the log can
// take them back by. "" is none.
type Holder struct {
	UserID    string
	SessionID string
	GrantID   string
	ClientID  string
	APIID     string
	KeyID     string // the key that signs
	TokenID   string // the jti of the only token, for an index that is not shared
}

// Refs are the things a token of the holder hangs from.
func (h Holder) Refs() []revoke.Ref {
	var refs []revoke.Ref
	for _, r := range []revoke.Ref{
		{Kind: revoke.Token, Key: h.TokenID}, {Kind: revoke.Key, Key: h.KeyID}, {Kind: revoke.API, Key: h.APIID},
		{Kind: revoke.Client, Key: h.ClientID}, {Kind: revoke.Grant, Key: h.GrantID}, {Kind: revoke.Session, Key: h.SessionID},
		{Kind: revoke.User, Key: h.UserID}, {Kind: revoke.Claims, Key: h.UserID},
	} {
		if r.Key != "" {
			refs = append(refs, r)
		}
	}
	return refs
}

// Request asks for a number for a holder whose state was read at RSN.
type Request struct {
	Holder
	RSN      int64
	Ends     time.Time // the end of the window in which the token ends
	Capacity int       // how many numbers a list has to give
	NewList  string    // the id of a list that is opened for this, if one has to be
	Now      time.Time // when it was opened, then
}

// Slot is a number in a list: 0 up to its capacity, in the order they were given.
type Slot struct {
	List string
	N    int
}

// List is a list as the store knows it.
type List struct {
	ID     string
	Opened time.Time
	Ends   time.Time // no token of the list lives longer
	Given  int       // numbers given
	Ended  int       // of these, taken back
}

// Store keeps lists and who has which number.
type Store interface {
	// AssignStatus gives a holder a number in a list of its window: the one that
	// its tokens have already, if that was not taken back, or else the next that
	// nobody was ever given, in a list that is opened when all are full. A holder
	// with a TokenID always gets the next. It gives none, and reports so, when the
	// log holds an entry above RSN that covers the holder (of any position for
	// kinds that cover always). One transaction: no entry is passed over between
	// the look and the gift.
	AssignStatus(ctx context.Context, r Request) (slot Slot, given bool, err error)
	// MarkStatuses reads the log from where it last stopped and marks the numbers
	// that its entries cover, about limit of either. Marks and place are written
	// together, so that a crash between two calls neither loses nor skips an
	// entry. more is false when nothing was left. Without lists it does nothing.
	MarkStatuses(ctx context.Context, limit int) (more bool, err error)
	// EndStatus marks one number. It reports whether there is such a number; that
	// it was marked before is no matter.
	EndStatus(ctx context.Context, s Slot) (bool, error)
	// StatusLists returns all lists, by end, then by id.
	StatusLists(ctx context.Context) ([]List, error)
	// EndedStatuses returns the numbers of a list that were marked after the
	// first after of them, in the order of their marks, at most limit.
	EndedStatuses(ctx context.Context, list string, after, limit int) ([]int, error)
	// PurgeStatuses removes lists that ended before a time, with their numbers, in
	// small steps. It returns how many numbers were removed.
	PurgeStatuses(ctx context.Context, before time.Time) (int, error)
}
