package client_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
)

func public() client.Client {
	return client.Client{
		ID: "shop-web", Name: "Shop", Kind: client.Public,
		RedirectURIs: []string{"http://localhost:3000/callback", "https://shop.example/callback", "com.example.shop:/done"},
		Origins:      []string{"http://localhost:3000", "https://shop.example"},
		Grants:       []string{client.AuthorizationCode, client.RefreshToken},
		Serves:       []string{"https://orders.example", "urn:example:vault", "management"},
	}
}

func confidential() client.Client {
	return client.Client{ID: "orders-api", Kind: client.Confidential, SecretHash: opaque.Hash("secret"), Grants: []string{client.ClientCredentials}}
}

func TestSoundClientsPass(t *testing.T) {
	t.Parallel()
	for _, c := range []client.Client{public(), confidential()} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

func TestUnsoundClientsAreRefused(t *testing.T) {
	t.Parallel()
	redirect := func(uri string) func(*client.Client) {
		return func(c *client.Client) { c.RedirectURIs = append(c.RedirectURIs, uri) }
	}
	origin := func(o string) func(*client.Client) {
		return func(c *client.Client) { c.Origins = append(c.Origins, o) }
	}
	serves := func(id string) func(*client.Client) {
		return func(c *client.Client) { c.Serves = append(c.Serves, id) }
	}
	tests := []struct {
		name string
		edit func(*client.Client)
	}{
		{"no id", func(c *client.Client) { c.ID = "" }},
		{"id of 101 characters", func(c *client.Client) { c.ID = strings.Repeat("a", 101) }},
		{"id like a URL", func(c *client.Client) { c.ID = "https://shop.example" }},
		{"id like a user's", func(c *client.Client) { c.ID = "usr_0" }},
		{"name with a line break", func(c *client.Client) { c.Name = "Shop\r\nforged: line" }},
		{"name of 201 bytes", func(c *client.Client) { c.Name = strings.Repeat("a", 201) }},
		{"unknown kind", func(c *client.Client) { c.Kind = "trusted" }},
		{"public with a secret", func(c *client.Client) { c.SecretHash = opaque.Hash("s") }},
		{"confidential without a secret", func(c *client.Client) { c.Kind = client.Confidential }},
		{"public with client_credentials", func(c *client.Client) { c.Grants = []string{client.ClientCredentials} }},
		{"unknown grant type", func(c *client.Client) { c.Grants = []string{"implicit"} }},
		{"relative redirect", redirect("/callback")},
		{"redirect with fragment", redirect("https://shop.example/#x")},
		{"redirect with empty fragment", redirect("https://shop.example/#")},
		{"redirect with user", redirect("https://shop.example@evil.example/")},
		{"redirect with wildcard", redirect("https://*.shop.example/")},
		{"redirect with backslash", redirect(`https://shop.example\@evil.example/`)},
		{"redirect by http", redirect("http://shop.example/callback")},
		{"redirect by script", redirect("javascript:alert(1)")},
		{"redirect by script in capitals", redirect("JaVaScRiPt:alert(1)")},
		{"redirect by a scheme without a dot", redirect("shop:/done")},
		{"origin with path", origin("https://shop.example/")},
		{"origin in capitals", origin("https://Shop.example")},
		{"origin by http", origin("http://shop.example")},
		{"origin null", origin("null")},
		{"origin wildcard", origin("*")},
		{"origin wildcard host", origin("https://*.shop.example")},
		{"origin with the scheme's port", origin("https://shop.example:443")},
		{"origin on loopback with the scheme's port", origin("http://localhost:80")},
		{"origin with an empty port", origin("https://shop.example:")},
		{"origin with a port that is none", origin("https://shop.example:99999")},
		{"origin with a port of zeros", origin("https://shop.example:0443")},
		{"origin with a dot at the end", origin("https://shop.example.")},
		{"origin in Unicode", origin("https://größe.example")},
		{"origin with a user", origin("https://shop@evil.example")},
		{"origin with a fragment", origin("https://shop.example#")},
		{"origin with an escape", origin("https://shop%2eexample")},
		{"origin of a file", origin("file://")},
		{"redirect outside of the origins", redirect("https://other.example/callback")},
		{"redirect on another port", redirect("https://shop.example:8443/callback")},
		{"redirect with the origin as a prefix", redirect("https://shop.example.evil.test/")},
		{"redirect of the other scheme", redirect("http://localhost/callback")},
		{"redirect in Unicode", redirect("https://shop.example/größe")},
		{"redirect without a host", redirect("https:///callback")},
		{"serves a relative id", serves("orders")},
		{"serves with a fragment", serves("https://orders.example#x")},
		{"serves nothing", serves("")},
		{"serves with a space", serves("https://orders.example x")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := public()
			tt.edit(&c)
			if err := c.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestGrantTypeMustBeListed(t *testing.T) {
	t.Parallel()
	if c := public(); !c.MayUse(client.RefreshToken) || c.MayUse(client.ClientCredentials) || c.MayUse("") {
		t.Error("a grant type outside the list is let through, or one in it is not")
	}
}
