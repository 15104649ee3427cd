package oauth_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"time"

	"github.com/wafer-auth/wafer/internal/keyring"
)

func TestMetadataTellsWhatIsThereAndNothingElse(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "auth.example:443"
		r.Header.Set("X-Forwarded-Host", "evil.test")
		a := g.do(r)
		a.want(t, 200, "")
		if strings.Contains(a.Body.String(), "evil") || strings.Contains(a.Body.String(), ":443") {
			t.Errorf("a header got into metadata: %s", a.Body)
		}
		if a.text("issuer") != issuer {
			t.Errorf("issuer %q", a.text("issuer"))
		}
		for name := range a.body {
			if strings.Contains(name, "display_values") || strings.Contains(name, "registration") {
				t.Errorf("%s is listed and not there", name)
			}
		}
		for _, name := range []string{"token_endpoint", "revocation_endpoint", "introspection_endpoint", "device_authorization_endpoint"} {
			at, ok := strings.CutPrefix(a.text(name), issuer)
			if !ok {
				t.Fatalf("%s is %q", name, a.text(name))
			}
			if b := g.post(at, "billing"); b.Code != 400 {
				t.Errorf("%s does not answer at %s: %d", name, at, b.Code)
			}
		}
		g.get(strings.TrimPrefix(a.text("jwks_uri"), issuer)).want(t, 200, "")
		listed, _ := a.body["grant_types_supported"].([]any)
		for _, grantType := range listed {
			name, _ := grantType.(string)
			if b := g.post("/oauth/token", "billing", "grant_type", name); b.text("error") == "unsupported_grant_type" {
				t.Errorf("grant type %s is listed and not there", name)
			}
		}
		for _, name := range client.GrantTypes {
			unknown := g.post("/oauth/token", "billing", "grant_type", name).text("error") == "unsupported_grant_type"
			if unknown == slices.Contains(listed, any(name)) {
				t.Errorf("grant type %s: listed and there must be one", name)
			}
		}
	}
}

func TestPublicDocumentsAreCachedAndSharedWithEverybody(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
		a := g.get(path, "Origin", "https://anybody.test")
		h := a.Header()
		if h.Get("Cache-Control") != "public, max-age=300" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Vary") != "" || h.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", path, h)
		}
		etag := h.Get("ETag")
		for _, match := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
			b := g.get(path, "If-None-Match", match)
			if b.Code != 304 || b.Body.Len() != 0 || b.Header().Get("ETag") != etag {
				t.Errorf("%s with %s: got %d %s", path, match, b.Code, b.Body)
			}
		}
		if b := g.get(path, "If-None-Match", `"other"`); b.Code != 200 {
			t.Errorf("%s with another tag: got %d", path, b.Code)
		}
	}
}

// ADMIN-007
func TestKeySetHoldsNoPrivateMembersAndNoSecrets(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	body := g.get("/.well-known/jwks.json")
	keys, _ := body.body["keys"].([]any)
	records, err := g.ring.Records(t.Context())
	g.must(err)
	if len(keys) != len(records)-1 {
		t.Errorf("%d keys for %d records, one of them HMAC", len(keys), len(records))
	}
	for _, k := range keys {
		members, _ := k.(map[string]any)
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth", "priv"} {
			if _, there := members[private]; there {
				t.Errorf("the key set has the member %s", private)
			}
		}
		if members["kid"] == nil || members["alg"] == nil || members["use"] != "sig" {
			t.Errorf("got %v", members)
		}
	}
}

func TestKeySetFollowsRotation(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	before := g.get("/.well-known/jwks.json")
	rec, err := g.ring.Rotate(t.Context(), orders, "cli", keyring.Calm)
	g.must(err)
	g.forward(time.Second)
	after := g.get("/.well-known/jwks.json", "If-None-Match", before.Header().Get("ETag"))
	if after.Code != 200 || !strings.Contains(after.Body.String(), rec.ID) {
		t.Errorf("got %d %s", after.Code, after.Body)
	}
}
