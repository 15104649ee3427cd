package feed_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

func TestFiftyRaceToRegister(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		g.end("ses_0")
		var all sync.WaitGroup
		feeds := make([]*revocation.Feed, 50)
		for i := range feeds {
			all.Go(func() { feeds[i], _ = g.verifier(h.As(feed.Caller{ClientID: "orders"}), fmt.Sprint("v", i)) })
			if i%10 == 0 {
				g.end(fmt.Sprint("ses_1", i))
			}
		}
		all.Wait()
		for i, f := range feeds {
			if verdict(f, session("ses_0")) != revocation.Revoked {
				g.Errorf("verifier %d does not know of what was there before", i)
			}
		}
		list, err := h.Verifiers(g.Context())
		g.must(err)
		ids := map[string]bool{}
		for _, v := range list {
			ids[v.ID] = true
		}
		if len(list) != 51 || len(ids) != 51 {
			g.Errorf("got %d on the list, %d ids", len(list), len(ids))
		}
		seq := g.end("ses_2")
		began := now()
		if _, err := h.Await(g.Context(), seq, feed.Fleet); err != nil {
			g.Error(err)
		}
		if took := now().Sub(began); took > 200*time.Millisecond {
			g.Errorf("FLEET took %v", took)
		}
		for i, f := range feeds {
			if verdict(f, session("ses_2")) != revocation.Revoked {
				g.Errorf("verifier %d accepts after FLEET", i)
			}
		}
	})
}

func TestUsesReachWhoKeepsSessions(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
		f.Used("ses_1", now())
		wait(time.Second)
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.used) != 1 || g.used[0].SessionID != "ses_1" || g.usedBy != "orders" {
			g.Errorf("got %v by %s", g.used, g.usedBy)
		}
	})
}

// A change of the feed's secrets leaves nobody with hashes that match nothing.
func TestOtherSecretsEndTickets(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, stop := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		f, _ := g.verifier(l, "v")
		stop()
		next, _ := g.hub("two", func(c *feed.Config) { c.Secret = revocation.Secret{9} })
		l.mu.Lock()
		l.Hub = next.As(feed.Caller{ClientID: "orders"})
		l.mu.Unlock()
		wait(8 * time.Second)
		g.end("ses_1")
		wait(50 * time.Millisecond)
		if got := verdict(f, session("ses_1")); got != revocation.Revoked || f.Stats().Registrations != 2 {
			g.Errorf("got %v %+v", got, f.Stats())
		}
	})
}
