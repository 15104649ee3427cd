package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	orders "github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
)

const boundSetup = `
apis:
  - {id: https://orders.example, token: {format: jwt, alg: RS256, lifetime: 5m}, scopes: [orders:read]}
  - {id: https://mail.example, token: {format: opaque, lifetime: 5m}, scopes: [mail:read]}
clients:
  - {id: robot, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {https://orders.example: [orders:read], https://mail.example: [mail:read]}}
  - {id: orders-api, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {management: [sessions:check]}}
`

// holder is a client with a key.
type holder struct {
	t   *testing.T
	key *jose.Key
}

func newHolder(t *testing.T) holder {
	t.Helper()
	key, err := jose.Generate(jose.ES256, "")
	if err != nil {
		t.Fatal(err)
	}
	return holder{t, key}
}

func (h holder) proof(method, url, token string) string {
	h.t.Helper()
	text, err := dpop.Sign(h.key, dpop.Request{Method: method, URL: url, Token: token, Now: time.Now()})
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// ask shows a token to a service in one of its ways, and gives the status.
func (h holder) ask(service http.Handler, url, scheme, token string, proofs ...string) int {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), http.MethodGet, url, nil)
	r.Header.Set("Authorization", scheme+" "+token)
	r.Header["Dpop"] = proofs
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	return w.Code
}

// From the token endpoint to a service: what the one binds, the other asks the proof of,
// for a token that the service reads itself and for one that the server reads for it.
func TestTokensAreBoundFromTheServerToTheServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := serve(t, dir+"/data", "--apply", write(t, dir, "setup.yaml", strings.ReplaceAll(boundSetup, "SECRET", clientSecrets)))
	quiet := slog.New(slog.DiscardHandler)
	ordersService, err := orders.New(orders.Config{
		Issuer: r.url, Audience: ordersAPI, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: clientSecrets, URL: ordersAPI, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := verify.NewServer(verify.ServerConfig{Issuer: r.url, ClientID: "orders-api", ClientSecret: clientSecrets})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Issuer: r.url, Audience: mailAPI, Server: server, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	mail := httpauth.New(v, httpauth.Options{Base: mailAPI, Logger: quiet}).Require("mail:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		_ = json.NewEncoder(w).Encode(id.Confirm)
	}))
	for _, c := range []struct {
		api, path string
		service   http.Handler
	}{{ordersAPI, "/orders", ordersService}, {mailAPI, "/mail", mail}} {
		client, thief := newHolder(t), newHolder(t)
		asked := fields("grant_type", "client_credentials", "client_id", "robot", "client_secret", clientSecrets, "resource", c.api)
		answer := r.must(http.StatusOK, formOf("/oauth/token", asked, [2]string{"DPoP", client.proof(http.MethodPost, r.url+"/oauth/token", "")}))
		token, url := answer.str("access_token"), c.api+c.path
		if got := answer.str("token_type"); got != "DPoP" {
			t.Fatalf("%s: the token is a %s token", c.api, got)
		}
		used := client.proof(http.MethodGet, url, token)
		for _, try := range []struct {
			name   string
			status int
			want   int
		}{
			{"its client", client.ask(c.service, url, "DPoP", token, used), http.StatusOK},
			{"DPOP-001 a thief with another key", thief.ask(c.service, url, "DPoP", token, thief.proof(http.MethodGet, url, token)), http.StatusUnauthorized},
			{"DPOP-004 a thief with a proof that was used", thief.ask(c.service, url, "DPoP", token, used), http.StatusUnauthorized},
			{"DPOP-006 a proof for the server", thief.ask(c.service, url, "DPoP", token, client.proof(http.MethodGet, r.url+c.path, token)), http.StatusUnauthorized},
			{"DPOP-008 a thief without a key", thief.ask(c.service, url, "Bearer", token), http.StatusUnauthorized},
			{"no proof", thief.ask(c.service, url, "DPoP", token), http.StatusUnauthorized},
			{"its client again", client.ask(c.service, url, "DPoP", token, client.proof(http.MethodGet, url, token)), http.StatusOK},
		} {
			if try.status != try.want {
				t.Errorf("%s: %s: status %d, want %d", c.api, try.name, try.status, try.want)
			}
		}
		plain := r.must(http.StatusOK, formOf("/oauth/token", asked)).str("access_token")
		if got := client.ask(c.service, url, "Bearer", plain); got != http.StatusOK {
			t.Errorf("%s: a bearer token: status %d", c.api, got)
		}
		if got := client.ask(c.service, url, "DPoP", plain, client.proof(http.MethodGet, url, plain)); got != http.StatusUnauthorized {
			t.Errorf("%s: a bearer token as a bound one: status %d", c.api, got)
		}
	}
}
