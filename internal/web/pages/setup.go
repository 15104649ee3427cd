package pages

import (
	"errors"
	"net/http"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

type setupPage struct {
	frame
	Code  string
	Token string
	Login string
	Name  string
	Error string
	Wait  string
}

// awaits reports whether the first administrator is still to be made.
func (p *Pages) awaits() bool { return p.Setup != nil && !p.done.Load() && p.Setup() }

var errSetup = fault.New(fault.NotFound, languages[0].text("problem.nothing"))

func (p *Pages) setup(w http.ResponseWriter, v *visit) error {
	if !p.awaits() {
		return errSetup
	}
	return p.showSetup(w, v, setupPage{Token: audit.Clip(v.URL.Query().Get("token"))}, http.StatusOK)
}

func (p *Pages) showSetup(w http.ResponseWriter, v *visit, out setupPage, status int) error {
	v.remember(w)
	out.frame = frame{Title: v.text("setup.title"), Nonce: v.nonce, Asked: v.asked, Script: true}
	out.Code = p.code(v, formSetup)
	return p.show(w, v, answer{"setup", status, out})
}

// setUp makes the first administrator, who then signs in like everybody else.
func (p *Pages) setUp(w http.ResponseWriter, v *visit) error {
	if !p.awaits() {
		return errSetup
	}
	err := error(errStale)
	if !v.stale {
		_, err = p.Accounts.RedeemBootstrap(v.Context(), v.fields["token"], admin.NewUser{
			Login: v.fields["login"], Name: v.fields["name"], Password: v.fields["password"],
		})
	}
	var refusal *fault.Error
	switch {
	case err == nil:
		p.done.Store(true)
		p.redirect(w, "/login?done=setup")
		return nil
	case !errors.As(err, &refusal):
		return err
	}
	why := respond.Explain(err)
	respond.Headers(w, v.Request, why)
	return p.showSetup(w, v, setupPage{
		Token: audit.Clip(v.fields["token"]), Login: audit.Clip(v.fields["login"]), Name: audit.Clip(v.fields["name"]),
		Error: v.say(why.Message), Wait: v.waitText(why.RetryAfter),
	}, why.Status)
}
