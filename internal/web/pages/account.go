package pages

import (
	"errors"
	"net/http"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

type accountPage struct {
	frame
	Name         string
	Devices      []device
	Others       int // devices besides this one
	EndCode      string
	EndAllCode   string
	PasswordCode string
	Applications []application
	WithdrawCode string
	Notice       string
	WrongCurrent string // what is wrong with the current password
	WrongNew     string // what is wrong with the new one
}

// device is one session as its owner knows it.
type device struct {
	ID      string
	Name    string // "Firefox on Linux"
	Here    bool
	Seen    moment
	Since   moment
	Address string
	Through string // the application that started it, "" for our own pages
}

// application is one that may do something, as who allowed it knows it.
type application struct {
	ID    string
	Name  string
	About []string
	APIs  []admin.Reach
	Since moment
}

// moment is a time in words, with the exact one beside it.
type moment struct {
	Words, Exact, Title string
}

// notices are what an action here says when it is done.
var notices = map[string]string{
	"ended": "account.ended", "password": "password.done", "withdrawn": "apps.withdrawn",
}

func (p *Pages) account(w http.ResponseWriter, v *visit) error {
	out := accountPage{}
	if key, ok := notices[v.URL.Query().Get("done")]; ok {
		out.Notice = v.text(key)
	}
	return p.showAccount(w, v, out, http.StatusOK)
}

func (p *Pages) showAccount(w http.ResponseWriter, v *visit, out accountPage, status int) error {
	u, err := p.user(v)
	if err != nil {
		return err
	}
	all, err := p.Sessions.List(v.Context(), u.ID)
	if err != nil {
		return err
	}
	if out.Devices, err = p.devices(v, all); err != nil {
		return err
	}
	if out.Applications, err = p.applications(v); err != nil {
		return err
	}
	out.WithdrawCode = p.code(v, formWithdraw)
	out.frame = frame{Title: v.text("account.title"), Nonce: v.nonce, Asked: v.asked, Wide: true, Script: true, Person: u.Login}
	out.Name, out.Others = displayName(u), len(out.Devices)-1
	out.EndCode, out.EndAllCode, out.PasswordCode = p.code(v, formEnd), p.code(v, formEndAll), p.code(v, formPassword)
	return p.show(w, v, answer{"account", status, out})
}

func displayName(u account.User) string {
	if u.Name != "" {
		return u.Name
	}
	return u.Login
}

// devices puts the one that is here first; the others stay newest first.
func (p *Pages) devices(v *visit, all []session.Session) ([]device, error) {
	now := p.Now()
	var here, others []device
	for _, s := range all {
		d := device{
			ID: s.ID, Name: v.agentName(s.Agent), Here: s.ID == v.session.ID, Address: s.Address,
			Seen: v.when(s.SeenAt, now), Since: v.when(s.CreatedAt, now),
		}
		var err error
		if d.Through, err = p.clientName(v, s.ClientID); err != nil {
			return nil, err
		}
		if d.Here {
			here = append(here, d)
			continue
		}
		others = append(others, d)
	}
	return append(here, others...), nil
}

// applications are those that the person allowed something.
func (p *Pages) applications(v *visit) ([]application, error) {
	all, err := p.Accounts.AccessOf(v.Context(), v.session.UserID)
	if err != nil {
		return nil, err
	}
	now := p.Now()
	out := make([]application, 0, len(all))
	for _, a := range all {
		one := application{ID: a.Client.ID, Name: a.Client.Name, APIs: a.APIs, Since: v.when(a.Since, now)}
		if one.Name == "" {
			one.Name = a.Client.ID
		}
		one.About, _ = v.wishes(a.About)
		out = append(out, one)
	}
	return out, nil
}

// withdraw takes back what the person allowed an application.
func (p *Pages) withdraw(w http.ResponseWriter, v *visit) error {
	err := p.Accounts.WithdrawAccess(v.Context(), admin.Withdrawal{
		UserID: v.session.UserID, ClientID: v.fields["client"], SessionID: v.session.ID,
	})
	if err != nil {
		return err
	}
	p.redirect(w, v.path("/account", "done", "withdrawn"))
	return nil
}

func (p *Pages) clientName(v *visit, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	c, err := p.Accounts.Client(v.Context(), id)
	if fault.Is(err, fault.NotFound) || err == nil && c.Name == "" {
		return id, nil
	}
	return c.Name, err
}

// endDevice ends one of the person's own sessions. Another person's is not there.
func (p *Pages) endDevice(w http.ResponseWriter, v *visit) error {
	id := v.fields["session"]
	_, err := p.Sessions.End(v.Context(), session.EndOne{
		ID: id, UserID: v.session.UserID, Actor: v.session.UserID, Reason: "logout",
	})
	if err != nil {
		return err
	}
	if id == v.session.ID {
		middleware.ClearSession(w)
		p.redirect(w, "/logout")
		return nil
	}
	// A session that ended meanwhile is what was wanted.
	p.redirect(w, "/account?done=ended")
	return nil
}

func (p *Pages) endAll(w http.ResponseWriter, v *visit) error {
	if _, err := p.Sessions.EndAll(v.Context(), v.session.UserID, v.session.UserID, "logout"); err != nil {
		return err
	}
	middleware.ClearSession(w)
	p.redirect(w, "/logout")
	return nil
}

// changePassword ends every session with the change, this one too, and starts
// another one here: who had copied the old cookie is out wherever it was remembered.
func (p *Pages) changePassword(w http.ResponseWriter, v *visit) error {
	err := p.Accounts.ChangePassword(v.Context(), admin.PasswordChange{
		UserID: v.session.UserID, Current: v.fields["current"], New: v.fields["new"],
	})
	if err != nil {
		return p.refusePassword(w, v, err)
	}
	_, secret, err := p.Sessions.Succeed(v.Context(), *v.session, []string{"pwd"}, middleware.Seen(v.Request))
	if err != nil {
		return err
	}
	middleware.SetSession(w, secret)
	p.redirect(w, "/account?done=password")
	return nil
}

// refusePassword puts the refusal beside the field that it is about: the flow
// says Forbidden, TooMany or Busy of the current one and Invalid of the new one.
func (p *Pages) refusePassword(w http.ResponseWriter, v *visit, err error) error {
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return err
	}
	why := respond.Explain(err)
	respond.Headers(w, v.Request, why)
	out := accountPage{}
	message := v.say(why.Message)
	if wait := v.waitText(why.RetryAfter); wait != "" {
		message += " " + wait
	}
	if refusal.Code == fault.Invalid && v.fields["current"] != "" {
		out.WrongNew = message
	} else {
		out.WrongCurrent = message
	}
	return p.showAccount(w, v, out, why.Status)
}

// wellKnownPassword is where password managers look for the form.
func (p *Pages) wellKnownPassword(w http.ResponseWriter, _ *visit) error {
	p.redirect(w, "/account#password")
	return nil
}
