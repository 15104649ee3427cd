package grant_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/session"
)

func (h *house) swapFor(clientID string, ask grant.ExchangeAsk) (grant.Tokens, error) {
	return h.ExchangeToken(h.t.Context(), h.client(clientID), ask)
}

func TestExchangeCarriesWhoAsksDownTheChain(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	tok, err := h.exchange("web", shownCode(h.code(request("web"), s)))
	must(t, err)
	next, err := h.swapFor("orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: vault})
	must(t, err)
	if next.IssuedType != grant.AccessTokenType || next.RefreshToken != "" || next.IDToken != "" {
		t.Fatalf("the exchange gave %+v", next)
	}
	a, err := h.Introspect(t.Context(), h.client("orders-service"), grant.Question{Token: next.AccessToken})
	must(t, err)
	if !a.Active || a.Subject != h.ada.ID || a.ClientID != "orders-service" || a.Audience != vault || string(a.Actor) != `{"sub":"orders-service"}` {
		t.Fatalf("the token says %+v", a)
	}
	if a.SessionID != s.ID {
		t.Error("the token does not hang from the person's session")
	}
	_, err = h.sessions.End(t.Context(), session.EndOne{ID: s.ID, Actor: "test", Reason: "logout"})
	must(t, err)
	a, err = h.Introspect(t.Context(), h.client("orders-service"), grant.Question{Token: next.AccessToken})
	must(t, err)
	if a.Active {
		t.Error("the exchanged token outlives the session")
	}
}

// EXCHANGE-004 and its neighbors.
func TestExchangeRefusals(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	tok, err := h.exchange("web", shownCode(h.code(request("web"), s)))
	must(t, err)
	good := func() {
		t.Helper()
		_, err := h.swapFor("orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: vault})
		must(t, err)
	}
	good()
	machine, err := h.ClientCredentials(t.Context(), h.client("nosy"), grant.Ask{API: orders})
	must(t, err)
	for _, c := range []struct {
		name, client string
		ask          grant.ExchangeAsk
		want         string
	}{
		{"a service that the token was not shown to", "passer-by", grant.ExchangeAsk{Subject: tok.AccessToken, API: vault}, grant.InvalidRequest},
		{"a client without the grant type", "web", grant.ExchangeAsk{Subject: tok.AccessToken, API: vault}, grant.UnauthorizedClient},
		{"an API the client is not registered for", "orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: notes}, grant.InvalidTarget},
		{"a wider scope at the same API", "orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: orders, Scopes: []string{"orders:write"}}, grant.InvalidScope},
		{"an ID token", "orders-service", grant.ExchangeAsk{Subject: tok.IDToken, API: vault}, grant.InvalidRequest},
		{"a refresh token", "orders-service", grant.ExchangeAsk{Subject: tok.RefreshToken, API: vault}, grant.InvalidRequest},
		{"a token that stands for no person", "orders-service", grant.ExchangeAsk{Subject: machine.AccessToken, API: vault}, grant.InvalidRequest},
	} {
		_, err := h.swapFor(c.client, c.ask)
		wantRefusal(t, c.name, err, c.want)
	}
	good()
	must(t, h.Revoke(t.Context(), h.client("web"), tok.AccessToken, ""))
	_, err = h.swapFor("orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: vault})
	wantRefusal(t, "a token that was taken back", err, grant.InvalidRequest)
}

func TestExchangeForTheSameAPINarrows(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	tok, err := h.exchange("web", shownCode(h.code(request("web", func(r *oidc.Request) { r.Scopes = []string{"orders:read"} }), h.login())))
	must(t, err)
	same, err := h.swapFor("orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: orders})
	must(t, err)
	if same.Scope != "orders:read" || same.ExpiresIn > tok.ExpiresIn {
		t.Errorf("the exchange gave %+v for %+v", same, tok)
	}
	h.changeClient("orders-service", func(c *client.Client) { c.Disabled = true })
	_, err = h.swapFor("orders-service", grant.ExchangeAsk{Subject: tok.AccessToken, API: orders})
	wantRefusal(t, "a disabled client", err, grant.InvalidClient)
}
