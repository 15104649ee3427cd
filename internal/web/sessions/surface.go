package sessions

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/verify/bound"
)

// routes is every row of this surface, sorted by path and method. A row is
// private, for somebody who is signed in, unless it says public.
var routes = []route{
	{method: "POST", path: "/account/password", private: (*Surface).changePassword},
	{method: "DELETE", path: "/session", private: (*Surface).signOut},
	{method: "GET", path: "/session", private: (*Surface).whoAmI},
	{method: "POST", path: "/session", public: (*Surface).signIn},
	{method: "POST", path: "/session/token", private: (*Surface).swap},
	{method: "GET", path: "/sessions", private: (*Surface).list},
	{method: "DELETE", path: "/sessions/{id}", private: (*Surface).end},
}

// route is one row: exactly one of public and private is set.
type route struct {
	method, path string
	public       func(*Surface, http.ResponseWriter, *http.Request) error
	private      func(*Surface, http.ResponseWriter, *http.Request, seat) error
}

// seat is where somebody sits: their live session, and the cookie it came by.
type seat struct {
	session.Session
	secret string
}

// SignIn checks a login and a password.
type SignIn interface {
	Password(ctx context.Context, a signin.Attempt) (signin.Result, error)
}

// Keeper keeps sessions.
type Keeper interface {
	Start(ctx context.Context, l session.Login) (session.Session, string, error)
	Find(ctx context.Context, secret string, seen bound.Seen) (session.Session, int64, bool, error)
	Succeed(ctx context.Context, old session.Session, amr []string, seen bound.Seen) (session.Session, string, error)
	End(ctx context.Context, e session.EndOne) (bool, error)
	List(ctx context.Context, userID string) ([]session.Session, error)
}

// Grants hands out tokens.
type Grants interface {
	SignIn(ctx context.Context, u account.User, l session.Login, ask grant.Ask) (session.Session, string, grant.Tokens, error)
	Swap(ctx context.Context, secret string, ask grant.Ask) (grant.Tokens, error)
}

// Accounts knows people and changes passwords.
type Accounts interface {
	User(ctx context.Context, idOrLogin string) (account.User, error)
	ChangePassword(ctx context.Context, c admin.PasswordChange) error
}

// Config is what a Surface is made of. All fields are needed.
type Config struct {
	SignIn   SignIn
	Sessions Keeper
	Grants   Grants
	Accounts Accounts
	// FirstParty says whether pages of another origin may sign people in and use
	// their session.
	FirstParty func(ctx context.Context, origin string) bool
	Log        *slog.Logger
}

// Surface serves the routes.
type Surface struct{ Config }

// New returns a surface.
func New(c Config) *Surface { return &Surface{c} }

// Mount adds every row to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	rule := middleware.SameOrigin(s.FirstParty, s.Log)
	methods := map[string][]string{}
	for _, row := range routes {
		methods[row.path] = append(methods[row.path], row.method)
	}
	for path, all := range methods {
		share := middleware.Sharing{Methods: all, Trusted: s.FirstParty, Cookies: s.FirstParty}
		mux.Handle("OPTIONS "+path, share.Wrap(http.NotFoundHandler()))
		for _, row := range routes {
			if row.path == path {
				mux.Handle(row.method+" "+path, share.Wrap(rule(s.handler(row))))
			}
		}
	}
}

// handler puts the look-up of the session in front of every private row.
func (s *Surface) handler(row route) http.Handler {
	return respond.Serve(s.Log, func(w http.ResponseWriter, r *http.Request) error {
		if row.public != nil {
			return row.public(s, w, r)
		}
		at, err := s.seat(r)
		if err != nil {
			return err
		}
		return row.private(s, w, r, at)
	})
}

var errNobody = fault.New(fault.Unauthenticated, "Nobody is signed in here.")

func (s *Surface) seat(r *http.Request) (seat, error) {
	secret, err := middleware.Session(r)
	if err != nil {
		return seat{}, err
	}
	if secret == "" {
		return seat{}, errNobody
	}
	found, _, ok, err := s.Sessions.Find(r.Context(), secret, middleware.Seen(r))
	if err != nil {
		return seat{}, err
	}
	if !ok {
		return seat{}, errNobody
	}
	return seat{found, secret}, nil
}
