package admin_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
)

func (h *house) offer(t *testing.T) string {
	t.Helper()
	token, offered, err := h.OfferBootstrap(t.Context())
	must(t, err)
	if !offered || len(token) != 22 {
		t.Fatalf("offered %t, %d characters", offered, len(token))
	}
	return token
}

func TestBootstrapMakesTheFirstAdministrator(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	token := h.offer(t)
	u, err := h.RedeemBootstrap(t.Context(), token, admin.NewUser{Login: "root@example.com", Password: good})
	must(t, err)
	if !u.HasRole(account.AdminRole) || u.Disabled || u.PasswordHash != "" || !h.verifies(t, u.ID, good) {
		t.Errorf("made %+v", u)
	}
	for _, e := range h.events(t) {
		if strings.Contains(e.Detail+e.Target, token) {
			t.Error("the token is in the audit log")
		}
	}
}

// ADMIN-001
func TestBootstrapTakeoverIsRefused(t *testing.T) {
	t.Parallel()
	mine := admin.NewUser{Login: "eve@example.com", Password: good}
	attacks := []struct {
		name string
		run  func(t *testing.T, h *house, token string) error
	}{
		{"guess", func(t *testing.T, h *house, token string) error {
			_, err := h.RedeemBootstrap(t.Context(), strings.Repeat("A", len(token)), mine)
			return err
		}},
		{"no token", func(t *testing.T, h *house, _ string) error {
			_, err := h.RedeemBootstrap(t.Context(), "", mine)
			return err
		}},
		{"token with something after it", func(t *testing.T, h *house, token string) error {
			_, err := h.RedeemBootstrap(t.Context(), token+" ", mine)
			return err
		}},
		{"expired", func(t *testing.T, h *house, token string) error {
			h.clock.forward(admin.BootstrapFor)
			defer h.clock.forward(-time.Minute)
			_, err := h.RedeemBootstrap(t.Context(), token, mine)
			return err
		}},
		{"replaced", func(t *testing.T, h *house, token string) error {
			h.offer(t)
			_, err := h.RedeemBootstrap(t.Context(), token, mine)
			return err
		}},
		{"used", func(t *testing.T, h *house, token string) error {
			_, err := h.RedeemBootstrap(t.Context(), token, admin.NewUser{Login: "root", Password: good})
			must(t, err)
			_, err = h.RedeemBootstrap(t.Context(), token, mine)
			return err
		}},
		{"beside an administrator", func(t *testing.T, h *house, token string) error {
			h.addUser(t, "root", account.AdminRole)
			_, err := h.RedeemBootstrap(t.Context(), token, mine)
			return err
		}},
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := bareHouse(t)
			wantCode(t, tt.run(t, h, h.offer(t)), fault.Forbidden)
			_, err := h.User(t.Context(), "eve@example.com")
			wantCode(t, err, fault.NotFound)
		})
	}
}

func TestParallelBootstrapHasOneWinner(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	token := h.offer(t)
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			_, err := h.RedeemBootstrap(t.Context(), token, admin.NewUser{Login: "root" + strings.Repeat("x", i), Password: good})
			switch {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.Forbidden):
				t.Error(err)
			}
		})
	}
	all.Wait()
	users, err := h.Users(t.Context(), "", 100)
	must(t, err)
	if won.Load() != 1 || len(users) != 1 {
		t.Errorf("%d winners, %d users", won.Load(), len(users))
	}
}

func TestBootstrapIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	first, err := h.RedeemBootstrap(t.Context(), h.offer(t), admin.NewUser{Login: "root", Password: good})
	must(t, err)
	h.addUser(t, "second", account.AdminRole)
	must(t, h.RemoveUser(t.Context(), admin.ByCLI(), first.ID))
	if _, offered, err := h.OfferBootstrap(t.Context()); err != nil || offered {
		t.Errorf("offered %t, %v", offered, err)
	}
}

func TestBootstrapWithUnsoundInputUsesNothingUp(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	token := h.offer(t)
	for name, n := range map[string]admin.NewUser{
		"weak password":   {Login: "root", Password: "password"},
		"no password":     {Login: "root"},
		"no login":        {Password: good},
		"mass assignment": {Login: "root", Password: good, Roles: []string{account.AdminRole}},
		"password hash":   {Login: "root", PasswordHash: "$2b$10$abc"},
		"disabled":        {Login: "root", Password: good, Disabled: true},
	} {
		if _, err := h.RedeemBootstrap(t.Context(), token, n); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := h.RedeemBootstrap(t.Context(), token, admin.NewUser{Login: "root", Password: good})
	must(t, err)
}
