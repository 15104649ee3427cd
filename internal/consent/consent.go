package consent

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

// Consent is what one user allowed one client at one API.
type Consent struct {
	UserID   string
	ClientID string
	APIID    string
	Scopes   []string // sorted, each once
	GivenAt  time.Time
	// UpdatedAt is when the scopes last grew.
	UpdatedAt time.Time
}

// Covers reports whether every one of scopes was allowed.
func (c Consent) Covers(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

// Store keeps consents.
type Store interface {
	// GiveConsent adds the scopes of c to what is remembered, with the effects, in
	// one transaction, if user and client are there. UpdatedAt is set when the
	// scopes grow; GivenAt stays that of the first. It reports whether it did, also
	// when nothing was new. A list without scopes comes back as nil.
	GiveConsent(ctx context.Context, c Consent, fx revoke.Effects) (bool, error)
	// ConsentFor finds what a user allowed a client at an API.
	ConsentFor(ctx context.Context, userID, clientID, apiID string) (c Consent, found bool, err error)
	// ConsentsOf lists what a user allowed, sorted by client and API.
	ConsentsOf(ctx context.Context, userID string) ([]Consent, error)
	// WithdrawConsent removes everything a user allowed a client, and writes the
	// effects that make says for the grants which that client has of the user, all
	// in one transaction. make is pure, may be called again after a conflict, and
	// must not call the store. It reports whether there was a consent or a grant; with
	// neither, make is not called and nothing is written. A guard of the effects that
	// does not hold is fault.Conflict. Removing a user or a client removes their
	// consents too.
	//
	// No grant outlives what it rests on: one that was added before the withdrawal is
	// among grantIDs, and one that rests on a consent (grant.Details.Consented) is
	// refused after it, whichever node adds it and whenever it looked for the consent.
	WithdrawConsent(ctx context.Context, userID, clientID string, make func(grantIDs []string) revoke.Effects) (bool, error)
}
