package pages

import (
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// ownTargets are our pages that a form may lead to.
var ownTargets = []string{"/", "/account"}

// target is where a form leads when it is done. It is either one of our own pages
// or an address that a client returns people to (client.Client.Returns): nothing
// else can be made of a request, so that no page of ours sends people to strangers.
type target struct {
	ClientID string
	ReturnTo string
	Flow     string // an authorization request that goes on, sealed; then neither of the others
	Name     string // of the client, "" for our own pages
	Host     string // where the client's URI leads, as people know it
	origin   string // as a source expression of a Content-Security-Policy
	request  *oidc.Request
}

var errTarget = fault.New(fault.Invalid, languages[0].text("target.unknown"))

// target reads client_id and return_to. Neither means: stay here.
func (p *Pages) target(v *visit, clientID, returnTo string) (target, error) {
	t := target{ClientID: clientID, ReturnTo: returnTo}
	if clientID == "" {
		if returnTo != "" && !slices.Contains(ownTargets, returnTo) && !isDeviceTarget(returnTo) {
			return target{}, errTarget
		}
		return t, nil
	}
	c, err := p.Accounts.Client(v.Context(), clientID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Returns(returnTo) {
		return target{}, errTarget
	}
	if err != nil {
		return target{}, err
	}
	return t.of(c)
}

// flow reads an authorization request on its way, which must have begun in this
// browser. It leads on through the authorization endpoint, to where its client is.
func (p *Pages) flow(v *visit, sealed string) (target, error) {
	r, err := p.Authorize.OpenFlow(sealed, v.browser)
	if err != nil {
		return target{}, err
	}
	v.speak(r.Locales...)
	c, err := p.Accounts.Client(v.Context(), r.ClientID)
	if fault.Is(err, fault.NotFound) {
		return target{}, errTarget
	}
	if err != nil {
		return target{}, err
	}
	t, err := target{ReturnTo: r.RedirectURI}.of(c)
	t.ReturnTo, t.Flow, t.request = "", sealed, &r
	return t, err
}

func (t target) of(c client.Client) (target, error) {
	u, err := url.Parse(t.ReturnTo)
	if err != nil {
		return target{}, errTarget
	}
	t.Name, t.Host, t.origin = c.Name, u.Host, u.Scheme+"://"+u.Host
	if t.Name == "" {
		t.Name = c.ID
	}
	if u.Host == "" { // a private-use scheme (RFC 8252 section 7.1)
		t.Host, t.origin = u.Scheme+":", u.Scheme+":"
	}
	// The origin is written into a header where these have a meaning.
	if !source(t.origin) {
		return target{}, errTarget
	}
	return t, nil
}

// source reports whether an origin means one source in a Content-Security-Policy.
func source(origin string) bool { return !strings.ContainsAny(origin, " \t\r\n;,'\"") }

// hostOf is where a URI leads, as people know it; "" for a path of ours, or nothing.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	if u.Host == "" { // a private-use scheme (RFC 8252 section 7.1)
		return u.Scheme + ":"
	}
	return u.Host
}

// query reads the target of a page that is asked for.
func (p *Pages) query(v *visit) (target, error) {
	q := v.URL.Query()
	if len(q["client_id"]) > 1 || len(q["return_to"]) > 1 || len(q["flow"]) > 1 {
		return target{}, errTarget
	}
	if q.Get("flow") != "" {
		return p.flow(v, q.Get("flow"))
	}
	return p.target(v, q.Get("client_id"), q.Get("return_to"))
}

// posted reads the target that a form brings back. It is checked again: a hidden
// field is as free to write as a URL.
func (p *Pages) posted(v *visit) (target, error) {
	if v.fields["flow"] != "" {
		return p.flow(v, v.fields["flow"])
	}
	return p.target(v, v.fields["client_id"], v.fields["return_to"])
}

// or returns where to go, with a place of ours for who said nothing.
func (t target) or(ours string) string {
	switch {
	case t.Flow != "":
		return t.with(continuePath)
	case t.ReturnTo == "":
		return ours
	}
	return t.ReturnTo
}

// with returns one of our paths with this target in its query.
func (t target) with(path string) string {
	q := url.Values{}
	if t.ClientID != "" {
		q.Set("client_id", t.ClientID)
	}
	if t.Flow != "" {
		q.Set("flow", t.Flow)
	}
	if t.ReturnTo != "" {
		q.Set("return_to", t.ReturnTo)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
