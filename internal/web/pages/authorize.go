package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// Authorize is the rules of the authorization endpoint. See authorize.Service.
type Authorize interface {
	Read(ctx context.Context, p authorize.Params) (oidc.Request, error)
	Decide(ctx context.Context, r oidc.Request, w authorize.Who) (authorize.Decision, error)
	MustSignIn(r oidc.Request, sess *session.Session) bool
	Allow(ctx context.Context, step string, w authorize.Who) (authorize.Answer, error)
	Deny(ctx context.Context, step string, w authorize.Who) (authorize.Answer, error)
	SealPosted(r oidc.Request) (string, error)
	OpenPosted(text string) (oidc.Request, error)
	SealFlow(r oidc.Request, browser string) (string, error)
	OpenFlow(text, browser string) (oidc.Request, error)
}

// continuePath is where a request goes on that came as a form, or whose person has
// signed in.
const continuePath = "/oauth/authorize/continue"

// authorize takes a request from the address bar.
func (p *Pages) authorize(w http.ResponseWriter, v *visit) error {
	params, err := middleware.Values(v.URL.RawQuery)
	if err != nil {
		return err
	}
	r, err := p.Authorize.Read(v.Context(), params)
	if err != nil {
		return p.refuse(w, v, err)
	}
	return p.next(w, v, r)
}

// authorizePosted takes a request that a page of the application sent as a form
// (OpenID Connect Core section 3.1.2.1). It does nothing but lead to where the same
// request goes on as a GET: browsers leave our cookies out of such a form.
func (p *Pages) authorizePosted(w http.ResponseWriter, v *visit) error {
	params, err := middleware.Body(v.Request)
	if err != nil {
		return err
	}
	r, err := p.Authorize.Read(v.Context(), params)
	if err != nil {
		return p.refuse(w, v, err)
	}
	held, err := p.Authorize.SealPosted(r)
	if err != nil {
		return err
	}
	p.redirect(w, continuePath+"?posted="+held)
	return nil
}

// goOn goes on with a request.
func (p *Pages) goOn(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	if held := q.Get("posted"); held != "" {
		r, err := p.Authorize.OpenPosted(held)
		if err != nil {
			return err
		}
		return p.next(w, v, r)
	}
	r, err := p.Authorize.OpenFlow(q.Get("flow"), v.browser)
	if err != nil {
		return err
	}
	return p.next(w, v, r)
}

// next does what the request needs next.
func (p *Pages) next(w http.ResponseWriter, v *visit, r oidc.Request) error {
	v.know(w)
	v.speak(r.Locales...)
	d, err := p.Authorize.Decide(v.Context(), r, p.front(v))
	if err != nil {
		return err
	}
	switch d.Next {
	case authorize.SignIn:
		flow, err := p.Authorize.SealFlow(r, v.browser)
		if err != nil {
			return err
		}
		p.redirect(w, target{Flow: flow}.with("/login"))
		return nil
	case authorize.Consent:
		return p.showConsent(w, v, r, d)
	}
	return p.answer(w, v, d.Answer)
}

func (p *Pages) front(v *visit) authorize.Who {
	return authorize.Who{Browser: v.browser, Session: v.session}
}

// refuse sends a refusal back to the client, where that is known to be safe.
func (p *Pages) refuse(w http.ResponseWriter, v *visit, err error) error {
	var told *authorize.Refused
	if !errors.As(err, &told) {
		return err
	}
	return p.answer(w, v, told.Answer)
}

// answer sends the browser back to the client: 303, so that it does not send along
// what it posted to us (RFC 9700 section 4.12), and without a Referer.
func (p *Pages) answer(w http.ResponseWriter, v *visit, a authorize.Answer) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if a.Mode == oidc.FormPost {
		return p.showFormPost(w, v, a)
	}
	p.policy(w.Header(), v, originOf(a.To))
	p.redirect(w, a.URL())
	return nil
}

// originOf is a redirect URI as a source expression, "" when it has none that may
// stand in a header.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" { // a path of ours, or nothing
		return ""
	}
	origin := u.Scheme + "://" + u.Host
	if u.Host == "" {
		origin = u.Scheme + ":"
	}
	if !source(origin) {
		return ""
	}
	return origin
}
