package admin

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// The four registers work alike. Add refuses a taken id (or canonical login)
// with fault.Conflict, and begins at version 1. Change writes the row whose
// Version equals next.Version, raises it by one, and reports whether there was
// one; a canonical login that another user has is fault.Conflict. Remove takes
// away the row of that version and reports likewise. Each writes its effects in
// the same transaction. Lists are sorted by id and return rows with id > after,
// at most limit.

// UserStore keeps users.
type UserStore interface {
	AddUser(ctx context.Context, u account.User, fx revoke.Effects) error
	UserByID(ctx context.Context, id string) (account.User, bool, error)
	UserByLogin(ctx context.Context, canonical string) (account.User, bool, error)
	Users(ctx context.Context, after string, limit int) ([]account.User, error)
	ChangeUser(ctx context.Context, next account.User, fx revoke.Effects) (bool, error)
	RemoveUser(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error)
}

// ClientStore keeps clients.
type ClientStore interface {
	AddClient(ctx context.Context, c client.Client, fx revoke.Effects) error
	// AddInvited is AddClient for who was invited, by a ticket of the kind
	// Registration. left is what is left of it: it takes the place of the ticket with
	// its Version, as ChangeTicket does, or takes that away when its Body is nil. It
	// reports whether the ticket was still there; without it nothing is added.
	AddInvited(ctx context.Context, c client.Client, left ticket.Ticket, fx revoke.Effects) (bool, error)
	ClientByID(ctx context.Context, id string) (client.Client, bool, error)
	Clients(ctx context.Context, after string, limit int) ([]client.Client, error)
	ChangeClient(ctx context.Context, next client.Client, fx revoke.Effects) (bool, error)
	RemoveClient(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error)
}

// APIStore keeps APIs.
type APIStore interface {
	AddAPI(ctx context.Context, a api.API, fx revoke.Effects) error
	APIByID(ctx context.Context, id string) (api.API, bool, error)
	APIs(ctx context.Context, after string, limit int) ([]api.API, error)
	ChangeAPI(ctx context.Context, next api.API, fx revoke.Effects) (bool, error)
	RemoveAPI(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error)
}

// RoleStore keeps roles. A role that is removed is taken from its users by the
// caller, with one Claims entry for each.
type RoleStore interface {
	AddRole(ctx context.Context, r role.Role, fx revoke.Effects) error
	RoleByID(ctx context.Context, id string) (role.Role, bool, error)
	Roles(ctx context.Context, after string, limit int) ([]role.Role, error)
	// ChangeRole writes fx, and a Claims entry like claims (with the user's id
	// as its Key) for every user who has the role.
	ChangeRole(ctx context.Context, next role.Role, claims revoke.Entry, fx revoke.Effects) (bool, error)
	// RemoveRole takes the role from every user, with a Claims entry like
	// claims for each, and removes it. The users' versions rise.
	RemoveRole(ctx context.Context, id string, version int64, claims revoke.Entry, fx revoke.Effects) (bool, error)
}

// SetupStore keeps what there is one of.
type SetupStore interface {
	// PutOnce stores value under name if nothing is there, and returns what is
	// there afterwards.
	PutOnce(ctx context.Context, name, value string) (string, error)
	// Setting returns the value under name, "" when nothing is there.
	Setting(ctx context.Context, name string) (string, error)
	// ChangeSetting stores next under name if old is there ("": nothing).
	// next "" removes it. It reports whether it did.
	ChangeSetting(ctx context.Context, name, old, next string) (bool, error)
	// OfferBootstrap stores the digest of a one-time administrator token,
	// replacing an unused one, if no user has the role and none was ever
	// redeemed. It reports whether it did.
	OfferBootstrap(ctx context.Context, d opaque.Digest, expires time.Time) (bool, error)
	// RedeemBootstrap adds the first administrator, if the digest is the one on
	// offer, unexpired at now and unused, and no user has the role, in one
	// transaction. Of any number of parallel calls at most one succeeds, ever. A
	// taken id or login is fault.Conflict and uses nothing up.
	RedeemBootstrap(ctx context.Context, d opaque.Digest, now time.Time, u account.User, fx revoke.Effects) (bool, error)
}
