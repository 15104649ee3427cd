package pages

import (
	"html/template"
	"net/http"

	"github.com/wafer-auth/wafer/internal/authorize"
)

type formPostPage struct {
	frame
	// To is registered for the client and was checked: html/template would drop the
	// schemes of native applications.
	To     template.URL
	Fields []authorize.Field
	Host   string
}

// showFormPost answers with a form that sends itself (OAuth 2.0 Form Post Response
// Mode). Without JavaScript the person presses its button.
func (p *Pages) showFormPost(w http.ResponseWriter, v *visit, a authorize.Answer) error {
	origin := originOf(a.To)
	if origin == "" {
		return errTarget
	}
	p.policy(w.Header(), v, origin)
	out := formPostPage{To: template.URL(a.To), Fields: a.Fields, Host: hostOf(a.To)} //nolint:gosec // registered by the client and compared byte for byte
	out.frame = frame{Title: v.text("formpost.title"), Nonce: v.nonce, Asked: v.asked}
	return p.show(w, v, answer{"formpost", http.StatusOK, out})
}
