package feed_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

func TestRevokedIsRefusedSoon(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
		if got := verdict(f, session("ses_1")); got != revocation.Live || !f.Fresh(now()) {
			g.Fatalf("before: got %v", got)
		}
		g.end("ses_1")
		wait(20 * time.Millisecond)
		if got := verdict(f, session("ses_1")); got != revocation.Revoked {
			g.Errorf("after: got %v %+v", got, f.Stats())
		}
		if got := verdict(f, session("ses_2")); got != revocation.Live {
			g.Errorf("another session: got %v", got)
		}
	})
}

// Every kind of entry reaches what it covers, an API by its audience.
func TestEveryKindIsUnderstood(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
		for _, tt := range []struct {
			kind revoke.Kind
			key  string
			of   revocation.Subject
		}{
			{revoke.Token, "tok_1", revocation.Subject{TokenID: "tok_1"}},
			{revoke.Session, "ses_1", revocation.Subject{SessionID: "ses_1"}},
			{revoke.Grant, "gra_1", revocation.Subject{GrantID: "gra_1"}},
			{revoke.User, "usr_1", revocation.Subject{Subject: "usr_1"}},
			{revoke.Claims, "usr_2", revocation.Subject{Subject: "usr_2"}},
			{revoke.Client, "shop", revocation.Subject{ClientID: "shop"}},
			{revoke.API, "https://orders.example", revocation.Subject{API: "https://orders.example"}},
			{revoke.API, "management", revocation.Subject{API: issuer + "/api/v1"}},
			{revoke.Key, "key_1", revocation.Subject{KeyID: "key_1"}},
		} {
			if got := verdict(f, tt.of); got != revocation.Live {
				g.Errorf("%s before: got %v", tt.kind, got)
			}
			seq, err := g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(tt.kind, tt.key, "test", now())}})
			g.must(err)
			wait(20 * time.Millisecond)
			k := f.Keys(tt.of)
			if got := f.Check(&k, seq-1); got != revocation.Revoked {
				g.Errorf("%s: got %v", tt.kind, got)
			}
			want := revocation.Live // I11
			if tt.kind.Always() {
				want = revocation.Revoked
			}
			if got := f.Check(&k, seq); got != want {
				g.Errorf("%s at its own position: got %v, want %v", tt.kind, got, want)
			}
		}
	})
}

func TestStreamGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		l.stream = true
		f, _ := g.verifier(l, "v")
		last := g.end("ses_1")
		wait(20 * time.Millisecond)
		l.sever()
		wait(time.Millisecond)
		l.mend()
		wait(2 * time.Second)
		l.mu.Lock()
		follows := l.follows
		l.mu.Unlock()
		if len(follows) < 2 || follows[len(follows)-1] != (revocation.Position{Epoch: 1, Seq: last}) {
			g.Errorf("got %v, want the last after 1:%d", follows, last)
		}
		g.end("ses_2")
		wait(20 * time.Millisecond)
		if got := verdict(f, session("ses_2")); got != revocation.Revoked {
			g.Errorf("got %v %+v", got, f.Stats())
		}
		if n := f.Stats().Resyncs; n != 1 {
			g.Errorf("got %d snapshots, want only the first", n)
		}
	})
}

// Without any stream, renewals alone carry what is missing, however much.
func TestRenewalFillsTheGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		entries   int
		snapshots int64
	}{{"few", 3, 1}, {"more than a ring holds", 20_000, 1}, {"too many", 60_000, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(g *rig) {
				h, _ := g.hub("one")
				l := newLine(h.As(feed.Caller{ClientID: "orders"}))
				f, _ := g.verifier(l, "v")
				l.sever()
				for first := 0; first < tt.entries; first += 1000 {
					var sids []string
					for i := first; i < min(first+1000, tt.entries); i++ {
						sids = append(sids, fmt.Sprintf("ses_%d", i))
					}
					g.endMany(sids...)
					wait(20 * time.Millisecond)
				}
				wait(lease + time.Second)
				if f.Fresh(now()) || verdict(f, session("ses_0")) != revocation.Live {
					g.Fatal("the line was not cut")
				}
				l.mu.Lock()
				l.stream = true
				l.mu.Unlock()
				wait(4 * time.Second)
				for _, i := range []int{0, tt.entries / 2, tt.entries - 1} {
					if got := verdict(f, session(fmt.Sprintf("ses_%d", i))); got != revocation.Revoked {
						g.Errorf("session %d: got %v %+v", i, got, f.Stats())
					}
				}
				if got := f.Stats(); got.Resyncs != tt.snapshots || !got.Fresh {
					g.Errorf("got %+v, want %d snapshots", got, tt.snapshots)
				}
			})
		})
	}
}

// Positions whose entries were purged are still positions.
func TestPurgedPositionsLeaveNoHole(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		e := revoke.New(revoke.Session, "ses_old", "logout", now())
		e.KeepUntil = now().Add(time.Minute)
		_, err := g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{e, e, e}})
		g.must(err)
		h, _ := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		f, _ := g.verifier(l, "v")
		l.sever()
		_, err = g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{e}})
		g.must(err)
		wait(2 * time.Minute)
		_, err = g.store.PurgeRevocations(g.Context(), now())
		g.must(err)
		last := g.end("ses_1")
		l.mend()
		wait(6 * time.Second)
		if at := f.At(); at.Seq != last || verdict(f, session("ses_1")) != revocation.Revoked || !f.Fresh(now()) {
			g.Errorf("got %v, want %d: %+v", at, last, f.Stats())
		}
		other, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "w")
		if got := other.Stats(); got.Entries != 1 || got.At.Seq != last {
			g.Errorf("a new one: got %+v", got)
		}
	})
}

// Whoever shows nothing good gets nothing, and stops getting anything as soon as
// its client is taken back. What was good before, and is good after, shows that
// it was this.
func TestWhoMayNotFollowIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, stop := g.hub("one")
		ctx, good := g.Context(), feed.Credentials{ID: "orders", Secret: "secret"}
		ask := revocation.Ask{Nonce: "n", AsOfMS: -1}
		in, err := h.Admit(ctx, good, revocation.Registration{Name: "v", Policy: "strict"})
		g.must(err)
		_, err = h.Renew(ctx, in.Ticket, ask)
		g.must(err)

		for name, c := range map[string]feed.Credentials{"wrong secret": {ID: "orders", Secret: "x"}, "no scope": {ID: "shop", Secret: "secret"}, "nobody": {}} {
			if _, err := h.Admit(ctx, c, revocation.Registration{}); err == nil {
				g.Errorf("%s: registered", name)
			}
		}
		for name, r := range map[string]revocation.Registration{"policy": {Policy: "lax"}, "long": {Name: strings.Repeat("a", 201)}, "control": {Name: "a\nb"}} {
			if _, err := h.Admit(ctx, good, r); !fault.Is(err, fault.Invalid) {
				g.Errorf("%s: got %v", name, err)
			}
		}
		parts := strings.Split(in.Ticket, ".")
		otherKey, err := jose.Generate(jose.EdDSA, "feed-1")
		g.must(err)
		payload, err := jose.DecodeSegment(parts[1])
		g.must(err)
		forged, err := jose.Sign(otherKey, jose.Header{Type: revocation.TicketType}, payload)
		g.must(err)
		confused, err := jose.Sign(g.key, jose.Header{Type: revocation.FrameType}, payload)
		g.must(err)
		for name, ticket := range map[string]string{
			"empty": "", "junk": "abc", "cut": in.Ticket[:len(in.Ticket)-4], "forged": forged, "of another type": confused,
		} {
			if _, err := h.Renew(ctx, ticket, ask); !errors.Is(err, revocation.ErrRefused) {
				g.Errorf("%s: got %v", name, err)
			}
		}
		for name, bad := range map[string]revocation.Ask{
			"no nonce": {}, "long nonce": {Nonce: strings.Repeat("n", 129)}, "negative": {Nonce: "n", Applied: -1},
			"acks of others": {Nonce: "n", Acks: []revocation.Ack{{Verifier: "ver_x"}}},
		} {
			if _, err := h.Renew(ctx, in.Ticket, bad); !fault.Is(err, fault.Invalid) {
				g.Errorf("%s: got %v", name, err)
			}
		}
		_, err = h.Renew(ctx, in.Ticket, ask)
		g.must(err)

		g.must(h.Leave(ctx, in.Ticket))
		if _, err := h.Renew(ctx, in.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("after leaving: got %v", err)
		}
		in, err = h.Admit(ctx, good, revocation.Registration{})
		g.must(err)
		stop()
		wait(25 * time.Hour)
		h, _ = g.hub("two")
		if _, err := h.Renew(ctx, in.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("after its end: got %v", err)
		}
	})
}

func TestDisabledClientIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		other, _ := g.hub("two")
		ctx := g.Context()
		good := feed.Credentials{ID: "orders", Secret: "secret"}
		ask := revocation.Ask{Nonce: "n", AsOfMS: -1}
		in, err := h.Admit(ctx, good, revocation.Registration{})
		g.must(err)
		spare, err := h.Admit(ctx, good, revocation.Registration{})
		g.must(err)
		_, err = h.Renew(ctx, in.Ticket, ask)
		g.must(err)
		ended := make(chan error, 1)
		go func() {
			ended <- h.Follow(ctx, in.Ticket, revocation.Position{Epoch: 1}, func(string, bool) error { return nil })
		}()
		_, err = g.store.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Client, "orders", "disabled", now())}})
		g.must(err)
		wait(20 * time.Millisecond)
		select {
		case err := <-ended:
			if !errors.Is(err, revocation.ErrRefused) {
				g.Errorf("stream: got %v", err)
			}
		default:
			g.Error("the stream goes on")
		}
		for name, try := range map[string]func() error{
			"lease":                      func() error { _, err := h.Renew(ctx, in.Ticket, ask); return err },
			"snapshot":                   func() error { _, err := h.Snapshot(ctx, in.Ticket, revocation.Position{}); return err },
			"at a hub it never spoke to": func() error { _, err := other.Renew(ctx, spare.Ticket, ask); return err },
		} {
			if err := try(); !errors.Is(err, revocation.ErrRefused) {
				g.Errorf("%s: got %v", name, err)
			}
		}
		in, err = h.Admit(ctx, good, revocation.Registration{})
		g.must(err)
		_, err = h.Renew(ctx, in.Ticket, ask)
		g.must(err)

		// Whose scope was taken away has no entry in the log: it is asked about again.
		g.mu.Lock()
		g.allowed["orders"] = false
		g.mu.Unlock()
		wait(11 * time.Second)
		if _, err := h.Renew(ctx, in.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("without the scope: got %v", err)
		}
		g.mu.Lock()
		g.allowed["orders"] = true
		g.mu.Unlock()
		in, err = h.Admit(ctx, good, revocation.Registration{})
		g.must(err)
		_, err = h.Renew(ctx, in.Ticket, ask)
		g.must(err)
	})
}

// A client that is disabled between its proof and the end of its registration has
// a ticket that is worth nothing.
func TestClientDisabledWhileItRegistersHasNoTicket(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		var during func()
		h, _ := g.hub("one", func(c *feed.Config) {
			inner := c.Authenticate
			c.Authenticate = func(ctx context.Context, cr feed.Credentials) (string, error) {
				id, err := inner(ctx, cr)
				if during != nil {
					during()
				}
				return id, err
			}
		})
		good := feed.Credentials{ID: "orders", Secret: "secret"}
		ask := revocation.Ask{Nonce: "n", AsOfMS: -1}
		wait(time.Second)
		in, err := h.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		_, err = h.Renew(g.Context(), in.Ticket, ask)
		g.must(err)
		during = func() {
			_, err := g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Client, "orders", "disabled", now())}})
			g.must(err)
			wait(100 * time.Millisecond)
		}
		in, err = h.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		if _, err := h.Renew(g.Context(), in.Ticket, ask); !errors.Is(err, revocation.ErrRefused) {
			g.Errorf("got %v", err)
		}
		during = nil
		in, err = h.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		_, err = h.Renew(g.Context(), in.Ticket, ask)
		g.must(err)
	})
}

// I6: a hub that cannot read its store says how old what it knows is.
func TestHubWithoutItsStoreGrowsOld(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) { growsOld(g) })
}

func growsOld(g *rig) (violated bool) {
	h, _ := g.hub("one")
	f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
	wait(time.Second)
	if !f.Fresh(now()) {
		g.Fatal("not fresh before")
	}
	g.store.set(errCut)
	g.end("ses_1")
	wait(time.Second)
	if stale := f.Staleness(now()); stale < 800*time.Millisecond {
		violated = true
	}
	wait(lease)
	if f.Fresh(now()) {
		violated = true
	}
	g.store.set(nil)
	wait(500 * time.Millisecond)
	if !f.Fresh(now()) || verdict(f, session("ses_1")) != revocation.Revoked {
		g.Errorf("after: %+v", f.Stats())
	}
	if violated && !mutated {
		g.Error("the verifier is fresh, and the hub knows nothing")
	}
	return violated
}

// I16: a verifier that is ahead of the log shows that entries were lost.
func TestVerifierAheadOfTheLogBeginsANewEpoch(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, stop := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		f, _ := g.verifier(l, "v")
		g.end("ses_1")
		g.end("ses_2")
		wait(20 * time.Millisecond)
		if at := f.At(); at != (revocation.Position{Epoch: 1, Seq: 2}) {
			g.Fatalf("at %v", at)
		}
		l.sever()
		stop() // a hub that ran on would notice by itself
		g.store.mu.Lock()
		g.store.lost = 1
		g.store.mu.Unlock()
		next, _ := g.hub("two")
		l.mu.Lock()
		l.Hub = next.As(feed.Caller{ClientID: "orders"})
		l.mu.Unlock()
		l.mend()
		wait(6 * time.Second)
		at := f.At()
		if g.store.rose != 1 || at.Epoch != 2 || at.Seq < 2 {
			g.Errorf("rose %d times, verifier at %v", g.store.rose, at)
		}
		if !f.Fresh(now()) || verdict(f, session("ses_2")) != revocation.Revoked {
			g.Errorf("what was known is forgotten: %+v", f.Stats())
		}
		if seq := g.end("ses_3"); seq <= 2 {
			g.Errorf("position %d was given again", seq)
		}
		wait(50 * time.Millisecond)
		if verdict(f, session("ses_3")) != revocation.Revoked {
			g.Errorf("new entries do not arrive: %+v", f.Stats())
		}
	})
}

// A running hub needs nobody to tell it.
func TestHubThatSawMoreThanTheLogHoldsBeginsANewEpoch(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
		g.end("ses_1")
		wait(20 * time.Millisecond)
		g.store.mu.Lock()
		g.store.lost = 1
		g.store.mu.Unlock()
		wait(time.Second)
		if g.store.rose != 1 || f.At().Epoch != 2 || !f.Fresh(now()) || verdict(f, session("ses_1")) != revocation.Revoked {
			g.Errorf("rose %d times: %+v", g.store.rose, f.Stats())
		}
	})
}

// A claim without any proof is believed once in a while, not at will.
func TestLiarCannotRaiseTheEpochAgainAndAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		in, err := h.Admit(g.Context(), feed.Credentials{ID: "orders", Secret: "secret"}, revocation.Registration{})
		g.must(err)
		refused := 0
		for range 20 {
			ask := revocation.Ask{Nonce: "n", Epoch: math.MaxInt64 - 1, Applied: math.MaxInt64, Evidence: "x"}
			if _, err := h.Renew(g.Context(), in.Ticket, ask); errors.Is(err, revocation.ErrRefused) {
				refused++
			}
		}
		if g.store.rose != 1 || refused != 19 {
			g.Errorf("rose %d times, refused %d", g.store.rose, refused)
		}
		if seq := g.end("ses_1"); seq != 1 {
			g.Errorf("the liar moved the log to %d", seq)
		}
	})
}

// A key that was taken back signs nothing that is given out any more, nor anything
// that was made before.
func TestFramesOfAKeyThatWasTakenBackAreMadeAnew(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		l := newLine(h.As(feed.Caller{ClientID: "orders"}))
		f, _ := g.verifier(l, "v")
		l.sever()
		g.end("ses_1")
		wait(20 * time.Millisecond)
		key, err := jose.Generate(jose.EdDSA, "feed-2")
		g.must(err)
		g.mu.Lock()
		g.key = key
		g.mu.Unlock()
		_, err = g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Key, "feed-1", "stolen", now())}})
		g.must(err)
		wait(100 * time.Millisecond)
		l.mend()
		wait(8 * time.Second)
		if verdict(f, session("ses_1")) != revocation.Revoked || !f.Fresh(now()) || f.Stats().Registrations != 2 {
			g.Errorf("got %+v", f.Stats())
		}
	})
}
