package pages_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/grant"
)

// exchange turns a code into tokens, as rp.
func (g *rig) exchange(code string) (grant.Tokens, error) {
	g.t.Helper()
	c, err := g.grants.Authenticate(g.t.Context(), grant.Credentials{ID: "rp", Secret: rpSecret})
	g.must(err)
	return g.grants.Exchange(g.t.Context(), c, grant.CodeAsk{Code: code, RedirectURI: rpBack, Verifier: verifier})
}

func TestSignInConsentAndCodeInOneGo(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	login := b.follow(b.get(link("scope", "openid profile orders:read", "login_hint", ada)))
	if !strings.Contains(login.body, "Rita&#39;s &lt;Planner&gt;") || !strings.Contains(login.body, `value="`+ada+`"`) || !strings.Contains(login.body, "rp.example") {
		t.Fatalf("the login page: %s", login.body)
	}
	consent := b.follow(b.send(login, "/login", "login", ada, "password", good))
	for _, want := range []string{"Allow access?", "Rita&#39;s &lt;Planner&gt;", "rp.example", "See your name", "orders:read", "Orders"} {
		if !strings.Contains(consent.body, want) {
			t.Fatalf("the consent page lacks %q: %s", want, consent.body)
		}
	}
	if strings.Contains(consent.body, "orders:write") {
		t.Error("consent is asked for more than would be given")
	}
	got := b.send(consent, "/oauth/consent", "decision", "allow")
	q := got.back(t, rpBack)
	if q.Get("state") != "s t&a=te" || q.Get("iss") != g.url || q.Get("code") == "" {
		t.Fatalf("answer %v", q)
	}
	if got.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got.header.Get("Referrer-Policy"))
	}
	tokens, err := g.exchange(q.Get("code"))
	g.must(err)
	if tokens.IDToken == "" || tokens.RefreshToken == "" || tokens.Scope != "openid profile orders:read" {
		t.Errorf("tokens %+v", tokens)
	}
	// What was allowed once is not asked again.
	if again := b.get(link("scope", "openid profile orders:read")).back(t, rpBack); again.Get("code") == "" {
		t.Errorf("the second time: %v", again)
	}
}
