package oidf

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wafer-auth/wafer/clients/rig"
)

// published is a web server of the client's: its keys, and the list of its redirect
// URIs.
type published struct {
	*httptest.Server
	mu   sync.Mutex
	docs map[string]string
}

func publish(t *testing.T) *published {
	t.Helper()
	p := &published{docs: map[string]string{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		text, ok := p.docs[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *published) put(path, text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.docs[path] = text
	return p.URL + path
}

// dynamic is a flow whose client registers itself.
type dynamic struct {
	*flow
	web *published
}

// registers sends a registration and wants it taken.
func (d *dynamic) registers(changes map[string]any) map[string]any {
	d.t.Helper()
	a := d.register(changes)
	if a.Status != http.StatusCreated {
		d.t.Fatalf("got %d %s", a.Status, a.Body)
	}
	d.party.ID, d.party.Secret, d.party.Method = a.Text("client_id"), a.Text("client_secret"), a.Text("token_endpoint_auth_method")
	if uris, ok := a.JSON["redirect_uris"].([]any); ok && len(uris) > 0 {
		d.party.Redirect, _ = uris[0].(string)
	}
	return a.JSON
}

func (d *dynamic) register(changes map[string]any) rig.Answer {
	d.t.Helper()
	m := map[string]any{
		"redirect_uris": []string{rig.RedirectURI}, "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"client_name": "A client of the suite", "contacts": []string{"suite@example.com"},
	}
	for name, value := range changes {
		m[name] = value
	}
	body, err := json.Marshal(m)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.party.Send(http.MethodPost, d.party.Endpoint("registration_endpoint"), string(body), http.Header{"Content-Type": {"application/json"}})
}

func (d *dynamic) refused(code string, changes map[string]any) {
	d.t.Helper()
	if a := d.register(changes); a.Status != http.StatusBadRequest || a.Text("error") != code {
		d.t.Fatalf("got %d %s, want %s", a.Status, a.Body, code)
	}
}

type dynamicModule struct {
	name string
	run  func(d *dynamic)
}

var dynamics = []dynamicModule{
	{"oidcc-discovery-endpoint-verification", func(d *dynamic) { d.party.Endpoint("registration_endpoint") }},
	{"oidcc-server", func(d *dynamic) {
		d.registers(nil)
		if d.idToken(d.tokens())["nonce"] != d.nonce {
			d.t.Error("the nonce is another")
		}
	}},
	{"oidcc-idtoken-rs256", func(d *dynamic) {
		d.registers(map[string]any{"id_token_signed_response_alg": "RS256"})
		d.idToken(d.tokens())
	}},
	{"oidcc-idtoken-unsigned", func(d *dynamic) {
		d.refused("invalid_client_metadata", map[string]any{"id_token_signed_response_alg": "none"})
	}},
	{"oidcc-userinfo-rs256", func(d *dynamic) {
		d.registers(map[string]any{"userinfo_signed_response_alg": "RS256"})
		a := d.tokens()
		info := d.party.Call(http.MethodGet, d.party.Endpoint("userinfo_endpoint"), a.Text("access_token"))
		if info.Status != http.StatusOK || !strings.HasPrefix(info.Header.Get("Content-Type"), "application/jwt") {
			d.t.Fatalf("got %d %v %s", info.Status, info.Header, info.Body)
		}
		header, claims := d.party.Claims(info.Body)
		if header["alg"] != "RS256" || claims["sub"] != d.idToken(a)["sub"] || claims["aud"] != d.party.ID {
			d.t.Errorf("userinfo is %v %v", header, claims)
		}
	}},
	{"oidcc-ensure-redirect-uri-in-authorization-request", func(d *dynamic) {
		d.registers(map[string]any{"redirect_uris": []string{rig.RedirectURI, rig.RedirectURI + "/other"}})
		d.wantPage("redirect_uri", "")
	}},
	{"oidcc-redirect-uri-query-OK", func(d *dynamic) {
		d.registers(map[string]any{"redirect_uris": []string{rig.RedirectURI + "?foo=bar"}})
		back := d.finish(d.visit())
		if back.Get("foo") != "bar" {
			d.t.Errorf("led back with %v", back)
		}
		want(d.t, d.exchange(d.checked(back)), http.StatusOK, "")
	}},
	{"oidcc-redirect-uri-query-mismatch", func(d *dynamic) {
		d.registers(map[string]any{"redirect_uris": []string{rig.RedirectURI + "?foo=bar"}})
		d.wantPage("redirect_uri", rig.RedirectURI+"?bar=foo")
	}},
	{"oidcc-redirect-uri-query-added", func(d *dynamic) {
		d.registers(nil)
		d.wantPage("redirect_uri", rig.RedirectURI+"?foo=bar")
	}},
	{"oidcc-redirect-uri-regfrag", func(d *dynamic) {
		d.refused("invalid_redirect_uri", map[string]any{"redirect_uris": []string{rig.RedirectURI + "#foobar"}})
	}},
	{"oidcc-registration-logo-uri", func(d *dynamic) { d.keeps("logo_uri", "https://client.example/logo.png") }},
	{"oidcc-registration-policy-uri", func(d *dynamic) { d.keeps("policy_uri", "https://client.example/policy") }},
	{"oidcc-registration-tos-uri", func(d *dynamic) { d.keeps("tos_uri", "https://client.example/terms") }},
	{"oidcc-registration-jwks-uri", func(d *dynamic) {
		d.withKeysAt(rig.NewKey("remote-1"))
		d.idToken(d.tokens())
	}},
	{"oidcc-registration-sector-bad", func(d *dynamic) {
		uri := d.web.put("/sector.json", `["https://client.example/other"]`)
		d.refused("invalid_client_metadata", map[string]any{"sector_identifier_uri": uri})
	}},
	{"oidcc-server-rotate-keys", func(d *dynamic) {
		// That the server's keys change with nobody refused has tests of its own, with a
		// clock of their own (package keyring); here that every key has an id.
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(d.party.Get(d.party.Endpoint("jwks_uri"), nil).Body), &set); err != nil {
			d.t.Fatal(err)
		}
		for _, k := range set.Keys {
			if k.KeyID == "" || !k.Valid() || !k.IsPublic() {
				d.t.Errorf("key %q", k.KeyID)
			}
		}
	}},
	{"oidcc-request-uri-unsigned", func(d *dynamic) {
		d.registers(nil)
		d.wantError("request_uri_not_supported", "request_uri", d.web.put("/request.jwt", "x"))
	}},
	{"oidcc-request-uri-signed-rs256", func(d *dynamic) {
		d.registers(nil)
		d.wantError("request_uri_not_supported", "request_uri", d.web.put("/signed.jwt", "x"))
	}},
	{"oidcc-ensure-request-object-with-redirect-uri", func(d *dynamic) {
		d.withKeysAt(rig.NewKey("remote-1"))
		d.idToken(want(d.t, d.exchange(d.checked(d.finish(d.visitObject(nil)))), http.StatusOK, ""))
	}},
	{"oidcc-refresh-token", func(d *dynamic) {
		d.registers(nil)
		a := d.tokens("scope", "openid offline_access", "prompt", "consent")
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Text("refresh_token")}}
		d.idToken(want(d.t, d.party.Ask(d.party.Endpoint("token_endpoint"), form), http.StatusOK, ""))
		d.registers(nil) // another client
		want(d.t, d.party.Ask(d.party.Endpoint("token_endpoint"), form), http.StatusBadRequest, "invalid_grant")
	}},
	{"oidcc-refresh-token-rp-key-rotation", func(d *dynamic) {
		d.withKeysAt(rig.NewKey("remote-1"))
		a := d.tokens("scope", "openid offline_access", "prompt", "consent")
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Text("refresh_token")}}
		want(d.t, d.party.Ask(d.party.Endpoint("token_endpoint"), form), http.StatusOK, "")
		// The next key: it is looked for when an assertion names it, at a bounded rate.
		d.party.Key = rig.NewKey("remote-2")
		d.web.put("/jwks.json", rig.Public(d.party.Key))
		deadline := time.Now().Add(45 * time.Second)
		for {
			next := d.party.Ask(d.party.Endpoint("token_endpoint"), form)
			if next.Status == http.StatusOK {
				return
			}
			if time.Now().After(deadline) {
				d.t.Fatalf("the new key is not taken: %d %s", next.Status, next.Body)
			}
			<-time.After(2 * time.Second)
		}
	}},
	{"oidcc-ensure-client-assertion-with-iss-aud-succeeds", func(d *dynamic) {
		d.withKeysAt(rig.NewKey("remote-1"))
		d.idToken(d.tokens())
	}},
}

// keeps registers a member and wants it told back.
func (d *dynamic) keeps(name, value string) {
	d.t.Helper()
	if got := d.registers(map[string]any{name: value})[name]; got != value {
		d.t.Errorf("%s is %v", name, got)
	}
	d.idToken(d.tokens())
}

// withKeysAt registers a client that proves itself by a key which it publishes.
func (d *dynamic) withKeysAt(key jose.JSONWebKey) {
	d.t.Helper()
	d.party.Key = key
	uri := d.web.put("/jwks.json", rig.Public(key))
	d.registers(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri})
}

func TestDynamic(t *testing.T) {
	t.Parallel()
	s := suite{issuer: rig.Serve(t, setupBasic(""), "--registration", "open", "--registration-profile", "certification", "--outbound", "127.0.0.0/8")}
	for _, m := range dynamics {
		t.Run(m.name, func(t *testing.T) { m.run(&dynamic{s.flow(t), publish(t)}) })
	}
}
