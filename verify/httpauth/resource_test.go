package httpauth_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// RFC 9728: the description says what is true, and no more.
func TestResourceMetadata(t *testing.T) {
	t.Parallel()
	const algorithms = `"dpop_signing_alg_values_supported":["ES256","EdDSA","Ed25519","PS256","RS256","ES384","ES512"]`
	for _, c := range []struct {
		name string
		d    httpauth.Resource
		at   string
		want string
	}{
		{"the least", httpauth.Resource{URL: "https://api.example", Issuer: "https://id.example"}, "https://api.example/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example","authorization_servers":["https://id.example"],"bearer_methods_supported":["header"]}`},
		{"a slash", httpauth.Resource{URL: "https://api.example/", Issuer: "https://id.example"}, "https://api.example/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example/","authorization_servers":["https://id.example"],"bearer_methods_supported":["header"]}`},
		{"everything", httpauth.Resource{
			URL: "https://mcp.example:8443/tools", Issuer: "https://id.example/tenant", Scopes: []string{"tools:call", "offline_access", "tools:list"},
			Name: "Tools", Documentation: "https://mcp.example/docs", DPoP: true, Certificates: true,
		}, "https://mcp.example:8443/.well-known/oauth-protected-resource/tools",
			`{"resource":"https://mcp.example:8443/tools","authorization_servers":["https://id.example/tenant"],"scopes_supported":["tools:call","tools:list"],
			"bearer_methods_supported":["header"],"resource_name":"Tools","resource_documentation":"https://mcp.example/docs",
			"tls_client_certificate_bound_access_tokens":true,` + algorithms + `}`},
		{"a folder", httpauth.Resource{URL: "https://mcp.example/tools/", Issuer: "https://id.example"}, "https://mcp.example/.well-known/oauth-protected-resource/tools/",
			`{"resource":"https://mcp.example/tools/","authorization_servers":["https://id.example"],"bearer_methods_supported":["header"]}`},
	} {
		if got := c.d.MetadataURL(); got != c.at {
			t.Errorf("%s: it stands at %s", c.name, got)
		}
		mux := http.NewServeMux()
		mux.Handle(httpauth.ResourceMetadata(c.d))
		w := send(t, mux, http.MethodGet, c.at, http.Header{"Origin": {"https://anybody.example"}})
		var got, want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || !reflect.DeepEqual(got, want) || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v: %s", c.name, w.Code, err, w.Body)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: pages of others cannot read it", c.name)
		}
		if w := send(t, mux, http.MethodOptions, c.at, http.Header{"Access-Control-Request-Method": {"GET"}}); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Headers") != "*" {
			t.Errorf("%s: a preflight gets %d", c.name, w.Code)
		}
		if w := send(t, mux, http.MethodPost, c.at, nil); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST gets %d", c.name, w.Code)
		}
		if w := send(t, mux, http.MethodGet, strings.TrimSuffix(c.at, "/")+"/below", nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: what lies below gets %d", c.name, w.Code)
		}
	}
}

func TestResourceThatCannotBeMeantPanics(t *testing.T) {
	t.Parallel()
	good := httpauth.Resource{URL: "https://api.example", Issuer: "https://id.example", Scopes: []string{"a"}}
	httpauth.ResourceMetadata(good)
	for name, change := range map[string]func(*httpauth.Resource){
		"no URL": func(d *httpauth.Resource) { d.URL = "" }, "in the clear": func(d *httpauth.Resource) { d.URL = "http://api.example" },
		"a query": func(d *httpauth.Resource) { d.URL += "?a=b" }, "an empty query": func(d *httpauth.Resource) { d.URL += "?" }, "a fragment": func(d *httpauth.Resource) { d.URL += "#" },
		"no issuer": func(d *httpauth.Resource) { d.Issuer = "" }, "two scopes in one": func(d *httpauth.Resource) { d.Scopes = []string{"a b"} },
	} {
		d := good
		change(&d)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			httpauth.ResourceMetadata(d)
		}()
	}
}

// Challenges say where the description stands and what the route needs, all of it.
func TestChallengesLeadToTheMetadata(t *testing.T) {
	t.Parallel()
	const at = "https://orders.example/.well-known/oauth-protected-resource"
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Base: here, Metadata: at, Logger: quiet})
	h := auth.Require("orders:read", "orders:write")(http.HandlerFunc(welcome))
	ask := func(token string) (int, []string) {
		header := http.Header{}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		w := send(t, h, http.MethodGet, here+"/", header)
		return w.Code, w.Header()["Www-Authenticate"]
	}
	const named = `realm="wafer", resource_metadata="` + at + `"`
	for _, c := range []struct {
		name, token string
		code        int
		want        string
	}{
		{"nobody", "", 401, `Bearer ` + named + `, scope="orders:read orders:write"`},
		{"expired", issuer.Token(verifytest.ExpiresIn(-1e12)), 401, `Bearer ` + named + `, error="invalid_token"`},
		{"one of two scopes", issuer.Token(verifytest.Scope("orders:read")), 403, `Bearer ` + named + `, error="insufficient_scope", scope="orders:read orders:write"`},
		{"no scope", issuer.Token(), 403, `Bearer ` + named + `, error="insufficient_scope", scope="orders:read orders:write"`},
	} {
		code, challenges := ask(c.token)
		if code != c.code || len(challenges) == 0 || challenges[0] != c.want {
			t.Errorf("%s: %d %q", c.name, code, challenges)
		}
	}
	if _, challenges := ask(""); len(challenges) != 2 || !strings.HasPrefix(challenges[1], `DPoP `+named+`, scope="orders:read orders:write", algs="ES256 `) {
		t.Errorf("nobody is told of DPoP: %q", challenges)
	}
	if code, _ := ask(issuer.Token(verifytest.Scope("orders:read", "orders:write"))); code != http.StatusOK {
		t.Errorf("a good token: %d", code)
	}
}
