package pages

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// formName binds a form's code to the form: one taken from another form is
// worth nothing.
type formName string

const (
	formConsent    formName = "consent"
	formDecide     formName = "device-decide"
	formDevice     formName = "device"
	formEnd        formName = "end"
	formEndAll     formName = "end-all"
	formEndSession formName = "end-session"
	formLogin      formName = "login"
	formLogout     formName = "logout"
	formPassword   formName = "password"
	formSetup      formName = "setup"
	formWithdraw   formName = "withdraw"
)

// formCookieName is the cookie of somebody who may not be signed in yet. Its
// value is random and means nothing by itself.
const formCookieName = "__Host-Http-wafer-form"

// codeField is the hidden field with a form's code.
const codeField = "csrf"

var errStale = fault.New(fault.Forbidden, languages[0].text("form.stale"))

// code returns what the form must bring back. It is bound to the form and to the
// session, or, while nobody is signed in, to the form cookie: who logs somebody
// in unasked (login CSRF) has no code that goes with that browser's cookie.
func (p *Pages) code(v *visit, form formName) string {
	d := p.Forms.MAC("form", string(form), p.holder(v))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

func (p *Pages) holder(v *visit) string {
	if v.session != nil {
		return "session " + v.secret
	}
	return "browser " + v.browser
}

// readForm reads the form and checks its code. A public form with a wrong code is
// handed on as stale, so that the page can be shown again with what was typed.
func (p *Pages) readForm(v *visit, row route) error {
	var err error
	if v.fields, err = middleware.Form(v.Request); err != nil {
		return err
	}
	v.speak(v.fields["ui_locales"])
	known := v.session != nil || v.browser != ""
	good := opaque.Hash(v.fields[codeField]).Equal(opaque.Hash(p.code(v, row.Form)))
	v.stale = !known || !good
	if v.stale && !row.Public {
		return errStale
	}
	return nil
}

// formCookie returns the form cookie, "" when there is none of the right form.
// The name is compared byte for byte: net/http trims names, so that a sibling host
// could plant one that browsers would refuse under the real name.
func formCookie(r *http.Request) string {
	found := ""
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			value, ok := strings.CutPrefix(strings.TrimPrefix(pair, " "), formCookieName+"=")
			if !ok {
				continue
			}
			if found != "" || !session.WellFormed(value) {
				return ""
			}
			found = value
		}
	}
	return found
}

// remember gives the browser a form cookie, unless it has one: another tab may
// hold a form made for it.
func (v *visit) remember(w http.ResponseWriter) {
	if v.session == nil {
		v.know(w)
	}
}

// know gives the browser a form cookie, unless it has one, though somebody may be
// signed in: what is begun in a browser is bound to it across a sign-in.
func (v *visit) know(w http.ResponseWriter) {
	if v.browser != "" {
		return
	}
	v.browser = opaque.Secret()
	http.SetCookie(w, &http.Cookie{
		Name: formCookieName, Value: v.browser, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
