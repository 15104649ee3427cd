package grant_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/bound"
)

// once asks about a token and uses it up.
func (h *house) once(text, apiID string) bool {
	h.t.Helper()
	a, err := h.Introspect(context.WithoutCancel(h.t.Context()), h.client("orders-api"), grant.Question{Token: text, API: apiID, Once: true})
	if err != nil {
		h.t.Error(err)
	}
	return a.Active
}

func TestTokenUsedOnceIsDeadEverywhere(t *testing.T) {
	t.Parallel()
	for _, apiID := range []string{orders, vault, notes} {
		h := newHouse(t)
		_, _, tok := h.signIn(apiID)
		h.wantActive(tok.AccessToken, true)
		if h.once(tok.AccessToken, "https://another.example") {
			t.Error("used up at another API")
		}
		h.wantActive(tok.AccessToken, true)
		if !h.once(tok.AccessToken, apiID) {
			t.Error("the first use was refused")
		}
		if h.once(tok.AccessToken, apiID) {
			t.Error("a second use was accepted")
		}
		h.wantActive(tok.AccessToken, false)
		fresh, err := h.refresh(tok.RefreshToken)
		must(t, err)
		h.wantActive(fresh.AccessToken, true)
	}
}

func TestRaceToUseATokenHasOneWinner(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, tok := h.signIn(orders)
	var won atomic.Int32
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 50 {
		all.Go(func() {
			<-start
			if h.once(tok.AccessToken, orders) {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d uses were accepted, want 1", won.Load())
	}
}

func TestOnlyAccessTokensAreUsedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, secret, tok := h.signIn(orders)
	for _, text := range []string{secret, tok.RefreshToken} {
		_, err := h.Introspect(t.Context(), h.client("orders-api"), grant.Question{Token: text, API: orders, Once: true})
		wantCode(t, err, grant.InvalidRequest)
	}
	h.wantActive(secret, true)
	if _, err := h.refresh(tok.RefreshToken); err != nil {
		t.Error(err)
	}
}

func at(address string) bound.Seen {
	return bound.Seen{Address: netip.MustParseAddr(address), Agent: "Firefox/145 Linux", Language: "en"}
}

// bind makes the shop bind its sessions, and signs ada in at home.
func (h *house) bind(kind client.Kind, p bound.Policy) (session.Session, grant.Tokens) {
	h.t.Helper()
	c := h.client("shop")
	c.Bind, c.Kind = p, kind
	changed, err := h.store.ChangeClient(h.t.Context(), c, revoke.Effects{})
	must(h.t, err)
	if !changed {
		h.t.Fatal("the client was not changed")
	}
	s, _, tok, err := h.SignIn(h.t.Context(), h.ada, session.Login{AMR: []string{"pwd"}, Seen: at("203.0.113.7")}, grant.Ask{ClientID: "shop", API: orders})
	must(h.t, err)
	return s, tok
}

func (h *house) events(action string) int {
	h.t.Helper()
	all, err := h.store.Events(h.t.Context(), 0, 1000)
	must(h.t, err)
	n := 0
	for _, e := range all {
		if e.Action == action {
			n++
		}
	}
	return n
}

func TestStolenRefreshTokenShownFromAnotherNetwork(t *testing.T) {
	t.Parallel()
	for mode, accepted := range map[bound.Mode]bool{bound.Off: true, bound.Report: true, bound.StepUp: false, bound.Refuse: false} {
		h := newHouse(t)
		_, tok := h.bind(client.Public, bound.Policy{Network: mode})
		show := func(seen bound.Seen) error {
			next, err := h.Refresh(t.Context(), h.client("shop"), grant.RefreshAsk{Token: tok.RefreshToken, Seen: seen})
			if err == nil {
				tok = next
			}
			return err
		}
		must(t, show(at("203.0.113.99"))) // the same network
		err := show(at("198.51.100.1"))
		if (err == nil) != accepted {
			t.Errorf("%q: from elsewhere: %v", mode, err)
		}
		if !accepted {
			wantCode(t, err, grant.InvalidGrant)
		}
		wantEvents := 1
		if mode == bound.Off {
			wantEvents = 0
		}
		if n := h.events("session.elsewhere"); n != wantEvents {
			t.Errorf("%q: %d events, want %d", mode, n, wantEvents)
		}
		must(t, show(at("203.0.113.7"))) // the thief has used nothing up
	}
}

// A confidential client refreshes from a server's network, not the person's.
func TestServersRefreshFromWhereTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.client("shop")
	c.SecretHash = h.client("orders-api").SecretHash
	_, err := h.store.ChangeClient(t.Context(), c, revoke.Effects{})
	must(t, err)
	_, tok := h.bind(client.Confidential, bound.Policy{Network: bound.Refuse})
	_, err = h.Refresh(t.Context(), h.client("shop"), grant.RefreshAsk{Token: tok.RefreshToken, Seen: at("198.51.100.1")})
	must(t, err)
}

func TestTokensCarryWhatTheirSessionIsBoundTo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, tok := h.bind(client.Public, bound.Policy{Network: bound.Refuse, Device: bound.Report})
	a, err := h.Introspect(t.Context(), h.client("orders-api"), grant.Question{Token: tok.AccessToken})
	must(t, err)
	if a.Binding == "" || a.Binding != s.Binding {
		t.Errorf("the token is bound to %q, its session to %q", a.Binding, s.Binding)
	}
	b, err := bound.Parse(a.Binding)
	must(t, err)
	if v := b.Check(a.SessionID, at("203.0.113.7")); v.Mode != bound.Off {
		t.Errorf("where it was given: %+v", v)
	}
	if v := b.Check(a.SessionID, at("198.51.100.1")); v.Mode != bound.Refuse {
		t.Errorf("elsewhere: %+v", v)
	}
}

func TestLifetimesDiffer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Jitter = rand.N[time.Duration]
	_, _, tok := h.signIn(orders)
	lifetime, seen := 5*time.Minute, map[int]bool{}
	for range 200 {
		var err error
		tok, err = h.refresh(tok.RefreshToken)
		must(t, err)
		if tok.ExpiresIn > int(lifetime/time.Second) || tok.ExpiresIn < int(lifetime*9/10/time.Second) {
			t.Fatalf("lives %d s, want at most a tenth less than %s", tok.ExpiresIn, lifetime)
		}
		seen[tok.ExpiresIn] = true
	}
	if len(seen) < 10 {
		t.Errorf("200 tokens have %d lifetimes", len(seen))
	}
}
