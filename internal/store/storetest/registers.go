package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store"
)

// A register is what users, clients, APIs and roles have in common.
type register[T any] struct {
	make    func(id string) T
	edit    func(T) T // another value with the same id and version
	version func(*T) *int64
	add     func(context.Context, T, revoke.Effects) error
	byID    func(context.Context, string) (T, bool, error)
	list    func(context.Context, string, int) ([]T, error)
	change  func(context.Context, T, revoke.Effects) (bool, error)
	remove  func(context.Context, string, int64, revoke.Effects) (bool, error)
}

func userRegister(s store.Store) register[account.User] {
	return register[account.User]{
		make: newUser,
		edit: func(u account.User) account.User {
			u.Name, u.Roles, u.Disabled, u.UpdatedAt = "Edited", []string{"admin", "clerk"}, true, at(time.Hour)
			u.Profile = account.Profile{Nickname: "edited"}
			return u
		},
		version: func(u *account.User) *int64 { return &u.Version },
		add:     s.AddUser, byID: s.UserByID, list: s.Users, change: s.ChangeUser, remove: s.RemoveUser,
	}
}

func clientRegister(s store.Store) register[client.Client] {
	return register[client.Client]{
		make: newClient,
		edit: func(c client.Client) client.Client {
			c.Name, c.APIs, c.Origins, c.UpdatedAt = "Edited", map[string][]string{"vault": {"a", "b"}}, nil, at(time.Hour)
			c.OldSecretHash, c.OldSecretUntil, c.RegistrationHash, c.Source = opaque.Digest{}, time.Time{}, opaque.Digest{}, client.ByOperator
			c.OAuth = client.OAuth{DefaultACR: []string{"one"}}
			return c
		},
		version: func(c *client.Client) *int64 { return &c.Version },
		add:     s.AddClient, byID: s.ClientByID, list: s.Clients, change: s.ChangeClient, remove: s.RemoveClient,
	}
}

func apiRegister(s store.Store) register[api.API] {
	return register[api.API]{
		make: newAPI,
		edit: func(a api.API) api.API {
			a.Name, a.Token.Format, a.Token.Encrypt, a.UpdatedAt = "Edited", api.JWT, nil, at(time.Hour)
			return a
		},
		version: func(a *api.API) *int64 { return &a.Version },
		add:     s.AddAPI, byID: s.APIByID, list: s.APIs, change: s.ChangeAPI, remove: s.RemoveAPI,
	}
}

func roleRegister(s store.Store) register[role.Role] {
	return register[role.Role]{
		make: newRole,
		edit: func(r role.Role) role.Role {
			r.Scopes, r.UpdatedAt = map[string][]string{"vault": {"*"}}, at(time.Hour)
			return r
		},
		version: func(r *role.Role) *int64 { return &r.Version },
		add:     s.AddRole, byID: s.RoleByID, list: s.Roles,
		change: func(ctx context.Context, r role.Role, fx revoke.Effects) (bool, error) {
			return s.ChangeRole(ctx, r, entry(revoke.Claims, ""), fx)
		},
		remove: func(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
			return s.RemoveRole(ctx, id, version, entry(revoke.Claims, ""), fx)
		},
	}
}

func registerCases() []testCase {
	var all []testCase
	all = append(all, registerCasesOf("Users", userRegister)...)
	all = append(all, registerCasesOf("Clients", clientRegister)...)
	all = append(all, registerCasesOf("APIs", apiRegister)...)
	all = append(all, registerCasesOf("Roles", roleRegister)...)
	return append(all, clientCases()...)
}

func registerCasesOf[T any](name string, open func(store.Store) register[T]) []testCase {
	on := func(run func(*testing.T, register[T])) func(*testing.T, store.Store) {
		return func(t *testing.T, s store.Store) { run(t, open(s)) }
	}
	return []testCase{
		{name + "/ReadBackAsWritten", on(readBack[T])},
		{name + "/GivesAndTakesCopies", on(registerCopies[T])},
		{name + "/TakenIDIsAConflict", on(takenID[T])},
		{name + "/ChangeNeedsTheVersionRead", on(changeNeedsVersion[T])},
		{name + "/RemoveNeedsTheVersionRead", on(removeNeedsVersion[T])},
		{name + "/ListedByIDInPages", on(listed[T])},
		{name + "/RaceToAddHasOneWinner", on(raceToAdd[T])},
		{name + "/RaceToChangeHasOneWinner", on(raceToChange[T])},
		{name + "/RaceToChangeOrRemoveHasOneWinner", on(raceToRemove[T])},
	}
}

func readBack[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	_, found, err := r.byID(ctx, "one")
	must(t, err)
	same(t, "found before it is there", found, false)
	must(t, r.add(ctx, r.make("one"), none))
	got, found, err := r.byID(ctx, "one")
	must(t, err)
	same(t, "found", found, true)
	same(t, "as added", got, r.make("one"))

	next := r.edit(got)
	ok, err := r.change(ctx, next, none)
	did(t, "change", ok, err)
	*r.version(&next)++
	got, _, err = r.byID(ctx, "one")
	must(t, err)
	same(t, "as changed", got, next)
}

// registerCopies: nothing that a caller does to what it gave or got shows in the store,
// whether the store read it or remembers it.
func registerCopies[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	given := r.make("one")
	must(t, r.add(ctx, given, none))
	scribble(reflect.ValueOf(&given))
	want := r.make("one")
	for range 2 {
		for i := range 3 {
			got, _, err := r.byID(ctx, "one")
			must(t, err)
			same(t, fmt.Sprint("reading ", i), got, want)
			scribble(reflect.ValueOf(&got))
			all, err := r.list(ctx, "", 10)
			must(t, err)
			same(t, fmt.Sprint("list ", i), all, []T{want})
			scribble(reflect.ValueOf(&all))
		}
		given, want = r.edit(want), r.edit(want)
		if *r.version(&want) > 1 {
			return
		}
		ok, err := r.change(ctx, given, none)
		did(t, "change", ok, err)
		*r.version(&want)++
	}
}

// scribble changes everything that can be reached from v.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scribble(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			scribble(v.MapIndex(key))
			v.SetMapIndex(key, reflect.Zero(v.Type().Elem()))
		}
	case reflect.String:
		v.SetString("evil")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(v.Uint() ^ 1)
	}
}

func takenID[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	must(t, r.add(ctx, r.make("one"), none))
	conflict(t, "add again", r.add(ctx, r.edit(r.make("one")), none))
	got, _, err := r.byID(ctx, "one")
	must(t, err)
	same(t, "untouched", got, r.make("one"))
	must(t, r.add(ctx, r.make("two"), none))
}

func changeNeedsVersion[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	first := r.make("one")
	must(t, r.add(ctx, first, none))
	ok, err := r.change(ctx, first, none)
	did(t, "change of version 1", ok, err)
	ok, err = r.change(ctx, r.edit(first), none)
	refused(t, "change of version 1 again", ok, err)
	ok, err = r.change(ctx, r.make("two"), none)
	refused(t, "change of what is not there", ok, err)
	got, _, err := r.byID(ctx, "one")
	must(t, err)
	*r.version(&first) = 2
	same(t, "untouched", got, first)
	ok, err = r.change(ctx, r.edit(got), none)
	did(t, "change of version 2", ok, err)
}

func removeNeedsVersion[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	must(t, r.add(ctx, r.make("one"), none))
	ok, err := r.remove(ctx, "one", 2, none)
	refused(t, "remove of version 2", ok, err)
	_, found, err := r.byID(ctx, "one")
	must(t, err)
	same(t, "still there", found, true)
	ok, err = r.remove(ctx, "one", 1, none)
	did(t, "remove of version 1", ok, err)
	_, found, err = r.byID(ctx, "one")
	must(t, err)
	same(t, "still there", found, false)
	ok, err = r.remove(ctx, "one", 1, none)
	refused(t, "remove again", ok, err)
	must(t, r.add(ctx, r.make("one"), none))
	got, _, err := r.byID(ctx, "one")
	must(t, err)
	same(t, "added again", got, r.make("one"))
}

func listed[T any](t *testing.T, r register[T]) {
	ctx := t.Context()
	ids := []string{"a", "b-", "b", "B", "é", "c"}
	for _, id := range ids {
		must(t, r.add(ctx, r.make(id), none))
	}
	sorted := []string{"B", "a", "b", "b-", "c", "é"} // by bytes
	for _, page := range []struct {
		after string
		limit int
		want  []string
	}{
		{"", 100, sorted}, {"", 2, sorted[:2]}, {"a", 2, sorted[2:4]}, {"bb", 100, sorted[4:]}, {"é", 100, nil}, {"", 0, nil},
	} {
		got, err := r.list(ctx, page.after, page.limit)
		must(t, err)
		if len(got) != len(page.want) {
			t.Fatalf("list after %q, at most %d: got %d rows, want %d", page.after, page.limit, len(got), len(page.want))
		}
		for i, id := range page.want {
			same(t, fmt.Sprintf("row %d after %q", i, page.after), got[i], r.make(id))
		}
	}
}

func raceToAdd[T any](t *testing.T, r register[T]) {
	won := race(t, func(int) (bool, error) { return orConflict(r.add(t.Context(), r.make("one"), none)) })
	same(t, "winners", won, 1)
}

func raceToChange[T any](t *testing.T, r register[T]) {
	first := r.make("one")
	must(t, r.add(t.Context(), first, none))
	won := race(t, func(int) (bool, error) { return r.change(t.Context(), r.edit(first), none) })
	same(t, "winners", won, 1)
	got, _, err := r.byID(t.Context(), "one")
	must(t, err)
	same(t, "version", *r.version(&got), int64(2))
}

func raceToRemove[T any](t *testing.T, r register[T]) {
	must(t, r.add(t.Context(), r.make("one"), none))
	won := race(t, func(i int) (bool, error) {
		if i%2 == 0 {
			return r.remove(t.Context(), "one", 1, none)
		}
		return r.change(t.Context(), r.edit(r.make("one")), none)
	})
	same(t, "winners", won, 1)
}
