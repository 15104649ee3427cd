package feed_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Rules whose loss random faults show too seldom. Each scenario reports whether
// its promise was broken.
func TestDirectedFaultsBreakNoPromise(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*rig) bool{
		"I4": forgetsByAnOldSnapshot, "I8": leasesFromBefore, "I9": forgetsTooEarly, "I16": forgetsInNewEpoch,
	} {
		bubble(t, func(g *rig) {
			if broken(g) {
				g.Errorf("%s is broken", name)
			}
		})
	}
}

// strange is a hub whose answers are not quite those of the hub behind it.
type strange struct {
	revocation.Hub
	verifier string
	answer   func(*revocation.Answer)
	snapshot func([]byte) []byte
}

func (s *strange) Register(ctx context.Context, r revocation.Registration) (revocation.Registered, error) {
	in, err := s.Hub.Register(ctx, r)
	s.verifier = in.Verifier
	return in, err
}

func (s *strange) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	sealed, err := s.Hub.Renew(ctx, ticket, ask)
	if err != nil {
		return "", err
	}
	key := leaseKey(s.verifier)
	a, err := revocation.OpenLease(sealed, key)
	if err != nil {
		return "", err
	}
	s.answer(&a)
	return revocation.SealLease(a, key)
}

func (s *strange) Snapshot(ctx context.Context, ticket string, least revocation.Position) ([]byte, error) {
	b, err := s.Hub.Snapshot(ctx, ticket, least)
	if err == nil && s.snapshot != nil {
		b = s.snapshot(b)
	}
	return b, err
}

// leasesFromBefore registers a verifier at a hub that lags behind the log: who waited
// for the fleet before it registered did not wait for this one, so its first lease
// must not be of then (I8).
func leasesFromBefore(g *rig) bool {
	h, _ := g.hub("one")
	wait(time.Second)
	behind := &strange{Hub: h.As(feed.Caller{ClientID: "orders"}), answer: func(a *revocation.Answer) { a.AgeMS += 700 }}
	f, err := revocation.New(revocation.Config{Issuer: issuer, Hub: behind, Name: "v", Now: now, Logger: slog.New(slog.DiscardHandler)})
	g.must(err)
	registered := now()
	g.run(f.Run)
	for range 400 {
		wait(5 * time.Millisecond)
		if at := now(); f.Fresh(at) && f.Staleness(at) > at.Sub(registered) {
			return true
		}
	}
	if !f.Fresh(now()) {
		g.Error("it never became fresh")
	}
	return false
}

// forgetsByAnOldSnapshot hands a verifier a snapshot of before what it knows: it adds
// nothing, and takes nothing away (I4).
func forgetsByAnOldSnapshot(g *rig) bool {
	h, _ := g.hub("one")
	var old []byte
	again := false
	late := &strange{Hub: h.As(feed.Caller{ClientID: "orders"}), answer: func(a *revocation.Answer) { a.Resync = a.Resync || again }}
	late.snapshot = func(b []byte) []byte {
		if old == nil {
			old = b
		}
		return old
	}
	g.end("ses_0")
	f, _ := g.verifier(late, "v")
	g.end("ses_1")
	wait(time.Second)
	if verdict(f, session("ses_1")) != revocation.Revoked {
		g.Fatal("it was not told")
	}
	again = true
	before := f.Stats().Resyncs
	for range 1000 {
		wait(time.Millisecond)
		if verdict(f, session("ses_1")) != revocation.Revoked {
			return true
		}
	}
	if f.Stats().Resyncs == before {
		g.Error("no snapshot was taken")
	}
	return verdict(f, session("ses_0")) != revocation.Revoked
}

// forgetsTooEarly waits until verifiers have thrown away more than once what nobody
// needs: an entry is needed as long as what it covers could be shown (I9).
func forgetsTooEarly(g *rig) bool {
	h, _ := g.hub("one")
	f, _ := g.verifier(h.As(feed.Caller{ClientID: "orders"}), "v")
	g.end("ses_1")
	wait(40 * time.Minute)
	return verdict(f, session("ses_1")) != revocation.Revoked
}

// forgetsInNewEpoch loses the log, but for what a verifier has heard of it (I16).
func forgetsInNewEpoch(g *rig) bool {
	h, stop := g.hub("one")
	l := newLine(h.As(feed.Caller{ClientID: "orders"}))
	f, _ := g.verifier(l, "v")
	g.end("ses_1")
	wait(time.Second)
	if verdict(f, session("ses_1")) != revocation.Revoked {
		g.Fatal("it was not told")
	}
	l.sever()
	stop()
	_, err := g.store.PurgeRevocations(g.Context(), now().Add(72*time.Hour))
	g.must(err)
	head, err := g.store.FeedHead(g.Context())
	g.must(err)
	_, err = g.store.RaiseEpoch(g.Context(), head.Epoch, head.Seq)
	g.must(err)
	next, _ := g.hub("two")
	l.mu.Lock()
	l.Hub = next.As(feed.Caller{ClientID: "orders"})
	l.mu.Unlock()
	l.mend()
	wait(8 * time.Second)
	if f.At().Epoch != head.Epoch+1 || !f.Fresh(now()) {
		g.Errorf("it is at %v", f.At())
	}
	return verdict(f, session("ses_1")) != revocation.Revoked
}
