package oidf

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/clients/rig"
)

// module is one module of the suite.
type module struct {
	name string
	run  func(f *flow)
}

func TestBasic(t *testing.T) {
	t.Parallel()
	plan(t, suite{issuer: rig.Serve(t, setupBasic(""))}, basic)
}

func TestFormPostBasic(t *testing.T) {
	t.Parallel()
	plan(t, suite{issuer: rig.Serve(t, setupBasic("")), mode: "form_post"}, basic)
}

func plan(t *testing.T, s suite, modules []module) {
	t.Helper()
	for _, m := range modules {
		t.Run(m.name, func(t *testing.T) { m.run(s.flow(t)) })
	}
}

var basic = []module{
	{"oidcc-server", func(f *flow) {
		a := f.tokens()
		if claims := f.idToken(a); claims["nonce"] != f.nonce {
			f.t.Errorf("nonce is %v", claims["nonce"])
		}
		if !strings.EqualFold(a.Text("token_type"), "bearer") || a.JSON["expires_in"] == nil {
			f.t.Errorf("tokens are %v", a.JSON)
		}
	}},
	{"oidcc-response-type-missing", func(f *flow) { f.wantError("invalid_request", "response_type", "") }},
	{"oidcc-idtoken-signature", func(f *flow) { f.idToken(f.tokens()) }},
	{"oidcc-idtoken-unsigned", func(f *flow) {
		if slices.Contains(f.party.Meta["id_token_signing_alg_values_supported"].([]any), any("none")) {
			f.t.Error("ID tokens without a signature are on offer")
		}
	}},
	{"oidcc-userinfo-get", func(f *flow) {
		a := f.tokens()
		if info := f.userinfo(a); info["sub"] != f.idToken(a)["sub"] {
			f.t.Errorf("userinfo is %v", info)
		}
	}},
	{"oidcc-userinfo-post-header", func(f *flow) {
		a := f.tokens()
		info := want(f.t, f.party.Call(http.MethodPost, f.party.Endpoint("userinfo_endpoint"), a.Text("access_token")), 200, "")
		if info.JSON["sub"] != f.idToken(a)["sub"] {
			f.t.Errorf("userinfo is %v", info.JSON)
		}
	}},
	{"oidcc-userinfo-post-body", func(f *flow) {
		a := f.tokens()
		info := want(f.t, f.party.Send(http.MethodPost, f.party.Endpoint("userinfo_endpoint"), url.Values{"access_token": {a.Text("access_token")}}.Encode(),
			http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}), 200, "")
		if info.JSON["sub"] != f.idToken(a)["sub"] {
			f.t.Errorf("userinfo is %v", info.JSON)
		}
	}},
	{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(f *flow) {
		if nonce, there := f.idToken(f.tokens("nonce", ""))["nonce"]; there {
			f.t.Errorf("nonce is %v", nonce)
		}
	}},
	{"oidcc-scope-profile", func(f *flow) {
		f.told("openid profile", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "updated_at")
	}},
	{"oidcc-scope-email", func(f *flow) { f.told("openid email", "email", "email_verified") }},
	{"oidcc-scope-address", func(f *flow) { f.told("openid address", "address") }},
	{"oidcc-scope-phone", func(f *flow) { f.told("openid phone", "phone_number", "phone_number_verified") }},
	{"oidcc-scope-all", func(f *flow) {
		f.told(everything, "name", "email", "address", "phone_number", "given_name", "family_name", "middle_name", "nickname", "preferred_username",
			"profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at", "email_verified", "phone_number_verified")
	}},
	{"oidcc-alternate-happy-flow", func(f *flow) {
		g := f.second()
		g.state = strings.Repeat("s", 128)
		g.idToken(g.tokens("nonce", strings.Repeat("n", 128)))
	}},
	{"oidcc-display-page", func(f *flow) { f.idToken(f.tokens("display", "page")) }},
	{"oidcc-display-popup", func(f *flow) { f.idToken(f.tokens("display", "popup")) }},
	{"oidcc-prompt-login", promptLogin},
	{"oidcc-prompt-none-not-logged-in", func(f *flow) { f.wantError("login_required", "prompt", "none") }},
	{"oidcc-prompt-none-logged-in", func(f *flow) {
		first := f.idToken(f.tokens())
		again := f.idToken(f.silent("prompt", "none"))
		if again["sub"] != first["sub"] || again["auth_time"] != first["auth_time"] {
			f.t.Errorf("first %v, then %v", first, again)
		}
	}},
	{"oidcc-max-age-1", func(f *flow) {
		first := f.idToken(f.tokens())
		<-time.After(2100 * time.Millisecond) // the suite waits too
		page := f.visit("max_age", "1")
		if !page.Asks("password") {
			f.t.Fatal("the password is not asked for again")
		}
		again := f.idToken(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))
		if again["auth_time"].(float64) <= first["auth_time"].(float64) {
			f.t.Errorf("auth_time was %v, is %v", first["auth_time"], again["auth_time"])
		}
	}},
	{"oidcc-max-age-10000", func(f *flow) {
		first := f.idToken(f.tokens())
		again := f.idToken(f.silent("max_age", "10000"))
		if again["auth_time"] == nil || again["auth_time"] != first["auth_time"] || again["sub"] != first["sub"] {
			f.t.Errorf("first %v, then %v", first, again)
		}
	}},
	{"oidcc-ensure-request-with-unknown-parameter-succeeds", func(f *flow) { f.idToken(f.tokens("extra", "foobar")) }},
	{"oidcc-id-token-hint", func(f *flow) {
		a := f.tokens()
		again := f.idToken(f.silent("prompt", "none", "id_token_hint", a.Text("id_token")))
		if again["sub"] != f.idToken(a)["sub"] {
			f.t.Errorf("sub is %v", again["sub"])
		}
	}},
	{"oidcc-login-hint", func(f *flow) {
		page := f.visit("login_hint", "somebody@example.com")
		if !strings.Contains(page.Text, "somebody@example.com") {
			f.t.Error("the hint is not in the form")
		}
		f.idToken(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))
	}},
	{"oidcc-ui-locales", func(f *flow) {
		page := f.visit("ui_locales", "se de en")
		if !strings.Contains(page.Text, `lang="de"`) {
			f.t.Error("the page is not in German")
		}
		f.idToken(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))
	}},
	{"oidcc-claims-locales", func(f *flow) { f.idToken(f.tokens("claims_locales", "se")) }},
	{"oidcc-ensure-request-with-acr-values-succeeds", func(f *flow) {
		if acr := f.idToken(f.tokens("acr_values", "1 2"))["acr"]; acr == nil {
			f.t.Error("there is no acr")
		}
	}},
	{"oidcc-codereuse", func(f *flow) {
		code := f.code()
		a := want(f.t, f.exchange(code), 200, "")
		f.userinfo(a)
		want(f.t, f.exchange(code), 400, "invalid_grant")
		if after := f.party.Call("GET", f.party.Endpoint("userinfo_endpoint"), a.Text("access_token")); after.Status != 401 {
			f.t.Errorf("the access token of a code that was used twice still works: %d", after.Status)
		}
	}},
	// That the code is refused however late it comes again is shown with a clock of its
	// own in the tests of package grant.
	{"oidcc-codereuse-30seconds", func(f *flow) {
		code := f.code()
		want(f.t, f.exchange(code), 200, "")
		want(f.t, f.exchange(code), 400, "invalid_grant")
		want(f.t, f.exchange(code), 400, "invalid_grant")
	}},
	{"oidcc-ensure-registered-redirect-uri", func(f *flow) {
		f.wantPage("redirect_uri", "https://stranger.example/callback")
		f.wantPage("redirect_uri", f.party.Redirect+"/more")
		f.code()
	}},
	{"oidcc-ensure-post-request-succeeds", func(f *flow) {
		page := f.person.Post(f.party.Endpoint("authorization_endpoint"), f.request(), f.party.Redirect)
		f.idToken(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))
	}},
	{"oidcc-server-client-secret-post", func(f *flow) {
		g := f.second()
		g.idToken(g.tokens())
	}},
	{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(f *flow) {
		f.wantError("request_uri_not_supported", "request_uri", "https://first.example/request.jwt")
	}},
	{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(f *flow) {
		none := segment(`{"alg":"none"}`) + "." + segment(`{"client_id":"first"}`) + "."
		page := f.visit("request", none)
		if code := page.Params.Get("error"); !page.Back || code != "invalid_request_object" && code != "request_not_supported" {
			f.t.Fatalf("got %v %v", page.Back, page.Params)
		}
	}},
	{"oidcc-claims-essential", func(f *flow) {
		info := f.userinfo(f.tokens("claims", `{"userinfo":{"name":{"essential":true}}}`))
		if info["name"] != "Ada Lovelace" {
			f.t.Errorf("userinfo is %v", info)
		}
	}},
	{"oidcc-ensure-request-object-with-redirect-uri", func(f *flow) {
		f.idToken(want(f.t, f.exchange(f.checked(f.finish(f.visitObject(nil)))), 200, ""))
	}},
	{"oidcc-refresh-token", refreshed},
	{"oidcc-ensure-request-with-valid-pkce-succeeds", func(f *flow) {
		f.verifier = rig.Random()
		f.idToken(f.tokens())
	}},
}

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// told wants that a scope tells these claims and no others.
func (f *flow) told(scope string, names ...string) {
	f.t.Helper()
	a := f.tokens("scope", scope)
	info := f.userinfo(a)
	for _, name := range names {
		if info[name] == nil {
			f.t.Errorf("%s is not told", name)
		}
	}
	for name := range info {
		if name != "sub" && !slices.Contains(names, name) {
			f.t.Errorf("%s is told, and was not asked for", name)
		}
	}
	if info["sub"] != f.idToken(a)["sub"] {
		f.t.Errorf("sub is %v", info["sub"])
	}
}

// silent goes through without a word: nothing is asked.
func (f *flow) silent(changes ...string) rig.Answer {
	f.t.Helper()
	page := f.visit(changes...)
	if !page.Back {
		f.t.Fatalf("somebody is asked at %s", page.URL)
	}
	return want(f.t, f.exchange(f.checked(page.Params)), 200, "")
}

// promptLogin also edits the address of the sign-in away: that must not help.
func promptLogin(f *flow) {
	first := f.idToken(f.tokens())
	<-time.After(1100 * time.Millisecond) // auth_time is in seconds
	page := f.visit("prompt", "login")
	if !page.Asks("password") {
		f.t.Fatal("the password is not asked for again")
	}
	again := f.idToken(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))
	if again["auth_time"].(float64) <= first["auth_time"].(float64) || again["sub"] != first["sub"] {
		f.t.Errorf("first %v, then %v", first, again)
	}
}

// object signs the parameters of a request.
func (f *flow) object(change func(map[string]any)) string {
	claims := map[string]any{"iss": f.party.ID, "aud": f.suite.issuer, "exp": time.Now().Add(5 * time.Minute).Unix(), "nbf": time.Now().Unix()}
	for name, value := range f.request() {
		claims[name] = value[0]
	}
	if change != nil {
		change(claims)
	}
	return f.party.Sign(f.party.Key, "oauth-authz-req+jwt", claims)
}

func (f *flow) visitObject(change func(map[string]any), outside ...string) rig.Page {
	f.t.Helper()
	q := url.Values{"client_id": {f.party.ID}, "request": {f.object(change)}, "scope": {"openid"}, "response_type": {"code"}}
	for i := 0; i+1 < len(outside); i += 2 {
		q.Set(outside[i], outside[i+1])
	}
	return f.person.Visit(f.address(q), f.party.Redirect)
}

func refreshed(f *flow) {
	a := f.tokens("scope", "openid offline_access", "prompt", "consent")
	first := f.idToken(a)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Text("refresh_token")}}
	next := want(f.t, f.party.Ask(f.party.Endpoint("token_endpoint"), form), 200, "")
	again := f.idToken(next)
	for _, name := range []string{"iss", "sub", "aud", "auth_time"} {
		if text(again[name]) != text(first[name]) {
			f.t.Errorf("%s was %v, is %v", name, first[name], again[name])
		}
	}
	f.userinfo(next)
	g := f.second()
	want(f.t, g.party.Ask(g.party.Endpoint("token_endpoint"), form), 400, "invalid_grant")
	want(f.t, f.party.Ask(f.party.Endpoint("token_endpoint"), form), 200, "")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	plan(t, suite{issuer: rig.Serve(t, setupBasic(""))}, []module{{"oidcc-discovery-endpoint-verification", func(f *flow) {
		m := f.party.Meta
		if m["issuer"] != f.suite.issuer {
			f.t.Errorf("issuer is %v", m["issuer"])
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} {
			if !strings.HasPrefix(f.party.Endpoint(name), f.suite.issuer+"/") {
				f.t.Errorf("%s is %v", name, m[name])
			}
		}
		for name, must := range map[string]string{
			"response_types_supported": "code", "subject_types_supported": "public", "id_token_signing_alg_values_supported": "RS256",
			"scopes_supported": "openid", "code_challenge_methods_supported": "S256", "claims_supported": "sub", "grant_types_supported": "authorization_code",
			"token_endpoint_auth_methods_supported": "client_secret_basic", "response_modes_supported": "form_post",
		} {
			list, _ := m[name].([]any)
			if !slices.Contains(list, any(must)) {
				f.t.Errorf("%s is %v, without %s", name, m[name], must)
			}
		}
		if m["claims_parameter_supported"] != true || m["request_uri_parameter_supported"] != false || m["request_parameter_supported"] != true {
			f.t.Errorf("parameters: %v %v %v", m["claims_parameter_supported"], m["request_uri_parameter_supported"], m["request_parameter_supported"])
		}
	}}})
}
