package revocation_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// following starts a feed that knows of usr_1, at position 1.
func following(t *testing.T, h *fakeHub) *revocation.Feed {
	t.Helper()
	h.set(func() {
		h.head = 1
		h.snapshot = h.shot(revocation.Position{Epoch: 1, Seq: 1}, map[string]int64{"usr_1": 1})
	})
	f, _ := start(t, h)
	if !f.Fresh(time.Now()) || says(f, "usr_1", 0) != revocation.Revoked || says(f, "usr_2", 0) != revocation.Live {
		t.Fatalf("at the start: %+v", f.Stats())
	}
	return f
}

// I4: a frame that does not continue what is there changes nothing.
func TestGapChangesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		at, version := f.At(), f.Version()
		h.set(func() { h.away = errAway })
		h.push(h.frame(1, 3, "usr_3"))
		if f.At() != at || f.Version() != version || says(f, "usr_3", 0) != revocation.Live || f.Stats().Gaps != 1 {
			t.Errorf("after a gap: %+v", f.Stats())
		}
		h.set(func() { h.away, h.head, h.frames = nil, 3, []string{h.frame(1, 2, "usr_2", "usr_3")} })
		pass(renewEvery)
		if f.At().Seq != 3 || says(f, "usr_2", 0) != revocation.Revoked || says(f, "usr_3", 0) != revocation.Revoked {
			t.Errorf("with what was missing: %+v", f.Stats())
		}
	})
}

// I4, I13: what comes twice or late changes nothing, and what overlaps only adds.
func TestRepeatedAndOverlappingFrames(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		first, both := h.frame(1, 2, "usr_2"), h.frame(1, 2, "usr_2", "usr_3")
		h.push(first)
		version := f.Version()
		if f.At().Seq != 2 || version < 2 {
			t.Fatalf("a frame that continues: %+v", f.Stats())
		}
		h.push(first)
		h.push(h.frame(1, 1, "usr_1"))
		if f.Version() != version || f.At().Seq != 2 {
			t.Errorf("what is known already changes something: %+v", f.Stats())
		}
		h.push(both)
		if f.At().Seq != 3 || f.Version() <= version || says(f, "usr_3", 2) != revocation.Revoked || says(f, "usr_2", 2) != revocation.Live {
			t.Errorf("what overlaps: %+v", f.Stats())
		}
	})
}

// I15: only frames that a feed key of this issuer has signed apply.
func TestForeignFramesChangeNothing(t *testing.T) {
	t.Parallel()
	foreign, old := feedKey(t, "f9"), feedKey(t, "f1")
	other := revocation.Frame{Issuer: "https://evil.example", Epoch: 1, From: 2, To: 2, Events: []revocation.Event{{Kind: revocation.User, Key: 1}}}
	sign := func(t *testing.T, key *jose.Key, f revocation.Frame) string {
		t.Helper()
		s, err := f.Sign(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ours := other
	ours.Issuer = issuer
	for name, forge := range map[string]func(*testing.T, *fakeHub) string{
		"another issuer":      func(t *testing.T, h *fakeHub) string { return sign(t, h.key, other) },
		"an unknown key":      func(t *testing.T, _ *fakeHub) string { return sign(t, foreign, ours) },
		"a key of that name":  func(t *testing.T, _ *fakeHub) string { return sign(t, old, ours) },
		"a lease":             func(t *testing.T, h *fakeHub) string { return sealed(t, h, revocation.Answer{}) },
		"a changed signature": func(_ *testing.T, h *fakeHub) string { s := h.frame(1, 2, "usr_2"); return s[:len(s)-4] + "AAAA" },
		"a text":              func(*testing.T, *fakeHub) string { return "<html>" },
	} {
		bubble(t, func(t *testing.T, h *fakeHub) {
			f := following(t, h)
			version := f.Version()
			h.push(forge(t, h))
			if f.Version() != version || f.At().Seq != 1 || f.Stats().Refused != 1 {
				t.Errorf("%s: %+v", name, f.Stats())
			}
			pass(time.Second)
			h.push(h.frame(1, 2, "usr_2"))
			if says(f, "usr_2", 0) != revocation.Revoked {
				t.Errorf("%s: a good frame after it: %+v", name, f.Stats())
			}
		})
	}
}

// A flood of frames by keys that nobody publishes does not make one of requests.
func TestUnknownKeysAreLookedForSeldom(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		before := h.keyCalls
		signed, err := revocation.Frame{
			Issuer: issuer, Epoch: 1, From: 2, To: 2, Events: []revocation.Event{{Kind: revocation.User, Key: 1}},
		}.Sign(feedKey(t, "f9"))
		if err != nil {
			t.Fatal(err)
		}
		h.set(func() { h.frames = []string{signed} })
		pass(10 * time.Second)
		if calls, tried := h.keyCalls-before, f.Stats().Refused; calls < 1 || calls > 11 || tried < 40 {
			t.Errorf("the keys were fetched %d times in 10 s, for %d frames", calls, tried)
		}
		h.set(func() {
			h.key = feedKey(t, "f2")
			h.frames = []string{h.frame(1, 2, "usr_2")}
		})
		pass(2 * time.Second)
		if says(f, "usr_2", 0) != revocation.Revoked {
			t.Errorf("a new key that is published: %+v", f.Stats())
		}
	})
}

// I16: in a new epoch what was known stays, and there is no lease until all of the
// new one is there.
func TestNewEpochTakesTheUnion(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		h.set(func() { h.epoch, h.head = 2, 5 })
		pass(renewEvery)
		if f.At().Epoch != 1 {
			t.Fatalf("the snapshot of the old epoch made it %v", f.At())
		}
		pass(leaseFor)
		if f.Fresh(time.Now()) {
			t.Error("fresh in an epoch of which it knows nothing")
		}
		h.push(h.frame(2, 6, "usr_6"))
		if says(f, "usr_6", 0) != revocation.Live || f.At().Epoch != 1 {
			t.Errorf("a frame of the new epoch before its snapshot: %+v", f.Stats())
		}
		h.set(func() { h.snapshot = h.shot(revocation.Position{Epoch: 2, Seq: 5}, map[string]int64{"usr_5": 5}) })
		pass(time.Second)
		if f.At() != (revocation.Position{Epoch: 2, Seq: 5}) || !f.Fresh(time.Now()) {
			t.Errorf("in the new epoch: %+v", f.Stats())
		}
		if says(f, "usr_1", 0) != revocation.Revoked || says(f, "usr_5", 0) != revocation.Revoked {
			t.Error("something is forgotten")
		}
		h.push(h.frame(1, 6, "usr_7"))
		if says(f, "usr_7", 0) != revocation.Live || f.At().Epoch != 2 {
			t.Error("a frame of the old epoch applies")
		}
	})
}

// I4: a snapshot of before takes nothing away, nor the position back.
func TestSnapshotNeverLowers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		h.set(func() { h.head = 3 })
		h.push(h.frame(1, 2, "usr_2", "usr_1"))
		h.set(func() { h.change = func(a *revocation.Answer) { a.Resync = true } })
		before := f.Stats().Resyncs
		pass(time.Second)
		if f.Stats().Resyncs == before {
			t.Fatal("it took no snapshot")
		}
		if f.At().Seq != 3 || says(f, "usr_2", 0) != revocation.Revoked || says(f, "usr_1", 2) != revocation.Revoked {
			t.Errorf("after a snapshot of before: %+v", f.Stats())
		}
		later := h.shot(revocation.Position{Epoch: 1, Seq: 9}, map[string]int64{"usr_9": 9})
		h.set(func() { h.snapshot = later[:len(later)-1] })
		pass(time.Second)
		if f.At().Seq != 3 || says(f, "usr_9", 0) != revocation.Live {
			t.Error("a snapshot that was cut short is taken")
		}
		h.set(func() { h.snapshot, h.head = later, 9 })
		pass(time.Second)
		if f.At().Seq != 9 || says(f, "usr_9", 0) != revocation.Revoked || says(f, "usr_2", 0) != revocation.Revoked {
			t.Errorf("after a later one: %+v", f.Stats())
		}
	})
}

// A refused ticket ends the registration; any other failure leaves it.
func TestRefusedTicketRegistersAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		h.set(func() { h.away = errAway })
		pass(time.Second)
		h.set(func() { h.away = nil })
		pass(time.Second)
		if n := f.Stats().Registrations; n != 1 {
			t.Errorf("a hub that was away made it register %d times", n)
		}
		resyncs, version := f.Stats().Resyncs, f.Version()
		h.set(func() { h.ticket = "another" })
		pass(time.Second)
		if s := f.Stats(); s.Registrations != 2 || s.Verifier != "ver_2" || !s.Fresh || s.Resyncs != resyncs || f.Version() != version {
			t.Errorf("after the ticket was refused: %+v", s)
		}
		h.set(func() { h.secret, h.ticket, h.snapshot = revocation.Secret{8}, "another", nil })
		k := f.Keys(revocation.Subject{Subject: "usr_1"})
		pass(time.Second)
		if got := f.Check(&k, 0); got != revocation.Unknown {
			t.Errorf("keys of the old secret: got %v", got)
		}
		if says(f, "usr_1", 0) != revocation.Live || f.Version() == version || !f.Fresh(time.Now()) {
			t.Errorf("with another secret: %+v", f.Stats())
		}
	})
}

func TestStoppedFeedTellsTheHubAndIsNotFresh(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f, stop := start(t, h)
		if !f.Fresh(time.Now()) {
			t.Fatal("not fresh before")
		}
		if err := f.Run(t.Context()); err == nil {
			t.Error("it runs twice")
		}
		stop()
		if f.Fresh(time.Now()) || h.left != 1 {
			t.Errorf("fresh %v, left %d times", f.Fresh(time.Now()), h.left)
		}
	})
}

// Streams end when what they hang from does, and when nobody knows.
func TestWatchesEnd(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		var mu sync.Mutex
		var all []string
		end := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, what)
		}
		ended := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		watch := func(user string) func() {
			return f.Watch(revocation.Subject{Subject: user}, 0, func() { end(user) })
		}
		watch("usr_1")
		watch("usr_2")
		watch("usr_3")()
		watch("usr_4")
		h.push(h.frame(1, 2, "usr_2", "usr_3"))
		if ended := ended(); !slices.Equal(ended, []string{"usr_1", "usr_2"}) {
			t.Errorf("ended: %v", ended)
		}
		h.set(func() { h.head = 3 })
		pass(renewEvery)
		f.WatchLease(func() { end("lease") })
		asked := h.asked
		h.set(func() { h.away = errAway })
		pass(time.Until(asked.Add(leaseFor)))
		if ended := ended(); len(ended) != 2 {
			t.Errorf("the lease still runs: %v", ended)
		}
		pass(2 * time.Nanosecond)
		if ended := ended(); len(ended) != 3 || ended[2] != "lease" {
			t.Errorf("the lease is over: %v", ended)
		}
	})
}

func TestUsesThatWereNotToldAreToldLater(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		h.set(func() { h.away = errAway })
		f.Used("ses_1", time.Now())
		pass(time.Second)
		h.set(func() { h.away, h.asks = nil, nil })
		pass(time.Second)
		var told []revocation.Use
		for _, a := range h.asks {
			told = append(told, a.Uses...)
		}
		if len(told) != 1 || told[0].SessionID != "ses_1" || told[0].AgoMS < 1000 || told[0].AgoMS > 1000+renewEvery.Milliseconds() {
			t.Errorf("told: %+v", told)
		}
	})
}

// A question shows how far the verifier is, with proof, and never the same nonce.
func TestQuestionsShowWhereTheVerifierIs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f := following(t, h)
		var heard []string
		f.Tap(func(frame string, _, _ int64) { heard = append(heard, frame) })
		frame := h.frame(1, 2, "usr_2")
		h.push(frame)
		h.push(frame)
		h.set(func() { h.head = 2 })
		pass(2 * time.Second)
		nonces := map[string]bool{}
		for _, a := range h.asks {
			nonces[a.Nonce] = true
		}
		last := h.asks[len(h.asks)-1]
		if len(nonces) != len(h.asks) || last.Applied != 2 || last.Epoch != 1 || last.Evidence != frame || last.Entries != 2 || h.asks[0].AsOfMS != -1 {
			t.Errorf("%d questions, %d nonces, the last is %+v", len(h.asks), len(nonces), last)
		}
		if !slices.Equal(heard, []string{frame}) {
			t.Errorf("passed on: %d frames", len(heard))
		}
	})
}

// Two hubs of which one registers and the other refuses are not flooded with
// registrations, each of which is a row.
func TestRegistrationsThatDoNotLastAreNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		h.set(func() { h.away = errors.Join(revocation.ErrRefused, errAway) })
		f, _ := start(t, h)
		pass(time.Minute)
		synctest.Wait()
		if n := f.Stats().Registrations; n < 10 || n > 40 {
			t.Errorf("%d registrations in a minute", n)
		}
		if f.Fresh(time.Now()) {
			t.Error("it is fresh")
		}
	})
}
