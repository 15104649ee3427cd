package authorize_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/jose"
)

// own is a request of a client that is never asked for.
func own(more ...string) authorize.Params {
	return ask(append([]string{"client_id", "own", "redirect_uri", "https://own.test/cb"}, more...)...)
}

// renew signs the same person in again.
func (h *house) renew(w authorize.Who) authorize.Who {
	h.t.Helper()
	s, _, err := h.sessions.Renew(h.t.Context(), *w.Session, []string{"pwd"})
	must(h.t, err)
	return authorize.Who{Browser: w.Browser, Session: &s}
}

func TestPromptNoneAsksNobodyAnything(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody, w := authorize.Who{Browser: tab}, h.signIn(h.ada)
	refused(t, "nobody", h.answered(h.fine(own("prompt", "none")), nobody), oidc.LoginRequired)
	refused(t, "no consent", h.answered(h.fine(ask("prompt", "none")), w), oidc.ConsentRequired)
	h.clock.forward(time.Minute)
	refused(t, "too old", h.answered(h.fine(own("prompt", "none", "max_age", "59")), w), oidc.LoginRequired)
	if a := h.answered(h.fine(own("prompt", "none", "max_age", "60")), w); value(a, "code") == "" {
		t.Errorf("young enough: %v", a.Fields)
	}
	h.allowed(h.fine(ask()), w)
	if a := h.answered(h.fine(ask("prompt", "none")), w); value(a, "code") == "" {
		t.Errorf("consent given: %v", a.Fields)
	}
	refused(t, "more than allowed", h.answered(h.fine(ask("prompt", "none", "scope", "openid profile email")), w), oidc.ConsentRequired)
}

func TestAUTHZ013FreshSignInsAreFresh(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	h.clock.forward(time.Hour)
	for _, p := range []authorize.Params{own("prompt", "login"), own("prompt", "select_account"), own("max_age", "0"), own("max_age", "1"), own("prompt", "login consent")} {
		r := h.fine(p)
		if d := h.decide(r, w); d.Next != authorize.SignIn {
			t.Errorf("%v: %+v", r.Prompts, d)
		}
		// What travels through the pages says the same: no address bar takes it away.
		text, err := h.SealFlow(r, tab)
		must(t, err)
		h.clock.forward(time.Second)
		same, err := h.OpenFlow(text, tab)
		must(t, err)
		if d := h.decide(same, w); d.Next != authorize.SignIn || !h.MustSignIn(same, w.Session) {
			t.Errorf("%v, once more: %+v", r.Prompts, d)
		}
		w = h.renew(w)
		h.clock.forward(time.Minute) // a slow person is still fresh
		if d := h.decide(same, w); d.Next == authorize.SignIn || h.MustSignIn(same, w.Session) {
			t.Errorf("%v, after the sign-in: %+v", r.Prompts, d)
		}
	}
	r := h.fine(own("prompt", "login"))
	h.clock.forward(time.Second)
	w = h.renew(w)
	tokens, err := h.tokens("own", value(h.answered(r, w), "code"))
	must(t, err)
	if at := claims(t, tokens.IDToken)["auth_time"]; at != float64(h.clock.now().Unix()) {
		t.Errorf("auth_time %v", at)
	}
	if a := h.answered(h.fine(own("max_age", "10")), w); value(a, "code") == "" {
		t.Errorf("neighbor: %v", a.Fields)
	}
}

func TestSealedRequestsAreOfOneBrowserOneKindAndOneHour(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.fine(ask())
	flow, err := h.SealFlow(r, tab)
	must(t, err)
	posted, err := h.SealPosted(r)
	must(t, err)
	w := h.signIn(h.ada)
	step := h.decide(r, w).Step
	open := func() {
		if _, err := h.OpenFlow(flow, tab); err != nil {
			t.Errorf("in the browser that began it: %v", err)
		}
	}
	open()
	for name, try := range map[string]func() error{
		"AUTHZ-016 another browser": func() error { _, err := h.OpenFlow(flow, "another"); return err },
		"a browser without cookie":  func() error { _, err := h.OpenFlow(flow, ""); return err },
		"posted for a flow":         func() error { _, err := h.OpenFlow(posted, tab); return err },
		"a flow for posted":         func() error { _, err := h.OpenPosted(flow); return err },
		"a step for a flow":         func() error { _, err := h.OpenFlow(step, tab); return err },
		"a flow for a step":         func() error { _, err := h.Allow(t.Context(), flow, w); return err },
		"made up":                   func() error { _, err := h.OpenFlow("AAAA", tab); return err },
		"changed":                   func() error { _, err := h.OpenFlow(flow[:len(flow)-2]+"AA", tab); return err },
		"nothing":                   func() error { _, err := h.OpenFlow("", tab); return err },
		"step in another browser": func() error {
			_, err := h.Allow(t.Context(), step, authorize.Who{Browser: "x", Session: w.Session})
			return err
		},
		"step in another session": func() error { _, err := h.Allow(t.Context(), step, h.signIn(h.eve)); return err },
		"step of nobody":          func() error { _, err := h.Allow(t.Context(), step, authorize.Who{Browser: tab}); return err },
		"no to another's step":    func() error { _, err := h.Deny(t.Context(), step, h.signIn(h.eve)); return err },
	} {
		shown(t, name, try())
	}
	open()
	if given, err := h.store.ConsentsOf(t.Context(), h.eve.ID); err != nil || len(given) != 0 {
		t.Errorf("consent of eve: %v %v", given, err)
	}
	a, err := h.Allow(t.Context(), step, w)
	if err != nil || value(a, "code") == "" {
		t.Errorf("the one who was asked: %v %v", a, err)
	}
	h.clock.forward(time.Hour)
	_, err = h.OpenFlow(flow, tab)
	shown(t, "an hour later", err)
	_, err = h.Allow(t.Context(), step, w)
	shown(t, "an hour later", err)
}

// A request of the greatest size that is taken fits into an address bar of ours, whose
// headers end at 32 KiB.
func TestSealedRequestsAreShort(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.clock.forward(time.Second)
	worst := strings.Repeat(`"`, 4096)
	r := h.fine(ask("state", worst, "nonce", worst, "acr_values", strings.Repeat(`"`, 1024)))
	text, err := h.SealFlow(r, tab)
	if err != nil || len(text) > 28<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if same, err := h.OpenFlow(text, tab); err != nil || same.State != worst || same.Nonce != worst {
		t.Errorf("opened: %v", err)
	}
	_, err = h.read(ask("nonce", worst, "acr_values", worst, "ui_locales", worst))
	told(t, "too long together", err, oidc.InvalidRequest)
}

func (h *house) idToken(clientID string, w authorize.Who) string {
	h.t.Helper()
	r := h.fine(own())
	if clientID != "own" {
		h.t.Fatal("own alone")
	}
	tokens, err := h.tokens("own", value(h.answered(r, w), "code"))
	must(h.t, err)
	return tokens.IDToken
}

func TestAUTHZ014HintsNameWhoIsMeant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w, other := h.signIn(h.ada), h.signIn(h.eve)
	mine, hers := h.idToken("own", w), h.idToken("own", other)
	good := func() {
		if a := h.answered(h.fine(own("prompt", "none", "id_token_hint", mine)), w); value(a, "code") == "" {
			t.Errorf("the right hint: %v", a.Fields)
		}
	}
	good()
	refused(t, "another user", h.answered(h.fine(own("prompt", "none", "id_token_hint", hers)), w), oidc.LoginRequired)
	// With a page to show, the one who is meant may sign in; another one may not.
	h.clock.forward(time.Second)
	r := h.fine(own("id_token_hint", hers))
	if d := h.decide(r, w); d.Next != authorize.SignIn {
		t.Errorf("another user is signed in: %+v", d)
	}
	h.clock.forward(time.Second)
	if a := h.answered(r, h.signIn(h.eve)); value(a, "code") == "" {
		t.Errorf("the one who is meant: %v", a.Fields)
	}
	refused(t, "the wrong one signs in", h.answered(r, h.signIn(h.ada)), oidc.LoginRequired)

	tokens, err := h.tokens("own", value(h.answered(h.fine(own()), w), "code"))
	must(t, err)
	key, ok := h.ring.Signer(keyring.ForIssuer(jose.RS256))
	if !ok {
		t.Fatal("no key")
	}
	forge := func(k *jose.Key, typ string, edit func(map[string]any)) string {
		c := claims(t, mine)
		edit(c)
		return h.sign(k, typ, c)
	}
	stranger, err := jose.Generate(jose.ES256, key.ID())
	must(t, err)
	body, err := json.Marshal(claims(t, mine))
	must(t, err)
	for name, hint := range map[string]string{
		"alg none":     jose.EncodeSegment([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + jose.EncodeSegment(body) + ".",
		"another's":    forge(stranger, "JWT", func(map[string]any) {}),
		"aud":          forge(key, "JWT", func(c map[string]any) { c["aud"] = "rp2" }),
		"iss":          forge(key, "JWT", func(c map[string]any) { c["iss"] = "https://other.example" }),
		"logout token": forge(key, "logout+jwt", func(map[string]any) {}),
		"userinfo":     forge(key, "JWT", func(c map[string]any) { delete(c, "exp") }),
		"far past":     forge(key, "JWT", func(c map[string]any) { c["iat"] = h.clock.now().Add(-100 * 24 * time.Hour).Unix() }),
		"access token": tokens.AccessToken, "changed": mine[:len(mine)-8] + "AAAAAAAA", "text": "ada",
	} {
		_, err := h.read(own("prompt", "none", "id_token_hint", hint))
		told(t, name, err, "login_required|invalid_request")
	}
	h.clock.forward(10 * time.Minute) // expired, and still a hint
	good()
}

func TestClaimsParameterNamesTheSubjectAndTheLevel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	sub := func(id string) string { return fmt.Sprintf(`{"id_token":{"sub":{"value":%q}}}`, id) }
	acr := func(essential bool, level string) string {
		return fmt.Sprintf(`{"id_token":{"acr":{"essential":%v,"values":[%q]}}}`, essential, level)
	}
	for name, c := range map[string]struct{ claims, code string }{
		"the one who is there": {sub(h.ada.ID), ""}, "another": {sub(h.eve.ID), oidc.LoginRequired},
		"essential and met": {acr(true, "aal1"), ""}, "essential and unmet": {acr(true, "aal3"), oidc.UnmetAuthRequirements}, "voluntary": {acr(false, "aal3"), ""},
	} {
		a := h.answered(h.fine(own("prompt", "none", "claims", c.claims)), w)
		if c.code == "" && value(a, "code") == "" {
			t.Errorf("%s: %v", name, a.Fields)
		}
		if c.code != "" {
			refused(t, name, a, c.code)
		}
	}
	h.clock.forward(time.Second)
	if d := h.decide(h.fine(own("claims", sub(h.eve.ID))), w); d.Next != authorize.SignIn {
		t.Errorf("another, with pages: %+v", d)
	}
}

func TestConsentIsAskedOncePerScope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	d := h.decide(h.fine(ask("scope", "openid orders:read orders:write")), w)
	if d.Next != authorize.Consent || strings.Join(d.Scopes, " ") != "openid orders:read" || d.API != "Orders" || d.Client.ID != "rp1" {
		t.Errorf("consent shows %+v", d)
	}
	tokens, err := h.tokens("rp1", h.allowed(h.fine(ask("scope", "openid orders:read orders:write")), w))
	if err != nil || tokens.Scope != "openid orders:read" {
		t.Errorf("tokens %+v %v", tokens, err)
	}
	for name, p := range map[string]authorize.Params{"the same": ask("scope", "openid orders:read"), "less": ask("scope", "orders:read")} {
		if a := h.answered(h.fine(p), w); value(a, "code") == "" {
			t.Errorf("%s: %v", name, a.Fields)
		}
	}
	for name, p := range map[string]authorize.Params{
		"more": ask("scope", "openid email orders:read"), "prompt=consent": ask("scope", "openid orders:read", "prompt", "consent"),
		"another API": ask(), "another client": ask("client_id", "rp2", "redirect_uri", "https://rp2.test/cb", "scope", "openid orders:read", "resource", orders),
	} {
		if d := h.decide(h.fine(p), w); d.Next != authorize.Consent {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := h.decide(h.fine(ask("scope", "openid orders:read")), h.signIn(h.eve)); d.Next != authorize.Consent {
		t.Errorf("another person: %+v", d)
	}
	done, err := h.store.WithdrawConsent(t.Context(), h.ada.ID, "rp1", func([]string) revoke.Effects { return revoke.Effects{} })
	if err != nil || !done {
		t.Fatal(err)
	}
	if d := h.decide(h.fine(ask("scope", "openid orders:read")), w); d.Next != authorize.Consent {
		t.Errorf("withdrawn: %+v", d)
	}
}

// The claims parameter asks for as much as a scope does, and is asked about alike.
func TestClaimsAreConsentedToLikeScopes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	h.allowed(h.fine(ask("scope", "openid")), w)
	if a := h.answered(h.fine(ask("scope", "openid")), w); value(a, "code") == "" {
		t.Errorf("allowed: %v", a.Fields)
	}
	for _, claims := range []string{`{"userinfo":{"email":null}}`, `{"id_token":{"email_verified":{"essential":true}}}`} {
		p := ask("scope", "openid", "claims", claims)
		d := h.decide(h.fine(p), w)
		if d.Next != authorize.Consent || strings.Join(d.Scopes, " ") != "email openid" {
			t.Errorf("%s: %+v", claims, d)
		}
		p["prompt"] = []string{"none"}
		refused(t, claims, h.answered(h.fine(p), w), oidc.ConsentRequired)
	}
	p := ask("scope", "openid", "claims", `{"userinfo":{"email":null}}`)
	tokens, err := h.tokens("rp1", h.allowed(h.fine(p), w))
	if err != nil || tokens.Scope != "openid" {
		t.Errorf("tokens %+v %v", tokens, err)
	}
	if a := h.answered(h.fine(p), w); value(a, "code") == "" {
		t.Errorf("the second time: %v", a.Fields)
	}
	h.change("rp1", func(c *client.Client) { c.APIs[api.Userinfo] = []string{"openid"} })
	_, err = h.read(p)
	told(t, "a client that may only know who it is", err, oidc.InvalidScope)
	h.fine(ask("scope", "openid"))
}

func TestAUTHZ022NobodyIsApprovedUnseenWhoCouldBeAnybody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	for uri, again := range map[string]bool{"com.example.app:/cb": true, "http://127.0.0.1:4000/cb": true, "https://native.test/cb": false} {
		p := ask("client_id", "native", "redirect_uri", uri)
		h.allowed(h.fine(p), w)
		if d := h.decide(h.fine(p), w); (d.Next == authorize.Consent) != again {
			t.Errorf("%s once more: %+v", uri, d)
		}
		if again {
			p["prompt"] = []string{"none"}
			refused(t, uri, h.answered(h.fine(p), w), oidc.ConsentRequired)
		}
		_, err := h.store.WithdrawConsent(t.Context(), h.ada.ID, "native", func([]string) revoke.Effects { return revoke.Effects{} })
		must(t, err)
	}
	asks := ask("client_id", "asks", "redirect_uri", "https://asks.test/cb")
	h.allowed(h.fine(asks), w)
	if d := h.decide(h.fine(asks), w); d.Next != authorize.Consent {
		t.Errorf("a client that is to be asked for always: %+v", d)
	}
	if a := h.answered(h.fine(own()), w); value(a, "code") == "" {
		t.Errorf("our own client: %v", a.Fields)
	}
	if d := h.decide(h.fine(own("prompt", "consent")), w); d.Next != authorize.Consent {
		t.Errorf("our own client with prompt=consent: %+v", d)
	}
}

func TestWhatEndedMeanwhileGetsNoCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	d := h.decide(h.fine(ask()), w)
	_, err := h.sessions.End(t.Context(), session.EndOne{ID: w.Session.ID, Reason: "logout"})
	must(t, err)
	a, err := h.Allow(t.Context(), d.Step, w)
	must(t, err)
	refused(t, "ended session", a, oidc.LoginRequired)
	if given, err := h.store.ConsentsOf(t.Context(), h.ada.ID); err != nil || len(given) != 0 {
		t.Errorf("consent of an ended session: %v %v", given, err)
	}
	if d := h.decide(h.fine(ask()), w); d.Next != authorize.SignIn {
		t.Errorf("ended session: %+v", d)
	}
	refused(t, "prompt=none", h.answered(h.fine(own("prompt", "none")), w), oidc.LoginRequired)

	w = h.signIn(h.ada)
	d = h.decide(h.fine(ask()), w)
	h.change("rp1", func(c *client.Client) { c.Disabled = true })
	_, err = h.Allow(t.Context(), d.Step, w)
	shown(t, "disabled client", err)
	h.change("rp1", func(c *client.Client) { c.Disabled, c.RedirectURIs = false, []string{"https://rp1.test/new"} })
	_, err = h.Deny(t.Context(), d.Step, w)
	shown(t, "redirect URI taken from the client", err)
	h.change("rp1", func(c *client.Client) { c.RedirectURIs = []string{back} })
	a, err = h.Deny(t.Context(), d.Step, w)
	must(t, err)
	refused(t, "as it was", a, oidc.AccessDenied)
}

func TestPeopleWithoutAnyOfTheScopesAreToldSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	refused(t, "no role", h.answered(h.fine(ask("scope", "orders:write")), w), oidc.InvalidScope)
	h.allowed(h.fine(ask("scope", "orders:read")), w)
}
