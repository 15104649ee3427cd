package admin_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

const (
	issuer = "https://id.example"
	orders = "https://orders.example"
	vault  = "https://vault.example"
	good   = "correct-horse-battery-staple"
	better = "seven purple lanterns over the harbor"
)

// house is an installation in memory, seeded, with two APIs and three roles:
// clerk reads orders, helpdesk may manage users, boss is clerk and more.
type house struct {
	*admin.Service
	store *memory.Store
	ring  *keyring.Ring
	clock *clock
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := bareHouse(t)
	for _, a := range []api.API{
		{ID: orders, Scopes: []string{"orders:read", "orders:write"}},
		{ID: vault, Scopes: []string{"vault:open"}},
	} {
		if _, err := h.AddAPI(t.Context(), admin.ByCLI(), a); err != nil {
			t.Fatal(err)
		}
	}
	for id, scopes := range map[string]map[string][]string{
		"clerk":    {orders: {"orders:read"}},
		"boss":     {orders: {"*"}, vault: {"vault:open"}},
		"helpdesk": {api.Management: {"users:read", "users:write"}, orders: {"orders:read"}},
		"locker":   {api.Management: {"keys:write"}},
	} {
		if _, err := h.AddRole(t.Context(), admin.ByCLI(), role.Role{ID: id, Scopes: scopes}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// bareHouse is what a first start finds.
func bareHouse(t *testing.T) *house {
	t.Helper()
	h := &house{store: memory.New(), clock: &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}}
	root, err := opaque.NewRoot(bytes.Repeat([]byte{1}, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	if h.ring, err = keyring.New(keyring.Config{Store: h.store, Seal: root.Derive("keys"), Now: h.clock.now}); err != nil {
		t.Fatal(err)
	}
	hasher, err := password.New(password.Config{
		Params: password.Params{Memory: 8, Time: 1, Threads: 1}, Cost: time.Microsecond, QueueLength: 400, Now: h.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Service = admin.New(admin.Config{
		Store: h.store, Sessions: session.NewKeeper(h.store, session.DefaultLimits(), h.clock.now), Keys: h.ring,
		Passwords: hasher, Secrets: root.Derive("secrets"), Issuer: issuer, Now: h.clock.now,
	})
	if err := h.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) addUser(t *testing.T, login string, roles ...string) account.User {
	t.Helper()
	u, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: login, Password: good, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (h *house) addClient(t *testing.T, id string, scopes map[string][]string) string {
	t.Helper()
	_, secret, err := h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{
		ID: id, Kind: client.Confidential, Grants: []string{client.ClientCredentials}, APIs: scopes,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// start signs somebody in and returns the sid.
func (h *house) start(t *testing.T, userID string) string {
	t.Helper()
	s, _, err := h.Sessions.Start(t.Context(), session.Login{UserID: userID})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// delegate is a user with the role helpdesk, and who they are to the rules.
func (h *house) delegate(t *testing.T) admin.By {
	t.Helper()
	u := h.addUser(t, "help@example.com", "helpdesk")
	return admin.By{Actor: u.ID, Scopes: []string{"users:read", "users:write"}}
}

// since runs a change and returns what it wrote to the two logs.
func (h *house) since(t *testing.T, change func()) ([]revoke.Entry, []audit.Event) {
	t.Helper()
	head, err := h.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := len(h.events(t))
	change()
	recorded, err := h.store.Revocations(t.Context(), head, 100)
	if err != nil {
		t.Fatal(err)
	}
	var entries []revoke.Entry
	for _, r := range recorded {
		entries = append(entries, r.Entry)
	}
	return entries, h.events(t)[before:]
}

func (h *house) events(t *testing.T) []audit.Event {
	t.Helper()
	all, err := h.store.Events(t.Context(), 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantEntry wants exactly one entry.
func wantEntry(t *testing.T, got []revoke.Entry, kind revoke.Kind, key, reason string) {
	t.Helper()
	if len(got) != 1 || got[0].Kind != kind || got[0].Key != key || got[0].Reason != reason {
		t.Errorf("revoked %v, want one %s %s because of %s", got, kind, key, reason)
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedOnly wants nothing written but the note of a refusal.
func refusedOnly(t *testing.T, entries []revoke.Entry, events []audit.Event) {
	t.Helper()
	if len(entries) != 0 {
		t.Errorf("revoked %v", entries)
	}
	if !slices.ContainsFunc(events, func(e audit.Event) bool { return e.Action == "admin.refused" }) || len(events) != 1 {
		t.Errorf("audit log: %v, want one admin.refused", events)
	}
}

func ptr[T any](v T) *T { return &v }
