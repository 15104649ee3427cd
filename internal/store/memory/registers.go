package memory

import (
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// AddUser implements admin.UserStore.
func (m *Store) AddUser(ctx context.Context, u account.User, fx revoke.Effects) error {
	return m.insist(ctx, fx, func() error { return m.putNewUser(u) })
}

func (m *Store) putNewUser(u account.User) error {
	if _, found := m.users[u.ID]; found {
		return taken("user id")
	}
	if _, found := m.logins[u.Canonical]; found {
		return taken("login")
	}
	u.Version = 1
	m.users[u.ID], m.logins[u.Canonical] = userCopy(u), u.ID
	return nil
}

// UserByID implements admin.UserStore.
func (m *Store) UserByID(ctx context.Context, id string) (u account.User, found bool, err error) {
	return byID(ctx, m, m.users, id, userCopy)
}

// UserByLogin implements admin.UserStore and signin.Store.
func (m *Store) UserByLogin(ctx context.Context, canonical string) (u account.User, found bool, err error) {
	err = m.read(ctx, func() {
		if u, found = m.users[m.logins[canonical]]; found {
			u = userCopy(u)
		}
	})
	return u, found, err
}

// Users implements admin.UserStore.
func (m *Store) Users(ctx context.Context, after string, limit int) (out []account.User, err error) {
	err = m.read(ctx, func() { out = page(m.users, after, limit, userCopy) })
	return out, err
}

// ChangeUser implements admin.UserStore.
func (m *Store) ChangeUser(ctx context.Context, next account.User, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		old, found := m.users[next.ID]
		if !found || old.Version != next.Version {
			return errRefused
		}
		if owner, found := m.logins[next.Canonical]; found && owner != next.ID {
			return taken("login")
		}
		next.Version++
		delete(m.logins, old.Canonical)
		m.users[next.ID], m.logins[next.Canonical] = userCopy(next), next.ID
		return nil
	})
}

// RemoveUser implements admin.UserStore.
func (m *Store) RemoveUser(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		old, found := m.users[id]
		if !found || old.Version != version {
			return errRefused
		}
		delete(m.users, id)
		delete(m.logins, old.Canonical)
		m.forgetConsents(id, "")
		return nil
	})
}

// Rehash implements signin.Store.
func (m *Store) Rehash(ctx context.Context, userID, old, next string) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		u, found := m.users[userID]
		if !found || u.PasswordHash != old {
			return errRefused
		}
		u.PasswordHash = next
		m.users[userID] = u
		return nil
	})
}

// A shelf is a register of things that have an id and a version.
type shelf[T any] struct {
	what    string
	rows    map[string]T
	copied  func(T) T
	version func(*T) *int64
}

func (s shelf[T]) add(id string, row T) error {
	if _, found := s.rows[id]; found {
		return taken(s.what)
	}
	*s.version(&row) = 1
	s.rows[id] = s.copied(row)
	return nil
}

func (s shelf[T]) change(id string, next T) error {
	old, found := s.rows[id]
	if !found || *s.version(&old) != *s.version(&next) {
		return errRefused
	}
	*s.version(&next)++
	s.rows[id] = s.copied(next)
	return nil
}

func (s shelf[T]) remove(id string, version int64) error {
	old, found := s.rows[id]
	if !found || *s.version(&old) != version {
		return errRefused
	}
	delete(s.rows, id)
	return nil
}

// AddClient implements admin.ClientStore.
func (m *Store) AddClient(ctx context.Context, c client.Client, fx revoke.Effects) error {
	return m.insist(ctx, fx, func() error { return m.clients.add(c.ID, c) })
}

// AddInvited implements admin.ClientStore.
func (m *Store) AddInvited(ctx context.Context, c client.Client, left ticket.Ticket, fx revoke.Effects) (bool, error) {
	at := ticketKey{left.Kind, left.Key}
	return m.report(ctx, fx, func() error {
		old, found := m.tickets[at]
		if !found || old.Version != left.Version {
			return errRefused
		}
		if err := m.clients.add(c.ID, c); err != nil {
			return err
		}
		if left.Body == nil {
			delete(m.tickets, at)
			return nil
		}
		left.Version++
		m.tickets[at] = ticketCopy(left)
		return nil
	})
}

// ClientByID implements admin.ClientStore.
func (m *Store) ClientByID(ctx context.Context, id string) (client.Client, bool, error) {
	return byID(ctx, m, m.clients.rows, id, clientCopy)
}

// Clients implements admin.ClientStore.
func (m *Store) Clients(ctx context.Context, after string, limit int) (out []client.Client, err error) {
	err = m.read(ctx, func() { out = page(m.clients.rows, after, limit, clientCopy) })
	return out, err
}

// ChangeClient implements admin.ClientStore.
func (m *Store) ChangeClient(ctx context.Context, next client.Client, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error { return m.clients.change(next.ID, next) })
}

// RemoveClient implements admin.ClientStore.
func (m *Store) RemoveClient(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		if err := m.clients.remove(id, version); err != nil {
			return err
		}
		m.forgetConsents("", id)
		return nil
	})
}

// AddAPI implements admin.APIStore.
func (m *Store) AddAPI(ctx context.Context, a api.API, fx revoke.Effects) error {
	return m.insist(ctx, fx, func() error { return m.apis.add(a.ID, a) })
}

// APIByID implements admin.APIStore.
func (m *Store) APIByID(ctx context.Context, id string) (api.API, bool, error) {
	return byID(ctx, m, m.apis.rows, id, apiCopy)
}

// APIs implements admin.APIStore.
func (m *Store) APIs(ctx context.Context, after string, limit int) (out []api.API, err error) {
	err = m.read(ctx, func() { out = page(m.apis.rows, after, limit, apiCopy) })
	return out, err
}

// ChangeAPI implements admin.APIStore.
func (m *Store) ChangeAPI(ctx context.Context, next api.API, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error { return m.apis.change(next.ID, next) })
}

// RemoveAPI implements admin.APIStore.
func (m *Store) RemoveAPI(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error { return m.apis.remove(id, version) })
}

// AddRole implements admin.RoleStore.
func (m *Store) AddRole(ctx context.Context, r role.Role, fx revoke.Effects) error {
	return m.insist(ctx, fx, func() error { return m.roles.add(r.ID, r) })
}

// RoleByID implements admin.RoleStore.
func (m *Store) RoleByID(ctx context.Context, id string) (role.Role, bool, error) {
	return byID(ctx, m, m.roles.rows, id, roleCopy)
}

// Roles implements admin.RoleStore.
func (m *Store) Roles(ctx context.Context, after string, limit int) (out []role.Role, err error) {
	err = m.read(ctx, func() { out = page(m.roles.rows, after, limit, roleCopy) })
	return out, err
}

// ChangeRole implements admin.RoleStore.
func (m *Store) ChangeRole(ctx context.Context, next role.Role, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		if err := m.roles.change(next.ID, next); err != nil {
			return err
		}
		m.tell(m.holders(next.ID), claims)
		return nil
	})
}

// RemoveRole implements admin.RoleStore.
func (m *Store) RemoveRole(ctx context.Context, id string, version int64, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		if err := m.roles.remove(id, version); err != nil {
			return err
		}
		users := m.holders(id)
		for _, userID := range users {
			u := userCopy(m.users[userID])
			u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == id })
			u.UpdatedAt, u.Version = when(claims.At), u.Version+1
			m.users[userID] = u
		}
		m.tell(users, claims)
		return nil
	})
}

// holders is the ids of the users who have a role, sorted.
func (m *Store) holders(roleID string) []string {
	var ids []string
	for id, u := range m.users {
		if u.HasRole(roleID) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tell appends an entry like claims for each user.
func (m *Store) tell(users []string, claims revoke.Entry) {
	for _, id := range users {
		claims.Key = id
		m.apply(revoke.Effects{Revoke: []revoke.Entry{claims}})
	}
}
