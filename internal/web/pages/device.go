package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Devices decides on devices that wait. See grant.Service.
type Devices interface {
	ClaimDevice(ctx context.Context, in grant.DeviceClaim) (grant.DeviceRequest, error)
	AllowDevice(ctx context.Context, typed string, sess session.Session) error
	DenyDevice(ctx context.Context, typed string, sess session.Session) error
}

type devicePage struct {
	frame
	Code     string
	UserCode string // as typed, or as it came with the address
	Error    string
	Wait     string
	Done     string // what was decided, "" while nothing is
}

// confirmPage says who is asking, and from where: a code that somebody was talked
// into typing is the attack on this flow (RFC 8628 section 5.4, RFC 10027).
type confirmPage struct {
	frame
	Code     string
	UserCode string
	Name     string
	Started  moment
	Address  string
	API      string
	Who      []string
	Scopes   []string
}

// connected are what was decided, by what the address says of it.
var connected = map[string][2]string{
	"allowed": {"connect.allowed.title", "connect.allowed"},
	"denied":  {"connect.denied.title", "connect.denied"},
}

// device asks for the code. One that came with the address is filled in, and nothing
// else: a link must not be able to decide.
func (p *Pages) device(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	out := devicePage{UserCode: audit.Clip(q.Get("user_code"))}
	title := "connect.title"
	if texts, ok := connected[q.Get("done")]; ok {
		title, out.Done = texts[0], v.text(texts[1])
	}
	return p.showDevice(w, v, out, shown{title, http.StatusOK})
}

// shown is under which title, and with which status, a page is shown.
type shown struct {
	title  string
	status int
}

func (p *Pages) showDevice(w http.ResponseWriter, v *visit, out devicePage, as shown) error {
	u, err := p.user(v)
	if err != nil {
		return err
	}
	out.frame = frame{Title: v.text(as.title), Nonce: v.nonce, Asked: v.asked, Person: u.Login}
	out.Code = p.code(v, formDevice)
	return p.show(w, v, answer{"device", as.status, out})
}

// claimDevice shows what a typed code stands for.
func (p *Pages) claimDevice(w http.ResponseWriter, v *visit) error {
	d, err := p.Devices.ClaimDevice(v.Context(), grant.DeviceClaim{
		Code: v.fields["user_code"], Session: *v.session, Address: middleware.Address(v.Context()),
	})
	if err != nil {
		return p.refuseDevice(w, v, err)
	}
	u, err := p.user(v)
	if err != nil {
		return err
	}
	out := confirmPage{UserCode: d.UserCode, Name: d.Client.Name, Started: v.when(d.Started, p.Now()), Address: d.Address, API: d.API}
	if out.Name == "" {
		out.Name = d.Client.ID
	}
	out.Who, out.Scopes = v.wishes(d.Scopes)
	out.frame = frame{Title: v.text("connect.confirm.title"), Nonce: v.nonce, Asked: v.asked, Person: u.Login}
	out.Code = p.code(v, formDecide)
	return p.show(w, v, answer{"confirm", http.StatusOK, out})
}

// wishes says in verbs what scopes allow: of the person, and of an API.
func (v *visit) wishes(scopes []string) (who, ofAPI []string) {
	identity, ofAPI := oidc.SplitScopes(scopes)
	for _, one := range identityTexts {
		if slices.Contains(identity, one.scope) {
			who = append(who, v.text(one.text))
		}
	}
	return who, ofAPI
}

// decideDevice takes the decision of the session that claimed the code.
func (p *Pages) decideDevice(w http.ResponseWriter, v *visit) error {
	var err error
	done := ""
	switch code := v.fields["user_code"]; v.fields["decision"] {
	case "allow":
		done, err = "allowed", p.Devices.AllowDevice(v.Context(), code, *v.session)
	case "deny":
		done, err = "denied", p.Devices.DenyDevice(v.Context(), code, *v.session)
	default:
		return errDecision
	}
	if err != nil {
		return p.refuseDevice(w, v, err)
	}
	p.redirect(w, v.path(grant.DevicePath, "done", done))
	return nil
}

// refuseDevice shows the form again, with what was typed.
func (p *Pages) refuseDevice(w http.ResponseWriter, v *visit, err error) error {
	var refusal *fault.Error
	if !errors.As(err, &refusal) || refusal.Code == fault.Unauthenticated {
		return err
	}
	why := respond.Explain(err)
	respond.Headers(w, v.Request, why)
	return p.showDevice(w, v, devicePage{
		UserCode: audit.Clip(v.fields["user_code"]), Error: v.say(why.Message), Wait: v.waitText(why.RetryAfter),
	}, shown{"connect.title", why.Status})
}

// path is one of our paths with a parameter, and the language that was asked for.
func (v *visit) path(path, name, value string) string {
	q := url.Values{name: {value}}
	if v.asked != "" {
		q.Set("ui_locales", v.asked)
	}
	return path + "?" + q.Encode()
}

const deviceWithCode = grant.DevicePath + "?user_code="

// deviceTarget is where somebody goes on who came with a code and must sign in first.
func (v *visit) deviceTarget() string {
	code, ok := grant.FoldUserCode(v.URL.Query().Get("user_code"))
	if !ok {
		return grant.DevicePath
	}
	return deviceWithCode + grant.ShowUserCode(code)
}

// isDeviceTarget reports whether an address is one that deviceTarget gives.
func isDeviceTarget(to string) bool {
	typed, with := strings.CutPrefix(to, deviceWithCode)
	code, ok := grant.FoldUserCode(typed)
	return to == grant.DevicePath || with && ok && grant.ShowUserCode(code) == typed
}
