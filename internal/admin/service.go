package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// Store is what the rules read and write.
type Store interface {
	UserStore
	ClientStore
	APIStore
	RoleStore
	SetupStore
	Log
	Counters
	Consents
	Tickets
}

// Log takes what comes with no change of a register.
type Log interface {
	Record(ctx context.Context, fx revoke.Effects) (int64, error)
	Head(ctx context.Context) (int64, error)
	Audit(ctx context.Context, events ...audit.Event) error
}

// Tickets keeps invitations. See ticket.Store.
type Tickets interface {
	AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error)
	TicketByKey(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error)
}

// Counters are what keeps a current password from being guessed.
type Counters interface {
	Attempt(ctx context.Context, rules []limit.Rule, now time.Time) (time.Duration, error)
	Refund(ctx context.Context, clear, giveBack []string) error
}

// Passwords is what the rules need of the hash gate.
type Passwords interface {
	Hash(ctx context.Context, plain string) (string, error)
	Verify(ctx context.Context, a password.Attempt) (password.Result, error)
}

// Config is what a Service is made of. All fields but Policy, Tokens,
// Statuses and Registration are needed.
type Config struct {
	Store     Store
	Sessions  *session.Keeper
	Keys      *keyring.Ring
	Fleet     Fleet
	Passwords Passwords
	Policy    password.Policy // which passwords may be set
	Secrets   *opaque.Key     // keys the codes that are stored of client secrets
	Issuer    string
	Now       func() time.Time
	// Tokens finds the jti of an opaque access token by the token's digest.
	// Without it an opaque token can be revoked by its jti only.
	Tokens func(ctx context.Context, d opaque.Digest) (jti string, found bool, err error)
	// Statuses takes back places in status lists (see statuslist.Service). Without
	// it a token that is revoked by itself stays good in the list it names.
	Statuses interface {
		End(ctx context.Context, r statuslist.Ref) error
	}
	Registration Registration // clients that no operator adds
}

// Service changes what is registered. It is safe for concurrent use.
type Service struct {
	Config
	documents documents
}

// New returns a service.
func New(c Config) *Service { return &Service{Config: c, documents: newDocuments()} }

// attempts is how often a change is tried again that somebody else overtook.
const attempts = 32

var errOvertaken = fault.New(fault.Conflict, "Somebody else is changing the same thing. Try again.")

// event is the audit line of a change.
func (s *Service) event(by By, action, target, detail string) audit.Event {
	return audit.Event{At: s.Now(), Action: action, Actor: by.Actor, Target: audit.Clip(target), Detail: audit.Clip(detail)}
}

// events is one audit line for each change of a thing.
func (s *Service) events(by By, action, target string, changes []string) []audit.Event {
	all := make([]audit.Event, 0, len(changes))
	for _, c := range changes {
		all = append(all, s.event(by, action, target, c))
	}
	return all
}

func (s *Service) entry(kind revoke.Kind, key, reason string) revoke.Entry {
	return revoke.New(kind, key, reason, s.Now())
}

// apiID takes the audience of a built-in API for its name, so that no other API
// can have that audience.
func (s *Service) apiID(id string) string { return api.Named(s.Issuer, id) }

// world is the APIs and roles that a change may name: those in the store, and
// over them those that the same declared set-up brings.
type world struct {
	store Store
	apis  map[string]api.API
	roles map[string]role.Role
}

func (s *Service) world() world {
	return world{store: s.Store, apis: map[string]api.API{}, roles: map[string]role.Role{}}
}

func (w world) api(ctx context.Context, id string) (api.API, bool, error) {
	if a, ok := w.apis[id]; ok {
		return a, true, nil
	}
	a, found, err := w.store.APIByID(ctx, id)
	if err != nil {
		return api.API{}, false, fmt.Errorf("find API: %w", err)
	}
	return a, found, nil
}

func (w world) role(ctx context.Context, id string) (role.Role, bool, error) {
	if r, ok := w.roles[id]; ok {
		return r, true, nil
	}
	r, found, err := w.store.RoleByID(ctx, id)
	if err != nil {
		return role.Role{}, false, fmt.Errorf("find role: %w", err)
	}
	return r, found, nil
}

// checkScopes refuses a map that names an API or a scope that is not known.
func (w world) checkScopes(ctx context.Context, owner string, scopes map[string][]string) error {
	for _, id := range sortedKeys(scopes) {
		a, found, err := w.api(ctx, id)
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.Invalid, owner+" names the API "+id+", which is not known.")
		}
		for _, scope := range scopes[id] {
			if scope != role.All && !a.Has(scope) {
				return fault.New(fault.Invalid, owner+" names the scope "+scope+", which the API "+id+" does not have.")
			}
		}
	}
	return nil
}

// busy turns a refusal of the hash gate into one for the caller.
func busy(err error, doing string) error {
	var b *password.BusyError
	if errors.As(err, &b) {
		return fault.Wrap(err, fault.Busy, "Many passwords are being checked right now. Try again in a moment.").Retry(b.RetryAfter)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
