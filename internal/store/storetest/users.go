package storetest

import (
	"fmt"
	"testing"

	"github.com/wafer-auth/wafer/internal/store"
)

func userCases() []testCase {
	return []testCase{
		{"UserFoundByCanonicalLogin", userByLogin},
		{"TakenLoginIsAConflict", takenLogin},
		{"LoginIsFreeAfterChangeAndRemove", freedLogin},
		{"RaceForOneLoginHasOneWinner", raceForLogin},
		{"RaceToTakeALoginByChangeHasOneWinner", raceToTakeLogin},
		{"RehashNeedsTheOldHash", rehash},
		{"RaceToRehashHasOneWinner", raceToRehash},
		{"EmptyListsStayWhatTheyAre", emptyLists},
	}
}

func userByLogin(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	got, found, err := s.UserByLogin(ctx, "ada@example.com")
	must(t, err)
	same(t, "found", found, true)
	same(t, "user", got, newUser("ada"))
	for _, login := range []string{"ada@Example.com", "bob@example.com", "", "ada@example.com "} {
		_, found, err = s.UserByLogin(ctx, login)
		must(t, err)
		same(t, "found by "+login, found, false)
	}
}

func takenLogin(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	must(t, s.AddUser(ctx, newUser("bob"), none))
	third := newUser("eve")
	third.Canonical = "ada@example.com"
	conflict(t, "add with a taken login", s.AddUser(ctx, third, none))
	bob := newUser("bob")
	bob.Canonical = "ada@example.com"
	_, err := s.ChangeUser(ctx, bob, none)
	conflict(t, "change to a taken login", err)
	bob.Version = 7
	ok, err := s.ChangeUser(ctx, bob, none)
	must(t, err)
	same(t, "change to a taken login from a version that never was", ok, false)
	got, _, err := s.UserByLogin(ctx, "ada@example.com")
	must(t, err)
	same(t, "owner", got, newUser("ada"))
	got, _, err = s.UserByID(ctx, "bob")
	must(t, err)
	same(t, "untouched", got, newUser("bob"))
}

func freedLogin(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	ada := newUser("ada")
	ada.Login, ada.Canonical = "lovelace", "lovelace"
	ok, err := s.ChangeUser(ctx, ada, none)
	did(t, "change of login", ok, err)
	_, found, err := s.UserByLogin(ctx, "ada@example.com")
	must(t, err)
	same(t, "old login found", found, false)
	eve := newUser("eve")
	eve.Canonical = "ada@example.com"
	must(t, s.AddUser(ctx, eve, none))
	ok, err = s.RemoveUser(ctx, "ada", 2, none)
	did(t, "remove", ok, err)
	_, found, err = s.UserByLogin(ctx, "lovelace")
	must(t, err)
	same(t, "login of a removed user found", found, false)
	eve.Canonical = "lovelace"
	ok, err = s.ChangeUser(ctx, eve, none)
	did(t, "change to a freed login", ok, err)
}

func raceForLogin(t *testing.T, s store.Store) {
	won := race(t, func(i int) (bool, error) {
		u := newUser(fmt.Sprintf("usr_%d", i))
		u.Canonical = "ada@example.com"
		return orConflict(s.AddUser(t.Context(), u, none))
	})
	same(t, "winners", won, 1)
}

func raceToTakeLogin(t *testing.T, s store.Store) {
	for i := range racers {
		must(t, s.AddUser(t.Context(), newUser(fmt.Sprintf("usr_%d", i)), none))
	}
	won := race(t, func(i int) (bool, error) {
		u := newUser(fmt.Sprintf("usr_%d", i))
		u.Canonical = "the-one"
		ok, err := s.ChangeUser(t.Context(), u, none)
		if err != nil {
			return orConflict(err)
		}
		return ok, nil
	})
	same(t, "winners", won, 1)
}

func rehash(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	ok, err := s.Rehash(ctx, "ada", "wrong", "next")
	refused(t, "rehash from another hash", ok, err)
	ok, err = s.Rehash(ctx, "nobody", "wrong", "next")
	refused(t, "rehash of nobody", ok, err)
	ok, err = s.Rehash(ctx, "ada", "$hash$ada", "next")
	did(t, "rehash", ok, err)
	want := newUser("ada")
	want.PasswordHash = "next"
	got, _, err := s.UserByID(ctx, "ada")
	must(t, err)
	same(t, "only the hash changed", got, want)
}

func raceToRehash(t *testing.T, s store.Store) {
	must(t, s.AddUser(t.Context(), newUser("ada"), none))
	won := race(t, func(i int) (bool, error) { return s.Rehash(t.Context(), "ada", "$hash$ada", fmt.Sprint("next", i)) })
	same(t, "winners", won, 1)
}

// emptyLists matter to whoever compares: a list is not there, or has nothing.
func emptyLists(t *testing.T, s store.Store) {
	ctx := t.Context()
	for id, roles := range map[string][]string{"nil": nil, "empty": {}} {
		u := newUser(id)
		u.Roles = roles
		must(t, s.AddUser(ctx, u, none))
		got, _, err := s.UserByID(ctx, id)
		must(t, err)
		same(t, "roles", got.Roles, roles)
	}
}
