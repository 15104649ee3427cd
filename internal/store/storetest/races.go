package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func raceCases() []testCase {
	return []testCase{
		{"RaceToRenewASessionHasOneWinner", raceToRenew},
		{"NoGrantSurvivesTheEndOfItsUser", addGrantAgainstEnd},
		{"NoTouchRevivesAnEndedSession", touchAgainstEnd},
		{"TouchesInAnyOrderLeaveTheLatest", touchRace},
		{"NoGuardedSessionOutlivesAPasswordChange", startAgainstEnd},
	}
}

func raceToRenew(t *testing.T, s store.Store) {
	first := newSession("s1", "ada", "web")
	must(t, s.StartSession(t.Context(), first, none))
	won := race(t, func(i int) (bool, error) {
		next := first
		next.Secret = opaque.Hash(fmt.Sprint("next ", i))
		return s.RenewSession(t.Context(), first.Secret, next, none)
	})
	same(t, "winners", won, 1)
	live := 0
	for i := range racers {
		_, _, found, err := s.SessionBySecret(t.Context(), opaque.Hash(fmt.Sprint("next ", i)))
		must(t, err)
		if found {
			live++
		}
	}
	same(t, "live secrets", live, 1)
}

func addGrantAgainstEnd(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(t.Context(), takes(revoke.User, "ada"))
			return false, err
		}
		return s.AddGrant(t.Context(), newGrant(fmt.Sprint("h", i), w.sessions["s1"], "web", "orders"), none)
	})
	for i := range racers {
		if w.grantNow(t.Context(), t, fmt.Sprint("h", i)) != nil {
			t.Errorf("grant %d survived the end of its user", i)
		}
	}
}

func touchAgainstEnd(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(t.Context(), takes(revoke.Session, "s1"))
			return false, err
		}
		return touch(t.Context(), s, "s1", at(time.Minute), at(2*time.Hour))
	})
	same(t, "gone", w.gone(t), []string{"g1", "g2", "s1", "t1", "t2"})
}

func touchRace(t *testing.T, s store.Store) {
	must(t, s.StartSession(t.Context(), newSession("s1", "ada", "web"), none))
	won := race(t, func(i int) (bool, error) {
		by := time.Duration(i) * time.Second
		return touch(t.Context(), s, "s1", at(by), at(time.Hour+by))
	})
	same(t, "live touches", won, racers)
	got, _ := find(t, s, "s1")
	latest := (racers - 1) * time.Second
	same(t, "seen", got.SeenAt, at(latest))
	same(t, "idle until", got.IdleUntil, at(time.Hour+latest))
}

// startAgainstEnd is the login that was checked against the old password: it
// carries the position it was checked at, so it starts before the change and is
// ended by it, or it does not start.
func startAgainstEnd(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			ok, err := s.ChangeUser(ctx, newUser("ada"), takes(revoke.User, "ada"))
			return ok, err
		}
		fx := revoke.Effects{Guard: &revoke.Guard{RSN: 0, Refs: []revoke.Ref{{Kind: revoke.User, Key: "ada"}}}}
		return orConflict(s.StartSession(ctx, newSession(fmt.Sprint("s", i), "ada", "web"), fx))
	})
	left, err := s.SessionsOf(ctx, "ada")
	must(t, err)
	same(t, "sessions left", len(left), 0)
	fx := revoke.Effects{Guard: &revoke.Guard{RSN: 1, Refs: []revoke.Ref{{Kind: revoke.User, Key: "ada"}}}}
	must(t, s.StartSession(ctx, newSession("after", "ada", "web"), fx)) // an id is never given again
}
