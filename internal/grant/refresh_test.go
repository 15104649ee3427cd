package grant_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
)

func TestRefreshTwiceGivesTheSameSuccessor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, first := h.signIn(orders)
	a, err := h.refresh(first.RefreshToken)
	must(t, err)
	h.clock.forward(30 * time.Second)
	b, err := h.refresh(first.RefreshToken)
	must(t, err)
	if a.RefreshToken != b.RefreshToken {
		t.Errorf("the replay gave another successor (R2)")
	}
	if a.AccessToken == b.AccessToken {
		t.Errorf("the replay gave the same access token, want a fresh one")
	}
	_, err = h.refresh(b.RefreshToken)
	must(t, err)
	if n := h.audited("refresh.race"); n != 1 {
		t.Errorf("%d race verdicts in the audit log, want 1", n)
	}
}

func (h *house) audited(action string) int {
	h.t.Helper()
	events, err := h.store.Events(h.t.Context(), 0, 10_000)
	must(h.t, err)
	n := 0
	for _, e := range events {
		if e.Action == action {
			n++
		}
	}
	return n
}

// REFRESH-001
func TestReuseAfterRotationEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, first := h.signIn(orders)
	second, err := h.refresh(first.RefreshToken)
	must(t, err)
	h.wantActive(second.AccessToken, true)
	h.clock.forward(61 * time.Second)
	_, err = h.refresh(first.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
	_, err = h.refresh(second.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
	h.wantActive(second.AccessToken, false)
	h.wantActive(cookie, false)
	if h.audited("refresh.theft") != 1 {
		t.Error("the theft is not in the audit log exactly once")
	}
	_, _, again := h.signIn(orders)
	h.wantActive(again.AccessToken, true)
}

func TestTwoGenerationsBackIsTheftEvenWithinTheWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, first := h.signIn(orders)
	second, err := h.refresh(first.RefreshToken)
	must(t, err)
	third, err := h.refresh(second.RefreshToken)
	must(t, err)
	_, err = h.refresh(first.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
	_, err = h.refresh(third.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
}

// REFRESH-002
func TestConcurrentRefreshHasOneHead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, first := h.signIn(orders)
	var wg sync.WaitGroup
	got := make([]string, 50)
	for i := range got {
		wg.Go(func() {
			out, err := h.refresh(first.RefreshToken)
			if err != nil {
				t.Errorf("refresh %d: %v", i, err)
				return
			}
			got[i] = out.RefreshToken
		})
	}
	wg.Wait()
	for _, r := range got {
		if r != got[0] {
			t.Fatal("two successors: the family forked (R1, R2)")
		}
	}
	if !strings.Contains(got[0], ".2.") {
		t.Errorf("successor %q is not generation 2 (R4)", got[0])
	}
}

// REFRESH-005
func TestRefreshAfterRevocationEvents(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		do   func(h *house, sid string)
		code string
	}{
		{"session ended", func(h *house, sid string) {
			h.record(revoke.New(revoke.Session, sid, "logout", h.clock.now()))
		}, grant.InvalidGrant},
		{"logged out everywhere", func(h *house, _ string) {
			_, err := h.sessions.EndAll(h.t.Context(), h.ada.ID, "x", "logout")
			must(h.t, err)
		}, grant.InvalidGrant},
		{"user disabled", func(h *house, _ string) {
			h.changeUser(func(u *account.User) { u.Disabled = true })
		}, grant.InvalidGrant},
		{"user removed", func(h *house, _ string) {
			_, err := h.store.RemoveUser(h.t.Context(), h.ada.ID, 1, revoke.Effects{})
			must(h.t, err)
		}, grant.InvalidGrant},
		{"role taken away", func(h *house, _ string) {
			h.changeUser(func(u *account.User) { u.Roles = nil })
		}, grant.InvalidScope},
		{"client disabled", func(h *house, _ string) {
			h.changeClient("shop", func(c *client.Client) { c.Disabled = true })
		}, grant.InvalidClient},
		{"grant type taken from client", func(h *house, _ string) {
			h.changeClient("shop", func(c *client.Client) { c.Grants = nil })
		}, grant.UnauthorizedClient},
		{"API taken from client", func(h *house, _ string) {
			h.changeClient("shop", func(c *client.Client) { c.APIs = map[string][]string{notes: {"*"}} })
		}, grant.InvalidTarget},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s, _, first := h.signIn(orders)
			second, err := h.refresh(first.RefreshToken)
			must(t, err)
			tc.do(h, s.ID)
			_, err = h.refresh(second.RefreshToken)
			wantCode(t, err, tc.code)
		})
	}
}

func (h *house) record(e revoke.Entry) {
	h.t.Helper()
	_, err := h.store.Record(h.t.Context(), revoke.Effects{Revoke: []revoke.Entry{e}})
	must(h.t, err)
}

func (h *house) changeUser(edit func(*account.User)) {
	h.t.Helper()
	u, _, err := h.store.UserByID(h.t.Context(), h.ada.ID)
	must(h.t, err)
	edit(&u)
	done, err := h.store.ChangeUser(h.t.Context(), u, revoke.Effects{})
	must(h.t, err)
	if !done {
		h.t.Fatal("user was not changed")
	}
}

func (h *house) changeClient(id string, edit func(*client.Client)) {
	h.t.Helper()
	c := h.client(id)
	edit(&c)
	done, err := h.store.ChangeClient(h.t.Context(), c, revoke.Effects{})
	must(h.t, err)
	if !done {
		h.t.Fatal("client was not changed")
	}
}

// REFRESH-007
func TestMutatedOrWrongKindRefreshToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, cookie, first := h.signIn(orders)
	good := first.RefreshToken
	bad := map[string]string{
		"empty": "", "access token": first.AccessToken, "cookie": cookie, "truncated": good[:len(good)-1], "appended": good + "A",
		"upper case": strings.ToUpper(good), "leading zero": strings.Replace(good, ".1.", ".01.", 1), "other generation": strings.Replace(good, ".1.", ".2.", 1),
		"plus": strings.Replace(good, ".1.", ".+1.", 1), "space": good + " ", "prefix": "x" + good, "newline": good + "\n",
	}
	for name, text := range bad {
		_, err := h.refresh(text)
		if err == nil {
			t.Errorf("%s was accepted", name)
			continue
		}
		wantCode(t, err, grant.InvalidGrant)
	}
	_, err := h.refresh(good)
	must(t, err)
}

func TestRefreshTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, first := h.signIn(orders)
	_, err := h.Refresh(t.Context(), h.client("other"), grant.RefreshAsk{Token: first.RefreshToken})
	wantCode(t, err, grant.InvalidGrant)
	_, err = h.refresh(first.RefreshToken)
	must(t, err)
}

// REFRESH-009
func TestRefreshingExtendsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _, tok := h.signIn(orders)
	for h.clock.now().Add(6 * time.Hour).Before(s.ExpiresAt) {
		h.clock.forward(6 * time.Hour)
		var err error
		tok, err = h.refresh(tok.RefreshToken)
		must(t, err)
		must(t, h.sessions.Flush(t.Context()))
	}
	h.clock.forward(6 * time.Hour)
	_, err := h.refresh(tok.RefreshToken)
	wantCode(t, err, grant.InvalidGrant)
}

func TestRefreshCannotWidenTheScope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, first := h.signIn(orders)
	_, err := h.Refresh(t.Context(), h.client("shop"), grant.RefreshAsk{Token: first.RefreshToken, Scopes: []string{"orders:write"}})
	wantCode(t, err, grant.InvalidScope)
	out, err := h.Refresh(t.Context(), h.client("shop"), grant.RefreshAsk{Token: first.RefreshToken, Scopes: []string{"orders:read"}})
	must(t, err)
	if out.Scope != "orders:read" {
		t.Errorf("scope is %q", out.Scope)
	}
}

// R7: a revocation and refreshes race; whatever wins, nothing is good afterwards.
func TestRevocationBeatsConcurrentRefresh(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		h := newHouse(t)
		s, _, tok := h.signIn(orders)
		var wg sync.WaitGroup
		var mu sync.Mutex
		given := []string{tok.AccessToken}
		for range 8 {
			wg.Go(func() {
				out, err := h.refresh(tok.RefreshToken)
				if err != nil {
					return
				}
				mu.Lock()
				given = append(given, out.AccessToken)
				mu.Unlock()
			})
		}
		wg.Go(func() { h.record(revoke.New(revoke.Session, s.ID, "logout", h.clock.now())) })
		wg.Wait()
		for i, a := range given {
			if h.active("orders-api", a, orders) {
				t.Fatal(fmt.Sprintf("round %d: access token %d outlives the revocation", round, i))
			}
		}
	}
}
