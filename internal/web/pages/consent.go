package pages

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
)

type consentPage struct {
	frame
	Code   string
	Step   string // what was asked, sealed
	Target target
	Local  bool   // anything on this machine could be who asks
	Alone  bool   // nobody here has looked at it: it registered itself
	Speaks string // the host whose document says who it is, "" for none
	API    string // the name of the API that Scopes are of
	Who    []string
	Scopes []string
}

// identityTexts say in verbs what an identity scope lets an application do, in the
// order in which they are read.
var identityTexts = []struct{ scope, text string }{
	{scope: oidc.OpenID, text: "consent.openid"},
	{scope: oidc.Profile, text: "consent.profile"},
	{scope: oidc.Email, text: "consent.email"},
	{scope: oidc.Phone, text: "consent.phone"},
	{scope: oidc.Address, text: "consent.address"},
	{scope: oidc.OfflineAccess, text: "consent.offline"},
}

// showConsent asks the person. The page shows what the gate in front of all tokens
// would give, and nothing of what the client says about itself but its name.
func (p *Pages) showConsent(w http.ResponseWriter, v *visit, r oidc.Request, d authorize.Decision) error {
	to, err := target{ClientID: d.Client.ID, ReturnTo: r.RedirectURI}.of(d.Client)
	if err != nil {
		return err
	}
	u, err := p.user(v)
	if err != nil {
		return err
	}
	out := consentPage{Target: to, Step: d.Step, Local: authorize.Unassured(d.Client, r.RedirectURI), API: d.API}
	out.Alone = d.Client.Source != client.ByOperator
	if d.Client.Source == client.ByDocument {
		out.Speaks = hostOf(d.Client.ID)
	}
	var ofAPI []string
	out.Who, ofAPI = v.wishes(d.Scopes)
	if r.APIID != api.Userinfo {
		out.Scopes = ofAPI
	}
	out.frame = frame{Title: v.text("consent.title"), Nonce: v.nonce, Asked: v.asked, Person: u.Login}
	out.Code = p.code(v, formConsent)
	p.policy(w.Header(), v, to.origin)
	return p.show(w, v, answer{"consent", http.StatusOK, out})
}

var errDecision = fault.New(fault.Invalid, languages[0].text("consent.neither"))

// decide takes the person's answer. Who posts it without having been asked, in this
// browser and this session, has no step to go with it.
func (p *Pages) decide(w http.ResponseWriter, v *visit) error {
	if v.stale {
		return errStale
	}
	var a authorize.Answer
	var err error
	switch step := v.fields["step"]; v.fields["decision"] {
	case "allow":
		a, err = p.Authorize.Allow(v.Context(), step, p.front(v))
	case "deny":
		a, err = p.Authorize.Deny(v.Context(), step, p.front(v))
	default:
		return errDecision
	}
	if err != nil {
		return err
	}
	return p.answer(w, v, a)
}
