package pages

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// Hints reads ID tokens that come back. See grant.Service.
type Hints interface {
	IDTokenHint(ctx context.Context, token string) (grant.Hint, bool, error)
}

// Front ends sessions and tells which pages are to be loaded. See logout.Front.
type Front interface {
	End(ctx context.Context, e session.EndOne) (pages []string, err error)
}

// endSessionPath is the end session endpoint.
const endSessionPath = "/oauth/logout"

// endSessionNames are its parameters (OpenID Connect RP-Initiated Logout 1.0 section
// 2). A logout_hint is taken and not needed: the session says who is there.
var endSessionNames = []string{"client_id", "id_token_hint", "logout_hint", "post_logout_redirect_uri", "state", "ui_locales"}

var (
	errHint       = fault.New(fault.Invalid, languages[0].text("end.hint"))
	errAfterwards = fault.New(fault.Invalid, languages[0].text("end.target"))
)

// farewell is a logout that an application asks for.
type farewell struct {
	hint     *grant.Hint // whom its ID token names, nil for no ID token
	client   client.Client
	returnTo string // where it wants the browser back, registered; "" for nowhere
	state    string
}

// next is where the browser goes afterwards, "" for a page of ours. What stands in
// the query of the address stays as it is.
func (f farewell) next() string {
	if f.returnTo == "" || f.state == "" {
		return f.returnTo
	}
	sep := "?"
	if strings.Contains(f.returnTo, "?") {
		sep = "&"
	}
	return f.returnTo + sep + url.Values{"state": {f.state}}.Encode()
}

// farewell reads the parameters. Where the browser goes is what the client has
// registered, byte for byte, or nowhere: an address for which no client is named, or
// not one of its own, never becomes a redirect (REDIR-015).
func (p *Pages) farewell(v *visit, params map[string][]string) (f farewell, err error) {
	for _, name := range endSessionNames {
		if len(params[name]) > 1 {
			return f, errHint
		}
	}
	get := func(name string) string { return strings.Join(params[name], "") }
	id := get("client_id")
	if text := get("id_token_hint"); text != "" {
		h, ok, err := p.Hints.IDTokenHint(v.Context(), text)
		if err != nil {
			return f, err
		}
		if !ok || id != "" && id != h.ClientID {
			return f, errHint
		}
		f.hint, id = &h, h.ClientID
	}
	if id == "" {
		return f, nil // the address of nobody
	}
	c, err := p.Accounts.Client(v.Context(), id)
	if fault.Is(err, fault.NotFound) {
		return f, errAfterwards
	}
	if err != nil {
		return f, err
	}
	f.client, f.returnTo, f.state = c, get("post_logout_redirect_uri"), get("state")
	if f.returnTo != "" && !c.ReturnsAfterLogout(f.returnTo) {
		return f, errAfterwards
	}
	return f, nil
}

// endSession ends the session at once for an application that shows an ID token of
// this very session: it can only have that from a sign-in here. Everybody else could
// be any page that wants people signed out, so the person is asked (ASVS 10.6.2).
func (p *Pages) endSession(w http.ResponseWriter, v *visit) error {
	params, err := middleware.Values(v.URL.RawQuery)
	if err != nil {
		return err
	}
	f, err := p.farewell(v, params)
	if err != nil {
		return err
	}
	if f.hint != nil && (v.session == nil || v.session.ID == f.hint.SessionID) {
		return p.leave(w, v, f.next())
	}
	return p.askToLeave(w, v, f, http.StatusOK)
}

// endSessionPosted takes the same from a form of the application. Browsers leave our
// cookies out of such a form, so it goes on as a GET.
func (p *Pages) endSessionPosted(w http.ResponseWriter, v *visit) error {
	params, err := middleware.Body(v.Request)
	if err != nil {
		return err
	}
	if _, err := p.farewell(v, params); err != nil {
		return err
	}
	q := url.Values{}
	for name, values := range params {
		if slices.Contains(endSessionNames, name) {
			q[name] = values
		}
	}
	p.redirect(w, endSessionPath+"?"+q.Encode())
	return nil
}

type endSessionPage struct {
	frame
	Code     string
	ClientID string
	ReturnTo string
	State    string
	Host     string       // where the browser goes afterwards
	Next     template.URL // the same, whole, when nobody is signed in
	Stale    bool
}

func (p *Pages) askToLeave(w http.ResponseWriter, v *visit, f farewell, status int) error {
	out := endSessionPage{ClientID: f.client.ID, ReturnTo: f.returnTo, State: f.state, Host: hostOf(f.returnTo), Stale: v.stale}
	if v.session == nil {
		out.Next = template.URL(f.next()) //nolint:gosec // registered by the client and compared byte for byte
		out.frame = frame{Title: v.text("logout.gone.title"), Nonce: v.nonce, Asked: v.asked}
		return p.show(w, v, answer{"endsession", status, out})
	}
	u, err := p.user(v)
	if err != nil {
		return err
	}
	out.frame = frame{Title: v.text("logout.title"), Nonce: v.nonce, Asked: v.asked, Person: u.Login}
	out.Code = p.code(v, formEndSession)
	p.policy(w.Header(), v, originOf(f.returnTo))
	return p.show(w, v, answer{"endsession", status, out})
}

// endSessionAgreed is the person's yes.
func (p *Pages) endSessionAgreed(w http.ResponseWriter, v *visit) error {
	params := map[string][]string{}
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state"} {
		if value := v.fields[name]; value != "" {
			params[name] = []string{value}
		}
	}
	f, err := p.farewell(v, params)
	if err != nil {
		return err
	}
	if v.stale {
		if v.session == nil {
			return errStale
		}
		return p.askToLeave(w, v, f, http.StatusForbidden)
	}
	return p.leave(w, v, f.next())
}

type leavingPage struct {
	frame
	Pages []string     // of applications that are told by loading them
	Next  template.URL // where it goes on
	Host  string       // "" for a page of ours
}

// leave ends the session everywhere, tells the applications that want to be told
// through the browser, and goes on: to next, or to a page of ours.
func (p *Pages) leave(w http.ResponseWriter, v *visit, next string) error {
	if next == "" {
		next = "/logout"
	}
	var pages []string
	if v.session != nil {
		var err error
		pages, err = p.Front.End(v.Context(), session.EndOne{
			ID: v.session.ID, UserID: v.session.UserID, Actor: v.session.UserID, Reason: "logout",
		})
		if err != nil {
			return err
		}
	}
	middleware.ClearSession(w)
	out := leavingPage{Next: template.URL(next), Host: hostOf(next)} //nolint:gosec // registered by a client and compared byte for byte, or ours
	var origins []string
	for _, page := range pages {
		if at := originOf(page); at != "" {
			out.Pages, origins = append(out.Pages, page), append(origins, at)
		}
	}
	if len(out.Pages) == 0 {
		p.policy(w.Header(), v, originOf(next))
		p.redirect(w, next)
		return nil
	}
	p.frames(w.Header(), slices.Compact(origins))
	// Without JavaScript it goes on after a while, whether they were loaded or not.
	w.Header().Set("Refresh", "3; url="+next)
	out.frame = frame{Title: v.text("logout.gone.title"), Nonce: v.nonce, Asked: v.asked}
	return p.show(w, v, answer{"leaving", http.StatusOK, out})
}
