package pages

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/verify/bound"
)

// routes is every page, sorted by path and method. A row is private, for somebody
// who is signed in, unless it says Public. A row with a Form reads one: its code
// is checked before the handler runs. A Foreign row takes forms of other sites, and
// so changes nothing.
var routes = []route{
	{Method: "GET", Path: "/.well-known/change-password", Public: true, serve: (*Pages).wellKnownPassword},
	{Method: "GET", Path: "/account", serve: (*Pages).account},
	{Method: "POST", Path: "/account/change-password", Form: formPassword, serve: (*Pages).changePassword},
	{Method: "POST", Path: "/account/end", Form: formEnd, serve: (*Pages).endDevice},
	{Method: "POST", Path: "/account/end-all", Form: formEndAll, serve: (*Pages).endAll},
	{Method: "POST", Path: "/account/withdraw", Form: formWithdraw, serve: (*Pages).withdraw},
	{Method: "GET", Path: grant.DevicePath, serve: (*Pages).device},
	{Method: "POST", Path: grant.DevicePath, Form: formDevice, serve: (*Pages).claimDevice},
	{Method: "POST", Path: "/device/decide", Form: formDecide, serve: (*Pages).decideDevice},
	{Method: "GET", Path: "/login", Public: true, serve: (*Pages).login},
	{Method: "POST", Path: "/login", Public: true, Form: formLogin, serve: (*Pages).signIn},
	{Method: "GET", Path: "/logout", Public: true, serve: (*Pages).logout},
	{Method: "POST", Path: "/logout", Public: true, Form: formLogout, serve: (*Pages).signOut},
	{Method: "GET", Path: "/oauth/authorize", Public: true, serve: (*Pages).authorize},
	{Method: "POST", Path: "/oauth/authorize", Public: true, Foreign: true, serve: (*Pages).authorizePosted},
	{Method: "GET", Path: continuePath, Public: true, serve: (*Pages).goOn},
	{Method: "POST", Path: "/oauth/consent", Public: true, Form: formConsent, serve: (*Pages).decide},
	{Method: "GET", Path: endSessionPath, Public: true, serve: (*Pages).endSession},
	{Method: "POST", Path: endSessionPath, Public: true, Foreign: true, serve: (*Pages).endSessionPosted},
	{Method: "POST", Path: "/oauth/logout/agreed", Public: true, Form: formEndSession, serve: (*Pages).endSessionAgreed},
	{Method: "GET", Path: "/setup", Public: true, serve: (*Pages).setup},
	{Method: "POST", Path: "/setup", Public: true, Form: formSetup, serve: (*Pages).setUp},
	{Method: "GET", Path: "/static/{file}", Public: true, serve: (*Pages).static},
	{Method: "GET", Path: "/{$}", Public: true, serve: (*Pages).start},
}

// route is one row.
type route struct {
	Method, Path string
	Public       bool
	Foreign      bool
	Form         formName
	serve        func(*Pages, http.ResponseWriter, *visit) error
}

// SignIn checks a login and a password.
type SignIn interface {
	Password(ctx context.Context, a signin.Attempt) (signin.Result, error)
}

// Sessions keeps sessions.
type Sessions interface {
	Start(ctx context.Context, l session.Login) (session.Session, string, error)
	Find(ctx context.Context, secret string, seen bound.Seen) (session.Session, int64, bool, error)
	Renew(ctx context.Context, s session.Session, amr []string) (session.Session, string, error)
	Succeed(ctx context.Context, old session.Session, amr []string, seen bound.Seen) (session.Session, string, error)
	End(ctx context.Context, e session.EndOne) (bool, error)
	EndAll(ctx context.Context, userID, actor, reason string) (int64, error)
	List(ctx context.Context, userID string) ([]session.Session, error)
}

// Accounts knows people and applications, changes passwords, and makes the first
// administrator.
type Accounts interface {
	User(ctx context.Context, idOrLogin string) (account.User, error)
	Client(ctx context.Context, id string) (client.Client, error)
	AccessOf(ctx context.Context, userID string) ([]admin.Access, error)
	WithdrawAccess(ctx context.Context, w admin.Withdrawal) error
	ChangePassword(ctx context.Context, c admin.PasswordChange) error
	RedeemBootstrap(ctx context.Context, token string, u admin.NewUser) (account.User, error)
}

// Link is a place the start page leads to besides our own.
type Link struct {
	Name, URL string
}

// Config is what Pages are made of. All fields but the last two are needed.
type Config struct {
	Issuer   string
	SignIn   SignIn
	Sessions Sessions
	Accounts Accounts
	// Authorize answers authorization requests.
	Authorize Authorize
	Devices   Devices
	Hints     Hints
	Front     Front
	Forms     *opaque.Key // codes the forms
	Now       func() time.Time
	Log       *slog.Logger
	Setup     func() bool // whether a one-time administrator token was offered; nil: never
	Links     []Link
}

// Pages serves the pages. It is safe for concurrent use.
type Pages struct {
	Config
	host      string
	templates map[string]map[string]*template.Template // by language and page
	assets    map[string]asset
	done      atomic.Bool // the first administrator was made here
}

// New reads the templates and prepares the static files.
func New(c Config) (*Pages, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" {
		return nil, errors.New("issuer is not an absolute URL")
	}
	p := &Pages{Config: c, host: u.Host}
	if p.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if p.templates, err = p.readTemplates(); err != nil {
		return nil, err
	}
	return p, nil
}

// Mount adds every page to mux.
func (p *Pages) Mount(mux *http.ServeMux) {
	for _, row := range routes {
		mux.Handle(row.Method+" "+row.Path, p.handler(row))
	}
}

// visit is one request on its way through the pipeline: who makes it, the form it
// brought, the nonce of its answer.
type visit struct {
	*http.Request
	*language                  // of the answer
	asked     string           // its tag, when an application asked for it
	secret    string           // value of the session cookie, "" for none
	session   *session.Session // nil: nobody is signed in
	browser   string           // value of the form cookie, "" for none
	fields    middleware.Fields
	stale     bool // the form's code was wrong; the handler of a public form says so itself
	nonce     string
}

// handler is the pipeline in front of every page.
func (p *Pages) handler(row route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, language: preferred(r.Header["Accept-Language"]), nonce: opaque.Text(16)}
		v.speak(strings.Fields(r.URL.Query().Get("ui_locales"))...)
		p.headers(w.Header(), v)
		if err := p.enter(w, v, row); err != nil {
			p.problem(w, v, err)
		}
	})
}

func (p *Pages) enter(w http.ResponseWriter, v *visit, row route) error {
	if !row.Foreign {
		if err := middleware.CrossOrigin(v.Request, nil); err != nil {
			return err
		}
	}
	if err := p.who(v); err != nil {
		return err
	}
	if !row.Public && v.session == nil {
		p.nobody(w, v)
		return nil
	}
	if row.Form != "" {
		if err := p.readForm(v, row); err != nil {
			return err
		}
	}
	return row.serve(p, w, v)
}

var errNobody = fault.New(fault.Unauthenticated, languages[0].text("problem.nobody"))

// nobody answers who is not, or no longer, signed in. A person is led to the
// sign-in page; fetch is not, because a script could make nothing of that page.
func (p *Pages) nobody(w http.ResponseWriter, v *visit) {
	middleware.ClearSession(w)
	if respond.Navigates(v.Request) {
		back := "/account"
		if v.Method == http.MethodGet && v.URL.Path == grant.DevicePath {
			back = v.deviceTarget()
		}
		p.redirect(w, v.path("/login", "return_to", back))
		return
	}
	why := respond.Explain(errNobody)
	why.Login = p.Issuer + "/login"
	respond.Refuse(w, v.Request, why)
}

// who finds the session and the form cookie.
func (p *Pages) who(v *visit) error {
	v.browser = formCookie(v.Request)
	var err error
	if v.secret, err = middleware.Session(v.Request); err != nil {
		return err
	}
	if v.secret == "" {
		return nil
	}
	s, _, found, err := p.Sessions.Find(v.Context(), v.secret, middleware.Seen(v.Request))
	if errors.Is(err, session.ErrElsewhere) {
		return nil // not signed in here
	}
	if err != nil {
		return err
	}
	if found {
		v.session = &s
	}
	return nil
}

// user returns the person of a session; errEnded when the account went away.
func (p *Pages) user(v *visit) (account.User, error) {
	u, err := p.Accounts.User(v.Context(), v.session.UserID)
	if fault.Is(err, fault.NotFound) {
		return u, session.ErrGone
	}
	return u, err
}

// redirect answers 303, so that a reload never posts again. Callers pass only
// paths of ours or targets that were checked.
func (p *Pages) redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
