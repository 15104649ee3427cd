package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func roleCases() []testCase {
	return []testCase{
		{"ChangeOfARoleTellsOfEveryoneWhoHasIt", changeRole},
		{"RemovalOfARoleTakesItFromEveryone", removeRole},
		{"RemovalOfARoleBeatsAnOlderEditOfItsUsers", removeRoleThenEdit},
		{"RefusedChangeOfARoleTellsOfNobody", refusedRole},
	}
}

// someRoles makes 20 users, of whom the even ones are clerks.
func someRoles(t *testing.T, s store.Store) (claims revoke.Entry) {
	t.Helper()
	must(t, s.AddRole(t.Context(), newRole("clerk"), none))
	must(t, s.AddRole(t.Context(), newRole("boss"), none))
	for i := range 20 {
		u := newUser(fmt.Sprintf("usr_%02d", i))
		u.Roles = []string{"boss"}
		if i%2 == 0 {
			u.Roles = []string{"boss", "clerk"}
		}
		must(t, s.AddUser(t.Context(), u, none))
	}
	claims = entry(revoke.Claims, "ignored")
	claims.Reason, claims.At = "role", at(time.Minute)
	return claims
}

// toldOf is the users of whom the log tells, after a position.
func toldOf(t *testing.T, s store.Store, after int64, like revoke.Entry) map[string]bool {
	t.Helper()
	log, err := s.Revocations(t.Context(), after, 1000)
	must(t, err)
	told := map[string]bool{}
	for i, r := range log {
		same(t, "position", r.Seq, after+int64(i)+1)
		if r.Kind != revoke.Claims {
			continue
		}
		told[r.Key] = true
		want := like
		want.Key = r.Key
		same(t, "entry", r.Entry, want)
	}
	return told
}

func clerks() map[string]bool {
	all := map[string]bool{}
	for i := 0; i < 20; i += 2 {
		all[fmt.Sprintf("usr_%02d", i)] = true
	}
	return all
}

func changeRole(t *testing.T, s store.Store) {
	ctx := t.Context()
	claims := someRoles(t, s)
	fx := revoke.Effects{Revoke: []revoke.Entry{entry(revoke.Key, "k")}, Audit: []audit.Event{event("role")}}
	ok, err := s.ChangeRole(ctx, newRole("clerk"), claims, fx)
	did(t, "ChangeRole", ok, err)
	same(t, "told of", toldOf(t, s, 0, claims), clerks())
	same(t, "logs", ledgerOf(t, s), ledger{11, 1})
	st, err := s.Snapshot(ctx, grant.Query{UserID: "usr_00"})
	must(t, err)
	same(t, "user", st.User.Version, int64(1))

	ok, err = s.RemoveUser(ctx, "usr_00", 1, none)
	did(t, "RemoveUser", ok, err)
	next := newRole("clerk")
	next.Version = 2
	ok, err = s.ChangeRole(ctx, next, claims, none)
	did(t, "ChangeRole", ok, err)
	want := clerks()
	delete(want, "usr_00")
	same(t, "told of without the removed one", toldOf(t, s, 11, claims), want)
}

func removeRole(t *testing.T, s store.Store) {
	ctx := t.Context()
	claims := someRoles(t, s)
	ok, err := s.RemoveRole(ctx, "clerk", 1, claims, revoke.Effects{Audit: []audit.Event{event("role")}})
	did(t, "RemoveRole", ok, err)
	same(t, "told of", toldOf(t, s, 0, claims), clerks())
	same(t, "logs", ledgerOf(t, s), ledger{10, 1})
	all, err := s.Users(ctx, "", 100)
	must(t, err)
	same(t, "users", len(all), 20)
	for _, u := range all {
		same(t, "roles", u.Roles, []string{"boss"})
	}
	must(t, s.AddRole(ctx, newRole("clerk"), none))
	same(t, "a new role of that name is nobody's", rolesOf(t, s, "usr_00"), []string{"boss"})
	ok, err = s.ChangeRole(ctx, newRole("clerk"), claims, none)
	did(t, "ChangeRole", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{10, 1})
}

func rolesOf(t *testing.T, s store.Store, userID string) []string {
	t.Helper()
	st, err := s.Snapshot(t.Context(), grant.Query{UserID: userID})
	must(t, err)
	var ids []string
	for _, r := range st.Roles {
		ids = append(ids, r.ID)
	}
	return ids
}

func removeRoleThenEdit(t *testing.T, s store.Store) {
	ctx := t.Context()
	claims := someRoles(t, s)
	read := func(id string) account.User {
		u, _, err := s.UserByID(ctx, id)
		must(t, err)
		return u
	}
	clerk, other := read("usr_00"), read("usr_01")
	ok, err := s.RemoveRole(ctx, "clerk", 1, claims, none)
	did(t, "RemoveRole", ok, err)
	ok, err = s.ChangeUser(ctx, clerk, none)
	refused(t, "edit that would bring the role back", ok, err)
	ok, err = s.ChangeUser(ctx, other, none)
	did(t, "edit of somebody else", ok, err)
	ok, err = s.ChangeUser(ctx, read("usr_00"), none)
	did(t, "edit of what is there now", ok, err)
}

func refusedRole(t *testing.T, s store.Store) {
	ctx := t.Context()
	claims := someRoles(t, s)
	stale := newRole("clerk")
	stale.Version = 7
	fx := revoke.Effects{Audit: []audit.Event{event("role")}}
	ok, err := s.ChangeRole(ctx, stale, claims, fx)
	refused(t, "ChangeRole", ok, err)
	ok, err = s.RemoveRole(ctx, "clerk", 7, claims, fx)
	refused(t, "RemoveRole", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{})
	same(t, "roles", rolesOf(t, s, "usr_00"), []string{"boss", "clerk"})
}
