package password_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

// turnstile is a Hasher whose computations each wait for a token. It lives in a
// synctest bubble.
type turnstile struct {
	t      *testing.T
	h      *password.Hasher
	clock  *clock
	tokens chan struct{}

	mu   sync.Mutex
	done []string
	errs map[string]error
}

func newTurnstile(t *testing.T, c password.Config) *turnstile {
	ts := &turnstile{t: t, clock: newClock(), tokens: make(chan struct{}, 1000), errs: map[string]error{}}
	c.Now = ts.clock.now
	ts.h = newHasher(t, c)
	password.Observe(ts.h, func() { <-ts.tokens })
	return ts
}

// pass moves both clocks: the Hasher's and that of the bubble's timers.
func (ts *turnstile) pass(d time.Duration) {
	ts.clock.add(d)
	<-time.After(d) // in a bubble this takes no time
	synctest.Wait()
}

// ask starts a check under a name and waits until it computes, waits or is refused.
func (ts *turnstile) ask(ctx context.Context, name string) {
	go func() {
		_, err := ts.h.Verify(ctx, password.Attempt{Password: "wrong", Known: strings.HasPrefix(name, "known")})
		ts.mu.Lock()
		defer ts.mu.Unlock()
		ts.done = append(ts.done, name)
		ts.errs[name] = err
	}()
	synctest.Wait()
}

// serve lets n computations end, one after the other.
func (ts *turnstile) serve(n int) {
	for range n {
		ts.tokens <- struct{}{}
		synctest.Wait()
	}
}

func (ts *turnstile) answered(name string) (bool, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	err, ok := ts.errs[name]
	return ok, err
}

func (ts *turnstile) wantBusy(name string) *password.BusyError {
	ts.t.Helper()
	ok, err := ts.answered(name)
	var busy *password.BusyError
	if !ok || !errors.As(err, &busy) {
		ts.t.Fatalf("%s: answered %v with %v, want a BusyError at once", name, ok, err)
	}
	if busy.RetryAfter < time.Second || busy.RetryAfter%time.Second != 0 {
		ts.t.Errorf("%s: retry after %v, want whole seconds", name, busy.RetryAfter)
	}
	return busy
}

func (ts *turnstile) wantOrder(want ...string) {
	ts.t.Helper()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if !slices.Equal(ts.done, want) {
		ts.t.Fatalf("answered in the order %v, want %v", ts.done, want)
	}
}

func TestParallelCallersNeverComputeMoreThanWorkersAtOnce(t *testing.T) {
	t.Parallel()
	const workers, callers = 3, 500
	h := newHasher(t, password.Config{Workers: workers, QueueLength: 2 * callers, MaxWait: time.Hour, Cost: time.Microsecond})
	var running, peak, total atomic.Int32
	password.Observe(h, func() {
		n := running.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		total.Add(1)
		running.Add(-1)
	})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if _, err := h.Verify(t.Context(), password.Attempt{Password: "wrong"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peak.Load() > workers || total.Load() != callers {
		t.Errorf("%d computations, %d at once; want %d, at most %d", total.Load(), peak.Load(), callers, workers)
	}
	if s := h.Stats(); s.Running != 0 || s.Others != 0 {
		t.Errorf("gate is not empty afterwards: %+v", s)
	}
}

// LOGIN-009. The happy path before and after is the callers that get in.
func TestHashFloodIsShedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 2, QueueLength: 8})
		for i := range 500 {
			ts.ask(t.Context(), fmt.Sprint("flood", i))
		}
		s := ts.h.Stats()
		if s.Running != 2 || s.Others != 4 || s.Shed != 494 {
			t.Fatalf("after 500 callers: %+v, want 2 running, 4 waiting, 494 shed", s)
		}
		// No time has passed in the bubble, so the refusals took none.
		for i := 6; i < 500; i++ {
			ts.wantBusy(fmt.Sprint("flood", i))
		}
		ts.serve(6)
		for i := range 6 {
			if ok, err := ts.answered(fmt.Sprint("flood", i)); !ok || err != nil {
				t.Errorf("caller %d inside the gate: answered %v, %v", i, ok, err)
			}
		}
		ts.ask(t.Context(), "afterwards")
		ts.serve(1)
		if ok, err := ts.answered("afterwards"); !ok || err != nil {
			t.Errorf("after the flood: answered %v, %v", ok, err)
		}
	})
}

func TestStrangerIsRefusedWhenTheExpectedWaitIsTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 400, Cost: 100 * time.Millisecond})
		for i := range 11 { // one computes, ten wait: the tenth for a second
			ts.ask(t.Context(), fmt.Sprint("stranger", i))
		}
		if s := ts.h.Stats(); s.Others != 10 || s.Shed != 0 {
			t.Fatalf("%+v, want 10 waiting, none shed", s)
		}
		ts.ask(t.Context(), "one too many")
		if busy := ts.wantBusy("one too many"); busy.RetryAfter != 2*time.Second {
			t.Errorf("retry after %v, want 1.1 s rounded up", busy.RetryAfter)
		}
		ts.ask(t.Context(), "known")
		if s := ts.h.Stats(); s.Known != 1 {
			t.Errorf("known caller is not let in: %+v", s)
		}
		ts.serve(12)
	})
}

func TestKnownCallersKeepHalfTheQueueAndEverySecondTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 6, Cost: time.Millisecond})
		for _, name := range []string{"a", "b", "c", "d", "crowded out", "known1", "known2", "known3", "known too many"} {
			ts.ask(t.Context(), name)
		}
		ts.wantBusy("crowded out")
		ts.wantBusy("known too many")
		ts.serve(7)
		ts.wantOrder("crowded out", "known too many", "a", "b", "known1", "c", "known2", "d", "known3")
	})
}

func TestOverloadedLaneServesNewestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 20, Cost: time.Millisecond})
		for _, name := range []string{"first", "old", "middle", "new"} {
			ts.ask(t.Context(), name)
		}
		ts.serve(2) // no overload yet: the oldest comes next
		ts.wantOrder("first", "old")
		ts.pass(1600 * time.Millisecond)
		ts.ask(t.Context(), "newest")
		ts.serve(2) // "middle" was computing already
		ts.wantOrder("first", "old", "middle", "newest")
		ts.serve(1)
		ts.wantOrder("first", "old", "middle", "newest", "new")
	})
}

func TestWaitEndsAtMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 20, Cost: time.Millisecond})
		ts.ask(t.Context(), "computing")
		ts.ask(t.Context(), "waiting")
		ts.pass(1999 * time.Millisecond)
		if ok, err := ts.answered("waiting"); ok {
			t.Fatalf("answered before the end of its wait: %v", err)
		}
		ts.pass(2 * time.Millisecond)
		ts.wantBusy("waiting")
		if s := ts.h.Stats(); s.Others != 0 || s.Running != 1 {
			t.Errorf("after the wait: %+v", s)
		}
		ts.serve(1)
	})
}

func TestCallerWhoLeavesGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 2})
		ctx, cancel := context.WithCancel(t.Context())
		ts.ask(t.Context(), "computing")
		ts.ask(ctx, "leaving")
		ts.ask(t.Context(), "refused")
		ts.wantBusy("refused")
		cancel()
		synctest.Wait()
		if ok, err := ts.answered("leaving"); !ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("leaving: answered %v with %v", ok, err)
		}
		ts.ask(t.Context(), "next")
		ts.serve(2)
		if ok, err := ts.answered("next"); !ok || err != nil {
			t.Errorf("next: answered %v with %v", ok, err)
		}
		ts.ask(ctx, "gone before") // its context has ended: it computes nothing
		if ok, err := ts.answered("gone before"); !ok || !errors.Is(err, context.Canceled) {
			t.Errorf("gone before: answered %v with %v", ok, err)
		}
	})
}

func TestNoSlotIsLostWhenCallersLeaveInAnyOrder(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{Workers: 2, QueueLength: 1000, MaxWait: time.Hour, Cost: time.Microsecond})
	var wg sync.WaitGroup
	for i := range 400 {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := h.Verify(ctx, password.Attempt{Password: "wrong", Known: i%3 == 0})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if i%2 == 0 {
				cancel()
			}
		})
		t.Cleanup(cancel)
	}
	wg.Wait()
	if s := h.Stats(); s.Running != 0 || s.Known != 0 || s.Others != 0 {
		t.Fatalf("gate is not empty: %+v", s)
	}
	if _, err := h.Hash(t.Context(), "still works"); err != nil {
		t.Error(err)
	}
}

func TestRehashRunsOnlyOnAnIdleWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 1, QueueLength: 20})
		ts.ask(t.Context(), "computing")
		_, err := ts.h.Rehash(t.Context(), "some password")
		var busy *password.BusyError
		if !errors.As(err, &busy) {
			t.Errorf("rehash beside a running hash: %v, want a BusyError", err)
		}
		ts.serve(1)
		ts.tokens <- struct{}{}
		if _, err := ts.h.Rehash(t.Context(), "some password"); err != nil {
			t.Errorf("rehash on an idle worker: %v", err)
		}
	})
}

func TestImportedHashesThatNeedMuchMemoryRunOneAtATime(t *testing.T) {
	t.Parallel()
	// RFC 7914 section 12, N=16384 r=8 would fit; this one has twice the memory.
	heavy := "scrypt:32768:8:1$salt$" + strings.Repeat("00", 64)
	if err := password.Supported(heavy); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ts := newTurnstile(t, password.Config{Workers: 4, QueueLength: 20})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				res, err := ts.h.Verify(t.Context(), password.Attempt{Encoded: heavy, Password: "wrong"})
				if res.OK || err != nil {
					t.Errorf("got %v, %v", res, err)
				}
			})
		}
		synctest.Wait()
		if s := ts.h.Stats(); s.Running != 1 {
			t.Errorf("%d heavy hashes at once, want 1", s.Running)
		}
		ts.ask(t.Context(), "light")
		if s := ts.h.Stats(); s.Running != 2 {
			t.Errorf("%d running, want a light one beside the heavy one", s.Running)
		}
		ts.serve(4)
		wg.Wait()
	})
}

func TestRefusalTakesAtLeastTheFloor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const floor = 250 * time.Millisecond
		ts := newTurnstile(t, password.Config{Workers: 1, Floor: floor})
		encoded, err := newHasher(t, password.Config{}).Hash(t.Context(), "right")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []password.Attempt{
			{Password: "wrong"},
			{Password: "wrong", Encoded: encoded},
			{Password: "wrong", Encoded: "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		} {
			ts.tokens <- struct{}{}
			var early atomic.Bool
			early.Store(true)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if res, err := ts.h.Verify(t.Context(), a); res.OK || err != nil {
					t.Errorf("%q: %v, %v", a.Encoded, res, err)
				}
				if early.Load() {
					t.Errorf("%q: refused before the floor", a.Encoded)
				}
			}()
			synctest.Wait()
			if s := ts.h.Stats(); s.Running != 0 {
				t.Errorf("a held-back refusal occupies a worker")
			}
			ts.pass(floor - time.Millisecond)
			early.Store(false)
			ts.pass(time.Millisecond)
			<-done
		}
	})
}
