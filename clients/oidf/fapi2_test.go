package oidf

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wafer-auth/wafer/clients/rig"
)

const accounts = "https://accounts.example"

// bank and broker are the keys of the two clients of the FAPI plan.
var bankKey, brokerKey = rig.NewKey("bank-key"), rig.NewKey("broker-key")

func setupFAPI() string {
	client := func(id string, key jose.JSONWebKey) string {
		return `
  - id: ` + id + `
    name: ` + id + `
    kind: confidential
    redirect_uris: ["` + rig.RedirectURI + `"]
    grants: [authorization_code, refresh_token]
    apis: {` + accounts + `: [accounts:read]}
    oauth:
      profile: fapi2
      token_endpoint_auth_method: private_key_jwt
      dpop_bound_access_tokens: true
      jwks: ` + rig.Public(key)
	}
	return `
apis:
  - id: ` + accounts + `
    token: {format: jwt, alg: ES256, lifetime: 5m}
    scopes: [accounts:read]
clients:` + client("bank", bankKey) + client("broker", brokerKey) + `
roles:
  - {id: holder, scopes: {` + accounts + `: [accounts:read]}}
users:
  - {login: ` + rig.Login + `, name: Ada Lovelace, password: ` + rig.Password + `, roles: [holder]}
`
}

// bank is a flow of the FAPI client: with a key for assertions, one for proofs, and a
// code challenge.
func (s suite) bank(t *testing.T) *flow {
	t.Helper()
	return s.fapi(t, "bank", bankKey)
}

func (s suite) fapi(t *testing.T, id string, key jose.JSONWebKey) *flow {
	t.Helper()
	p := rig.NewParty(t, s.issuer, id)
	proof := rig.NewKey("")
	p.Method, p.Key, p.Proof = "private_key_jwt", key, &proof
	return &flow{t: t, suite: s, party: p, person: rig.NewPerson(t), state: rig.Random(), nonce: rig.Random(), verifier: rig.Random()}
}

// push pushes a request.
func (f *flow) push(changes ...string) rig.Answer {
	f.t.Helper()
	q := f.request(append([]string{"scope", "openid accounts:read", "resource", accounts}, changes...)...)
	return f.party.Ask(f.party.Endpoint("pushed_authorization_request_endpoint"), q)
}

func (f *flow) pushed(changes ...string) string {
	f.t.Helper()
	return want(f.t, f.push(changes...), 201, "").Text("request_uri")
}

// open goes to the authorization endpoint with a pushed request.
func (f *flow) open(uri string, outside ...string) rig.Page {
	f.t.Helper()
	q := url.Values{"client_id": {f.party.ID}, "request_uri": {uri}}
	for i := 0; i+1 < len(outside); i += 2 {
		q.Set(outside[i], outside[i+1])
	}
	return f.person.Visit(f.address(q), f.party.Redirect)
}

func (f *flow) bankTokens(changes ...string) rig.Answer {
	f.t.Helper()
	return want(f.t, f.exchange(f.checked(f.finish(f.open(f.pushed(changes...))))), 200, "")
}

func (f *flow) idTokenES(a rig.Answer) map[string]any {
	f.t.Helper()
	header, claims := f.party.Claims(a.Text("id_token"))
	if header["alg"] != "ES256" || claims["aud"] != f.party.ID || claims["iss"] != f.suite.issuer {
		f.t.Errorf("header %v, claims %v", header, claims)
	}
	return claims
}

// refusedPage wants an error page or an error that is led back, and no code.
func (f *flow) refusedPage(page rig.Page, codes ...string) {
	f.t.Helper()
	if page.Back && page.Params.Get("code") == "" && slices.Contains(codes, page.Params.Get("error")) {
		return
	}
	if !page.Back && page.Status == 400 && !page.Asks("password") {
		return
	}
	f.t.Fatalf("not refused: back=%v %d %v", page.Back, page.Status, page.Params)
}

func TestFAPI2SecurityProfile(t *testing.T) {
	t.Parallel()
	s := suite{issuer: rig.Serve(t, setupFAPI())}
	for _, m := range slices.Concat(fapiFlow, fapiAssertions, fapiPushed) {
		t.Run("fapi2-security-profile-final-"+m.name, func(t *testing.T) { m.run(s.bank(t)) })
	}
}

var fapiFlow = []module{
	{"discovery-end-point-verification", func(f *flow) {
		m := f.party.Meta
		for name, must := range map[string]string{
			"dpop_signing_alg_values_supported": "ES256", "token_endpoint_auth_methods_supported": "private_key_jwt",
			"token_endpoint_auth_signing_alg_values_supported": "PS256", "code_challenge_methods_supported": "S256",
		} {
			list, _ := m[name].([]any)
			if !slices.Contains(list, any(must)) {
				f.t.Errorf("%s is %v", name, m[name])
			}
		}
		if m["authorization_response_iss_parameter_supported"] != true {
			f.t.Error("iss is not announced")
		}
	}},
	{"happy-flow", func(f *flow) {
		a := f.bankTokens()
		if a.Text("token_type") != "DPoP" || f.idTokenES(a)["nonce"] != f.nonce {
			f.t.Errorf("tokens are %v", a.JSON)
		}
		_, claims := f.party.Claims(a.Text("access_token"))
		if cnf, _ := claims["cnf"].(map[string]any); cnf["jkt"] != f.party.JKT() || claims["aud"] != accounts {
			f.t.Errorf("the access token says %v", claims)
		}
	}},
	{"user-rejects-authentication", func(f *flow) {
		page := f.open(f.pushed("prompt", "consent"))
		page = f.person.Submit(page, f.party.Redirect, nil) // the password
		page = f.person.Submit(page, f.party.Redirect, map[string]string{"decision": "deny"})
		if page.Params.Get("error") != "access_denied" || page.Params.Get("state") != f.state || page.Params.Get("iss") != f.suite.issuer {
			f.t.Errorf("led back with %v", page.Params)
		}
	}},
	{"ensure-authorization-request-without-state-success", func(f *flow) {
		back := f.finish(f.open(f.pushed("state", "")))
		if back.Has("state") || back.Get("code") == "" {
			f.t.Errorf("led back with %v", back)
		}
	}},
	{"ensure-authorization-request-without-nonce-success", func(f *flow) {
		if nonce, there := f.idTokenES(f.bankTokens("nonce", ""))["nonce"]; there {
			f.t.Errorf("nonce is %v", nonce)
		}
	}},
	{"ensure-authorization-request-with-64-char-nonce-success", func(f *flow) { f.withNonce(strings.Repeat("n", 64)) }},
	{"ensure-authorization-request-with-long-nonce", func(f *flow) { f.withNonce(strings.Repeat("n", 384)) }},
	{"ensure-authorization-request-with-long-state", func(f *flow) {
		f.state = strings.Repeat("s", 384)
		f.bankTokens()
	}},
	{"ensure-other-scope-order-succeeds", func(f *flow) { f.bankTokens("scope", "accounts:read openid") }},
	{"test-claims-parameter-identity-claims", func(f *flow) {
		if name := f.idTokenES(f.bankTokens("claims", `{"id_token":{"name":{"essential":true}}}`))["name"]; name != "Ada Lovelace" {
			f.t.Errorf("name is %v", name)
		}
	}},
	{"access-token-type-header-case-sensitivity", func(f *flow) {
		a := f.bankTokens("resource", "", "scope", "openid")
		address := f.party.Endpoint("userinfo_endpoint")
		for _, scheme := range []string{"DPoP", "dpop", "DPOP"} {
			if got := f.callAs(scheme, address, a.Text("access_token")); got.Status != 200 {
				f.t.Errorf("%s: %d %s", scheme, got.Status, got.Body)
			}
		}
	}},
	{"check-dpop-proof-nbf-exp", func(f *flow) {
		f.party.DPoP = func(c map[string]any) { c["nbf"], c["exp"] = time.Now().Unix()-5, time.Now().Unix()+60 }
		f.bankTokens()
	}},
	{"ensure-dpopproof-with-iat-10seconds-before-succeeds", func(f *flow) { f.withIAT(-10 * time.Second) }},
	{"ensure-dpopproof-with-iat-10seconds-after-succeeds", func(f *flow) { f.withIAT(10 * time.Second) }},
	{"ensure-mismatched-dpop-jkt-fails", func(f *flow) {
		if a := f.push("dpop_jkt", "another-key"); a.Status != 400 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
		f.bankTokens("dpop_jkt", f.party.JKT())
	}},
	{"ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		other := rig.NewKey("")
		f.party.Proof = &other
		refusedGrant(f.t, f.exchange(code))
	}},
	{"ensure-token-endpoint-fails-with-mismatched-dpop-jkt", func(f *flow) {
		proof := f.party.Proof
		jkt := f.party.JKT()
		f.party.Proof = nil
		uri := f.pushed("dpop_jkt", jkt)
		other := rig.NewKey("")
		f.party.Proof = &other
		refusedGrant(f.t, f.exchange(f.checked(f.finish(f.open(uri)))))
		f.party.Proof = proof
		f.bankTokens()
	}},
	{"ensure-dpopproof-at-par-endpoint-binding-success", func(f *flow) { f.bankTokens() }},
	{"ensure-dpop-auth-code-binding-success", func(f *flow) { f.bankTokens("dpop_jkt", f.party.JKT()) }},
	{"ensure-registered-redirect-uri", func(f *flow) {
		if a := f.push("redirect_uri", "https://stranger.example/callback"); a.Status != 400 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
	}},
	{"ensure-unsigned-authorization-request-without-using-par-fails", func(f *flow) {
		f.refusedPage(f.visit("scope", "openid accounts:read", "resource", accounts), "invalid_request")
	}},
	{"ensure-redirect-uri-in-authorization-request", func(f *flow) {
		if a := f.push("redirect_uri", ""); a.Status != 400 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
	}},
	{"ensure-response-type-code-idtoken-fails", func(f *flow) { refusedPush(f, "unsupported_response_type", "response_type", "code id_token") }},
	{"ensure-response-type-token-fails", func(f *flow) { refusedPush(f, "unsupported_response_type", "response_type", "token") }},
	{"ensure-holder-of-key-required", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		f.party.Proof = nil
		if a := f.exchange(code); a.Status != 400 || a.Text("access_token") != "" {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
	}},
	{"ensure-authorization-code-is-bound-to-client", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		other := f.suite.fapi(f.t, "broker", brokerKey)
		other.verifier, other.party.Proof = f.verifier, f.party.Proof
		refusedGrant(f.t, other.exchange(code))
	}},
	{"attempt-reuse-authorization-code-after-one-second", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed("resource", "", "scope", "openid"))))
		a := want(f.t, f.exchange(code), 200, "")
		f.userinfo(a)
		<-time.After(time.Second)
		refusedGrant(f.t, f.exchange(code))
		if after := f.party.Call("GET", f.party.Endpoint("userinfo_endpoint"), a.Text("access_token")); after.Status != 401 {
			f.t.Errorf("the access token still works: %d", after.Status)
		}
	}},
	{"dpop-negative-tests", dpopNegative},
	{"refresh-token", func(f *flow) {
		a := f.bankTokens()
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Text("refresh_token")}}
		next := want(f.t, f.party.Ask(f.party.Endpoint("token_endpoint"), form), 200, "")
		if next.Text("token_type") != "DPoP" || next.Text("refresh_token") != "" && next.Text("refresh_token") != a.Text("refresh_token") {
			f.t.Errorf("the refresh token was rotated: %v", next.JSON)
		}
		want(f.t, f.party.Ask(f.party.Endpoint("token_endpoint"), form), 200, "")
		other := f.suite.fapi(f.t, "broker", brokerKey)
		refusedGrant(f.t, other.party.Ask(f.party.Endpoint("token_endpoint"), form))
	}},
	{"test-essential-acr-sca-claim", func(f *flow) {
		page := f.open(f.pushed("claims", `{"id_token":{"acr":{"essential":true,"value":"urn:example:no-such-level"}}}`))
		for range 3 {
			if page.Back {
				break
			}
			page = f.person.Submit(page, f.party.Redirect, nil)
		}
		if page.Params.Get("error") != "unmet_authentication_requirements" {
			f.t.Errorf("led back with %v", page.Params)
		}
	}},
	{"ensure-pkce-code-verifier-required", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		refusedGrant(f.t, f.exchange(code, "code_verifier", ""))
	}},
	{"incorrect-pkce-code-verifier-rejected", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		refusedGrant(f.t, f.exchange(code, "code_verifier", rig.Random()))
	}},
}

func refusedGrant(t *testing.T, a rig.Answer) {
	t.Helper()
	if a.Status != 400 || a.Text("error") != "invalid_grant" && a.Text("error") != "invalid_request" && a.Text("error") != "invalid_dpop_proof" {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
}

func refusedPush(f *flow, code string, changes ...string) {
	f.t.Helper()
	a := f.push(changes...)
	if a.Status != 400 || a.Text("error") != code && a.Text("error") != "invalid_request" {
		f.t.Fatalf("got %d %s", a.Status, a.Body)
	}
}

func (f *flow) withNonce(nonce string) {
	f.t.Helper()
	f.nonce = nonce
	if got := f.idTokenES(f.bankTokens())["nonce"]; got != nonce {
		f.t.Errorf("nonce is %v", got)
	}
}

func (f *flow) withIAT(d time.Duration) {
	f.t.Helper()
	f.party.DPoP = func(c map[string]any) { c["iat"] = time.Now().Add(d).Unix() }
	f.bankTokens()
}

func (f *flow) callAs(scheme, address, token string) rig.Answer {
	f.t.Helper()
	a := f.party.CallAs(scheme, http.MethodGet, address, token)
	return a
}

// dpopNegative shows proofs that are wrong in one thing each, between two right ones.
func dpopNegative(f *flow) {
	a := f.bankTokens("resource", "", "scope", "openid")
	token, address := a.Text("access_token"), f.party.Endpoint("userinfo_endpoint")
	good := func() {
		f.t.Helper()
		f.party.DPoP = nil
		if got := f.party.Call("GET", address, token); got.Status != 200 {
			f.t.Fatalf("a right proof: %d %s", got.Status, got.Body)
		}
	}
	for name, change := range map[string]func(map[string]any){
		"another method":      func(c map[string]any) { c["htm"] = "POST" },
		"another address":     func(c map[string]any) { c["htu"] = address + "/other" },
		"another host":        func(c map[string]any) { c["htu"] = "https://stranger.example/oauth/userinfo" },
		"another token":       func(c map[string]any) { c["ath"] = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" },
		"no token":            func(c map[string]any) { delete(c, "ath") },
		"too old":             func(c map[string]any) { c["iat"] = time.Now().Add(-10 * time.Minute).Unix() },
		"from the future":     func(c map[string]any) { c["iat"] = time.Now().Add(10 * time.Minute).Unix() },
		"without jti":         func(c map[string]any) { delete(c, "jti") },
		"without iat":         func(c map[string]any) { delete(c, "iat") },
		"without method":      func(c map[string]any) { delete(c, "htm") },
		"without address":     func(c map[string]any) { delete(c, "htu") },
		"the method in lower": func(c map[string]any) { c["htm"] = "get" },
	} {
		good()
		f.party.DPoP = change
		if got := f.party.Call("GET", address, token); got.Status != 401 {
			f.t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	good()
	f.party.DPoP = nil
	if got := f.party.Send("GET", address, "", http.Header{"Authorization": {"Bearer " + token}}); got.Status != 401 {
		f.t.Errorf("a bound token as a bearer token: %d", got.Status)
	}
	if got := f.party.Send("GET", address, "", http.Header{"Authorization": {"DPoP " + token}}); got.Status != 401 {
		f.t.Errorf("a bound token without a proof: %d", got.Status)
	}
	other := rig.NewKey("")
	mine := f.party.Proof
	f.party.Proof = &other
	if got := f.party.Call("GET", address, token); got.Status != 401 {
		f.t.Errorf("another key: %d", got.Status)
	}
	f.party.Proof = mine
	good()
}
