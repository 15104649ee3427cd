package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/store"
)

func counterCases() []testCase {
	return []testCase{
		{"AttemptsAreFreeThenWait", attempts},
		{"AttemptsUnderSeveralRulesCountTogetherOrNotAtAll", attemptsTogether},
		{"RefundClearsOrTakesBack", refund},
		{"PurgedCountersStartAnew", purgeCounters},
		{"RaceOfAttemptsPassesOnlyTheFreeOnes", attemptRace},
		{"RaceOfAttemptsOverSharedNetwork", attemptRaceShared},
	}
}

func newRule(key string) limit.Rule {
	return limit.Rule{Key: key, Free: 3, Base: time.Second, Max: time.Minute, Forget: time.Hour}
}

// attempt returns the wait that rules ask for at a moment, in seconds.
func attempt(t *testing.T, s store.Store, at time.Time, rules ...limit.Rule) float64 {
	t.Helper()
	wait, err := s.Attempt(t.Context(), rules, at)
	must(t, err)
	return wait.Seconds()
}

func attempts(t *testing.T, s store.Store) {
	r := newRule("ada")
	for range r.Free + 1 {
		same(t, "wait", attempt(t, s, at(0), r), 0.0)
	}
	same(t, "wait past the free ones", attempt(t, s, at(0), r), 1.0)
	same(t, "another key", attempt(t, s, at(0), newRule("bob")), 0.0)
	same(t, "wait later", attempt(t, s, at(time.Second/2), r), 0.5)
	same(t, "wait over", attempt(t, s, at(time.Second), r), 0.0)
	same(t, "wait doubled", attempt(t, s, at(time.Second), r), 2.0)
	same(t, "forgotten", attempt(t, s, at(time.Second+r.Forget), r), 0.0)
	same(t, "anew", attempt(t, s, at(time.Second+r.Forget), r), 0.0)
}

func attemptsTogether(t *testing.T, s store.Store) {
	ada, network := newRule("ada"), newRule("network")
	network.Free = 100
	for range ada.Free + 1 {
		same(t, "wait", attempt(t, s, at(0), ada, network), 0.0)
	}
	network.Free = 5 // four are counted: two more pass if the refused ones were not
	for range 10 {
		same(t, "wait", attempt(t, s, at(0), ada, network), 1.0)
	}
	same(t, "fifth", attempt(t, s, at(0), network), 0.0)
	same(t, "sixth", attempt(t, s, at(0), network), 0.0)
	same(t, "seventh", attempt(t, s, at(0), network), 1.0)
}

func refund(t *testing.T, s store.Store) {
	ctx := t.Context()
	ada, network := newRule("ada"), newRule("network")
	for range ada.Free + 1 {
		same(t, "wait", attempt(t, s, at(0), ada, network), 0.0)
	}
	must(t, s.Refund(ctx, []string{"ada", "nobody"}, []string{"network", "nowhere"}))
	same(t, "cleared", attempt(t, s, at(0), ada), 0.0)
	same(t, "taken back half a wait", attempt(t, s, at(0), network), 0.5)
	for range ada.Free {
		must(t, s.Refund(ctx, nil, []string{"network"}))
	}
	for range network.Free + 1 {
		same(t, "all taken back", attempt(t, s, at(0), network), 0.0)
	}
	same(t, "counted again", attempt(t, s, at(0), network), 1.0)
}

func purgeCounters(t *testing.T, s store.Store) {
	ctx := t.Context()
	for range newRule("").Free + 1 {
		same(t, "wait", attempt(t, s, at(0), newRule("ada")), 0.0)
	}
	same(t, "wait", attempt(t, s, at(0), newRule("bob")), 0.0)
	for _, step := range []struct {
		before time.Duration
		want   int
	}{{0, 0}, {time.Microsecond, 1}, {time.Second, 0}, {time.Second + time.Microsecond, 1}} {
		n, err := s.PurgeCounters(ctx, at(step.before))
		must(t, err)
		same(t, "purged", n, step.want)
	}
	same(t, "anew", attempt(t, s, at(0), newRule("ada")), 0.0)
}

func attemptRace(t *testing.T, s store.Store) {
	r := newRule("ada")
	passed := race(t, func(int) (bool, error) {
		wait, err := s.Attempt(t.Context(), []limit.Rule{r}, at(0))
		return wait == 0, err
	})
	same(t, "passed", passed, r.Free+1)
}

// attemptRaceShared: many accounts from one network, in parallel.
func attemptRaceShared(t *testing.T, s store.Store) {
	network := newRule("network")
	network.Free = 19
	var refused atomic.Int64
	passed := race(t, func(i int) (bool, error) {
		wait, err := s.Attempt(t.Context(), []limit.Rule{newRule("account" + string(rune('A'+i))), network}, at(0))
		if wait > 0 {
			refused.Add(1)
		}
		return wait == 0, err
	})
	same(t, "passed", passed, 20)
	same(t, "refused", refused.Load(), int64(racers-20))
}
