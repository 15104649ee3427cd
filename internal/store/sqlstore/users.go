package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
)

const userColumns = "SELECT id, canonical, version, password_hash, body FROM users "

// user takes the next five columns.
func (r *row) user() account.User {
	return r.userBy(func() account.User {
		body := r.text()
		u, err := userOf(body)
		if err != nil {
			r.fail("a document", json.RawMessage(body))
		}
		return u
	})
}

func (r *row) userBy(decoded func() account.User) account.User {
	id, canonical, version, hash := r.text(), r.text(), r.int(), r.text()
	u := decoded()
	u.ID, u.Canonical, u.Version, u.PasswordHash = id, canonical, version, hash
	return u
}

// frequent is row.user for the same people again and again, with every request of theirs.
func (s *Store) frequent(r *row) account.User {
	return r.userBy(func() account.User { return memoized(r, s.users) })
}

// AddUser implements admin.UserStore.
func (s *Store) AddUser(ctx context.Context, u account.User, fx revoke.Effects) error {
	return s.insist(ctx, fx, func(c *conn) error { return c.addUser(u) })
}

func (c *conn) addUser(u account.User) error {
	body, err := userBody(u)
	if err != nil {
		return err
	}
	n, err := c.exec("INSERT INTO users (id, canonical, version, password_hash, body) VALUES ($1, $2, 1, $3, $4) ON CONFLICT DO NOTHING",
		u.ID, u.Canonical, u.PasswordHash, body)
	if err := free("user id or login", n, err); err != nil {
		return err
	}
	return c.putRoles(u)
}

func (c *conn) putRoles(u account.User) error {
	for _, id := range u.Roles {
		_, err := c.exec("INSERT INTO user_roles (user_id, role_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", u.ID, id)
		if err != nil {
			return err
		}
	}
	return nil
}

// UserByID implements admin.UserStore.
func (s *Store) UserByID(ctx context.Context, id string) (account.User, bool, error) {
	return s.user(ctx, userColumns+"WHERE id = $1", id)
}

// UserByLogin implements admin.UserStore and signin.Store.
func (s *Store) UserByLogin(ctx context.Context, canonical string) (account.User, bool, error) {
	return s.user(ctx, userColumns+"WHERE canonical = $1", canonical)
}

func (s *Store) user(ctx context.Context, query, key string) (u account.User, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) { u = r.user() }, query, key)
		return err
	})
	return u, found, err
}

// Users implements admin.UserStore.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]account.User, error) {
	return list(ctx, s.database, (*row).user, userColumns+"WHERE id > $1 ORDER BY id LIMIT $2", after, atMost(limit))
}

// ChangeUser implements admin.UserStore.
func (s *Store) ChangeUser(ctx context.Context, next account.User, fx revoke.Effects) (bool, error) {
	body, err := userBody(next)
	if err != nil {
		return false, err
	}
	return s.report(ctx, fx, func(c *conn) error {
		// An older version is refused before its login is looked at.
		if err := once(c.number("SELECT count(*) FROM users WHERE id = $1 AND version = $2", next.ID, next.Version)); err != nil {
			return err
		}
		others, err := c.number("SELECT count(*) FROM users WHERE canonical = $1 AND id <> $2", next.Canonical, next.ID)
		if err != nil {
			return err
		}
		if others > 0 {
			return fault.New(fault.Conflict, "The login is taken.")
		}
		err = once(c.exec("UPDATE users SET canonical = $3, password_hash = $4, body = $5, version = version + 1 WHERE id = $1 AND version = $2",
			next.ID, next.Version, next.Canonical, next.PasswordHash, body))
		if err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM user_roles WHERE user_id = $1", next.ID); err != nil {
			return err
		}
		return c.putRoles(next)
	})
}

// RemoveUser implements admin.UserStore.
func (s *Store) RemoveUser(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		if err := once(c.exec("DELETE FROM users WHERE id = $1 AND version = $2", id, version)); err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM user_roles WHERE user_id = $1", id); err != nil {
			return err
		}
		_, err := c.exec("DELETE FROM consents WHERE user_id = $1", id)
		return err
	})
}

// Rehash implements signin.Store.
func (s *Store) Rehash(ctx context.Context, userID, old, next string) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		return once(c.exec("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", userID, old, next))
	})
}
