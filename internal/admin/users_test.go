package admin_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

func (h *house) verifies(t *testing.T, id, plain string) bool {
	t.Helper()
	u, _, err := h.store.UserByID(t.Context(), id)
	must(t, err)
	res, err := h.Passwords.Verify(t.Context(), password.Attempt{Encoded: u.PasswordHash, Password: plain})
	must(t, err)
	return res.OK
}

func TestUserIsAddedAndFoundByEverySpellingOfTheLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "Ada@Example.com", Name: "Ada", Password: good, Roles: []string{"clerk", "boss", "clerk"}})
	must(t, err)
	if strings.Join(u.Roles, " ") != "boss clerk" || u.Version != 1 || !h.verifies(t, u.ID, good) {
		t.Errorf("added %+v", u)
	}
	for _, name := range []string{u.ID, "ada@example.com", "ADA@EXAMPLE.COM"} {
		if found, err := h.User(t.Context(), name); err != nil || found.ID != u.ID {
			t.Errorf("%s: %v %v", name, found.ID, err)
		}
	}
	_, err = h.User(t.Context(), "eve@example.com")
	wantCode(t, err, fault.NotFound)
}

func TestUnsoundUsersAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	taken := h.addUser(t, "ada@example.com")
	tests := []struct {
		name string
		user admin.NewUser
		code fault.Code
	}{
		{"taken login", admin.NewUser{Login: "ada@example.com", Password: good}, fault.Conflict},
		{"taken login in another spelling", admin.NewUser{Login: "ADA@example.com", Password: good}, fault.Conflict},
		{"no login", admin.NewUser{Password: good}, fault.Invalid},
		{"login with a line break", admin.NewUser{Login: "bob\r\nforged: line", Password: good}, fault.Invalid},
		{"login like a user id", admin.NewUser{Login: taken.ID, Password: good}, fault.Invalid},
		{"name with an escape", admin.NewUser{Login: "bob", Name: "Bob\x1b[2J", Password: good}, fault.Invalid},
		{"unknown role", admin.NewUser{Login: "bob", Password: good, Roles: []string{"king"}}, fault.Invalid},
		{"short password", admin.NewUser{Login: "bob", Password: "short"}, fault.Invalid},
		{"password like the login", admin.NewUser{Login: "robert.longname@example.com", Password: "robert.longname@example.com"}, fault.Invalid},
		{"unknown hash", admin.NewUser{Login: "bob", PasswordHash: "5f4dcc3b5aa765d61d8327deb882cf99"}, fault.Invalid},
		{"password and hash", admin.NewUser{Login: "bob", Password: good, PasswordHash: "$2b$10$abc"}, fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, events := h.since(t, func() {
				_, err := h.AddUser(t.Context(), admin.ByCLI(), tt.user)
				wantCode(t, err, tt.code)
			})
			if len(entries)+len(events) != 0 {
				t.Errorf("wrote %v %v", entries, events)
			}
		})
	}
	h.addUser(t, "bob")
}

func TestImportedHashSignsIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hash, err := h.Passwords.Hash(t.Context(), "old password from elsewhere")
	must(t, err)
	u, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "ada", PasswordHash: hash})
	must(t, err)
	if !h.verifies(t, u.ID, "old password from elsewhere") {
		t.Error("the imported hash does not verify")
	}
}

func TestChangesOfUsersTakeBackWhatTheyEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		edit     admin.UserEdit
		kind     revoke.Kind
		reason   string
		sessions int
	}{
		{"disabled", admin.UserEdit{Disabled: ptr(true)}, revoke.User, "ban", 0},
		{"password set", admin.UserEdit{Password: ptr(better)}, revoke.User, "password", 0},
		{"roles changed", admin.UserEdit{Roles: &[]string{"boss"}}, revoke.Claims, "roles", 1},
		{"roles taken", admin.UserEdit{Roles: &[]string{}}, revoke.Claims, "roles", 1},
		{"all at once", admin.UserEdit{Disabled: ptr(true), Password: ptr(better), Roles: &[]string{}}, revoke.User, "ban", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.addUser(t, "ada", "clerk")
			h.start(t, u.ID)
			entries, events := h.since(t, func() {
				next, err := h.EditUser(t.Context(), admin.ByCLI(), u.ID, tt.edit)
				must(t, err)
				if next.Version != u.Version+1 {
					t.Errorf("version %d", next.Version)
				}
			})
			wantEntry(t, entries, tt.kind, u.ID, tt.reason)
			if len(events) == 0 || events[0].Action != "user.edit" || events[0].Actor != "cli" || events[0].Target != u.ID {
				t.Errorf("audit log: %v", events)
			}
			if live, err := h.Sessions.List(t.Context(), u.ID); err != nil || len(live) != tt.sessions {
				t.Errorf("%d sessions live on, want %d (%v)", len(live), tt.sessions, err)
			}
		})
	}
}

func TestHarmlessChangesOfUsersTakeNothingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada", "clerk")
	h.start(t, u.ID)
	entries, events := h.since(t, func() {
		_, err := h.EditUser(t.Context(), admin.ByCLI(), "ada", admin.UserEdit{Name: ptr("Ada"), Login: ptr("ada@example.com")})
		must(t, err)
	})
	if len(entries) != 0 || len(events) != 2 {
		t.Errorf("wrote %v %v", entries, events)
	}
	entries, events = h.since(t, func() {
		same, err := h.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Name: ptr("Ada"), Roles: &[]string{"clerk"}, Disabled: ptr(false)})
		must(t, err)
		if same.Version != 2 {
			t.Errorf("version %d after an edit that changes nothing", same.Version)
		}
	})
	if len(entries)+len(events) != 0 {
		t.Errorf("an edit that changes nothing wrote %v %v", entries, events)
	}
}

func TestRemovedUserIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada")
	h.start(t, u.ID)
	entries, _ := h.since(t, func() { must(t, h.RemoveUser(t.Context(), admin.ByCLI(), "ada")) })
	wantEntry(t, entries, revoke.User, u.ID, "removed")
	wantCode(t, h.RemoveUser(t.Context(), admin.ByCLI(), "ada"), fault.NotFound)
	if again := h.addUser(t, "ada"); again.ID == u.ID {
		t.Error("an id is given again")
	}
}

func TestLastAdministratorStays(t *testing.T) {
	t.Parallel()
	attacks := []struct {
		name string
		run  func(*testing.T, *house, string) error
	}{
		{"disable", func(t *testing.T, h *house, id string) error {
			_, err := h.EditUser(t.Context(), admin.ByCLI(), id, admin.UserEdit{Disabled: ptr(true)})
			return err
		}},
		{"strip", func(t *testing.T, h *house, id string) error {
			_, err := h.EditUser(t.Context(), admin.ByCLI(), id, admin.UserEdit{Roles: &[]string{"clerk"}})
			return err
		}},
		{"remove", func(t *testing.T, h *house, id string) error { return h.RemoveUser(t.Context(), admin.ByCLI(), id) }},
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			root := h.addUser(t, "root", account.AdminRole)
			h.addUser(t, "ada", "clerk")
			_, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "off", Password: good, Roles: []string{account.AdminRole}, Disabled: true})
			must(t, err)
			entries, events := h.since(t, func() { wantCode(t, tt.run(t, h, root.ID), fault.Conflict) })
			if len(entries)+len(events) != 0 {
				t.Errorf("wrote %v %v", entries, events)
			}
			h.addUser(t, "second", account.AdminRole)
			if err := tt.run(t, h, root.ID); err != nil {
				t.Errorf("with another administrator: %v", err)
			}
		})
	}
}

// ponder gives others a turn between the list of users and what follows from it.
type ponder struct{ *memory.Store }

func (p ponder) Users(ctx context.Context, after string, limit int) ([]account.User, error) {
	all, err := p.Store.Users(ctx, after, limit)
	for range 1000 {
		runtime.Gosched()
	}
	return all, err
}

// Each at a node of their own.
func TestAdministratorsDisablingEachOtherLeaveOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.Config
	c.Store = ponder{h.store}
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = h.addUser(t, "root"+string(rune('a'+i)), account.AdminRole).ID
	}
	var refused atomic.Int32
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			_, err := admin.New(c).EditUser(t.Context(), admin.ByCLI(), id, admin.UserEdit{Disabled: ptr(true)})
			if fault.Is(err, fault.Conflict) {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if got := refused.Load(); got != 1 {
		t.Errorf("%d administrators are left, want 1", got)
	}
}

// The browser it was changed in gets another one (session.Keeper.Succeed).
func TestOwnPasswordChangeEndsEverySession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u, other := h.addUser(t, "ada"), h.addUser(t, "bob")
	here, there, bobs := h.start(t, u.ID), h.start(t, u.ID), h.start(t, other.ID)
	entries, _ := h.since(t, func() {
		must(t, h.ChangePassword(t.Context(), admin.PasswordChange{UserID: u.ID, Current: good, New: better}))
	})
	if len(entries) != 2 {
		t.Fatalf("revoked %v, want both sessions", entries)
	}
	for _, e := range entries {
		if e.Kind != revoke.Session || e.Reason != "password" || e.Key != here && e.Key != there {
			t.Errorf("revoked %v", e)
		}
	}
	if _, found, err := h.store.SessionByID(t.Context(), bobs); err != nil || !found {
		t.Errorf("another person's session is gone (%v)", err)
	}
	if !h.verifies(t, u.ID, better) || h.verifies(t, u.ID, good) {
		t.Error("the password is not the new one")
	}
}

func TestPasswordChangeByAThiefIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada")
	change := func(current, next string) error {
		return h.ChangePassword(t.Context(), admin.PasswordChange{UserID: u.ID, Current: current, New: next})
	}
	wantCode(t, change("a guess of a stranger", better), fault.Forbidden)
	wantCode(t, change("", better), fault.Invalid)
	wantCode(t, change(strings.Repeat("a", 2000), better), fault.Invalid)
	wantCode(t, change(good, "short"), fault.Invalid)
	wantCode(t, change(good, good), fault.Invalid)
	if !h.verifies(t, u.ID, good) {
		t.Fatal("the password changed")
	}
	must(t, change(good, better))
	_, err := h.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Disabled: ptr(true)})
	must(t, err)
	wantCode(t, change(better, good), fault.Forbidden)
}

func TestGuessingTheCurrentPasswordIsLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada")
	var tooMany, wrong atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			err := h.ChangePassword(t.Context(), admin.PasswordChange{UserID: u.ID, Current: "a guess of a stranger", New: better})
			switch {
			case fault.Is(err, fault.TooMany):
				tooMany.Add(1)
			case fault.Is(err, fault.Forbidden):
				wrong.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if wrong.Load() > 6 || tooMany.Load() < 44 {
		t.Errorf("%d guesses were checked, %d refused", wrong.Load(), tooMany.Load())
	}
	h.clock.forward(time.Hour)
	must(t, h.ChangePassword(t.Context(), admin.PasswordChange{UserID: u.ID, Current: good, New: better}))
}
