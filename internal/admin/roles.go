package admin

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
)

// RoleEdit is what is to change; nil leaves it as it is.
type RoleEdit struct {
	Scopes *map[string][]string
}

var errAdminRole = fault.New(fault.Conflict, "The role "+account.AdminRole+" is built in.")

// AddRole adds a role. Times and version are filled in. A taken id is
// fault.Conflict.
func (s *Service) AddRole(ctx context.Context, by By, r role.Role) (role.Role, error) {
	r, err := s.newRole(ctx, by, s.world(), r)
	if err != nil {
		return role.Role{}, err
	}
	fx := revoke.Effects{Audit: s.events(by, "role.add", r.ID, []string{scopeText(r.Scopes)})}
	if err := s.Store.AddRole(ctx, r, fx); err != nil {
		return role.Role{}, wrap(err, "add role")
	}
	return r, nil
}

func (s *Service) newRole(ctx context.Context, by By, w world, r role.Role) (role.Role, error) {
	if r.ID == account.AdminRole {
		return role.Role{}, errAdminRole
	}
	r.CreatedAt, r.UpdatedAt, r.Version = s.Now(), s.Now(), 1
	r.Scopes = s.normalScopes(r.Scopes)
	if err := r.Check(); err != nil {
		return role.Role{}, err
	}
	if err := w.checkScopes(ctx, "Role "+r.ID, r.Scopes); err != nil {
		return role.Role{}, err
	}
	return r, s.mayManage(ctx, by, r.ID, r.Scopes)
}

// EditRole changes a role; the tokens of everybody who has it are taken back with
// it. An edit that changes nothing writes nothing.
func (s *Service) EditRole(ctx context.Context, by By, id string, e RoleEdit) (role.Role, error) {
	for range attempts {
		old, err := s.Role(ctx, id)
		if err != nil {
			return role.Role{}, err
		}
		next, err := s.editedRole(ctx, by, s.world(), old, e)
		if err != nil {
			return role.Role{}, err
		}
		changes := roleChanges(old, next)
		if len(changes) == 0 {
			return old, nil
		}
		next.UpdatedAt = s.Now()
		fx := revoke.Effects{Audit: s.events(by, "role.edit", id, changes)}
		done, err := s.Store.ChangeRole(ctx, next, s.entry(revoke.Claims, "", "roles"), fx)
		if err != nil {
			return role.Role{}, wrap(err, "change role")
		}
		if done {
			next.Version++
			return next, nil
		}
	}
	return role.Role{}, errOvertaken
}

func (s *Service) editedRole(ctx context.Context, by By, w world, old role.Role, e RoleEdit) (role.Role, error) {
	if old.ID == account.AdminRole {
		return role.Role{}, errAdminRole
	}
	if err := s.mayManage(ctx, by, old.ID, old.Scopes); err != nil {
		return role.Role{}, err
	}
	if e.Scopes == nil {
		return old, nil
	}
	next := old
	next.Scopes = s.normalScopes(*e.Scopes)
	if err := w.checkScopes(ctx, "Role "+next.ID, next.Scopes); err != nil {
		return role.Role{}, err
	}
	return next, s.mayManage(ctx, by, next.ID, next.Scopes)
}

// RemoveRole removes a role and takes it from every user, whose tokens are taken
// back with it. The built-in role is fault.Conflict.
func (s *Service) RemoveRole(ctx context.Context, by By, id string) error {
	if id == account.AdminRole {
		return errAdminRole
	}
	for range attempts {
		old, err := s.Role(ctx, id)
		if err != nil {
			return err
		}
		if err := s.mayManage(ctx, by, id, old.Scopes); err != nil {
			return err
		}
		fx := revoke.Effects{Audit: s.events(by, "role.remove", id, []string{scopeText(old.Scopes)})}
		done, err := s.Store.RemoveRole(ctx, id, old.Version, s.entry(revoke.Claims, "", "roles"), fx)
		if err != nil || done {
			return wrap(err, "remove role")
		}
	}
	return errOvertaken
}

// Role finds a role. None is fault.NotFound.
func (s *Service) Role(ctx context.Context, id string) (role.Role, error) {
	r, found, err := s.Store.RoleByID(ctx, id)
	if err != nil {
		return role.Role{}, fmt.Errorf("find role: %w", err)
	}
	if !found {
		return role.Role{}, fault.New(fault.NotFound, "No such role.")
	}
	return r, nil
}

// Roles lists roles with id > after, sorted by id, at most limit.
func (s *Service) Roles(ctx context.Context, after string, limit int) ([]role.Role, error) {
	all, err := s.Store.Roles(ctx, after, limit)
	return all, wrap(err, "list roles")
}

func (s *Service) allRoles(ctx context.Context) ([]role.Role, error) {
	const page = 500
	var all []role.Role
	after := ""
	for {
		some, err := s.Roles(ctx, after, page)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
		after = some[len(some)-1].ID
	}
}
