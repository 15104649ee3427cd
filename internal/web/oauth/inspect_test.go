package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func (g rig) raw(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func (g rig) own(clientID, api string) string {
	g.t.Helper()
	a := g.post("/oauth/token", clientID, "grant_type", "client_credentials", "resource", api)
	a.want(g.t, 200, "")
	return a.text("access_token")
}

func TestIntrospectionTellsAServiceOfItsTokens(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	cookie, tokens := g.signIn("shop-web")
	a := g.post("/oauth/introspect", "orders-api", "token", tokens.AccessToken, "token_type_hint", "refresh_token")
	a.want(t, 200, "")
	for name, want := range map[string]any{
		"active": true, "token_type": "Bearer", "iss": issuer, "sub": ada().ID, "aud": orders, "client_id": "shop-web", "scope": "orders:read orders:write",
	} {
		if a.body[name] != want {
			t.Errorf("%s is %v, want %v", name, a.body[name], want)
		}
	}
	a = g.post("/oauth/introspect", "orders-api", "token", cookie, "token_type_hint", "session", "api", orders)
	if a.body["idle"] != 12*3600.0 || a.body["touch"] != 60.0 { // seconds: what a service must know to go on by itself
		t.Errorf("idle %v, touch %v, want 43200 and 60", a.body["idle"], a.body["touch"])
	}
	if a.body["active"] != true || a.text("token_type") != "session" || a.text("sub") != ada().ID || a.text("aud") != orders {
		t.Errorf("got %s", a.Body)
	}
	opaqueToken := g.own("billing", ledger)
	a = g.post("/oauth/introspect", "ledger-api", "token", opaqueToken)
	if a.body["active"] != true || a.text("aud") != ledger {
		t.Errorf("got %s", a.Body)
	}
}

// INTRO-002
func TestIntrospectionByClientOutsideTheAudienceTellsNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	cookie, tokens := g.signIn("shop-web")
	ledgerToken := g.own("billing", ledger)
	for _, tt := range []struct{ caller, token, api string }{
		{"ledger-api", tokens.AccessToken, ""},
		{"bystander", tokens.AccessToken, ""},
		{"bystander", tokens.RefreshToken, ""},
		{"orders-api", tokens.RefreshToken, ""},
		{"orders-api", ledgerToken, ""},
		{"bystander", cookie, orders},
		{"ledger-api", cookie, orders},
		{"orders-api", cookie, ledger},
	} {
		a := g.post("/oauth/introspect", tt.caller, "token", tt.token, "api", tt.api)
		if a.Code != 200 || strings.TrimSpace(a.Body.String()) != `{"active":false}` {
			t.Errorf("%s about %.12s: got %d %s", tt.caller, tt.token, a.Code, a.Body)
		}
		if _, body := g.openAnswer(g.asksSigned(tt.caller, "token", tt.token, "api", tt.api)); !strings.HasSuffix(body, `"token_introspection":{"active":false}}`) {
			t.Errorf("%s about %.12s, signed: got %s", tt.caller, tt.token, body)
		}
	}
	if !g.active(tokens.AccessToken) {
		t.Error("the token is not good for its own service any more")
	}
}

// INTRO-003
func TestIntrospectionOfJunkIsInactive(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	if !g.active(tokens.AccessToken) {
		t.Fatal("a good token is inactive")
	}
	for _, junk := range []string{
		"x", "...", "a.b.c", "a.b.c.d.e", strings.Repeat(".", 60_000), strings.Repeat("a", 60_000), tokens.AccessToken + "A",
		tokens.AccessToken[:len(tokens.AccessToken)-4], "eyJhbGciOiJub25lIn0.e30.", "\u2603", strings.Repeat("A", 43),
	} {
		if g.active(junk) {
			t.Errorf("%.30q is active", junk)
		}
	}
	if a := g.post("/oauth/introspect", "orders-api", "token", strings.Repeat("a", 1<<20)); a.Code != 413 {
		t.Errorf("1 MiB: got %d", a.Code)
	}
	g.post("/oauth/introspect", "orders-api").want(t, 400, "invalid_request")
	if w := g.raw(httptest.NewRequest("GET", "https://auth.example/oauth/introspect?token="+tokens.AccessToken, nil)); w.Code != 405 {
		t.Errorf("GET: got %d", w.Code)
	}
	g.forward(6 * time.Minute)
	if g.active(tokens.AccessToken) {
		t.Error("an expired token is active")
	}
	if strings.Contains(g.logged.String(), tokens.AccessToken) {
		t.Error("a token is in the log")
	}
}

func TestIntrospectionNeedsAClientThatProvesItself(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	g.post("/oauth/introspect", "shop-web-not", "token", tokens.AccessToken).want(t, 401, "invalid_client")
	g.post("/oauth/introspect", "", "token", tokens.AccessToken).want(t, 401, "invalid_client")
	g.post("/oauth/introspect", "", "client_id", "shop-web", "token", tokens.AccessToken).want(t, 401, "invalid_client")
	g.post("/oauth/introspect", "", "client_id", "orders-api", "token", tokens.AccessToken).want(t, 401, "invalid_client")
}

func TestRevokedTokenIsDead(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	g.post("/oauth/revoke", "", "client_id", "shop-web", "token", tokens.AccessToken).want(t, 200, "")
	if g.active(tokens.AccessToken) {
		t.Error("a revoked access token is active")
	}
	a := g.refresh("shop-web", tokens.RefreshToken)
	a.want(t, 200, "")
	g.post("/oauth/revoke", "", "client_id", "shop-web", "token", a.text("refresh_token"), "token_type_hint", "access_token").want(t, 200, "")
	if g.active(a.text("access_token")) {
		t.Error("an access token outlives its revoked grant")
	}
	g.refresh("shop-web", a.text("refresh_token")).want(t, 400, "invalid_grant")
	g.post("/oauth/revoke", "", "client_id", "shop-web", "token", "unknown").want(t, 200, "")
	g.post("/oauth/revoke", "", "client_id", "shop-web").want(t, 400, "invalid_request")
}

// REVOKE-001
func TestRevokingAnotherClientsTokenDoesNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, theirs := g.signIn("billing")
	own := g.own("billing", ledger)
	for _, token := range []string{theirs.AccessToken, theirs.RefreshToken, own} {
		g.post("/oauth/revoke", "bystander", "token", token).want(t, 200, "")
		g.post("/oauth/revoke", "", "client_id", "shop-web", "token", token).want(t, 200, "")
		g.post("/oauth/revoke", "", "client_id", "billing", "token", token).want(t, 401, "invalid_client")
	}
	if !g.active(theirs.AccessToken) {
		t.Error("somebody else's client ended a token")
	}
	g.post("/oauth/token", "billing", "grant_type", "refresh_token", "refresh_token", theirs.RefreshToken).want(t, 200, "")
	if a := g.post("/oauth/introspect", "ledger-api", "token", own); a.body["active"] != true {
		t.Error("somebody else's client ended an opaque token")
	}
}
