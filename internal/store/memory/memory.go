package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/ticket"
)

var _ store.Store = (*Store)(nil)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("store is closed")

// Store is a store in memory. Make one with New.
type Store struct {
	mu     sync.RWMutex
	closed bool

	users   map[string]account.User
	logins  map[string]string // canonical login -> user id
	clients shelf[client.Client]
	apis    shelf[api.API]
	roles   shelf[role.Role]

	settings  map[string]string
	bootstrap offer

	sessions map[string]session.Session
	secrets  map[opaque.Digest]string // -> session id
	leaving  map[string]bool          // session id -> on its way to another home
	grants   map[string]grant.Grant
	tokens   map[opaque.Digest]grant.AccessToken
	keys     map[string]keyring.Record
	counters map[string]limit.Counter
	tickets  map[ticketKey]ticket.Ticket
	consents map[consentKey]consent.Consent

	log    []revoke.Recorded // what was not purged
	head   int64
	events []audit.Event
	status statuses

	epoch     int64
	eager     time.Time
	keysMoved int64
	verifiers map[string]feed.Verifier
	bell      chan struct{} // closed, and made anew, when the log goes on

	out outbound
}

// New returns an empty store.
func New() *Store {
	return &Store{
		users: map[string]account.User{}, logins: map[string]string{},
		clients: shelf[client.Client]{"client id", map[string]client.Client{}, clientCopy, func(c *client.Client) *int64 { return &c.Version }},
		apis:    shelf[api.API]{"API id", map[string]api.API{}, apiCopy, func(a *api.API) *int64 { return &a.Version }},
		roles:   shelf[role.Role]{"role id", map[string]role.Role{}, roleCopy, func(r *role.Role) *int64 { return &r.Version }},

		settings: map[string]string{}, sessions: map[string]session.Session{}, secrets: map[opaque.Digest]string{}, leaving: map[string]bool{},
		grants: map[string]grant.Grant{}, tokens: map[opaque.Digest]grant.AccessToken{}, keys: map[string]keyring.Record{},
		counters: map[string]limit.Counter{}, tickets: map[ticketKey]ticket.Ticket{}, consents: map[consentKey]consent.Consent{},

		epoch: 1, verifiers: map[string]feed.Verifier{}, bell: make(chan struct{}),
	}
}

// Ping fails after Close.
func (m *Store) Ping(ctx context.Context) error {
	return m.read(ctx, func() {})
}

// Close forgets everything.
func (m *Store) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.ring()
	return nil
}

func (m *Store) read(ctx context.Context, look func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return ErrClosed
	}
	look()
	return nil
}

func (m *Store) write(ctx context.Context, change func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	return change()
}

// errRefused is what a change returns when its condition does not hold. It has
// not changed anything.
var errRefused = errors.New("refused")

// report makes a change, then its effects: neither when the guard or the change
// itself refuses. It reports whether it did.
func (m *Store) report(ctx context.Context, fx revoke.Effects, change func() error) (bool, error) {
	err := m.write(ctx, func() error {
		if m.stale(fx.Guard) {
			return errRefused
		}
		if err := change(); err != nil {
			return err
		}
		m.apply(fx)
		return nil
	})
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, err
}

// insist is report for calls that do not report: a refusal is a conflict.
func (m *Store) insist(ctx context.Context, fx revoke.Effects, change func() error) error {
	ok, err := m.report(ctx, fx, change)
	if err == nil && !ok {
		return fault.New(fault.Conflict, "What allowed this was taken back meanwhile.")
	}
	return err
}

func taken(what string) error {
	return fault.New(fault.Conflict, "The "+what+" is taken.")
}

// when is a time as it is kept.
func when(t time.Time) time.Time { return t.Truncate(time.Microsecond).UTC() }

func byID[T any](ctx context.Context, m *Store, rows map[string]T, id string, copied func(T) T) (row T, found bool, err error) {
	err = m.read(ctx, func() {
		if row, found = rows[id]; found {
			row = copied(row)
		}
	})
	return row, found, err
}

// page is the rows with id > after, sorted, at most limit.
func page[T any](rows map[string]T, after string, limit int, copied func(T) T) []T {
	limit = max(limit, 0)
	var ids []string
	for id := range rows {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	out := make([]T, 0, min(limit, len(ids)))
	for _, id := range ids[:min(limit, len(ids))] {
		out = append(out, copied(rows[id]))
	}
	return out
}
