package sessions_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/client"
)

// DPOP-008: a client whose tokens are bound to a key gets no bearer token by way of
// the session, where there is no proof.
func TestClientsWithBoundTokensGetNoBearerTokensHere(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, c := range []client.Client{
		{ID: "dpop-web", OAuth: client.OAuth{DPoPBound: true}},
		{ID: "plain-web"},
	} {
		c.Kind, c.FirstParty, c.Grants, c.APIs = client.Public, true, []string{client.RefreshToken}, map[string][]string{orders: {"*"}}
		_, _, err := g.admin.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{Client: c})
		g.must(err)
	}
	plain := func() {
		t.Helper()
		b := g.browser()
		b.want(b.send("POST", "/session", fields{"login": "ada@example.com", "password": good, "client_id": "plain-web", "api": orders}), 201)
		b.want(b.send("POST", "/session/token", fields{"client_id": "plain-web", "api": orders}), 200)
	}
	plain()
	b := g.browser()
	r := b.send("POST", "/session", fields{"login": "ada@example.com", "password": good, "client_id": "dpop-web", "api": orders})
	b.want(r, 400)
	if r.at("error") != "invalid_dpop_proof" || r.at("access_token") != "" || b.cookie() != "" {
		t.Errorf("sign-in gave %s", r.text)
	}
	b.signIn("ada")
	r = b.send("POST", "/session/token", fields{"client_id": "dpop-web", "api": orders})
	b.want(r, 400)
	if r.at("error") != "invalid_dpop_proof" || r.at("access_token") != "" {
		t.Errorf("the swap gave %s", r.text)
	}
	plain()
}
