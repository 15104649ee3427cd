package sqlstore

import (
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
)

// AddRole implements admin.RoleStore.
func (s *Store) AddRole(ctx context.Context, r role.Role, fx revoke.Effects) error {
	return s.roles.add(ctx, s, r, fx)
}

// RoleByID implements admin.RoleStore.
func (s *Store) RoleByID(ctx context.Context, id string) (role.Role, bool, error) {
	return s.roles.get(ctx, s, id)
}

// Roles implements admin.RoleStore.
func (s *Store) Roles(ctx context.Context, after string, limit int) ([]role.Role, error) {
	return s.roles.page(ctx, s, after, limit)
}

// ChangeRole implements admin.RoleStore.
func (s *Store) ChangeRole(ctx context.Context, next role.Role, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return s.roles.change(ctx, s, next, fx, func(c *conn) error { return c.tell(next.ID, claims) })
}

// tell appends an entry like claims for every user who has a role, in one
// statement: there may be many.
func (c *conn) tell(roleID string, claims revoke.Entry) error {
	n, err := c.number("SELECT count(*) FROM user_roles WHERE role_id = $1", roleID)
	if err != nil || n == 0 {
		return err
	}
	last, err := c.positions("revocations", int(n))
	if err != nil {
		return err
	}
	c.rings = true
	claims = claims.Named("")
	_, err = c.exec(`INSERT INTO revocations (seq, kind, key, at, keep_until, reason, subject, clients)
		SELECT $1 + row_number() OVER (ORDER BY user_id), $2, user_id, $3, $4, $5, $6, $7 FROM user_roles WHERE role_id = $8`,
		last-n, string(claims.Kind), micros(claims.At), micros(claims.KeepUntil), claims.Reason, claims.Subject, oddTexts(claims.Clients), roleID)
	return err
}

// RemoveRole implements admin.RoleStore.
func (s *Store) RemoveRole(ctx context.Context, id string, version int64, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		if err := once(c.exec(s.roles.erase, id, version)); err != nil {
			return err
		}
		if err := c.strip(id, claims); err != nil {
			return err
		}
		if err := c.tell(id, claims); err != nil {
			return err
		}
		_, err := c.exec("DELETE FROM user_roles WHERE role_id = $1", id)
		return err
	})
}

// strip takes a role out of its users' documents.
func (c *conn) strip(roleID string, claims revoke.Entry) error {
	var users []account.User
	err := c.each(func(r *row) error {
		users = append(users, r.user())
		return nil
	}, userColumns+"WHERE id IN (SELECT user_id FROM user_roles WHERE role_id = $1)", roleID)
	if err != nil {
		return err
	}
	for _, u := range users {
		u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == roleID })
		u.UpdatedAt = claims.At
		body, err := userBody(u)
		if err != nil {
			return err
		}
		if _, err := c.exec("UPDATE users SET body = $2, version = version + 1 WHERE id = $1", u.ID, body); err != nil {
			return err
		}
	}
	return nil
}
