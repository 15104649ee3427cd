package admin_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// publicKeys is a key set with one new key.
func publicKeys(t *testing.T, kid string) string {
	t.Helper()
	k, err := jose.Generate(jose.ES256, kid)
	must(t, err)
	raw, err := json.Marshal(jose.KeySet{k})
	must(t, err)
	return string(raw)
}

func (h *house) clientByID(t *testing.T, id string) client.Client {
	t.Helper()
	c, found, err := h.store.ClientByID(t.Context(), id)
	must(t, err)
	if !found {
		t.Fatalf("no client %s", id)
	}
	return c
}

func patch(object string) admin.ClientEdit { return admin.ClientEdit{OAuth: json.RawMessage(object)} }

// A client may ask for what the server can sign, and for nothing else.
func TestResponseAlgorithmsAreThoseOfTheIssuer(t *testing.T) {
	t.Parallel()
	if !slices.Equal(client.ResponseAlgs, keyring.IssuerAlgs) {
		t.Errorf("clients may ask for %v, the issuer has %v", client.ResponseAlgs, keyring.IssuerAlgs)
	}
}

func TestClientWithAKeyGetsNoSecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c, secret, err := h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{
		Client:  client.Client{ID: "billing", Kind: client.Confidential, OAuth: client.OAuth{DPoPBound: true}},
		Members: json.RawMessage(`{"token_endpoint_auth_method":"private_key_jwt","jwks":` + publicKeys(t, "k1") + `}`),
	})
	must(t, err)
	if secret != "" || !h.code(t, "billing").IsZero() || c.Auth() != client.AuthPrivateKeyJWT || !c.OAuth.DPoPBound {
		t.Errorf("got %+v with secret %q", c.OAuth, secret)
	}
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "billing", 0)
	wantCode(t, err, fault.Conflict)
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "billing", admin.ClientEdit{Secret: ptr("twenty-characters-ok")})
	wantCode(t, err, fault.Invalid)
	_, _, err = h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{
		Client: client.Client{ID: "both", Kind: client.Confidential}, Secret: "twenty-characters-ok",
		Members: json.RawMessage(`{"token_endpoint_auth_method":"private_key_jwt","jwks":` + publicKeys(t, "k1") + `}`),
	})
	wantCode(t, err, fault.Invalid)
}

func TestMembersOfOAuthAreReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	edit := func(object string) []string {
		t.Helper()
		_, events := h.since(t, func() {
			_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(object))
			must(t, err)
		})
		var lines []string
		for _, e := range events {
			lines = append(lines, e.Detail)
		}
		return lines
	}
	for _, step := range []struct {
		object string
		want   []string
	}{
		{`{"default_max_age":0,"logo_uri":"https://shop.example/logo.png","contacts":["a@x","a@x","b@x"],"consent":"ask"}`, []string{
			"oauth.consent (none) -> ask", "oauth.contacts (none) -> [a@x, b@x]", "oauth.default_max_age (none) -> 0",
			"oauth.logo_uri (none) -> https://shop.example/logo.png",
		}},
		{`{"logo_uri":null,"default_max_age":60}`, []string{"oauth.default_max_age 0 -> 60", "oauth.logo_uri https://shop.example/logo.png -> (none)"}},
		{`{"logo_uri":null,"contacts":["a@x","b@x"]}`, nil},
		{`{}`, nil},
		{`{"jwks":` + publicKeys(t, "k1") + `}`, []string{"oauth.jwks (none) -> [k1]"}},
		{`{"jwks":` + publicKeys(t, "k1") + `}`, []string{"oauth.jwks [k1] changed"}},
		{`{"jwks":` + publicKeys(t, "k2") + `,"require_auth_time":true}`, []string{"oauth.jwks [k1] -> [k2]", "oauth.require_auth_time (none) -> true"}},
		{`{"assertion_issuers":[{"issuer":"https://idp.example","jwks_uri":"https://idp.example/keys"}]}`, []string{"oauth.assertion_issuers (none) -> [https://idp.example]"}},
		{`{"jwks":null,"contacts":null,"consent":null,"default_max_age":null,"assertion_issuers":null,"require_auth_time":false}`, []string{
			"oauth.assertion_issuers [https://idp.example] -> (none)", "oauth.consent ask -> (none)", "oauth.contacts [a@x, b@x] -> (none)",
			"oauth.default_max_age 60 -> (none)", "oauth.jwks [k2] -> (none)", "oauth.require_auth_time true -> (none)",
		}},
	} {
		if got := edit(step.object); !slices.Equal(got, step.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", step.object, got, step.want)
		}
	}
	if raw, _ := json.Marshal(h.clientByID(t, "shop").OAuth); string(raw) != "{}" {
		t.Errorf("left: %s", raw)
	}
}

func TestUnsoundMembersAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	for object, sentence := range map[string]string{
		`{"redirect_uri":"x","logo":"y"}`:          "oauth has no member redirect_uri, logo.",
		`{"Logo_uri":"https://shop.example"}`:      "oauth has no member Logo_uri.",
		`{"":1}`:                                   "oauth has no member .",
		`{"contacts":"a@x"}`:                       "oauth.contacts has the wrong type",
		`{"default_max_age":1.5}`:                  "oauth.default_max_age has the wrong type",
		`{"default_max_age":"60"}`:                 "oauth.default_max_age has the wrong type",
		`{"consent":["ask"]}`:                      "oauth.consent has the wrong type",
		`{"assertion_issuers":[{"iss":"x"}]}`:      "oauth.assertion_issuers has the wrong type",
		`{"consent":"ask","consent":"skip"}`:       "without repeated members",
		`["consent"]`:                              "must be one JSON object",
		`{"logo_uri":"javascript:alert(1)"}`:       "logo_uri",
		`{"token_endpoint_auth_method":"none"}`:    "cannot be none",
		`{"profile":"fapi2"}`:                      "profile fapi2: token_endpoint_auth_method must be",
		`{"post_logout_redirect_uris":["/x"]}`:     "post-logout redirect URI",
		`{"id_token_signed_response_alg":"HS256"}`: "id_token_signed_response_alg HS256 is not one of",
	} {
		entries, events := h.since(t, func() {
			_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(object))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), sentence) {
				t.Errorf("%s: got %v", object, err)
			}
			_, _, err = h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{
				Client: client.Client{ID: "new", Kind: client.Confidential}, Members: json.RawMessage(object),
			})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), sentence) {
				t.Errorf("new, %s: got %v", object, err)
			}
		})
		if len(entries)+len(events) != 0 {
			t.Errorf("%s: wrote %v %v", object, entries, events)
		}
	}
	_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(`{"logo_uri":"https://shop.example/logo.png"}`))
	must(t, err)
}

func TestOldSecretWorksForTheOverlapOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.addClient(t, "shop", nil)
	at := func(secret string) opaque.Digest { return h.Secrets.MAC("client", "shop", secret) }
	second, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", 24*time.Hour)
	must(t, err)
	c := h.clientByID(t, "shop")
	if !c.SecretHash.Equal(at(second)) || !c.OldSecretHash.Equal(at(first)) || !c.OldSecretUntil.Equal(h.clock.now().Add(24*time.Hour)) {
		t.Errorf("the old secret is not kept: until %v", c.OldSecretUntil)
	}
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{Name: ptr("Shop"), Secret: &second})
	must(t, err)
	if c = h.clientByID(t, "shop"); !c.OldSecretHash.Equal(at(first)) {
		t.Error("another change, or the same secret, ends the overlap")
	}
	h.clock.forward(24 * time.Hour)
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{Name: ptr("The shop")})
	must(t, err)
	if c = h.clientByID(t, "shop"); !c.OldSecretHash.IsZero() || !c.OldSecretUntil.IsZero() {
		t.Error("a secret that works no more is kept")
	}
	third, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
	must(t, err)
	fourth, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
	must(t, err)
	if c = h.clientByID(t, "shop"); !c.SecretHash.Equal(at(fourth)) || !c.OldSecretHash.Equal(at(third)) {
		t.Error("more than the last two secrets work, or less")
	}
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", 0)
	must(t, err)
	if c = h.clientByID(t, "shop"); !c.OldSecretHash.IsZero() {
		t.Error("without an overlap an old secret works")
	}
	for _, overlap := range []time.Duration{-1, admin.MostOverlap + 1} {
		_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", overlap)
		wantCode(t, err, fault.Invalid)
	}
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", admin.MostOverlap)
	must(t, err)
}

func TestAttackStolenSecretDoesNotOutliveItsRotation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	_, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
	must(t, err)
	if h.clientByID(t, "shop").OldSecretHash.IsZero() {
		t.Fatal("there is no overlap to end")
	}
	_, err = h.RotateStolenSecret(t.Context(), admin.ByCLI(), "shop")
	must(t, err)
	if c := h.clientByID(t, "shop"); !c.OldSecretHash.IsZero() || !c.OldSecretUntil.IsZero() {
		t.Error("the stolen secret, or the one before it, still works")
	}
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{Secret: ptr("twenty-characters-ok"), Overlap: time.Hour, EndTokens: true})
	wantCode(t, err, fault.Invalid)
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
	must(t, err)
}

func TestSecretsGoWithTheirMethod(t *testing.T) {
	t.Parallel()
	keyed := `{"token_endpoint_auth_method":"private_key_jwt","jwks":` + publicKeys(t, "k1") + `}`
	for name, e := range map[string]admin.ClientEdit{
		"made public": {Kind: ptr(client.Public), Grants: &[]string{}},
		"given a key": patch(keyed),
	} {
		h := newHouse(t)
		h.addClient(t, "shop", nil)
		_, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
		must(t, err)
		_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", e)
		must(t, err)
		if c := h.clientByID(t, "shop"); !c.SecretHash.IsZero() || !c.OldSecretHash.IsZero() || !c.OldSecretUntil.IsZero() {
			t.Errorf("%s: a secret stays", name)
		}
	}
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(keyed))
	must(t, err)
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(`{"token_endpoint_auth_method":null}`))
	wantCode(t, err, fault.Invalid) // a secret method without a secret
	back := patch(`{"token_endpoint_auth_method":null}`)
	back.Secret = ptr("twenty-characters-ok")
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", back)
	must(t, err)
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", patch(`{"token_endpoint_auth_method":"client_secret_post"}`))
	must(t, err)
	if !h.code(t, "shop").Equal(h.Secrets.MAC("client", "shop", "twenty-characters-ok")) {
		t.Error("the secret is gone, although its method is still by secret")
	}
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{Kind: ptr(client.Public), Grants: &[]string{}})
	must(t, err)
}

func TestChangedKeysEndWhatTheOldOnesGot(t *testing.T) {
	t.Parallel()
	ending := func(e admin.ClientEdit) admin.ClientEdit {
		e.EndTokens = true
		return e
	}
	keyed := func(kid string) string {
		return `{"token_endpoint_auth_method":"private_key_jwt","dpop_bound_access_tokens":true,"jwks":` + publicKeys(t, kid) + `}`
	}
	for _, tt := range []struct {
		name   string
		edit   admin.ClientEdit
		reason string // "" for none
	}{
		{"other keys", patch(`{"jwks":` + publicKeys(t, "k2") + `}`), ""},
		{"other keys, the old ones stolen", ending(patch(`{"jwks":` + publicKeys(t, "k2") + `}`)), "key"},
		{"keys at an address, the old ones stolen", ending(patch(`{"jwks":null,"jwks_uri":"https://shop.example/keys"}`)), "key"},
		{"another method, the keys stolen", ending(patch(`{"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"shop.example"}`)), "key"},
		{"FAPI from now on", patch(`{"profile":"fapi2"}`), "profile"},
		{"another logo", patch(`{"logo_uri":"https://shop.example/logo.png"}`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			_, _, err := h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{
				Client: client.Client{ID: "shop", Kind: client.Confidential}, Members: json.RawMessage(keyed("k1")),
			})
			must(t, err)
			entries, _ := h.since(t, func() {
				_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", tt.edit)
				must(t, err)
			})
			if tt.reason != "" {
				wantEntry(t, entries, revoke.Client, "shop", tt.reason)
			} else if len(entries) != 0 {
				t.Errorf("revoked %v", entries)
			}
		})
	}
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	for _, e := range []admin.ClientEdit{{Name: ptr("Shop")}, {}, patch(`{"logo_uri":"https://shop.example/logo.png"}`)} {
		_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", ending(e))
		wantCode(t, err, fault.Invalid) // nothing proves anew: nobody is to believe that it ended something
	}
}

func TestAttackStoredDigestsDoNotLeave(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addClient(t, "shop", nil)
	_, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", time.Hour)
	must(t, err)
	c := h.clientByID(t, "shop")
	c.RegistrationHash = opaque.Hash("registration")
	_, err = h.store.ChangeClient(t.Context(), c, revoke.Effects{})
	must(t, err)
	clean := func(c client.Client) bool {
		return c.SecretHash.IsZero() && c.OldSecretHash.IsZero() && c.RegistrationHash.IsZero()
	}
	if clean(h.clientByID(t, "shop")) {
		t.Fatal("nothing is stored that could leave")
	}
	one, err := h.Client(t.Context(), "shop")
	must(t, err)
	list, err := h.Clients(t.Context(), "", 10)
	must(t, err)
	edited, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{Name: ptr("Shop")})
	must(t, err)
	if !clean(one) || !clean(edited) || len(list) != 1 || !clean(list[0]) || one.OldSecretUntil.IsZero() {
		t.Errorf("%+v, %+v, %+v", one, edited, list)
	}
}
