package pages

import "net/http"

type startPage struct {
	frame
	Server string
	Setup  bool
	Links  []Link
}

// start says where one can go from here.
func (p *Pages) start(w http.ResponseWriter, v *visit) error {
	out := startPage{frame: frame{Title: v.text("start.title"), Nonce: v.nonce, Asked: v.asked}, Server: p.host, Setup: p.awaits(), Links: p.Links}
	if v.session != nil {
		u, err := p.user(v)
		if err != nil {
			return err
		}
		out.Person = u.Login
	}
	return p.show(w, v, answer{"start", http.StatusOK, out})
}
