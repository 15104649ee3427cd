package split_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/split"
)

func TestMoveIsRefusedWhereSessionsWouldBeLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	ctx := t.Context()
	h.homes["mem://alias"] = h.homes["mem://a"]
	if err := s.StartMove(ctx, "mem://alias"); !fault.Is(err, fault.Conflict) {
		t.Errorf("move of nothing to where it is: %v", err)
	}
	start(t, s, "s1")
	must(t, h.home("mem://full").Add(ctx, session.Record{Session: newSession("old", "ada")}))
	h.home("mem://down").set(errDown, nil)
	for _, c := range []struct {
		url  string
		want fault.Code
	}{{"mem://a", fault.Invalid}, {"mem://alias", fault.Conflict}, {"mem://full", fault.Conflict}, {"mem://down", fault.Invalid}} {
		if err := s.StartMove(ctx, c.url); !fault.Is(err, c.want) {
			t.Errorf("move to %s: %v, want %s", c.url, err, c.want)
		}
	}
	if err := s.AbortMove(ctx); !fault.Is(err, fault.Conflict) {
		t.Errorf("abort of nothing: %v", err)
	}
	must(t, s.StartMove(ctx, "mem://b"))
	must(t, s.StartMove(ctx, "mem://b")) // goes on
	if err := s.StartMove(ctx, "mem://c"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second move: %v", err)
	}
	must(t, s.AbortMove(ctx))
	wantSecret(t, s, "secret of s1", true)
	h.begin(s, "mem://c")
	if err := s.AbortMove(ctx); !fault.Is(err, fault.Conflict) {
		t.Errorf("abort while records move: %v", err)
	}
	h.finish(s)
	wantSecret(t, s, "secret of s1", true)
}

func TestMoveTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	ctx := t.Context()
	want := func(p split.Progress, err error, want split.Progress) {
		t.Helper()
		if err != nil || p != want {
			t.Fatalf("got %+v, %v\nwant %+v", p, err, want)
		}
	}
	p, err := s.MoveStatus(ctx)
	want(p, err, split.Progress{Stage: "settled", To: "mem://a"})
	ids := names("s", 2500)
	start(t, s, ids...)
	must(t, s.StartMove(ctx, ""))
	p, err = s.Move(ctx)
	want(p, err, split.Progress{Stage: "announced", From: "mem://a", To: "the database", Left: 2500, Total: 2500})
	h.forward(time.Minute)
	p, err = s.Move(ctx)
	want(p, err, split.Progress{Stage: "moving", From: "mem://a", To: "the database", Left: 2500, Total: 2500})
	p, err = s.Move(ctx)
	want(p, err, split.Progress{Stage: "moving", From: "mem://a", To: "the database", Copied: 1000, Left: 1500, Total: 2500})
	p = h.finish(s)
	want(p, nil, split.Progress{Stage: "settled", From: "mem://a", To: "the database", Copied: 2500, Total: 2500, Done: true})
	if n := count(t, h.home("mem://a")); n != 0 {
		t.Errorf("%d records were left", n)
	}
	all, err := h.truth.SessionsOf(ctx, "ada")
	if err != nil || len(all) != 2500 {
		t.Errorf("%d sessions in the truth, %v", len(all), err)
	}
}

// Each stage lasts until every node must know it.
func TestStageLastsUntilEveryNodeKnowsIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, other := h.open("mem://a"), h.open("mem://a")
	ctx := t.Context()
	stage := func(want string) {
		t.Helper()
		p, err := s.Move(ctx)
		if err != nil || p.Stage != want {
			t.Fatalf("%+v, %v; want %s", p, err, want)
		}
	}
	const wait = split.DefaultLease*2 + split.DefaultLease/4
	must(t, s.StartMove(ctx, "mem://b"))
	h.forward(wait - time.Microsecond)
	stage("announced")
	start(t, other, "s1") // a node that has just learned of it
	h.forward(time.Microsecond)
	stage("moving")
	start(t, other, "s2") // still announced: to A
	if n := count(t, h.home("mem://a")); n != 2 {
		t.Fatalf("%d records in A, want 2", n)
	}
	h.forward(wait - time.Microsecond)
	stage("moving") // A is empty already
	if n := count(t, h.home("mem://a")); n != 0 {
		t.Fatalf("%d records in A, want none", n)
	}
	h.forward(time.Microsecond)
	stage("settled")
	wantSecret(t, other, "secret of s1", true)
	wantSecret(t, other, "secret of s2", true)
}

// A record was renewed in B while its frozen copy is still in A: whoever has the
// old secret is refused, at every stage, by every node.
func TestOldSecretDoesNotComeBack(t *testing.T) {
	t.Parallel()
	for _, route := range [][2]string{{"mem://a", "mem://b"}, {"", "mem://b"}, {"mem://a", ""}} {
		h := newHouse(t)
		behind, s := h.open(route[0]), h.open(route[0])
		start(t, s, "s1", "s2")
		h.begin(s, route[1])
		must(t, behind.Refresh(t.Context()))
		frozen := func(id string) session.Record {
			r, found, err := source(h, route[0]).Leave(t.Context(), id)
			if err != nil || !found {
				t.Fatalf("%s: %v, %v", id, found, err)
			}
			return r
		}
		copied := frozen("s1")
		copied.Leaving = false
		must(t, source(h, route[1]).Add(t.Context(), copied)) // and whoever did it died
		next := newSession("s1", "ada")
		next.Secret = opaque.Hash("next")
		if ok, err := s.RenewSession(t.Context(), opaque.Hash("secret of s1"), next, revoke.Effects{}); !ok || err != nil {
			t.Fatalf("%v: renewed %v, %v", route, ok, err)
		}
		for _, node := range []*split.Store{s, behind} {
			wantSecret(t, node, "secret of s1", false)
			wantSecret(t, node, "next", true)
		}
		h.finish(s)
		for _, node := range []*split.Store{s, behind} {
			wantSecret(t, node, "secret of s1", false)
			wantSecret(t, node, "next", true)
			wantSecret(t, node, "secret of s2", true)
		}
	}
}

func source(h *house, url string) session.Home {
	if url == "" {
		return h.truth.Truth.Sessions()
	}
	return h.home(url)
}

// An announced node that finds a frozen record pulls it as well, whatever it is
// about to do with it.
func TestAnnouncedNodePullsWhatIsLeaving(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"find", "renew", "touch"} {
		h := newHouse(t)
		behind, s := h.open("mem://a"), h.open("mem://a")
		start(t, s, "s1")
		must(t, s.StartMove(t.Context(), "mem://b"))
		h.forward(time.Minute)
		must(t, behind.Refresh(t.Context())) // announced
		_, err := s.Move(t.Context())        // moving
		must(t, err)
		_, _, err = h.home("mem://a").Leave(t.Context(), "s1") // by whoever died then
		must(t, err)
		switch what {
		case "find":
			wantSecret(t, behind, "secret of s1", true)
		case "renew":
			next := newSession("s1", "ada")
			if ok, err := behind.RenewSession(t.Context(), next.Secret, next, revoke.Effects{}); !ok || err != nil {
				t.Fatalf("renewed %v, %v", ok, err)
			}
		case "touch":
			n, err := behind.TouchSessions(t.Context(), []session.Touch{{ID: "s1", Seen: at(time.Minute), IdleUntil: at(13 * time.Hour)}})
			if n != 1 || err != nil {
				t.Fatalf("touched %d, %v", n, err)
			}
		}
		if a, b := count(t, h.home("mem://a")), count(t, h.home("mem://b")); a != 0 || b != 1 {
			t.Errorf("%s: %d records in A, %d in B", what, a, b)
		}
		wantSecret(t, s, "secret of s1", true)
	}
}

// A node that is still announced renews a session while another one copies it.
func TestRenewalBesideTheCopyIsNotLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	behind, s := h.open("mem://a"), h.open("mem://a")
	start(t, s, "s1")
	must(t, s.StartMove(t.Context(), "mem://b"))
	h.forward(time.Minute)
	must(t, behind.Refresh(t.Context()))
	_, err := s.Move(t.Context())
	must(t, err)
	next := newSession("s1", "ada")
	next.Secret = opaque.Hash("next")
	h.home("mem://b").set(nil, once("add", func() {
		ok, err := behind.RenewSession(t.Context(), opaque.Hash("secret of s1"), next, revoke.Effects{})
		if !ok || err != nil {
			t.Errorf("renewed %v, %v", ok, err)
		}
	}))
	h.finish(s)
	wantSecret(t, s, "next", true)
	wantSecret(t, s, "secret of s1", false)
}

// Nothing should be added to A so late. What is all the same moves as well.
func TestMoveIsNotDoneWhileSomethingIsLeft(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	h.begin(s, "mem://b")
	h.forward(time.Minute)
	h.home("mem://a").set(nil, once("page", func() {
		h.home("mem://a").set(nil, func(call string) {
			if call == "count" {
				h.home("mem://a").set(nil, nil)
				must(t, h.home("mem://a").Add(t.Context(), session.Record{Session: newSession("s1", "ada")}))
			}
		})
	}))
	h.finish(s)
	wantSecret(t, s, "secret of s1", true)
}

// A record is added to B after its session ended and was swept.
func TestLateCopyOfAnEndedSessionIsNotFound(t *testing.T) {
	t.Parallel()
	for _, route := range [][2]string{{"mem://a", "mem://b"}, {"", "mem://b"}, {"mem://a", ""}} {
		h := newHouse(t)
		s := h.open(route[0])
		start(t, s, "s1", "s2")
		h.begin(s, route[1])
		end := func() {
			_, err := s.Record(t.Context(), ends(revoke.Session, "s1"))
			must(t, err)
			must(t, s.Sweep(t.Context()))
		}
		if route[1] == "" {
			late, _, err := h.home("mem://a").Leave(t.Context(), "s1")
			must(t, err)
			end()
			late.Leaving = false
			if err := h.truth.Sessions().Add(t.Context(), late); !fault.Is(err, fault.Conflict) {
				t.Errorf("added to the truth: %v", err)
			}
		} else {
			h.home("mem://b").set(nil, once("add", end))
		}
		wantSecret(t, s, "secret of s1", false)
		h.finish(s)
		wantSecret(t, s, "secret of s1", false)
		wantSecret(t, s, "secret of s2", true)
	}
}

// What began within the lease and ends after the move is not believed.
func TestLateReadDoesNotSignOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	slow, s := h.open("mem://a"), h.open("mem://a")
	start(t, s, "s1", "s2")
	h.home("mem://a").set(nil, once("read", func() { h.move(s, "mem://b") }))
	wantSecret(t, slow, "secret of s1", true)
	wantSecret(t, slow, "secret of s2", true)
}

// A login whose record arrives in A after everybody has left it is not
// acknowledged, and does not stay.
func TestLateLoginIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	slow, s := h.open("mem://a"), h.open("mem://a")
	h.home("mem://a").set(nil, once("add", func() { h.move(s, "mem://b") }))
	if err := slow.StartSession(t.Context(), newSession("s1", "ada"), ends(revoke.Session, "s0")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("started: %v, want unavailable", err)
	}
	if head, err := s.Head(t.Context()); head != 0 || err != nil {
		t.Errorf("its effects were written: %d, %v", head, err)
	}
	if n := count(t, h.home("mem://a")); n != 0 {
		t.Errorf("%d records in A", n)
	}
	start(t, slow, "s1")
	wantSecret(t, s, "secret of s1", true)
}

func TestMoveWaitsForAHomeThatIsDown(t *testing.T) {
	t.Parallel()
	for _, down := range []string{"mem://a", "mem://b"} {
		h := newHouse(t)
		s, other := h.open("mem://a"), h.open("mem://a")
		start(t, s, names("s", 300)...)
		h.begin(s, "mem://b")
		left := 150
		h.home(down).set(nil, func(call string) {
			if left--; left == 0 {
				h.home(down).set(errDown, nil)
			}
		})
		p, err := s.Move(t.Context())
		if !errors.Is(err, errDown) || p.Stage != "moving" || p.Error == "" || p.Done {
			t.Fatalf("%s: %+v, %v", down, p, err)
		}
		if p, err = other.MoveStatus(t.Context()); err != nil || p.Error == "" {
			t.Fatalf("%s: another node says %+v, %v", down, p, err)
		}
		h.home(down).set(nil, nil)
		if p = h.finish(s); p.Error != "" || p.Copied != 300 {
			t.Fatalf("%s: %+v", down, p)
		}
		for _, id := range names("s", 300) {
			wantSecret(t, s, "secret of "+id, true)
		}
	}
}

func TestOneNodeMovesAndAnotherGoesOnWhenItDied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, other := h.open("mem://a"), h.open("mem://a")
	start(t, s, names("s", 1500)...)
	h.begin(s, "mem://b")
	_, err := s.Move(t.Context())
	must(t, err)
	p, err := other.Move(t.Context())
	if err != nil || p.Left != 500 {
		t.Fatalf("while the other has the claim: %+v, %v", p, err)
	}
	h.forward(2 * split.DefaultLease)
	p, err = other.Move(t.Context())
	if err != nil || p.Left != 0 {
		t.Fatalf("after the claim: %+v, %v", p, err)
	}
	h.finish(other)
}

// node opens a process of its own, whose calls can be made to fail.
func (h *house) node(url string, c *calls) (*split.Store, error) {
	cfg := h.config(url)
	cfg.Truth = &truth{Truth: h.truth.Truth, calls: c}
	cfg.Open = func(_ context.Context, url string) (session.Home, error) {
		return unclosed{&flaky{Home: h.home(url).Home, calls: c}}, nil
	}
	return split.Open(h.t.Context(), cfg)
}

// journey is everything a node does with a move, until it dies.
func journey(h *house, s *split.Store, to string) error {
	ctx := h.t.Context()
	if err := s.StartMove(ctx, to); err != nil {
		return err
	}
	h.forward(time.Minute)
	if _, err := s.Move(ctx); err != nil {
		return err
	}
	if _, _, _, err := s.SessionBySecret(ctx, opaque.Hash("secret of s0")); err != nil {
		return err
	}
	next := newSession("s1", "ada")
	next.Secret = opaque.Hash("next of s1")
	if _, err := s.RenewSession(ctx, opaque.Hash("secret of s1"), next, revoke.Effects{}); err != nil {
		return err
	}
	if err := s.Sweep(ctx); err != nil {
		return err
	}
	for range 6 {
		h.forward(4 * time.Second)
		if _, err := s.Move(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The process dies before or after each of its calls in turn, or only that call
// fails; another one goes on. Nobody is signed out and nobody comes back.
func TestMoveSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, route := range [][2]string{{"mem://a", "mem://b"}, {"", "mem://b"}, {"mem://a", ""}} {
		for _, plan := range []step{{before: true, deaf: true}, {deaf: true}, {before: true}, {}} {
			t.Run(fmt.Sprintf("%s to %s, %+v", route[0], route[1], plan), func(t *testing.T) {
				t.Parallel()
				steps := 0
				for plan.at = 1; ; plan.at++ {
					if !crash(t, route, plan) {
						break
					}
					steps++
				}
				if steps < 15 {
					t.Errorf("only %d steps could fail", steps)
				}
			})
		}
	}
}

func crash(t *testing.T, route [2]string, plan step) (reached bool) {
	t.Helper()
	h := newHouse(t)
	var c calls
	s, err := h.node(route[0], &c)
	must(t, err)
	start(t, s, "s0", "s1", "s2", "s3")
	other, err := h.node(route[0], nil)
	must(t, err)
	_, err = s.Record(t.Context(), ends(revoke.Session, "s3"))
	must(t, err)
	c.set(plan)
	err = journey(h, s, route[1])
	reached = c.count() >= plan.at
	if (err != nil) != reached && plan.deaf {
		t.Fatalf("step %d: %v", plan.at, err)
	}
	h.forward(time.Minute)
	p, err := other.MoveStatus(t.Context())
	must(t, err)
	if p.Stage == "settled" && !p.Done {
		must(t, other.StartMove(t.Context(), route[1]))
	}
	h.finish(other)
	must(t, other.Sweep(t.Context()))
	for secret, want := range map[string]bool{"secret of s0": true, "secret of s2": true, "secret of s3": false, "guess": false} {
		_, _, found, err := other.SessionBySecret(t.Context(), opaque.Hash(secret))
		if err != nil || found != want {
			t.Fatalf("step %d: %q found %v, %v", plan.at, secret, found, err)
		}
	}
	_, _, first, err := other.SessionBySecret(t.Context(), opaque.Hash("secret of s1"))
	must(t, err)
	_, _, second, err := other.SessionBySecret(t.Context(), opaque.Hash("next of s1"))
	must(t, err)
	if first == second {
		t.Fatalf("step %d: old secret %v, new secret %v", plan.at, first, second)
	}
	if a, b := count(t, source(h, route[0])), count(t, source(h, route[1])); a != 0 || b != 3 {
		t.Fatalf("step %d: %d records where they were, %d where they went", plan.at, a, b)
	}
	return reached
}
