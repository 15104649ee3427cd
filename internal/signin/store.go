package signin

import (
	"context"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
)

// Store is what signing in reads and writes besides sessions and counters.
type Store interface {
	UserByLogin(ctx context.Context, canonical string) (account.User, bool, error)
	// Rehash replaces a user's password hash, if it still is old. It changes
	// neither Version nor PasswordChangedAt. It reports whether it did.
	Rehash(ctx context.Context, userID, old, next string) (bool, error)
	Audit(ctx context.Context, events ...audit.Event) error
	// Head returns the highest position of the revocation log.
	Head(ctx context.Context) (int64, error)
}
