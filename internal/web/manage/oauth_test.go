package manage_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/verify/jose"
)

func publicKeys(t *testing.T) json.RawMessage {
	t.Helper()
	k, err := jose.Generate(jose.ES256, "k1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jose.KeySet{k})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOAuthOfClientsIsAddedChangedAndShown(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "clients:read", "clients:write")
	a := c.send("POST", "/clients", object{
		"id": "billing", "kind": "confidential", "oauth": object{"token_endpoint_auth_method": "private_key_jwt", "jwks": publicKeys(t), "default_max_age": 60},
	}).want(t, 201)
	if o := a.body["oauth"].(object); o["token_endpoint_auth_method"] != "private_key_jwt" || o["default_max_age"] != 60.0 || a.text("secret") != "" {
		t.Errorf("got %s", a.Body)
	}
	b := c.send("PATCH", "/clients/billing", object{"oauth": object{"default_max_age": nil, "logo_uri": "https://billing.example/logo.png"}}).want(t, 200)
	if o := b.body["oauth"].(object); o["default_max_age"] != nil || o["logo_uri"] != "https://billing.example/logo.png" || o["jwks"] == nil {
		t.Errorf("got %s", b.Body)
	}
	for _, bad := range []struct {
		body     string
		sentence string
	}{
		{`{"oauth":{"redirect_uri":"x"}}`, "oauth has no member redirect_uri."},
		{`{"oauth":{"logo_uri":"javascript:alert(1)"}}`, "logo_uri"},
		{`{"oauth":{"logo_uri":1}}`, "oauth.logo_uri has the wrong type"},
		{`{"oauth":null}`, "null"},
		{`{"oauth":[]}`, "must be one JSON object"},
		{`{"oauth":{"token_endpoint_auth_method":"client_secret_basic"}}`, "has a secret"},
		{`{"oauth":{"profile":"fapi2"}}`, "tokens must be bound"},
		{`{"end_tokens":true}`, "goes with a new secret, method or key"},
		{`{"secret":"twenty-characters-ok"}`, "does not prove itself by a secret"},
	} {
		if got := c.send("PATCH", "/clients/billing", bad.body).want(t, 400); !strings.Contains(got.text("message"), bad.sentence) {
			t.Errorf("%s: got %s", bad.body, got.Body)
		}
	}
	after := c.send("GET", "/clients/billing", nil).want(t, 200)
	if after.body["version"] != b.body["version"] {
		t.Errorf("a refused change has changed %s", after.Body)
	}
	c.send("PATCH", "/clients/billing", object{"oauth": object{"jwks": publicKeys(t)}, "end_tokens": true}).want(t, 200)
	c.send("POST", "/clients/billing/secret", nil).want(t, 409)
	c.send("POST", "/clients", object{"id": "x", "kind": "public", "oauth": object{"logo": "y"}}).want(t, 400)
	if d := c.send("POST", "/clients", object{"id": "plain", "kind": "public"}).want(t, 201); len(d.body["oauth"].(object)) != 0 || d.body["old_secret_until"] != nil || d.body["source"] != nil {
		t.Errorf("got %s", d.Body)
	}
}

func TestSecretsOverlapForAsLongAsIsAsked(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "clients:read", "clients:write")
	first := c.send("POST", "/clients", object{"id": "billing", "kind": "confidential"}).want(t, 201).text("secret")
	for _, bad := range []object{{"overlap": "a day"}, {"overlap": "-1h"}, {"overlap": "721h"}, {"overlap": "1h", "stolen": true}, {"overlap": 60}} {
		c.send("POST", "/clients/billing/secret", bad).want(t, 400)
	}
	a := c.send("POST", "/clients/billing/secret", object{"overlap": "24h"}).want(t, 200)
	until := g.clock().Add(24 * time.Hour).Format(time.RFC3339)
	if a.text("old_secret_until") != until {
		t.Errorf("got %s", a.Body)
	}
	if b := c.send("GET", "/clients/billing", nil).want(t, 200); b.text("old_secret_until") != until {
		t.Errorf("got %s", b.Body)
	}
	works := func(secret string) bool {
		_, err := g.grants.Authenticate(t.Context(), grant.Credentials{ID: "billing", Secret: secret})
		return err == nil
	}
	if !works(a.text("secret")) || !works(first) {
		t.Error("the new secret does not work, or the old one stopped before its time")
	}
	b := c.send("POST", "/clients/billing/secret", object{"stolen": true}).want(t, 200)
	if works(first) || works(a.text("secret")) || !works(b.text("secret")) || b.body["old_secret_until"] != nil {
		t.Errorf("a stolen secret works, or the new one does not: %s", b.Body)
	}
}

func TestProfilesOfUsersAreAddedChangedAndShown(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "users:read", "users:write")
	a := c.send("POST", "/users", object{"login": "ada@example.com", "profile": object{"given_name": "Ada", "birthdate": "1815-12-10"}}).want(t, 201)
	if p := a.body["profile"].(object); p["given_name"] != "Ada" || p["email"] != nil {
		t.Errorf("got %s", a.Body)
	}
	b := c.send("PATCH", "/users/"+a.text("id"), object{"profile": object{"birthdate": nil, "email": "ada@example.com", "email_verified": true}}).want(t, 200)
	if p := b.body["profile"].(object); p["given_name"] != "Ada" || p["birthdate"] != nil || p["email_verified"] != true {
		t.Errorf("got %s", b.Body)
	}
	for _, bad := range []string{
		`{"profile":{"mail":"ada@example.com"}}`, `{"profile":{"picture":"javascript:alert(1)"}}`, `{"profile":{"email_verified":"yes"}}`, `{"profile":null}`, `{"profile":"Ada"}`,
	} {
		c.send("PATCH", "/users/"+a.text("id"), bad).want(t, 400)
	}
	if d := c.send("POST", "/users", object{"login": "bob@example.com"}).want(t, 201); d.body["profile"] != nil {
		t.Errorf("a profile was made of the login: %s", d.Body)
	}
}
