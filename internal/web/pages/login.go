package pages

import (
	"errors"
	"net/http"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

type loginPage struct {
	frame
	Code   string
	Target target
	Server string // the host of this server, so that people can compare
	Login  string // as typed before
	Error  string
	Wait   string
	Notice string
}

// again reports whether what goes on here wants a new sign-in of who is signed in.
func (p *Pages) again(v *visit, to target) bool {
	return to.request != nil && p.Authorize.MustSignIn(*to.request, v.session)
}

// expected is the login that the form begins with: the one that the application names,
// or that of who is to prove again who they are.
func (p *Pages) expected(v *visit, to target) (string, error) {
	switch {
	case to.request == nil:
		return "", nil
	case to.request.LoginHint != "" || v.session == nil || !to.request.Suits(v.session.UserID):
		return to.request.LoginHint, nil
	}
	u, err := p.user(v)
	return u.Login, err
}

// login shows the sign-in form. Who is signed in already goes on at once, unless an
// application wants to know that it is still them.
func (p *Pages) login(w http.ResponseWriter, v *visit) error {
	to, err := p.query(v)
	if err != nil {
		return err
	}
	if v.session != nil && !p.again(v, to) {
		p.redirect(w, to.or("/account"))
		return nil
	}
	out := loginPage{Target: to}
	if out.Login, err = p.expected(v, to); err != nil {
		return err
	}
	if v.URL.Query().Get("done") == "setup" {
		out.Notice = v.text("setup.done")
	}
	return p.showLogin(w, v, out, http.StatusOK)
}

func (p *Pages) showLogin(w http.ResponseWriter, v *visit, out loginPage, status int) error {
	v.remember(w)
	p.policy(w.Header(), v, out.Target.origin)
	out.frame = frame{Title: v.text("login.title"), Nonce: v.nonce, Asked: v.asked, Script: true}
	out.Code, out.Server = p.code(v, formLogin), p.host
	return p.show(w, v, answer{"login", status, out})
}

// signIn begins a session. The one that the browser had before ends with it.
func (p *Pages) signIn(w http.ResponseWriter, v *visit) error {
	to, err := p.posted(v)
	if err != nil {
		return err
	}
	if v.stale {
		return p.refuseLogin(w, v, to, errStale)
	}
	ctx := v.Context()
	res, err := p.SignIn.Password(ctx, signin.Attempt{
		Login: v.fields["login"], Password: v.fields["password"],
		Address: middleware.Address(ctx), Device: middleware.Device(v.Request),
	})
	if err != nil {
		return p.refuseLogin(w, v, to, err)
	}
	secret, err := p.begin(v, to, res)
	if err != nil {
		return err
	}
	middleware.SetSession(w, secret)
	middleware.SetDevice(w, res.Device)
	p.policy(w.Header(), v, to.origin)
	p.redirect(w, to.or("/account"))
	return nil
}

// begin begins the session. Who proves again who they are, because an application
// wants that, keeps the one they have: its applications go on.
func (p *Pages) begin(v *visit, to target, res signin.Result) (secret string, err error) {
	amr := []string{"pwd"}
	if v.session != nil && v.session.UserID == res.User.ID && to.Flow != "" {
		_, secret, err = p.Sessions.Renew(v.Context(), *v.session, amr)
		return secret, err
	}
	login := session.Login{UserID: res.User.ID, AMR: amr, Seen: middleware.Seen(v.Request), Guard: res.Guard}
	if v.session != nil {
		login.Replaces = v.session.ID
	}
	_, secret, err = p.Sessions.Start(v.Context(), login)
	return secret, err
}

// refuseLogin shows the form again, with what was typed but the password. What
// nobody may be told goes to the error page.
func (p *Pages) refuseLogin(w http.ResponseWriter, v *visit, to target, err error) error {
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return err
	}
	why := respond.Explain(err)
	respond.Headers(w, v.Request, why)
	return p.showLogin(w, v, loginPage{
		Target: to, Login: audit.Clip(v.fields["login"]), Error: v.say(why.Message), Wait: v.waitText(why.RetryAfter),
	}, why.Status)
}
