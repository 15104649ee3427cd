package feed_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// published names the key set that nodes over a store publish: each reads the keys
// when it is asked to.
func (g *rig) published(c *feed.Config) {
	c.KeySet = func(ctx context.Context) (string, error) {
		if err := g.store.broken(); err != nil {
			return "", err
		}
		keys, err := g.store.Keys(ctx)
		return fmt.Sprint(len(keys), " keys"), err
	}
}

// rotate adds a key to the store, past every hub: as another node does.
func (g *rig) rotate(kid string) {
	g.Helper()
	add := keyring.Record{ID: kid, API: kid, State: keyring.Active, CreatedAt: now()}
	ok, err := g.store.ChangeKeys(context.WithoutCancel(g.Context()), []keyring.Record{add}, nil, revoke.Effects{})
	if g.must(err); !ok {
		g.Fatal("the key was not added")
	}
}

// K4: whichever node changes the keys, verifiers at every hub and behind relays hear
// of it within 100 ms, without waiting for their next renewal.
func TestKeyChangesAreAnnouncedThroughHubsAndRelays(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		g.end("ses_0")
		first, _ := g.hub("first", g.published)
		second, _ := g.hub("second", g.published)
		upper, _, _ := g.relay("upper", doorOf(first))
		lower, _, _ := g.relay("lower", doorOfRelay(upper))
		feeds := map[string]*revocation.Feed{}
		for name, d := range map[string]door{
			"at first": doorOf(first), "at second": doorOf(second), "at upper": doorOfRelay(upper), "at lower": doorOfRelay(lower),
		} {
			h, err := d(good)
			g.must(err)
			feeds[name], _ = g.verifier(h, name)
		}
		for n := range 5 {
			wait(time.Duration(1000+n*61) * time.Millisecond) // at another moment between two renewals each time
			g.rotate(fmt.Sprint("key", n))
			wait(100 * time.Millisecond)
			for name, f := range feeds {
				if want := fmt.Sprint(n+1, " keys"); f.KeySet() != want {
					g.Errorf("%s was told of %q, want %q", name, f.KeySet(), want)
				}
			}
		}
	})
}

// Nothing is sent while nothing changes: verifiers renew as often as without it.
func TestKeySetsThatStayCostNoRenewals(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		g.end("ses_0")
		hub, _ := g.hub("hub", g.published)
		relay, _, _ := g.relay("relay", doorOf(hub))
		h, err := doorOfRelay(relay)(good)
		g.must(err)
		f, _ := g.verifier(h, "v")
		wait(time.Second)
		before := f.Stats().Renewals
		wait(10 * time.Second)
		if got := f.Stats().Renewals - before; got > 10*1000/225+1 {
			g.Errorf("%d renewals in 10 s", got)
		}
	})
}

// Keys that cannot be read hold up neither leases nor revocations, and are read again.
func TestKeysThatCannotBeReadHoldNothingUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		var mu sync.Mutex
		broken, hangs := false, make(chan struct{})
		hub, _ := g.hub("hub", g.published, func(c *feed.Config) {
			read := c.KeySet
			c.KeySet = func(ctx context.Context) (string, error) {
				mu.Lock()
				now := broken
				mu.Unlock()
				if now {
					<-hangs
					return "", errors.New("the master key does not open it")
				}
				return read(ctx)
			}
		})
		f, _ := g.verifier(admitted{hub, good}, "v")
		wait(time.Second)
		mu.Lock()
		broken = true
		mu.Unlock()
		g.rotate("key")
		g.end("ses_1")
		wait(10 * time.Second)
		if verdict(f, session("ses_1")) != revocation.Revoked || !f.Fresh(now()) || f.KeySet() != "0 keys" {
			g.Errorf("while the keys are being read: %+v, key set %q", f.Stats(), f.KeySet())
		}
		close(hangs)
		wait(10 * time.Second)
		mu.Lock()
		broken = false
		mu.Unlock()
		wait(2 * time.Second)
		if f.KeySet() != "1 keys" {
			g.Errorf("afterwards the key set is %q", f.KeySet())
		}
	})
}
