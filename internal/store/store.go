package store

import (
	"context"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// Store is one backend. Every method is atomic, durable when it returns nil,
// and safe for concurrent use; a purge is atomic in each of its steps. Values
// given and returned are copies. Times are kept to the microsecond, in UTC. A
// context that is done before a change begins stops it; one that has begun is
// carried through. After Close every method fails.
type Store interface {
	admin.UserStore
	admin.ClientStore
	admin.APIStore
	admin.RoleStore
	admin.SetupStore
	audit.Store
	consent.Store
	feed.Store
	grant.Store
	keyring.Store
	limit.Store
	outbox.Store
	revoke.Store
	session.Store
	signin.Store
	statuslist.Store
	ticket.Store

	// Ping reports whether the store can be read and written.
	Ping(ctx context.Context) error
	// Close waits for what is being written and releases everything.
	Close() error
}
