package oauth_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

func (g rig) refresh(clientID, token string, more ...string) answer {
	g.t.Helper()
	return g.post("/oauth/token", "", append([]string{"client_id", clientID, "grant_type", "refresh_token", "refresh_token", token}, more...)...)
}

func (g rig) active(token string) bool {
	g.t.Helper()
	a := g.post("/oauth/introspect", "orders-api", "token", token)
	a.want(g.t, 200, "")
	on, _ := a.body["active"].(bool)
	if !on && strings.TrimSpace(a.Body.String()) != `{"active":false}` {
		g.t.Errorf("an inactive answer tells more: %s", a.Body)
	}
	return on
}

// REFRESH-001
func TestReusedRefreshTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, first := g.signIn("shop-web")
	a := g.refresh("shop-web", first.RefreshToken)
	a.want(t, 200, "")
	second := a.text("refresh_token")
	if second == first.RefreshToken || !g.active(a.text("access_token")) {
		t.Fatal("the token was not rotated")
	}
	g.forward(2 * time.Minute) // past the window for two tabs
	g.refresh("shop-web", first.RefreshToken).want(t, 400, "invalid_grant")
	g.refresh("shop-web", second).want(t, 400, "invalid_grant")
	if g.active(a.text("access_token")) || g.active(first.AccessToken) {
		t.Error("access tokens of the family are still good")
	}
	events, err := g.store.Events(t.Context(), 0, 100)
	g.must(err)
	found := false
	for _, e := range events {
		found = found || e.Action == "refresh.theft"
	}
	if !found {
		t.Error("nothing was written down")
	}
	_, again := g.signIn("shop-web")
	g.refresh("shop-web", again.RefreshToken).want(t, 200, "")
}

// REFRESH-002
func TestConcurrentRefreshesGetOneSuccessor(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, first := g.signIn("shop-web")
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := map[string]int{}
	for range 50 {
		wg.Go(func() {
			a := g.refresh("shop-web", first.RefreshToken)
			a.want(t, 200, "")
			mu.Lock()
			defer mu.Unlock()
			next[a.text("refresh_token")]++
		})
	}
	wg.Wait()
	if len(next) != 1 {
		t.Errorf("%d families", len(next))
	}
	for token := range next {
		g.refresh("shop-web", token).want(t, 200, "")
	}
}

// REFRESH-005
func TestRefreshAfterRevocationIsRefused(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(rig){
		"user disabled": func(g rig) {
			u := ada()
			u.Disabled = true
			_, err := g.store.ChangeUser(g.t.Context(), u, revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.User, u.ID, "ban", g.clock())}})
			g.must(err)
		},
		"user removed": func(g rig) {
			_, err := g.store.RemoveUser(g.t.Context(), ada().ID, 1, revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.User, ada().ID, "ban", g.clock())}})
			g.must(err)
		},
		"signed out everywhere": func(g rig) {
			_, err := g.sessions.EndAll(g.t.Context(), ada().ID, ada().ID, "logout")
			g.must(err)
		},
		"role taken": func(g rig) {
			u := ada()
			u.Roles = nil
			_, err := g.store.ChangeUser(g.t.Context(), u, revoke.Effects{})
			g.must(err)
		},
		"client may not refresh any more": func(g rig) {
			c, _, err := g.store.ClientByID(g.t.Context(), "shop-web")
			g.must(err)
			c.Grants = nil
			_, err = g.store.ChangeClient(g.t.Context(), c, revoke.Effects{})
			g.must(err)
		},
		"client disabled": func(g rig) {
			c, _, err := g.store.ClientByID(g.t.Context(), "shop-web")
			g.must(err)
			c.Disabled = true
			_, err = g.store.ChangeClient(g.t.Context(), c, revoke.Effects{})
			g.must(err)
		},
		"absolute limit reached": func(g rig) { g.forward(8 * 24 * time.Hour) }, // REFRESH-009
		"not used for too long":  func(g rig) { g.forward(13 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			_, tokens := g.signIn("shop-web")
			a := g.refresh("shop-web", tokens.RefreshToken)
			a.want(t, 200, "")
			end(g)
			a = g.refresh("shop-web", a.text("refresh_token"))
			if a.Code != 400 && a.Code != 401 || a.text("access_token") != "" {
				t.Errorf("got %d %s", a.Code, a.Body)
			}
		})
	}
}

// REFRESH-009
func TestRefreshingNeverMovesTheAbsoluteLimit(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	last := tokens.RefreshToken
	for range 16 { // 16 x 10 h is past 7 days only with the last two
		g.forward(10 * time.Hour)
		a := g.refresh("shop-web", last)
		a.want(t, 200, "")
		last = a.text("refresh_token")
		if err := g.sessions.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.forward(10 * time.Hour)
	g.refresh("shop-web", last).want(t, 400, "invalid_grant")
}

// REFRESH-007
func TestWrongKindOfTokenDoesNotRefresh(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	cookie, tokens := g.signIn("shop-web")
	refresh := tokens.RefreshToken
	for name, text := range map[string]string{
		"access token": tokens.AccessToken, "session cookie": cookie, "truncated": refresh[:len(refresh)-1], "appended": refresh + "A",
		"upper case": strings.ToUpper(refresh), "space": refresh + " ", "empty segments": "...", "a number": "1",
		"swapped": refresh[:len(refresh)-2] + "xx",
	} {
		a := g.refresh("shop-web", text)
		if a.Code != 400 || a.text("error") != "invalid_grant" {
			t.Errorf("%s: got %d %s", name, a.Code, a.Body)
		}
	}
	g.post("/oauth/token", "billing", "grant_type", "refresh_token", "refresh_token", refresh).want(t, 400, "invalid_grant")
	g.refresh("shop-web", refresh).want(t, 200, "")
}

func TestRefreshNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	a := g.refresh("shop-web", tokens.RefreshToken, "scope", "orders:read")
	a.want(t, 200, "")
	if a.text("scope") != "orders:read" {
		t.Errorf("got %s", a.Body)
	}
	g.refresh("shop-web", a.text("refresh_token"), "scope", "orders:delete").want(t, 400, "invalid_scope")
	a = g.refresh("shop-web", a.text("refresh_token"))
	a.want(t, 200, "")
	if a.text("scope") != "orders:read orders:write" {
		t.Errorf("narrowing one token narrowed the grant: %s", a.Body)
	}
}

func TestRefreshForAnotherAPIIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	g.refresh("shop-web", tokens.RefreshToken, "resource", ledger).want(t, 400, "invalid_target")
	g.refresh("shop-web", tokens.RefreshToken, "resource", "management").want(t, 400, "invalid_target")
	a := g.refresh("shop-web", tokens.RefreshToken, "resource", orders)
	a.want(t, 200, "")
	g.refresh("shop-web", a.text("refresh_token")).want(t, 200, "")
}

func (g rig) get(path string, headers ...string) answer {
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "auth.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return g.do(r)
}
