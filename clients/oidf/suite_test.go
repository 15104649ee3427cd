package oidf

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/clients/rig"
)

const (
	basicSecret = "a-secret-of-the-first-op-client-1"
	otherSecret = "a-secret-of-the-other-op-client-2"
	everything  = "openid profile email address phone"
)

// setupBasic registers what the plans of OpenID Connect need: two clients that send no
// code challenge unless they want to, and a person of whom everything is known.
func setupBasic(more string) string {
	return `
clients:
  - id: first
    name: First
    kind: confidential
    secret: ` + basicSecret + `
    redirect_uris: ["` + rig.RedirectURI + `", "` + rig.RedirectURI + `?with=query"]
    grants: [authorization_code, refresh_token]
    oauth:
      profile: certification
      jwks: ` + rig.Public(requestKey) + `
      post_logout_redirect_uris: ["` + rig.LoggedOut + `"]` + more + `
  - id: second
    name: Second
    kind: confidential
    secret: ` + otherSecret + `
    redirect_uris: ["` + rig.RedirectURI + `"]
    grants: [authorization_code, refresh_token]
    oauth:
      profile: certification
      token_endpoint_auth_method: client_secret_post
      post_logout_redirect_uris: ["` + rig.LoggedOut + `/second"]
users:
  - login: ` + rig.Login + `
    name: Ada Lovelace
    password: ` + rig.Password + `
    profile:
      given_name: Ada
      family_name: Lovelace
      middle_name: King
      nickname: ada
      preferred_username: ada
      profile: https://ada.example/
      picture: https://ada.example/picture.png
      website: https://ada.example/site
      gender: female
      birthdate: "1815-12-10"
      zoneinfo: Europe/London
      locale: en-GB
      email: ` + rig.Login + `
      email_verified: true
      phone_number: "+44 20 5550 0100"
      phone_number_verified: true
      address: {formatted: "12 St James's Square, London", country: UK}
`
}

// requestKey is the key of the first client, for request objects.
var requestKey = rig.NewKey("request-key")

// suite is one server with the clients of a plan.
type suite struct {
	issuer string
	mode   string // response_mode of every request, "" for the default
}

// flow is one client and one person with a browser of their own.
type flow struct {
	t        *testing.T
	suite    suite
	party    *rig.Party
	person   *rig.Person
	state    string
	nonce    string
	verifier string // "" sends no challenge
}

func (s suite) flow(t *testing.T) *flow {
	t.Helper()
	p := rig.NewParty(t, s.issuer, "first")
	p.Secret, p.Method, p.Key = basicSecret, "client_secret_basic", requestKey
	return &flow{t: t, suite: s, party: p, person: rig.NewPerson(t), state: rig.Random(), nonce: rig.Random()}
}

// as makes another client of it, in the same browser.
func (f *flow) second() *flow {
	f.t.Helper()
	g := *f
	g.party = rig.NewParty(f.t, f.suite.issuer, "second")
	g.party.Secret, g.party.Method = otherSecret, "client_secret_post"
	g.state, g.nonce = rig.Random(), rig.Random()
	return &g
}

// request is the parameters of an authorization request. A change to "" leaves one out.
func (f *flow) request(changes ...string) url.Values {
	f.t.Helper()
	q := url.Values{
		"client_id": {f.party.ID}, "redirect_uri": {f.party.Redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {f.state}, "nonce": {f.nonce},
	}
	if f.suite.mode != "" {
		q.Set("response_mode", f.suite.mode)
	}
	if f.verifier != "" {
		q.Set("code_challenge", rig.Challenge(f.verifier))
		q.Set("code_challenge_method", "S256")
	}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q
}

func (f *flow) address(q url.Values) string {
	return f.party.Endpoint("authorization_endpoint") + "?" + q.Encode()
}

// visit goes to the authorization endpoint and stops at the first page.
func (f *flow) visit(changes ...string) rig.Page {
	f.t.Helper()
	return f.person.Visit(f.address(f.request(changes...)), f.party.Redirect)
}

// finish fills in forms until the person is led back.
func (f *flow) finish(page rig.Page) url.Values {
	f.t.Helper()
	for range 6 {
		if page.Back {
			return page.Params
		}
		page = f.person.Submit(page, f.party.Redirect, nil)
	}
	f.t.Fatalf("asked for more and more, last at %s", page.URL)
	return nil
}

// code goes through to a code. What comes with it must be right.
func (f *flow) code(changes ...string) string {
	f.t.Helper()
	page := f.visit(changes...)
	back := f.finish(page)
	return f.checked(back)
}

func (f *flow) checked(back url.Values) string {
	f.t.Helper()
	if back.Get("code") == "" || back.Get("iss") != f.suite.issuer || back.Get("error") != "" {
		f.t.Fatalf("led back with %v", back)
	}
	if back.Get("state") != f.state {
		f.t.Fatalf("state is %q, not %q", back.Get("state"), f.state)
	}
	return back.Get("code")
}

// wantError goes to the authorization endpoint and wants to be led back with an error
// at once.
func (f *flow) wantError(code string, changes ...string) {
	f.t.Helper()
	page := f.visit(changes...)
	if !page.Back || page.Params.Get("error") != code || page.Params.Get("iss") != f.suite.issuer || page.Params.Get("code") != "" {
		f.t.Fatalf("wanted %s, got back=%v %d %v", code, page.Back, page.Status, page.Params)
	}
	if page.Params.Get("state") != f.request(changes...).Get("state") {
		f.t.Errorf("state is %q", page.Params.Get("state"))
	}
}

// wantPage goes to the authorization endpoint and wants an error page: nobody is led
// anywhere.
func (f *flow) wantPage(changes ...string) {
	f.t.Helper()
	page := f.visit(changes...)
	if page.Back || page.Status != 400 || page.Asks("password") {
		f.t.Fatalf("wanted an error page, got back=%v %d %s", page.Back, page.Status, page.URL)
	}
}

// exchange asks for the tokens of a code.
func (f *flow) exchange(code string, changes ...string) rig.Answer {
	f.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {f.party.Redirect}}
	if f.verifier != "" {
		form.Set("code_verifier", f.verifier)
	}
	for i := 0; i+1 < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return f.party.Ask(f.party.Endpoint("token_endpoint"), form)
}

// tokens goes all the way.
func (f *flow) tokens(changes ...string) rig.Answer {
	f.t.Helper()
	return want(f.t, f.exchange(f.code(changes...)), 200, "")
}

func want(t *testing.T, a rig.Answer, status int, code string) rig.Answer {
	t.Helper()
	if a.Status != status || a.Text("error") != code {
		t.Fatalf("got %d %s, want %d %s", a.Status, a.Body, status, code)
	}
	if status == 200 && !strings.Contains(a.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("Cache-Control is %q", a.Header.Get("Cache-Control"))
	}
	return a
}

// idToken checks the ID token of an answer and returns its claims.
func (f *flow) idToken(a rig.Answer) map[string]any {
	f.t.Helper()
	header, claims := f.party.Claims(a.Text("id_token"))
	if header["alg"] != "RS256" {
		f.t.Errorf("alg is %v", header["alg"])
	}
	if claims["iss"] != f.suite.issuer || claims["aud"] != f.party.ID {
		f.t.Errorf("iss %v, aud %v", claims["iss"], claims["aud"])
	}
	sub, _ := claims["sub"].(string)
	if sub == "" || len(sub) > 255 {
		f.t.Errorf("sub is %q", sub)
	}
	exp, _ := claims["exp"].(float64)
	iat, _ := claims["iat"].(float64)
	if exp <= iat || iat == 0 {
		f.t.Errorf("iat %v, exp %v", iat, exp)
	}
	return claims
}

// userinfo asks who the person of a token is.
func (f *flow) userinfo(a rig.Answer) map[string]any {
	f.t.Helper()
	info := want(f.t, f.party.Call("GET", f.party.Endpoint("userinfo_endpoint"), a.Text("access_token")), 200, "")
	return info.JSON
}

func text(v any) string { return fmt.Sprint(v) }
