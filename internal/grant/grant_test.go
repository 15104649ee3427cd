package grant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

func payload(t *testing.T, text string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := jose.DecodeSegment(parts[i])
		must(t, err)
		must(t, json.Unmarshal(b, into))
	}
	return header, claims
}

func TestAccessTokenIsRFC9068(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _, tok := h.signIn(orders)
	header, claims := payload(t, tok.AccessToken)
	if header["typ"] != token.Type {
		t.Errorf("typ is %v", header["typ"])
	}
	now := float64(h.clock.now().Unix())
	want := map[string]any{
		"iss": issuer, "sub": h.ada.ID, "aud": orders, "iat": now, "exp": now + 300, "client_id": "shop",
		"scope": "orders:read", "sid": s.ID, "auth_time": now, "acr": "aal1",
	}
	for name, v := range want {
		if claims[name] != v {
			t.Errorf("%s is %v, want %v", name, claims[name], v)
		}
	}
	for _, name := range []string{"jti", "rsn", "amr", "grant_id"} {
		if _, ok := claims[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"email", "login", "name"} {
		if _, ok := claims[name]; ok {
			t.Errorf("%s has no place in an access token", name)
		}
	}
}

func TestSubjectOfAClientIsItsID(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tok, err := h.ClientCredentials(t.Context(), h.client("orders-api"), grant.Ask{API: orders})
	must(t, err)
	_, claims := payload(t, tok.AccessToken)
	if claims["sub"] != "orders-api" || claims["client_id"] != "orders-api" {
		t.Errorf("sub and client_id are %v and %v", claims["sub"], claims["client_id"])
	}
	if tok.RefreshToken != "" {
		t.Error("client credentials gave a refresh token")
	}
	h.wantActive(tok.AccessToken, true)
}

func TestSwapAndLogout(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, cookie, _ := h.signIn(orders)
	tok, err := h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop", API: notes})
	must(t, err)
	if header, _ := payload(t, tok.AccessToken); header["alg"] != "HS256" {
		t.Errorf("alg is %v, want HS256", header["alg"])
	}
	h.wantActive(tok.AccessToken, true)
	h.wantActive(cookie, true)
	_, err = h.sessions.End(t.Context(), session.EndOne{ID: s.ID, Actor: h.ada.ID, Reason: "logout"})
	must(t, err)
	h.wantActive(tok.AccessToken, false)
	h.wantActive(cookie, false)
	_, err = h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop", API: notes})
	if !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("swap after logout: %v", err)
	}
}

// Every path against every state that must stop it (LOGIN-013, REFRESH-005).
func TestStateStopsEveryPath(t *testing.T) {
	t.Parallel()
	paths := map[string]func(h *house, cookie string, tok grant.Tokens) error{
		"sign-in": func(h *house, _ string, _ grant.Tokens) error {
			_, _, _, err := h.SignIn(h.t.Context(), h.ada, session.Login{}, grant.Ask{ClientID: "shop", API: orders})
			return err
		},
		"swap": func(h *house, cookie string, _ grant.Tokens) error {
			_, err := h.Swap(h.t.Context(), cookie, grant.Ask{ClientID: "shop", API: orders})
			return err
		},
		"refresh": func(h *house, _ string, tok grant.Tokens) error {
			_, err := h.refresh(tok.RefreshToken)
			return err
		},
	}
	states := map[string]func(h *house){
		"user disabled":   func(h *house) { h.changeUser(func(u *account.User) { u.Disabled = true }) },
		"no role":         func(h *house) { h.changeUser(func(u *account.User) { u.Roles = nil }) },
		"client disabled": func(h *house) { h.changeClient("shop", func(c *client.Client) { c.Disabled = true }) },
		"API not allowed": func(h *house) { h.changeClient("shop", func(c *client.Client) { delete(c.APIs, orders) }) },
		"API disabled":    func(h *house) { h.changeAPI(orders, func(a *api.API) { a.Disabled = true }) },
	}
	for pathName, walk := range paths {
		for stateName, alter := range states {
			t.Run(pathName+" with "+stateName, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				_, cookie, tok := h.signIn(orders)
				if err := walk(h, cookie, tok); err != nil {
					t.Fatalf("before: %v", err)
				}
				_, cookie, tok = h.signIn(orders)
				alter(h)
				if err := walk(h, cookie, tok); err == nil {
					t.Error("a token was issued")
				}
				h.wantActive(tok.AccessToken, stateName == "no role" || stateName == "API not allowed")
			})
		}
	}
}

func (h *house) changeAPI(id string, edit func(*api.API)) {
	h.t.Helper()
	a, _, err := h.store.APIByID(h.t.Context(), id)
	must(h.t, err)
	edit(&a)
	_, err = h.store.ChangeAPI(h.t.Context(), a, revoke.Effects{})
	must(h.t, err)
}

func TestThirdPartyClientCannotSwapOrSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, _ := h.signIn(orders)
	_, err := h.Swap(t.Context(), cookie, grant.Ask{ClientID: "stranger", API: orders})
	wantCode(t, err, grant.UnauthorizedClient)
	_, _, _, err = h.SignIn(t.Context(), h.ada, session.Login{}, grant.Ask{ClientID: "stranger", API: orders})
	wantCode(t, err, grant.UnauthorizedClient)
	all, err := h.sessions.List(t.Context(), h.ada.ID)
	must(t, err)
	if len(all) != 1 {
		t.Errorf("a refused sign-in left a session: %d, want 1", len(all))
	}
}

func TestScopesAreWhatAllThreeAllow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, _ := h.signIn(orders)
	tok, err := h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop", API: orders, Scopes: []string{"orders:read", "orders:write"}})
	must(t, err)
	if tok.Scope != "orders:read" {
		t.Errorf("scope is %q: the role gives orders:read alone", tok.Scope)
	}
	_, err = h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop", API: orders, Scopes: []string{"orders:delete"}})
	wantCode(t, err, grant.InvalidScope)
	_, err = h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop", API: "https://nowhere.example"})
	wantCode(t, err, grant.InvalidTarget)
	_, err = h.Swap(t.Context(), cookie, grant.Ask{ClientID: "shop"})
	wantCode(t, err, grant.InvalidTarget)
}

// INTRO-002
func TestIntrospectionByClientOutsideTheAudience(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, tok := h.signIn(orders)
	for caller, want := range map[string]bool{"orders-api": true, "notes-api": false, "nosy": false, "other": false, "shop": true} {
		if got := h.active(caller, tok.AccessToken, ""); got != want {
			t.Errorf("%s learns active=%v of an orders token, want %v", caller, got, want)
		}
	}
	for caller, want := range map[string]bool{"orders-api": true, "notes-api": false, "nosy": false, "shop": false} {
		if got := h.active(caller, cookie, orders); got != want {
			t.Errorf("%s learns active=%v of a cookie for orders, want %v", caller, got, want)
		}
	}
}

// INTRO-003
func TestIntrospectionOfJunkIsInactiveAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, tok := h.signIn(orders)
	flipped := tok.AccessToken[:len(tok.AccessToken)-4] + "AAAA"
	for _, text := range []string{"", "x", "..", "a.b.c", flipped, strings.Repeat("A", 43), strings.Repeat("a.", 9000), "wat_" + strings.Repeat("A", 43), "wrt_x.1.y"} {
		a, err := h.Introspect(t.Context(), h.client("orders-api"), grant.Question{Token: text, API: orders})
		must(t, err)
		b, err := json.Marshal(a)
		must(t, err)
		if string(b) != `{"active":false}` {
			t.Errorf("%.20q: %s", text, b)
		}
	}
	h.wantActive(tok.AccessToken, true)
	h.clock.forward(5 * time.Minute)
	h.wantActive(tok.AccessToken, false)
}

// REVOKE-001
func TestRevokingAnotherClientsTokenDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, tok := h.signIn(orders)
	must(t, h.Revoke(t.Context(), h.client("other"), tok.AccessToken, ""))
	must(t, h.Revoke(t.Context(), h.client("other"), tok.RefreshToken, ""))
	h.wantActive(tok.AccessToken, true)
	must(t, h.Revoke(t.Context(), h.client("shop"), tok.AccessToken, ""))
	h.wantActive(tok.AccessToken, false)
	next, err := h.refresh(tok.RefreshToken)
	must(t, err)
	must(t, h.Revoke(t.Context(), h.client("shop"), next.RefreshToken, "access_token"))
	h.wantActive(next.AccessToken, false)
	_, err = h.refresh(next.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
	must(t, h.Revoke(t.Context(), h.client("shop"), "garbage", ""))
}

func TestRevokingAGrantLeavesTheSessionAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, tok := h.signIn(orders)
	must(t, h.Revoke(t.Context(), h.client("shop"), tok.RefreshToken, ""))
	h.wantActive(tok.AccessToken, false)
	h.wantActive(cookie, true)
}

func TestOpaqueTokenEndsWithItsSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _, tok := h.signIn(vault)
	if !strings.HasPrefix(tok.AccessToken, "wat_") {
		t.Fatalf("token is %.8q", tok.AccessToken)
	}
	h.wantActive(tok.AccessToken, true)
	h.record(revoke.New(revoke.Session, s.ID, "logout", h.clock.now()))
	h.wantActive(tok.AccessToken, false)
}

// I3 and I11: an entry covers what was minted before it, not what came after.
func TestLogInAgainAfterABan(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, before := h.signIn(orders)
	_, err := h.sessions.EndAll(t.Context(), h.ada.ID, "cli", "ban")
	must(t, err)
	h.wantActive(before.AccessToken, false)
	_, _, after := h.signIn(orders)
	h.wantActive(after.AccessToken, true)
}

func TestChangedRolesEndTokensNotSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, tok := h.signIn(orders)
	h.record(revoke.New(revoke.Claims, h.ada.ID, "roles", h.clock.now()))
	h.wantActive(tok.AccessToken, false)
	h.wantActive(cookie, true)
	next, err := h.refresh(tok.RefreshToken)
	must(t, err)
	h.wantActive(next.AccessToken, true)
}

// TOKEN-008, CLIENT-002
func TestClientAuthenticationRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cases := []struct {
		name string
		c    grant.Credentials
		ok   bool
	}{
		{"right secret", grant.Credentials{ID: "orders-api", Secret: "s3cret", Basic: true}, true},
		{"wrong secret", grant.Credentials{ID: "orders-api", Secret: "s3creT"}, false},
		{"no secret", grant.Credentials{ID: "orders-api"}, false},
		{"unknown client", grant.Credentials{ID: "nobody", Secret: "s3cret"}, false},
		{"no client", grant.Credentials{}, false},
		{"public", grant.Credentials{ID: "shop"}, true},
		{"public with a secret", grant.Credentials{ID: "shop", Secret: "x"}, false},
		{"another client's secret place", grant.Credentials{ID: "notes-ap", Secret: "is3cret"}, false},
		{"public in the header", grant.Credentials{ID: "shop", Basic: true}, false},
	}
	for _, tc := range cases {
		_, err := h.Authenticate(t.Context(), tc.c)
		if tc.ok {
			must(t, err)
			continue
		}
		wantCode(t, err, grant.InvalidClient)
	}
}

func TestManagementTokenIsForManagementOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tok, err := h.ClientCredentials(t.Context(), h.client("orders-api"), grant.Ask{API: issuer + api.ManagementPath})
	must(t, err)
	m, err := h.Manager(t.Context(), tok.AccessToken)
	must(t, err)
	if m.ClientID != "orders-api" || len(m.Scopes) != 1 || m.Scopes[0] != "sessions:check" {
		t.Errorf("manager is %+v", m)
	}
	other, err := h.ClientCredentials(t.Context(), h.client("orders-api"), grant.Ask{API: orders})
	must(t, err)
	if _, err := h.Manager(t.Context(), other.AccessToken); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a token for another API: %v", err)
	}
	h.clock.forward(6 * time.Minute)
	if _, err := h.Manager(t.Context(), tok.AccessToken); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("an expired token: %v", err)
	}
}
