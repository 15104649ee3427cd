package pages

import (
	"net/http"
)

type logoutPage struct {
	frame
	Code   string
	Target target
	Back   string // where "stay signed in" leads
	Gone   bool   // nobody is signed in
	Stale  bool
}

// logout asks first: a GET ends nothing, whoever made the browser send it.
func (p *Pages) logout(w http.ResponseWriter, v *visit) error {
	to, err := p.query(v)
	if err != nil {
		return err
	}
	return p.showLogout(w, v, logoutPage{Target: to}, http.StatusOK)
}

func (p *Pages) showLogout(w http.ResponseWriter, v *visit, out logoutPage, status int) error {
	out.frame = frame{Title: v.text("logout.title"), Nonce: v.nonce, Asked: v.asked}
	out.Gone, out.Back = v.session == nil, out.Target.or("/account")
	if out.Gone {
		out.Title, out.Back = v.text("logout.gone.title"), out.Target.with("/login")
		return p.show(w, v, answer{"logout", status, out})
	}
	u, err := p.user(v)
	if err != nil {
		return err
	}
	out.Person, out.Code = u.Login, p.code(v, formLogout)
	p.policy(w.Header(), v, out.Target.origin)
	return p.show(w, v, answer{"logout", status, out})
}

// signOut ends the session everywhere: whatever hangs from it ends with it.
func (p *Pages) signOut(w http.ResponseWriter, v *visit) error {
	to, err := p.posted(v)
	if err != nil {
		return err
	}
	if v.session != nil && v.stale {
		return p.showLogout(w, v, logoutPage{Target: to, Stale: true}, http.StatusForbidden)
	}
	return p.leave(w, v, to.or(""))
}
