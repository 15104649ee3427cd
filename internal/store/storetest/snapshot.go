package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
)

func snapshotCases() []testCase {
	return []testCase{
		{"SnapshotReadsWhatIsAsked", snapshotReads},
		{"SnapshotRolesAreThoseThatExist", snapshotRoles},
		{"SnapshotGivesCopies", snapshotCopies},
		{"SnapshotOfALiveSessionIsOlderThanItsEnd", snapshotAgainstEnd},
		{"SnapshotOfAGrantIsOlderThanItsEnd", snapshotGrantAgainstEnd},
		{"SnapshotOfRolesIsOlderThanTheirChange", snapshotAgainstRole},
		{"SnapshotOfAnEnabledClientIsOlderThanItsEnd", snapshotAgainstClient},
		{"SnapshotAfterAChangeShowsIt", snapshotAfterChange},
	}
}

func snapshotReads(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	_, err := s.Record(t.Context(), takes(revoke.Key, "k"))
	must(t, err)
	user := func(id string) *account.User { u := newUser(id); return &u }
	app := func(id string) *client.Client { c := newClient(id); return &c }
	service := func(id string) *api.API { a := newAPI(id); return &a }
	login := func(id string) *session.Session { one := w.sessions[id]; return &one }
	given := func(id string) *grant.Grant { g := w.grants[id]; return &g }
	clerk := []role.Role{newRole("clerk")}
	for name, c := range map[string]struct {
		q    grant.Query
		want grant.State
	}{
		"nothing":     {grant.Query{}, grant.State{}},
		"user":        {grant.Query{UserID: "ada"}, grant.State{User: user("ada"), Roles: clerk}},
		"client, API": {grant.Query{ClientID: "web", APIID: "vault"}, grant.State{Client: app("web"), API: service("vault")}},
		"session":     {grant.Query{SessionID: "s1"}, grant.State{Session: login("s1"), User: user("ada"), Roles: clerk}},
		"secret, client, API": {
			grant.Query{SessionSecret: opaque.Hash("secret of s3"), ClientID: "app", APIID: "orders"},
			grant.State{Session: login("s3"), User: user("bob"), Roles: clerk, Client: app("app"), API: service("orders")},
		},
		"session and another user": {
			grant.Query{SessionID: "s1", UserID: "bob"}, grant.State{Session: login("s1"), User: user("bob"), Roles: clerk},
		},
		"grant": {
			grant.Query{GrantID: "g2"},
			grant.State{Grant: given("g2"), Session: login("s1"), User: user("ada"), Roles: clerk, Client: app("app"), API: service("vault")},
		},
		"grant before all others": {
			grant.Query{GrantID: "g4", SessionID: "s1", UserID: "ada", ClientID: "web", APIID: "orders"},
			grant.State{Grant: given("g4"), Session: login("s3"), User: user("bob"), Roles: clerk, Client: app("app"), API: service("vault")},
		},
		"strangers": {grant.Query{SessionID: "s9", ClientID: "evil", APIID: "?"}, grant.State{}},
		"a guess":   {grant.Query{SessionSecret: opaque.Hash("guess"), ClientID: "web"}, grant.State{Client: app("web")}},
		"no grant":  {grant.Query{GrantID: "g9"}, grant.State{}},
	} {
		c.want.RSN = 1
		got, err := s.Snapshot(t.Context(), c.q)
		must(t, err)
		same(t, name, got, c.want)
	}
	ok, err := s.RemoveClient(t.Context(), "web", 1, none)
	did(t, "RemoveClient", ok, err)
	got, err := s.Snapshot(t.Context(), grant.Query{GrantID: "g1"})
	must(t, err)
	want := grant.State{RSN: 1, Grant: given("g1"), Session: login("s1"), User: user("ada"), Roles: clerk, API: service("orders")}
	same(t, "grant without its client", got, want)
}

func snapshotRoles(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, id := range []string{"c", "a", "b"} {
		must(t, s.AddRole(ctx, newRole(id), none))
	}
	u := newUser("ada")
	u.Roles = []string{"b", "c", "missing"}
	must(t, s.AddUser(ctx, u, none))
	same(t, "roles", rolesOf(t, s, "ada"), []string{"b", "c"})
	u.Roles = []string{"a"}
	ok, err := s.ChangeUser(ctx, u, none)
	did(t, "ChangeUser", ok, err)
	same(t, "roles", rolesOf(t, s, "ada"), []string{"a"})
	u.Roles, u.Version = nil, 2
	ok, err = s.ChangeUser(ctx, u, none)
	did(t, "ChangeUser", ok, err)
	st, err := s.Snapshot(ctx, grant.Query{UserID: "ada"})
	must(t, err)
	same(t, "roles", st.Roles, []role.Role(nil))
}

// snapshotCopies: what a caller does to a value stays with the caller.
func snapshotCopies(t *testing.T, s store.Store) {
	newWorld(t, s)
	for range 3 { // a value that is kept from an earlier reading is one of them
		st, err := s.Snapshot(t.Context(), grant.Query{GrantID: "g1"})
		must(t, err)
		login := newSession("s1", "ada", "web")
		u, c, a, g := newUser("ada"), newClient("web"), newAPI("orders"), newGrant("g1", login, "web", "orders")
		same(t, "state", st, grant.State{User: &u, Roles: []role.Role{newRole("clerk")}, Client: &c, API: &a, Session: &login, Grant: &g})
		spoil(st)
	}
	u := newUser("eve")
	must(t, s.AddUser(t.Context(), u, none))
	u.Roles[0] = "admin"
	same(t, "roles", rolesOf(t, s, "eve"), []string{"clerk"})
}

// spoil changes everything in a state that could be shared with the store.
func spoil(st grant.State) {
	st.User.Roles[0] = "admin"
	st.Roles[0].Scopes["orders"][0] = "*"
	st.Roles[0].Scopes["vault"] = []string{"*"}
	st.Client.RedirectURIs[0], st.Client.Origins[0], st.Client.Grants[0] = "evil", "evil", "evil"
	st.Client.APIs["orders"][0], st.Client.Serves[0] = "*", "*"
	st.Client.APIs["other"] = []string{"*"}
	st.API.Scopes[0], st.API.Token.Encrypt.Alg, st.API.Token.Encrypt.JWK[0] = "*", "none", '!'
	st.Session.AMR[0], st.Grant.Scopes[0] = "evil", "*"
	for _, all := range []any{st.User, st.Client, st.API, st.Session, st.Grant, &st.Roles} {
		scribble(reflect.ValueOf(all))
	}
}

// rounds is how often a race between two is run.
const rounds = 100

// against runs change beside three readers who call see until it returns false
// and change has returned.
func against(t *testing.T, change func() error, see func() (more bool, err error)) {
	t.Helper()
	var all sync.WaitGroup
	done := make(chan struct{})
	errs := make(chan error, 4)
	for range 3 {
		all.Go(func() {
			for {
				more, err := see()
				if err != nil {
					errs <- err
					return
				}
				if more {
					continue
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	if err := change(); err != nil {
		errs <- err
	}
	close(done)
	all.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
}

// consistent is I2 and I3: who sees the thing has a position before its end, who
// does not has one at or after it.
func consistent(there bool, rsn, end int64) error {
	if there && rsn >= end {
		return fmt.Errorf("seen at position %d, its end is at %d", rsn, end)
	}
	if !there && rsn < end {
		return fmt.Errorf("gone at position %d, its end is at %d", rsn, end)
	}
	return nil
}

func snapshotAgainstEnd(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	for i := range int64(rounds) {
		one := newSession(fmt.Sprint("s", i), "ada", "web")
		must(t, s.StartSession(ctx, one, none))
		fx := takes(revoke.Session, one.ID)
		if i%2 == 1 {
			fx = takes(revoke.User, "ada")
		}
		against(t, func() error { return recordAt(ctx, s, fx, i+1) }, func() (bool, error) {
			st, err := s.Snapshot(ctx, grant.Query{SessionID: one.ID})
			if err != nil {
				return false, err
			}
			_, rsn, found, err := s.SessionBySecret(ctx, one.Secret)
			if err != nil {
				return false, err
			}
			return found, errors.Join(consistent(st.Session != nil, st.RSN, i+1), consistent(found, rsn, i+1))
		})
	}
}

func recordAt(ctx context.Context, s store.Store, fx revoke.Effects, want int64) error {
	seq, err := s.Record(ctx, fx)
	if err == nil && seq != want {
		return fmt.Errorf("recorded at %d, want %d", seq, want)
	}
	return err
}

func snapshotGrantAgainstEnd(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	for i := range int64(rounds) {
		id := fmt.Sprint("h", i)
		w.grant(t, newGrant(id, w.sessions["s1"], "web", "orders"))
		end := func() error { return recordAt(ctx, s, takes(revoke.Grant, id), i+1) }
		against(t, end, func() (bool, error) {
			st, err := s.Snapshot(ctx, grant.Query{GrantID: id})
			return st.Grant != nil, errors.Join(err, consistent(st.Grant != nil, st.RSN, i+1))
		})
	}
}

func snapshotAgainstRole(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddRole(ctx, newRole("clerk"), none))
	must(t, s.AddUser(ctx, newUser("ada"), none))
	for i := range int64(rounds) {
		change := func() error {
			next := newRole("clerk")
			next.Version = i + 1
			ok, err := s.ChangeRole(ctx, next, entry(revoke.Claims, ""), none)
			if err == nil && !ok {
				return errors.New("role was not changed")
			}
			return err
		}
		against(t, change, func() (bool, error) {
			st, err := s.Snapshot(ctx, grant.Query{UserID: "ada"})
			if err != nil {
				return false, err
			}
			old := st.Roles[0].Version == i+1
			return old, consistent(old, st.RSN, i+1)
		})
	}
}

// snapshotAgainstClient disables a client and enables it again, over and over,
// beside readers. Even rounds disable it with its entry, odd ones disable it
// first and record the entry afterwards.
func snapshotAgainstClient(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddClient(ctx, newClient("web"), none))
	must(t, s.AddAPI(ctx, newAPI("orders"), none))
	must(t, s.AddRole(ctx, newRole("clerk"), none))
	must(t, s.AddUser(ctx, newUser("ada"), none))
	must(t, s.StartSession(ctx, newSession("s1", "ada", ""), none))
	queries := []grant.Query{
		{ClientID: "web"}, {ClientID: "web", APIID: "orders"}, {SessionID: "s1", ClientID: "web", APIID: "orders"},
		{SessionSecret: opaque.Hash("secret of s1"), ClientID: "web"}, {UserID: "ada", ClientID: "web"},
	}
	next := newClient("web")
	for i := range rounds {
		var end atomic.Int64 // the position of the entry, once it is known
		enabled := next.Version
		disable := func() error {
			fx := takes(revoke.Client, "web")
			if i%2 == 1 {
				fx = none
			}
			next.Disabled = true
			if err := changed(s.ChangeClient(ctx, next, fx)); err != nil {
				return err
			}
			if i%2 == 1 {
				seq, err := s.Record(ctx, takes(revoke.Client, "web"))
				end.Store(seq)
				return err
			}
			head, err := s.Head(ctx)
			end.Store(head)
			return err
		}
		before, err := s.Head(ctx)
		must(t, err)
		against(t, disable, func() (bool, error) {
			more := false
			for _, q := range queries {
				st, err := s.Snapshot(ctx, q)
				if err != nil {
					return false, err
				}
				old := st.Client.Version == enabled
				if old && (st.RSN > before || st.Client.Disabled) {
					return false, fmt.Errorf("%+v: enabled at position %d, its end came after %d", q, st.RSN, before)
				}
				if i%2 == 0 && !old && st.RSN == before {
					return false, fmt.Errorf("%+v: disabled at position %d, before its end", q, st.RSN)
				}
				more = more || old
			}
			return more, nil
		})
		st, err := s.Snapshot(ctx, queries[i%len(queries)])
		must(t, err)
		if !st.Client.Disabled || st.RSN != end.Load() {
			t.Fatalf("after the change: disabled %v at position %d, want true at %d", st.Client.Disabled, st.RSN, end.Load())
		}
		next.Version, next.Disabled = next.Version+1, false
		must(t, changed(s.ChangeClient(ctx, next, none)))
		next.Version++
	}
}

func changed(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("nothing was changed")
	}
	return err
}

// snapshotAfterChange: whoever was told that a register has changed finds it
// changed, and whoever was told that it was refused finds it as it was.
func snapshotAfterChange(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	queries := []grant.Query{{ClientID: "app", APIID: "vault"}, {GrantID: "g2"}, {SessionID: "s1", ClientID: "app", APIID: "vault"}}
	check := func(what string, client, api, role int64) {
		t.Helper()
		for range 2 {
			for _, q := range queries {
				st, err := s.Snapshot(ctx, q)
				must(t, err)
				got := []int64{0, 0, role}
				if st.Client != nil {
					got[0] = st.Client.Version
				}
				if st.API != nil {
					got[1] = st.API.Version
				}
				if st.User != nil {
					got[2] = 0
					for _, r := range st.Roles {
						got[2] = r.Version
					}
				}
				same(t, fmt.Sprintf("%s: versions %+v", what, q), got, []int64{client, api, role})
			}
		}
	}
	check("first", 1, 1, 1)
	must(t, changed(s.ChangeClient(ctx, newClient("app"), none)))
	check("client changed", 2, 1, 1)
	if ok, err := s.ChangeClient(ctx, newClient("app"), none); ok || err != nil {
		t.Fatalf("an old version was taken: %v %v", ok, err)
	}
	check("client refused", 2, 1, 1)
	must(t, changed(s.ChangeAPI(ctx, newAPI("vault"), none)))
	check("API changed", 2, 2, 1)
	must(t, changed(s.ChangeRole(ctx, newRole("clerk"), entry(revoke.Claims, ""), none)))
	check("role changed", 2, 2, 2)
	must(t, changed(s.RemoveRole(ctx, "clerk", 2, entry(revoke.Claims, ""), none)))
	check("role removed", 2, 2, 0)
	must(t, changed(s.RemoveAPI(ctx, "vault", 2, none)))
	check("API removed", 2, 0, 0)
	must(t, changed(s.RemoveClient(ctx, "app", 2, none)))
	check("client removed", 0, 0, 0)
	must(t, w.AddClient(ctx, newClient("app"), none))
	check("client added again", 1, 0, 0)
}
