package manage

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Tokens knows who a token stands for, and what any token is.
type Tokens interface {
	Manager(ctx context.Context, bearer string) (grant.Manager, error)
	Explain(ctx context.Context, token string) (grant.Explanation, error)
}

// Users changes the register of users.
type Users interface {
	AddUser(ctx context.Context, by admin.By, u admin.NewUser) (account.User, error)
	EditUser(ctx context.Context, by admin.By, id string, e admin.UserEdit) (account.User, error)
	RemoveUser(ctx context.Context, by admin.By, id string) error
	User(ctx context.Context, idOrLogin string) (account.User, error)
	Users(ctx context.Context, after string, limit int) ([]account.User, error)
}

// Clients changes the register of clients.
type Clients interface {
	AddClient(ctx context.Context, by admin.By, c admin.NewClient) (client.Client, string, error)
	EditClient(ctx context.Context, by admin.By, id string, e admin.ClientEdit) (client.Client, error)
	RotateClientSecret(ctx context.Context, by admin.By, id string, overlap time.Duration) (string, error)
	RotateStolenSecret(ctx context.Context, by admin.By, id string) (string, error)
	RemoveClient(ctx context.Context, by admin.By, id string) error
	Invite(ctx context.Context, by admin.By, in admin.Invitation) (admin.Invited, error)
	Client(ctx context.Context, id string) (client.Client, error)
	Clients(ctx context.Context, after string, limit int) ([]client.Client, error)
}

// APIs changes the register of APIs.
type APIs interface {
	AddAPI(ctx context.Context, by admin.By, a api.API) (api.API, error)
	EditAPI(ctx context.Context, by admin.By, id string, e admin.APIEdit) (api.API, error)
	RemoveAPI(ctx context.Context, by admin.By, id string) error
	API(ctx context.Context, id string) (api.API, error)
	APIs(ctx context.Context, after string, limit int) ([]api.API, error)
}

// Roles changes the register of roles.
type Roles interface {
	AddRole(ctx context.Context, by admin.By, r role.Role) (role.Role, error)
	EditRole(ctx context.Context, by admin.By, id string, e admin.RoleEdit) (role.Role, error)
	RemoveRole(ctx context.Context, by admin.By, id string) error
	Role(ctx context.Context, id string) (role.Role, error)
	Roles(ctx context.Context, after string, limit int) ([]role.Role, error)
}

// Keys changes the signing keys.
type Keys interface {
	Records(ctx context.Context) ([]keyring.Record, error)
	Rotate(ctx context.Context, apiID, actor string, urgent keyring.Urgency) (keyring.Record, error)
	Retire(ctx context.Context, kid, actor string, why keyring.Retirement) error
	Secret(ctx context.Context, apiID, actor string) (keyring.Secret, error)
}

// Sessions lists and ends sessions.
type Sessions interface {
	List(ctx context.Context, userID string) ([]session.Session, error)
	End(ctx context.Context, e session.EndOne) (bool, error)
}

// Setup takes things back and applies declared set-ups.
type Setup interface {
	RevokeAs(ctx context.Context, by admin.By, r admin.Revocation, level feed.Ack) (admin.Revoked, error)
	Drill(ctx context.Context, by admin.By) (admin.Drilled, error)
	Apply(ctx context.Context, by admin.By, d admin.Declared) (admin.Report, error)
}

// Logs reads the two logs.
type Logs interface {
	Events(ctx context.Context, after int64, limit int) ([]audit.Event, error)
	Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error)
}

// Config is what a Surface is made of. All fields are needed.
type Config struct {
	Issuer   string
	Tokens   Tokens
	Users    Users
	Clients  Clients
	APIs     APIs
	Roles    Roles
	Keys     Keys
	Sessions Sessions
	Moves    Moves
	Setup    Setup
	Logs     Logs
	Messages Messages
	Feed     Feed
	Now      func() time.Time
	Log      *slog.Logger
}

// Surface serves the routes.
type Surface struct {
	Config
	document []byte
}

// New returns a surface.
func New(c Config) *Surface {
	return &Surface{Config: c, document: describe(c.Issuer)}
}

// Mount adds every row to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	for _, row := range routes {
		mux.Handle(row.method+" "+Prefix+row.path, s.handler(row))
	}
}

// handler puts the look-up of the caller, and the row's scopes, in front of
// every row.
func (s *Surface) handler(row route) http.Handler {
	return respond.Serve(s.Log, func(w http.ResponseWriter, r *http.Request) error {
		c, err := s.caller(w, r)
		if err != nil {
			return err
		}
		if err := admit(w, c, row); err != nil {
			return err
		}
		return row.serve(s, w, r, c)
	})
}
