package oidf

import (
	"maps"
	"net/url"
	"time"

	"github.com/wafer-auth/wafer/clients/rig"
)

var fapiAssertions = []module{
	{"ensure-signed-client-assertion-with-RS256-fails", func(f *flow) {
		f.party.Key = rig.NewRSAKey("bank-key", "RS256")
		refusedClient(f)
	}},
	{"ensure-client-assertion-in-token-endpoint", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		f.party.Method = "none"
		if a := f.exchange(code); a.Status != 400 && a.Status != 401 || a.Text("error") != "invalid_client" {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
	}},
	{"ensure-client-id-in-token-endpoint", func(f *flow) {
		code := f.checked(f.finish(f.open(f.pushed())))
		if a := f.exchange(code, "client_id", "broker"); a.Status != 400 && a.Status != 401 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
		f.bankTokens("client_id", "bank")
	}},
	{"ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["exp"] = time.Now().Add(-5 * time.Minute).Unix() }
		refusedClient(f)
	}},
	{"ensure-client-assertion-with-wrong-aud-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["aud"] = "https://stranger.example" }
		refusedClient(f)
	}},
	{"ensure-client-assertion-with-no-sub-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { delete(c, "sub") }
		refusedClient(f)
	}},
	{"par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["nbf"] = time.Now().Add(8 * time.Second).Unix() }
		f.bankTokens()
	}},
	{"par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["nbf"] = time.Now().Add(65 * time.Second).Unix() }
		refusedClient(f)
	}},
	{"par-test-array-as-audience-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["aud"] = []string{f.suite.issuer, "https://stranger.example"} }
		refusedClient(f)
	}},
	{"par-test-par-endpoint-url-as-audience-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["aud"] = f.party.Endpoint("pushed_authorization_request_endpoint") }
		refusedClient(f)
	}},
	{"par-test-token-endpoint-url-as-audience-fails", func(f *flow) {
		f.party.Assertion = func(c map[string]any) { c["aud"] = f.party.Endpoint("token_endpoint") }
		refusedClient(f)
	}},
}

// refusedClient wants that a pushed request is refused for who pushes it, and that the
// next one, told rightly, is not.
func refusedClient(f *flow) {
	f.t.Helper()
	if a := f.push(); a.Status != 400 && a.Status != 401 || a.Text("error") != "invalid_client" {
		f.t.Fatalf("got %d %s", a.Status, a.Body)
	}
	f.party.Assertion, f.party.Key = nil, bankKey
	f.pushed()
}

var fapiPushed = []module{
	{"par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", func(f *flow) {
		uri := f.pushed()
		if page := f.open(uri); !page.Asks("password") {
			f.t.Fatalf("no sign-in at %s", page.URL)
		}
		f.checked(f.finish(f.open(uri)))
	}},
	{"par-attempt-reuse-request_uri", func(f *flow) {
		uri := f.pushed()
		f.checked(f.finish(f.open(uri)))
		f.refusedPage(f.open(uri), "invalid_request_uri", "invalid_request")
	}},
	{"par-attempt-to-use-request_uri-for-different-client", func(f *flow) {
		uri := f.pushed()
		f.refusedPage(f.open(uri, "client_id", "broker"), "invalid_request_uri", "invalid_request")
		f.checked(f.finish(f.open(uri)))
	}},
	{"par-authorization-request-containing-request_uri-form-param", func(f *flow) {
		refusedPush(f, "invalid_request", "request_uri", "urn:ietf:params:oauth:request_uri:another")
	}},
	{"par-attempt-invalid-http-method", func(f *flow) {
		if a := f.party.Get(f.party.Endpoint("pushed_authorization_request_endpoint")+"?"+f.request().Encode(), nil); a.Status != 405 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
	}},
	{"par-ensure-pkce-required", func(f *flow) { refusedPush(f, "invalid_request", "code_challenge", "", "code_challenge_method", "") }},
	{"par-plain-pkce-rejected", func(f *flow) {
		refusedPush(f, "invalid_request", "code_challenge", f.verifier, "code_challenge_method", "plain")
	}},
	{"par-without-duplicate-parameters", func(f *flow) { f.checked(f.finish(f.open(f.pushed()))) }},
	{"ensure-different-nonce-inside-and-outside-request-object", func(f *flow) {
		page := f.open(f.pushed(), "nonce", "outside")
		if got := f.idTokenES(want(f.t, f.exchange(f.checked(f.finish(page))), 200, ""))["nonce"]; got != f.nonce {
			f.t.Errorf("nonce is %v", got)
		}
	}},
	{"ensure-different-state-inside-and-outside-request-object", func(f *flow) {
		f.checked(f.finish(f.open(f.pushed(), "state", "outside")))
	}},
	{"state-only-outside-request-object-not-used", func(f *flow) {
		back := f.finish(f.open(f.pushed("state", ""), "state", "outside"))
		if back.Has("state") || back.Get("code") == "" {
			f.t.Errorf("led back with %v", back)
		}
	}},
	{"ensure-request-object-without-redirect-uri-fails", func(f *flow) {
		claims := f.bankObject()
		delete(claims, "redirect_uri")
		if a := f.party.Ask(f.party.Endpoint("pushed_authorization_request_endpoint"), url.Values{
			"client_id": {f.party.ID}, "request": {f.party.Sign(f.party.Key, "oauth-authz-req+jwt", claims)},
		}); a.Status != 400 {
			f.t.Errorf("got %d %s", a.Status, a.Body)
		}
		want(f.t, f.party.Ask(f.party.Endpoint("pushed_authorization_request_endpoint"), url.Values{
			"client_id": {f.party.ID}, "request": {f.party.Sign(f.party.Key, "oauth-authz-req+jwt", f.bankObject())},
		}), 201, "")
	}},
}

func (f *flow) bankObject() map[string]any {
	claims := map[string]any{"iss": f.party.ID, "aud": f.suite.issuer, "exp": time.Now().Add(5 * time.Minute).Unix(), "nbf": time.Now().Unix()}
	more := map[string]any{}
	for name, value := range f.request("scope", "openid accounts:read", "resource", accounts) {
		more[name] = value[0]
	}
	maps.Copy(claims, more)
	return claims
}
