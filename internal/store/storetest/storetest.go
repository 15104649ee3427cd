package storetest

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/store"
)

// Backend is how a backend under test is opened.
type Backend struct {
	// Open gives a new, empty store, which closes itself when the test ends.
	Open func(t *testing.T) store.Store
	// Reopen closes a store and opens what it left. Nil for a backend that
	// keeps nothing.
	Reopen func(t *testing.T, s store.Store) store.Store
	// Recover opens what a store has left so far, as if its process had just
	// died, without closing it. Nil for a backend that keeps nothing.
	Recover func(t *testing.T, s store.Store) store.Store
	// Settle does now what the backend would do in the background: take away
	// what was ended and already is found by nobody. Nil for a backend that
	// leaves nothing to do.
	Settle func(t *testing.T, s store.Store)
}

// settling is a store that leaves something to do in the background.
type settling struct {
	store.Store
	settle func(t *testing.T, s store.Store)
}

func (b Backend) wrap(s store.Store) store.Store {
	if b.Settle == nil {
		return s
	}
	return settling{s, b.Settle}
}

// through takes a store through Reopen or Recover.
func (b Backend) through(again func(*testing.T, store.Store) store.Store) func(*testing.T, store.Store) store.Store {
	return func(t *testing.T, s store.Store) store.Store {
		if one, is := s.(settling); is {
			s = one.Store
		}
		return b.wrap(again(t, s))
	}
}

func settle(t *testing.T, s store.Store) {
	t.Helper()
	if one, is := s.(settling); is {
		one.settle(t, one.Store)
	}
}

// Run holds a backend to the whole contract.
func Run(t *testing.T, b Backend) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, b.wrap(b.Open(t)))
		})
	}
	if b.Reopen != nil {
		t.Run("AcknowledgedSurvivesClose", func(t *testing.T) {
			t.Parallel()
			survives(t, b.wrap(b.Open(t)), b.through(b.Reopen))
		})
	}
	if b.Recover != nil {
		t.Run("AcknowledgedSurvivesDeath", func(t *testing.T) {
			t.Parallel()
			survives(t, b.wrap(b.Open(t)), b.through(b.Recover))
		})
	}
}

// A testCase is one promise, checked on an empty store.
type testCase struct {
	name string
	run  func(t *testing.T, s store.Store)
}

func cases() []testCase {
	var all []testCase
	for _, some := range [][]testCase{
		auditCases(), consentCases(), counterCases(), detailCases(), effectCases(), feedCases(), grantCases(), invitationCases(), keyCases(), lifeCases(), logCases(), oddCases(), outboxCases(),
		raceCases(), registerCases(), roleCases(), sessionCases(), setupCases(), snapshotCases(), statusCases(), ticketCases(),
		tokenCases(), userCases(),
	} {
		all = append(all, some...)
	}
	return all
}

// at is a moment of the clock of these tests. Nothing here sleeps: time passes
// by being passed in.
func at(d time.Duration) time.Time {
	return time.Date(2026, 8, 1, 12, 0, 0, 123_456_000, time.UTC).Add(d)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// did fails the test unless a reporting call returned true.
func did(t *testing.T, what string, ok bool, err error) {
	t.Helper()
	must(t, err)
	if !ok {
		t.Fatalf("%s: reported false, want true", what)
	}
}

// refused fails the test unless a call reported false or fault.Conflict.
func refused(t *testing.T, what string, ok bool, err error) {
	t.Helper()
	if err != nil && !fault.Is(err, fault.Conflict) {
		t.Fatalf("%s: got error %v, want false or a conflict", what, err)
	}
	if err == nil && ok {
		t.Fatalf("%s: went through, want it refused", what)
	}
}

func conflict(t *testing.T, what string, err error) {
	t.Helper()
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("%s: got error %v, want a conflict", what, err)
	}
}

// racers is how many goroutines try the same thing at once.
const racers = 50

// race runs try in many goroutines that start together, and returns how many
// of them reported true.
func race(t *testing.T, try func(i int) (bool, error)) int {
	t.Helper()
	var ready, finished sync.WaitGroup
	var mu sync.Mutex
	won := 0
	start := make(chan struct{})
	for i := range racers {
		ready.Add(1)
		finished.Go(func() {
			ready.Done()
			<-start
			ok, err := try(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			if ok {
				won++
			}
		})
	}
	ready.Wait()
	close(start)
	finished.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return won
}

// orConflict turns a conflict into a lost race.
func orConflict(err error) (bool, error) {
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	return err == nil, err
}
