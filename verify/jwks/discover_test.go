package jwks_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jwks"
)

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	type document map[string]any
	const openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for _, tt := range []struct {
		name, issuer, at string
		document         document
		want             string
	}{
		{"OpenID Connect", "", openid, document{"issuer": "$", "jwks_uri": "$/keys"}, "$/keys"},
		{"OAuth", "", oauth, document{"issuer": "$", "jwks_uri": "$/keys"}, "$/keys"},
		{"OpenID Connect with a path", "/t1", "/t1" + openid, document{"issuer": "$/t1", "jwks_uri": "$/t1/keys"}, "$/t1/keys"},
		{"OAuth with a path", "/t1", oauth + "/t1", document{"issuer": "$/t1", "jwks_uri": "$/t1/keys"}, "$/t1/keys"},
		{"keys elsewhere", "", openid, document{"issuer": "$", "jwks_uri": "https://keys.test/k"}, "https://keys.test/k"},
		{"other issuer", "", openid, document{"issuer": "https://evil.test", "jwks_uri": "$/keys"}, ""},
		{"issuer with slash", "", openid, document{"issuer": "$/", "jwks_uri": "$/keys"}, ""},
		{"issuer an array", "", openid, document{"issuer": []string{"$"}, "jwks_uri": "$/keys"}, ""},
		{"no issuer", "", openid, document{"jwks_uri": "$/keys"}, ""},
		{"no keys", "", openid, document{"issuer": "$"}, ""},
		{"open wire", "", openid, document{"issuer": "$", "jwks_uri": "http://id.test/keys"}, ""},
		{"nowhere", "", "/elsewhere", document{"issuer": "$", "jwks_uri": "$/keys"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			web := httptest.NewServer(mux)
			t.Cleanup(web.Close)
			body, err := json.Marshal(tt.document)
			if err != nil {
				t.Fatal(err)
			}
			here := func(s string) string { return strings.ReplaceAll(s, "$", web.URL) }
			mux.HandleFunc("GET "+tt.at, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(here(string(body))))
			})
			got, err := jwks.Discover(t.Context(), web.URL+tt.issuer, nil)
			if tt.want == "" {
				if err == nil || got != "" {
					t.Errorf("got %q, %v, want an error", got, err)
				}
				return
			}
			if err != nil || got != here(tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, here(tt.want))
			}
		})
	}
	if _, err := jwks.Discover(t.Context(), "http://id.test", nil); err == nil {
		t.Error("an issuer on an open wire was asked")
	}
}
