package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
)

// NewUser is a user to be added. With neither Password nor PasswordHash nobody
// can sign in; with both it is refused.
type NewUser struct {
	Login        string
	Name         string
	Password     string
	PasswordHash string // of a form that password.Supported knows
	Roles        []string
	Disabled     bool
	// Profile is a JSON object in the names of account.Profile.
	Profile json.RawMessage
}

// UserEdit is what is to change; nil leaves it as it is.
type UserEdit struct {
	Name         *string
	Login        *string
	Roles        *[]string
	Disabled     *bool
	Password     *string
	PasswordHash *string
	// Profile is a JSON object in the names of account.Profile. Its members take the
	// place of those of the same name, null takes one away.
	Profile json.RawMessage
}

// AddUser adds a user. A taken login is fault.Conflict.
func (s *Service) AddUser(ctx context.Context, by By, n NewUser) (account.User, error) {
	u, err := s.newUser(ctx, by, s.world(), n)
	if err != nil {
		return account.User{}, err
	}
	if u, err = s.withPassword(ctx, u, n); err != nil {
		return account.User{}, err
	}
	fx := revoke.Effects{Audit: s.events(by, "user.add", u.ID, []string{u.Canonical})}
	if err := s.Store.AddUser(ctx, u, fx); err != nil {
		return account.User{}, wrap(err, "add user")
	}
	return public(u), nil
}

// newUser makes the row of a new user, all but its password hash, and checks
// everything that can be checked without hashing.
func (s *Service) newUser(ctx context.Context, by By, w world, n NewUser) (account.User, error) {
	now := s.Now()
	u := account.User{
		ID: opaque.ID(opaque.UserID, now), Login: n.Login, Name: n.Name, Roles: set(n.Roles), Disabled: n.Disabled,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	profile, err := patched(account.Profile{}, n.Profile, "profile")
	if err != nil {
		return account.User{}, err
	}
	u.Profile = profile
	if u, err = checkUser(u); err != nil {
		return account.User{}, err
	}
	if err := s.checkNewPassword(u, n.Password, n.PasswordHash); err != nil {
		return account.User{}, err
	}
	if err := s.checkRoles(ctx, by, w, account.User{ID: u.ID}, u); err != nil {
		return account.User{}, err
	}
	return u, nil
}

// withPassword hashes the password that newUser has checked.
func (s *Service) withPassword(ctx context.Context, u account.User, n NewUser) (account.User, error) {
	u.PasswordHash = n.PasswordHash
	if n.Password != "" {
		hash, err := s.Passwords.Hash(ctx, n.Password)
		if err != nil {
			return account.User{}, busy(err, "hash password")
		}
		u.PasswordHash = hash
	}
	if u.PasswordHash != "" {
		u.PasswordChangedAt = s.Now()
	}
	return u, nil
}

// EditUser changes a user. What the change takes away is revoked with it. An
// edit that changes nothing writes nothing.
func (s *Service) EditUser(ctx context.Context, by By, id string, e UserEdit) (account.User, error) {
	var hash string
	for range attempts {
		old, err := s.findUser(ctx, id)
		if err != nil {
			return account.User{}, err
		}
		next, err := s.editedUser(ctx, by, s.world(), old, e)
		if err != nil {
			return account.User{}, err
		}
		if e.Password != nil {
			if hash == "" {
				if hash, err = s.Passwords.Hash(ctx, *e.Password); err != nil {
					return account.User{}, busy(err, "hash password")
				}
			}
			next.PasswordHash = hash
		}
		changes := userChanges(old, next)
		if len(changes) == 0 {
			return public(old), nil
		}
		next.UpdatedAt = s.Now()
		if next.PasswordHash != old.PasswordHash {
			next.PasswordChangedAt = next.UpdatedAt
		}
		fx := revoke.Effects{Revoke: s.takenFromUser(old, next), Audit: s.events(by, "user.edit", old.ID, changes)}
		done, err := s.writeUser(ctx, old, next, fx)
		if err != nil {
			return account.User{}, err
		}
		if done {
			next.Version++
			return public(next), nil
		}
	}
	return account.User{}, errOvertaken
}

// editedUser applies an edit, all but its password, and checks everything that
// can be checked without hashing.
func (s *Service) editedUser(ctx context.Context, by By, w world, old account.User, e UserEdit) (account.User, error) {
	if err := s.mayTouchUser(ctx, by, w, old); err != nil {
		return account.User{}, err
	}
	next := old
	assign(&next.Name, e.Name)
	assign(&next.Login, e.Login)
	assign(&next.Disabled, e.Disabled)
	if e.Roles != nil {
		next.Roles = set(*e.Roles)
	}
	var err error
	if next.Profile, err = patched(old.Profile, e.Profile, "profile"); err != nil {
		return account.User{}, err
	}
	if next, err = checkUser(next); err != nil {
		return account.User{}, err
	}
	if err := s.checkPasswordEdit(next, e); err != nil {
		return account.User{}, err
	}
	assign(&next.PasswordHash, e.PasswordHash)
	return next, s.checkRoles(ctx, by, w, old, next)
}

// checkUser fills in the canonical login and checks the row by itself.
func checkUser(u account.User) (account.User, error) {
	canonical, err := limit.Canonical(u.Login)
	if err != nil {
		return account.User{}, fault.Wrap(err, fault.Invalid, "The login is empty, too long, or holds characters that no login has.")
	}
	if opaque.IsID(opaque.UserID, canonical) {
		return account.User{}, fault.New(fault.Invalid, "A login cannot look like a user id.")
	}
	u.Canonical = canonical
	u.Profile.Address = oneForm(u.Profile.Address)
	if err := account.CheckName(u.Name); err != nil {
		return account.User{}, err
	}
	return u, u.Profile.Check()
}

// checkRoles checks the roles that next has and old has not.
func (s *Service) checkRoles(ctx context.Context, by By, w world, old, next account.User) error {
	var given []role.Role
	for _, id := range next.Roles {
		if old.HasRole(id) {
			continue
		}
		r, found, err := w.role(ctx, id)
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.Invalid, "User "+next.Login+" names the role "+id+", which is not known.")
		}
		given = append(given, r)
	}
	return s.mayGive(ctx, by, next.ID, given)
}

// takenFromUser is the entry that takes back what next has no more. One entry of
// kind User says all that an entry of kind Claims would.
func (s *Service) takenFromUser(old, next account.User) []revoke.Entry {
	switch {
	case next.Disabled && !old.Disabled:
		return []revoke.Entry{s.entry(revoke.User, old.ID, "ban")}
	case next.PasswordHash != old.PasswordHash:
		return []revoke.Entry{s.entry(revoke.User, old.ID, "password")}
	case !slices.Equal(old.Roles, next.Roles):
		return []revoke.Entry{s.entry(revoke.Claims, old.ID, "roles")}
	}
	return nil
}

// RemoveUser removes a user and ends all sessions. The id is never given again.
func (s *Service) RemoveUser(ctx context.Context, by By, id string) error {
	for range attempts {
		old, err := s.findUser(ctx, id)
		if err != nil {
			return err
		}
		if err := s.mayTouchUser(ctx, by, s.world(), old); err != nil {
			return err
		}
		fx := revoke.Effects{
			Revoke: []revoke.Entry{s.entry(revoke.User, old.ID, "removed")},
			Audit:  s.events(by, "user.remove", old.ID, []string{old.Canonical}),
		}
		done, err := s.writeUser(ctx, old, account.User{}, fx)
		if err != nil || done {
			return err
		}
	}
	return errOvertaken
}

// writeUser writes a changed user, or removes one when next is empty, unless it
// would leave nobody who can administer. The change is tied to the administrator
// who stays: when that one is taken away meanwhile, at this node or another, it is
// refused, and the caller decides again.
func (s *Service) writeUser(ctx context.Context, old, next account.User, fx revoke.Effects) (bool, error) {
	if administers(old) && !administers(next) {
		head, err := s.Store.Head(ctx)
		if err != nil {
			return false, fmt.Errorf("read the log's position: %w", err)
		}
		stays, err := s.adminLeft(ctx, func(u account.User) bool { return u.ID != old.ID && administers(u) })
		if err != nil {
			return false, err
		}
		fx.Guard = &revoke.Guard{RSN: head, Refs: []revoke.Ref{{Kind: revoke.User, Key: stays}, {Kind: revoke.Claims, Key: stays}}}
	}
	if next.ID == "" {
		done, err := s.Store.RemoveUser(ctx, old.ID, old.Version, fx)
		return done, wrap(err, "remove user")
	}
	done, err := s.Store.ChangeUser(ctx, next, fx)
	return done, wrap(err, "change user")
}

func administers(u account.User) bool { return u.HasRole(account.AdminRole) && !u.Disabled }

// adminLeft returns the id of a user who counts, and refuses when there is none.
func (s *Service) adminLeft(ctx context.Context, counts func(account.User) bool) (string, error) {
	const page = 500
	after := ""
	for {
		some, err := s.Store.Users(ctx, after, page)
		if err != nil {
			return "", fmt.Errorf("find administrators: %w", err)
		}
		if i := slices.IndexFunc(some, counts); i >= 0 {
			return some[i].ID, nil
		}
		if len(some) < page {
			return "", fault.New(fault.Conflict, "This is the last enabled administrator. Make another one first.")
		}
		after = some[len(some)-1].ID
	}
}

// User finds a user by id or login, without the password hash. Nobody is
// fault.NotFound.
func (s *Service) User(ctx context.Context, idOrLogin string) (account.User, error) {
	u, err := s.findUser(ctx, idOrLogin)
	return public(u), err
}

// Users lists users with id > after, sorted by id, at most limit, without
// password hashes.
func (s *Service) Users(ctx context.Context, after string, limit int) ([]account.User, error) {
	all, err := s.Store.Users(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	for i := range all {
		all[i] = public(all[i])
	}
	return all, nil
}

// public is a user for others to see: a hash never leaves.
func public(u account.User) account.User {
	u.PasswordHash = ""
	return u
}

func (s *Service) findUser(ctx context.Context, idOrLogin string) (account.User, error) {
	find, key := s.Store.UserByID, idOrLogin
	if !opaque.IsID(opaque.UserID, idOrLogin) {
		canonical, err := limit.Canonical(idOrLogin)
		if err != nil {
			return account.User{}, fault.Wrap(err, fault.NotFound, "No such user.")
		}
		find, key = s.Store.UserByLogin, canonical
	}
	u, found, err := find(ctx, key)
	if err != nil {
		return account.User{}, fmt.Errorf("find user: %w", err)
	}
	if !found {
		return account.User{}, fault.New(fault.NotFound, "No such user.")
	}
	return u, nil
}
