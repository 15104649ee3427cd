package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// door is a hub or a relay, as who has credentials sees it.
type door func(feed.Credentials) (revocation.Hub, error)

// admitted lets verifiers in at a hub by their credentials.
type admitted struct {
	*feed.Hub
	as feed.Credentials
}

func (a admitted) Register(ctx context.Context, r revocation.Registration) (revocation.Registered, error) {
	return a.Admit(ctx, a.as, r)
}

func doorOf(h *feed.Hub) door {
	return func(c feed.Credentials) (revocation.Hub, error) { return admitted{h, c}, nil }
}

// relay starts a relay behind a line to what is above it.
func (g *rig) relay(node string, above door) (r *feed.Relay, l *line, stop func()) {
	g.Helper()
	up, err := above(feed.Credentials{ID: "relay", Secret: "secret"})
	g.must(err)
	l = newLine(up)
	r, err = feed.NewRelay(feed.RelayConfig{
		Upstream: l, Issuer: issuer, Node: node, Now: now, Log: slog.New(slog.DiscardHandler),
		As: func(c feed.Credentials) (revocation.Hub, error) {
			if cut, _ := l.state(); cut {
				return nil, errLine
			}
			return above(c)
		},
	})
	g.must(err)
	stop = g.run(r.Run)
	select {
	case <-r.Feed().Ready():
	case <-time.After(5 * time.Second):
		g.Fatalf("relay %s has no lease", node)
	}
	return r, l, stop
}

func doorOfRelay(r *feed.Relay) door {
	return func(c feed.Credentials) (revocation.Hub, error) { return r.As(c), nil }
}

var good = feed.Credentials{ID: "orders", Secret: "secret"}

// tree is a hub, a relay, a relay behind that, and a verifier at each.
type tree struct {
	hub          *feed.Hub
	upper, lower *feed.Relay
	cutUpper     *line
	cutLower     *line
	feeds        map[string]*revocation.Feed
	lines        map[string]*line
}

func (g *rig) tree() tree {
	g.Helper()
	t := tree{feeds: map[string]*revocation.Feed{}, lines: map[string]*line{}}
	t.hub, _ = g.hub("hub")
	t.upper, t.cutUpper, _ = g.relay("upper", doorOf(t.hub))
	t.lower, t.cutLower, _ = g.relay("lower", doorOfRelay(t.upper))
	for name, d := range map[string]door{"at hub": doorOf(t.hub), "at upper": doorOfRelay(t.upper), "at lower": doorOfRelay(t.lower)} {
		h, err := d(good)
		g.must(err)
		t.lines[name] = newLine(h)
		t.feeds[name], _ = g.verifier(t.lines[name], name)
	}
	return t
}

func TestRevocationGoesThroughRelays(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		g.end("ses_0")
		tree := g.tree()
		for name, f := range tree.feeds {
			if verdict(f, session("ses_0")) != revocation.Revoked || verdict(f, session("ses_1")) != revocation.Live {
				g.Errorf("%s does not know what was there before", name)
			}
		}
		g.end("ses_1")
		wait(50 * time.Millisecond)
		for name, f := range tree.feeds {
			if verdict(f, session("ses_1")) != revocation.Revoked || !f.Fresh(now()) {
				g.Errorf("%s: %+v", name, f.Stats())
			}
		}
		list, err := tree.hub.Verifiers(g.Context())
		g.must(err)
		parts := map[feed.Part]int{}
		for _, v := range list {
			parts[v.Kind]++
		}
		if parts[feed.PartVerifier] != 3 || parts[feed.PartRelay] != 2 || parts[feed.PartHub] != 1 {
			g.Errorf("got %v", parts)
		}
	})
}

// I7 through two relays: with everybody in touch FLEET is quick, and with one cut
// off it takes a lease.
func TestFleetHearsThroughRelays(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		tree := g.tree()
		wait(3 * time.Second)
		for range 3 {
			if took := awaited(g, tree.hub, g.end("ses_1"), feed.Fleet); took > 400*time.Millisecond {
				g.Errorf("took %v", took)
			}
		}
		tree.lines["at lower"].sever()
		if took := awaited(g, tree.hub, g.end("ses_2"), feed.Fleet); took < longest || took > longest+50*time.Millisecond {
			g.Errorf("a verifier cut off: took %v", took)
		}
		tree.lines["at lower"].mend()
		wait(8 * time.Second)
		if took := awaited(g, tree.hub, g.end("ses_3"), feed.Fleet); took > 400*time.Millisecond {
			g.Errorf("mended: took %v", took)
		}
		tree.cutUpper.sever()
		seq := g.end("ses_4")
		if took := awaited(g, tree.hub, seq, feed.Fleet); took < longest || took > longest+50*time.Millisecond {
			g.Errorf("a relay cut off: took %v", took)
		}
		for name, f := range tree.feeds {
			if f.Fresh(now()) && verdict(f, session("ses_4")) != revocation.Revoked {
				g.Errorf("%s accepts after FLEET", name)
			}
		}
	})
}

// I6: ages add up, so that a verifier behind a relay that is cut off is not fresh.
func TestAgesAddUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		tree := g.tree()
		wait(3 * time.Second)
		tree.cutUpper.sever()
		cut := now()
		g.end("ses_1")
		for {
			for name, f := range tree.feeds {
				if f.Fresh(now()) && now().Sub(cut) > lease && name != "at hub" {
					g.Fatalf("%s is fresh %v after the cut", name, now().Sub(cut))
				}
			}
			if now().Sub(cut) > 2*lease {
				break
			}
			wait(10 * time.Millisecond)
		}
		if !tree.feeds["at hub"].Fresh(now()) {
			g.Error("the one at the hub is not fresh")
		}
		tree.cutUpper.mend()
		wait(8 * time.Second)
		for name, f := range tree.feeds {
			if !f.Fresh(now()) || verdict(f, session("ses_1")) != revocation.Revoked {
				g.Errorf("%s, after: %+v", name, f.Stats())
			}
		}
	})
}

// A relay that was started again knows nobody: verifiers register again.
func TestRelayThatStartsAgainIsRegisteredWithAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("hub")
		r, _, stop := g.relay("one", doorOf(h))
		l := newLine(r.As(good))
		f, _ := g.verifier(l, "v")
		wait(time.Second)
		stop()
		next, _, _ := g.relay("two", doorOf(h))
		l.mu.Lock()
		l.Hub = next.As(good)
		l.mu.Unlock()
		wait(8 * time.Second)
		g.end("ses_1")
		wait(50 * time.Millisecond)
		if got := f.Stats(); got.Registrations != 2 || !got.Fresh || verdict(f, session("ses_1")) != revocation.Revoked {
			g.Errorf("got %+v", got)
		}
	})
}

// I16 through relays: the union is made at each level.
func TestEpochRisesThroughRelays(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		tree := g.tree()
		g.end("ses_1")
		wait(time.Second)
		done, err := g.store.RaiseEpoch(g.Context(), 1, 10)
		if err != nil || !done {
			g.Fatal(done, err)
		}
		wait(3 * time.Second)
		g.end("ses_2")
		wait(100 * time.Millisecond)
		for name, f := range tree.feeds {
			if f.At().Epoch != 2 || !f.Fresh(now()) || verdict(f, session("ses_1")) != revocation.Revoked || verdict(f, session("ses_2")) != revocation.Revoked {
				g.Errorf("%s: %+v", name, f.Stats())
			}
		}
	})
}

func TestRelayLetsInWhomTheIssuerLetsIn(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("hub")
		r, l, _ := g.relay("one", doorOf(h))
		ask := revocation.Ask{Nonce: "n"}
		in, err := r.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		_, err = r.Renew(g.Context(), in.Ticket, ask)
		g.must(err)
		for name, c := range map[string]feed.Credentials{"wrong secret": {ID: "orders", Secret: "x"}, "no scope": {ID: "shop", Secret: "secret"}} {
			if _, err := r.Admit(g.Context(), c, revocation.Registration{}); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.Forbidden) {
				g.Errorf("%s: got %v", name, err)
			}
		}
		direct, err := h.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		if _, err := r.Renew(g.Context(), direct.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("a ticket it has not seen: got %v", err)
		}
		_, err = r.Renew(g.Context(), in.Ticket, ask)
		g.must(err)
		_, err = g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Client, "orders", "disabled", now())}})
		g.must(err)
		wait(100 * time.Millisecond)
		if _, err := r.Renew(g.Context(), in.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("disabled: got %v", err)
		}
		in, err = r.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		_, err = r.Renew(g.Context(), in.Ticket, ask)
		g.must(err)
		l.sever()
		if _, err := r.Admit(g.Context(), good, revocation.Registration{}); !fault.Is(err, fault.Unavailable) {
			g.Errorf("cut off: got %v", err)
		}
	})
}

// A relay speaks only for those that came through it: it knows no other's key.
func TestRelayCannotAckForOthers(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("hub")
		_, _ = g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
		wait(time.Second)
		list, err := h.Verifiers(g.Context())
		g.must(err)
		victim := list[len(list)-1].ID
		own, err := h.Admit(g.Context(), feed.Credentials{ID: "relay", Secret: "secret"}, revocation.Registration{Relay: true})
		g.must(err)
		sealed, err := h.Renew(g.Context(), own.Ticket, revocation.Ask{Nonce: "n", AsOfMS: -1, Acks: []revocation.Ack{
			{Verifier: victim, Epoch: 1, Applied: 1000, Proof: "AAAA"},
		}})
		g.must(err)
		a, err := revocation.OpenLease(sealed, own.LeaseKey)
		g.must(err)
		if len(a.Gone) != 1 || a.Gone[0] != victim {
			g.Errorf("got %v", a.Gone)
		}
		acks, err := h.Acks(g.Context(), 1000)
		g.must(err)
		for _, ack := range acks {
			if !ack.Heard.IsZero() {
				g.Errorf("%s is believed to have applied what it has not", ack.Name)
			}
		}
	})
}

// Uses that verifiers behind relays saw are told as theirs.
func TestUsesGoThroughRelays(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		tree := g.tree()
		tree.feeds["at lower"].Used("ses_1", now())
		wait(5 * time.Second)
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.used) != 1 || g.used[0].SessionID != "ses_1" || g.usedBy != "orders" {
			g.Errorf("got %v by %s", g.used, g.usedBy)
		}
	})
}
