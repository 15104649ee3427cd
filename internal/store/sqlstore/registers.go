package sqlstore

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// A register keeps things that are rows of an id, a version and a document.
type register[T any] struct {
	what                              string
	insert, byID, list, update, erase string
	body                              func(T) (string, error)
	memo                              *memo[T]
	key                               func(*T) (id *string, version *int64)
}

func newRegister[T any](table, what string) register[T] {
	return register[T]{
		what:   what,
		insert: "INSERT INTO " + table + " (id, version, body) VALUES ($1, 1, $2) ON CONFLICT (id) DO NOTHING",
		byID:   "SELECT id, version, body FROM " + table + " WHERE id = $1",
		list:   "SELECT id, version, body FROM " + table + " WHERE id > $1 ORDER BY id LIMIT $2",
		update: "UPDATE " + table + " SET body = $3, version = version + 1 WHERE id = $1 AND version = $2",
		erase:  "DELETE FROM " + table + " WHERE id = $1 AND version = $2",
	}
}

func clientRegister() register[client.Client] {
	r := newRegister[client.Client]("clients", "client id")
	r.body = clientBody
	r.key = func(c *client.Client) (*string, *int64) { return &c.ID, &c.Version }
	r.memo = newMemo(clientOf, func(c client.Client) client.Client {
		c.RedirectURIs, c.Origins, c.Grants = slices.Clone(c.RedirectURIs), slices.Clone(c.Origins), slices.Clone(c.Grants)
		c.APIs, c.Serves, c.OAuth = cloneScopes(c.APIs), slices.Clone(c.Serves), c.OAuth.Clone()
		return c
	})
	return r
}

func apiRegister() register[api.API] {
	r := newRegister[api.API]("apis", "API id")
	r.body = apiBody
	r.key = func(a *api.API) (*string, *int64) { return &a.ID, &a.Version }
	r.memo = newMemo(apiOf, func(a api.API) api.API {
		a.Scopes = slices.Clone(a.Scopes)
		if a.Token.Encrypt != nil {
			e := *a.Token.Encrypt
			e.JWK = slices.Clone(e.JWK)
			a.Token.Encrypt = &e
		}
		return a
	})
	return r
}

func roleRegister() register[role.Role] {
	r := newRegister[role.Role]("roles", "role id")
	r.body = roleBody
	r.key = func(r *role.Role) (*string, *int64) { return &r.ID, &r.Version }
	r.memo = newMemo(roleOf, func(r role.Role) role.Role {
		r.Scopes = cloneScopes(r.Scopes)
		return r
	})
	return r
}

func cloneScopes(m map[string][]string) map[string][]string {
	if m == nil {
		return nil
	}
	total := 0
	for _, v := range m {
		total += len(v)
	}
	all := make([]string, 0, total) // one for all: this runs with every request
	out := make(map[string][]string, len(m))
	for k, v := range m {
		if v == nil {
			out[k] = nil // as it was: a list that is not there is no empty one
			continue
		}
		at := len(all)
		all = append(all, v...)
		out[k] = all[at:len(all):len(all)]
	}
	return out
}

// read takes the next three columns.
func (g register[T]) read(r *row) T {
	id, version := r.text(), r.int()
	thing := memoized(r, g.memo)
	i, v := g.key(&thing)
	*i, *v = id, version
	return thing
}

func (g register[T]) get(ctx context.Context, s *Store, id string) (thing T, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) { thing = g.read(r) }, g.byID, id)
		return err
	})
	return thing, found, err
}

func (g register[T]) page(ctx context.Context, s *Store, after string, limit int) ([]T, error) {
	return list(ctx, s.database, g.read, g.list, after, atMost(limit))
}

func (g register[T]) add(ctx context.Context, s *Store, thing T, fx revoke.Effects) error {
	id, _ := g.key(&thing)
	body, err := g.body(thing)
	if err != nil {
		return err
	}
	return s.insist(ctx, fx, func(c *conn) error {
		n, err := c.exec(g.insert, *id, body)
		return free(g.what, n, err)
	})
}

// addAfter is add, after what must be so in the same transaction.
func (g register[T]) addAfter(ctx context.Context, s *Store, thing T, fx revoke.Effects, first func(*conn) error) (bool, error) {
	id, _ := g.key(&thing)
	body, err := g.body(thing)
	if err != nil {
		return false, err
	}
	return s.report(ctx, fx, func(c *conn) error {
		if err := first(c); err != nil {
			return err
		}
		n, err := c.exec(g.insert, *id, body)
		return free(g.what, n, err)
	})
}

func (g register[T]) change(ctx context.Context, s *Store, next T, fx revoke.Effects, also func(*conn) error) (bool, error) {
	id, version := g.key(&next)
	body, err := g.body(next)
	if err != nil {
		return false, err
	}
	return s.report(ctx, fx, func(c *conn) error {
		if err := once(c.exec(g.update, *id, *version, body)); err != nil || also == nil {
			return err
		}
		return also(c)
	})
}

func (g register[T]) remove(ctx context.Context, s *Store, id string, version int64, fx revoke.Effects, also ...string) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		if err := once(c.exec(g.erase, id, version)); err != nil {
			return err
		}
		for _, query := range also {
			if _, err := c.exec(query, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// A memo remembers what documents decode to. It is keyed by the document itself,
// so it is never wrong; it saves the decoding where the same few are read again
// and again.
type memo[T any] struct {
	decode func(string) (T, error)
	clone  func(T) T

	mu    sync.RWMutex
	known map[string]T
}

// memoMost is how many documents of a kind are remembered before all are
// forgotten.
const memoMost = 1024

func newMemo[T any](decode func(string) (T, error), clone func(T) T) *memo[T] {
	return &memo[T]{decode: decode, clone: clone, known: map[string]T{}}
}

// memoized takes the next column, a document.
func memoized[T any](r *row, m *memo[T]) T {
	body := r.text()
	m.mu.RLock()
	thing, found := m.known[body]
	m.mu.RUnlock()
	if found {
		return m.clone(thing)
	}
	thing, err := m.decode(body)
	if err != nil {
		r.fail("a document", json.RawMessage(body))
		return thing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= memoMost {
		clear(m.known)
	}
	m.known[body] = m.clone(thing)
	return thing
}

// AddClient implements admin.ClientStore.
func (s *Store) AddClient(ctx context.Context, c client.Client, fx revoke.Effects) error {
	return s.clients.add(ctx, s, c, fx)
}

// AddInvited implements admin.ClientStore.
func (s *Store) AddInvited(ctx context.Context, c client.Client, left ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.clients.addAfter(ctx, s, c, fx, func(c *conn) error {
		if left.Body == nil {
			return once(c.exec("DELETE FROM tickets WHERE kind = $1 AND id = $2 AND version = $3", string(left.Kind), left.Key[:], left.Version))
		}
		return c.changeTicket(left)
	})
}

// ClientByID implements admin.ClientStore.
func (s *Store) ClientByID(ctx context.Context, id string) (client.Client, bool, error) {
	return s.clients.get(ctx, s, id)
}

// Clients implements admin.ClientStore.
func (s *Store) Clients(ctx context.Context, after string, limit int) ([]client.Client, error) {
	return s.clients.page(ctx, s, after, limit)
}

// ChangeClient implements admin.ClientStore.
func (s *Store) ChangeClient(ctx context.Context, next client.Client, fx revoke.Effects) (bool, error) {
	return s.clients.change(ctx, s, next, fx, nil)
}

// RemoveClient implements admin.ClientStore.
func (s *Store) RemoveClient(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.clients.remove(ctx, s, id, version, fx, "DELETE FROM consents WHERE client_id = $1")
}

// AddAPI implements admin.APIStore.
func (s *Store) AddAPI(ctx context.Context, a api.API, fx revoke.Effects) error {
	return s.apis.add(ctx, s, a, fx)
}

// APIByID implements admin.APIStore.
func (s *Store) APIByID(ctx context.Context, id string) (api.API, bool, error) {
	return s.apis.get(ctx, s, id)
}

// APIs implements admin.APIStore.
func (s *Store) APIs(ctx context.Context, after string, limit int) ([]api.API, error) {
	return s.apis.page(ctx, s, after, limit)
}

// ChangeAPI implements admin.APIStore.
func (s *Store) ChangeAPI(ctx context.Context, next api.API, fx revoke.Effects) (bool, error) {
	return s.apis.change(ctx, s, next, fx, nil)
}

// RemoveAPI implements admin.APIStore.
func (s *Store) RemoveAPI(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.apis.remove(ctx, s, id, version, fx)
}
