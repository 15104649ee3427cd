package feed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// awaited calls Await and says how long it took.
func awaited(g *rig, h *feed.Hub, seq int64, level feed.Ack) time.Duration {
	g.Helper()
	began := now()
	reached, err := h.Await(g.Context(), seq, level)
	if err != nil || reached != level {
		g.Errorf("got %s %v", reached, err)
	}
	return now().Sub(began)
}

func TestDurableDoesNotWait(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		if took := awaited(g, h, g.end("ses_1"), feed.Durable); took > time.Millisecond {
			g.Errorf("took %v", took)
		}
	})
}

// I7: FLEET waits for a verifier that cannot hear until its lease is over, and no
// longer.
func TestFleetWaitsOutWhoIsCutOff(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) { waitsOut(g) })
}

func waitsOut(g *rig) (violated bool) {
	h, _ := g.hub("one")
	lines := make([]*line, 3)
	feeds := make([]*revocation.Feed, 3)
	for i := range lines {
		lines[i] = newLine(h.As(feed.Caller{ClientID: "orders"}))
		feeds[i], _ = g.verifier(lines[i], fmt.Sprint("v", i))
	}
	wait(time.Second)
	if took := awaited(g, h, g.end("ses_0"), feed.Fleet); took > 100*time.Millisecond {
		g.Errorf("with all there: took %v", took)
	}
	lines[2].sever()
	took := awaited(g, h, g.end("ses_1"), feed.Fleet)
	for i, f := range feeds {
		if f.Fresh(now()) && verdict(f, session("ses_1")) != revocation.Revoked {
			violated = true
			if !mutated {
				g.Errorf("verifier %d accepts after FLEET", i)
			}
		}
	}
	if took < longest || took > longest+50*time.Millisecond {
		violated = true
		if !mutated {
			g.Errorf("took %v, want %v", took, longest)
		}
	}
	lines[2].mend()
	wait(6 * time.Second)
	if took := awaited(g, h, g.end("ses_2"), feed.Fleet); took > 100*time.Millisecond {
		g.Errorf("with all there again: took %v", took)
	}
	return violated
}

func TestFleetForgetsWhoHasLeftOrIsLongGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		_, leave := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "leaves")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		_, die := g.verifier(l, "dies")
		leave()
		if took := awaited(g, h, g.end("ses_1"), feed.Fleet); took > 100*time.Millisecond {
			g.Errorf("one has left: took %v", took)
		}
		l.sever()
		die()
		if took := awaited(g, h, g.end("ses_2"), feed.Fleet); took < longest {
			g.Errorf("one has just died: took %v", took)
		}
		wait(2 * time.Minute)
		if took := awaited(g, h, g.end("ses_3"), feed.Fleet); took > 100*time.Millisecond {
			g.Errorf("one is long dead: took %v", took)
		}
		wait(2 * time.Hour)
		list, err := h.Verifiers(g.Context())
		g.must(err)
		if len(list) != 1 || list[0].Kind != feed.PartHub {
			g.Errorf("got %v", list)
		}
	})
}

// Who was silent so long that nobody waits for it gets a lease only once it is on
// the list again.
func TestWhoComesBackIsWaitedForAgain(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{2 * time.Minute, 2 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(g *rig) {
				h, _ := g.hub("one")
				l := newLine(h.As(feed.Caller{ClientID: "orders"}))
				f, _ := g.verifier(l, "v")
				l.sever()
				wait(away)
				if took := awaited(g, h, g.end("ses_1"), feed.Fleet); took > 100*time.Millisecond {
					g.Errorf("while it is away: took %v", took)
				}
				l.mend()
				for !f.Fresh(now()) {
					wait(time.Millisecond)
				}
				l.sever() // at once
				if took := awaited(g, h, g.end("ses_2"), feed.Fleet); took < longest {
					g.Errorf("took %v", took)
				}
				if f.Fresh(now()) {
					g.Error("it has a lease after FLEET, and does not know")
				}
			})
		})
	}
}

// I7, with verifiers at another hub than the one that waits.
func TestFleetHearsOfVerifiersAtOtherHubs(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		one, _ := g.hub("one")
		two, _ := g.hub("two")
		f, _ := g.verifier(two.As(feed.Caller{ClientID: "orders"}), "v")
		l := newLine(two.As(feed.Caller{ClientID: "orders"}))
		other, _ := g.verifier(l, "w")
		wait(time.Second)
		g.must(one.WantAcks(g.Context()))
		seq := g.end("ses_1")
		if took := awaited(g, one, seq, feed.Fleet); took > 200*time.Millisecond {
			g.Errorf("took %v", took)
		}
		if verdict(f, session("ses_1")) != revocation.Revoked || verdict(other, session("ses_1")) != revocation.Revoked {
			g.Error("one accepts after FLEET")
		}
		acks, err := one.Acks(g.Context(), seq)
		g.must(err)
		for _, a := range acks {
			if a.Heard.IsZero() {
				g.Errorf("%s has told nothing", a.Name)
			}
		}
		if len(acks) != 2 {
			g.Errorf("got %d acks", len(acks))
		}
		l.sever()
		seq = g.end("ses_2")
		if took := awaited(g, one, seq, feed.Fleet); took < longest || took > longest+50*time.Millisecond {
			g.Errorf("one cut off: took %v", took)
		}
		acks, err = one.Acks(g.Context(), seq)
		g.must(err)
		for _, a := range acks {
			if a.Heard.IsZero() != (a.Name == "w") {
				g.Errorf("%s: heard %v", a.Name, a.Heard)
			}
		}
		if other.Fresh(now()) {
			g.Error("the one that is cut off is fresh after FLEET")
		}
	})
}

func TestHubsWaitsForHubs(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		one, _ := g.hub("one")
		far := &store{Store: g.store.Store}
		_, stop := g.hub("two", func(c *feed.Config) { c.Store = far })
		l := newLine(one.As(feed.Caller{ClientID: "orders"}))
		_, _ = g.verifier(l, "v")
		wait(3 * time.Second)
		l.sever() // HUBS does not wait for verifiers
		if took := awaited(g, one, g.end("ses_1"), feed.Hubs); took > 150*time.Millisecond {
			g.Errorf("took %v", took)
		}
		far.set(errCut)
		if took := awaited(g, one, g.end("ses_2"), feed.Hubs); took < longest || took > longest+50*time.Millisecond {
			g.Errorf("one hub cut off: took %v", took)
		}
		far.set(nil)
		wait(3 * time.Second)
		stop()
		if took := awaited(g, one, g.end("ses_3"), feed.Hubs); took > 150*time.Millisecond {
			g.Errorf("one hub stopped: took %v", took)
		}
	})
}

// A hub that cannot write who is there gives no leases to those it has not written
// of: nobody would wait for them.
func TestNoLeaseForWhomNobodyWouldWait(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		mute := &mute{store: g.store}
		two, _ := g.hub("two", func(c *feed.Config) { c.Store = mute })
		f, _ := g.verifier(two.As(feed.Caller{ClientID: "orders"}), "v")
		wait(time.Second)
		mute.set(errCut)
		wait(10 * time.Minute)
		if f.Fresh(now()) {
			g.Error("it has a lease, and is not on the list as being there")
		}
		if took := awaited(g, h, g.end("ses_1"), feed.Fleet); took > 100*time.Millisecond {
			g.Errorf("took %v", took)
		}
		mute.set(nil)
		wait(6 * time.Second)
		if !f.Fresh(now()) {
			g.Errorf("after: %+v", f.Stats())
		}
	})
}

// mute is a store that can be read and not be written to.
type mute struct {
	*store
	fails error
}

func (m *mute) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = err
}

func (m *mute) NoteVerifiers(ctx context.Context, notes []feed.Note) error {
	m.mu.Lock()
	err := m.fails
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.store.NoteVerifiers(ctx, notes)
}

func TestAwaitEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		_, _ = g.verifier(l, "v")
		l.sever()
		ctx, cancel := context.WithTimeout(g.Context(), 100*time.Millisecond)
		defer cancel()
		reached, err := h.Await(ctx, g.end("ses_1"), feed.Fleet)
		if reached != feed.Durable || !errors.Is(err, context.DeadlineExceeded) {
			g.Errorf("got %s %v", reached, err)
		}
	})
}

// When the list cannot be read, every lease has to run out.
func TestFleetWithoutTheListTakesALease(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		wait(time.Second)
		seq := g.end("ses_1")
		g.store.set(errCut)
		if took := awaited(g, h, seq, feed.Fleet); took < longest || took > longest+50*time.Millisecond {
			g.Errorf("took %v", took)
		}
	})
}

func TestListTellsHowFarEachIs(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		_, _ = g.verifier(h.As(feed.Caller{ClientID: "orders"}), "near")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		_, _ = g.verifier(l, "far")
		wait(time.Second)
		l.sever()
		g.end("ses_1")
		g.end("ses_2")
		wait(time.Second)
		look := func() map[string]feed.View {
			list, err := h.Verifiers(g.Context())
			g.must(err)
			byName := map[string]feed.View{}
			for _, v := range list {
				byName[v.Name] = v
			}
			return byName
		}
		got := look()
		if v := got["near"]; v.Lag != 0 || v.State != "current" || v.Staleness < 0 || v.Node != "one" || v.ClientID != "orders" {
			g.Errorf("near: %+v", v)
		}
		if v := got["far"]; v.Lag != 2 || v.State != "behind" {
			g.Errorf("far: %+v", v)
		}
		if v := got["one"]; v.Lag != 0 || v.Kind != feed.PartHub || v.State != "current" {
			g.Errorf("hub: %+v", v)
		}
		wait(20 * time.Second)
		if v := look()["far"]; v.State != "silent" {
			g.Errorf("far, later: %+v", v)
		}
	})
}
