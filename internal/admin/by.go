package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/role"
)

// By is who asks for a change, and how far they may go. Whoever holds less than
// everything cannot make more of it:
//
//   - a role is given to a user only by somebody who holds every scope of it;
//   - a user, client or role that has management scopes is touched, and made,
//     only by somebody who holds those scopes.
//
// The scopes of other APIs are there to be administered: clients and roles may
// be given them by anybody who may change clients and roles.
type By struct {
	Actor  string   // for the audit log: a user id, a client id or "cli"
	All    bool     // no limits: for whoever owns the data folder
	Scopes []string // the management scopes of the caller's credential
}

// ByCLI is whoever owns the data folder.
func ByCLI() By { return By{Actor: audit.ByCLI, All: true} }

// all reports whether nothing is left that by could win.
func (b By) all() bool { return b.All || covers(b.Scopes, api.ManagementScopes) }

// covers reports whether held holds every scope wanted.
func covers(held, wanted []string) bool {
	return slices.Contains(held, role.All) || !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(held, s) })
}

// mayManage refuses a caller without every management scope in the map.
func (s *Service) mayManage(ctx context.Context, by By, target string, scopes map[string][]string) error {
	if by.all() || covers(by.Scopes, scopes[api.Management]) {
		return nil
	}
	return s.forbid(ctx, by, target, "This needs management scopes that you do not have yourself.")
}

// mayTouchUser refuses a caller who would reach, by way of this account, for
// management scopes of its roles that they do not have.
func (s *Service) mayTouchUser(ctx context.Context, by By, w world, u account.User) error {
	if by.all() {
		return nil
	}
	for _, id := range u.Roles {
		r, found, err := w.role(ctx, id)
		if err != nil {
			return err
		}
		if id == account.AdminRole || found && !covers(by.Scopes, r.Scopes[api.Management]) {
			return s.forbid(ctx, by, u.ID, "This account has management scopes that you do not have yourself.")
		}
	}
	return nil
}

// mayGive refuses a caller who would give a role with any scope that they do not
// hold themselves.
func (s *Service) mayGive(ctx context.Context, by By, target string, roles []role.Role) error {
	if by.all() || len(roles) == 0 {
		return nil
	}
	held, err := s.held(ctx, by)
	if err != nil {
		return err
	}
	for _, r := range roles {
		for apiID, scopes := range r.Scopes {
			if !covers(held[apiID], scopes) {
				return s.forbid(ctx, by, target, "The role "+r.ID+" has scopes that you do not have yourself.")
			}
		}
	}
	return nil
}

// held is every scope that the caller holds: of the management API those of the
// credential, of other APIs those of the user's roles or of the client.
func (s *Service) held(ctx context.Context, by By) (map[string][]string, error) {
	held := map[string][]string{}
	add := func(scopes map[string][]string) {
		for id, list := range scopes {
			held[id] = append(held[id], list...)
		}
	}
	if opaque.IsID(opaque.UserID, by.Actor) {
		u, _, err := s.Store.UserByID(ctx, by.Actor)
		if err != nil {
			return nil, fmt.Errorf("find caller: %w", err)
		}
		for _, id := range u.Roles {
			r, _, err := s.Store.RoleByID(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("find role of caller: %w", err)
			}
			add(r.Scopes)
		}
	} else if by.Actor != "" {
		c, _, err := s.Store.ClientByID(ctx, by.Actor)
		if err != nil {
			return nil, fmt.Errorf("find caller: %w", err)
		}
		add(c.APIs)
	}
	held[api.Management] = by.Scopes // the credential may hold less than its owner
	return held, nil
}

// forbid notes an attempt to win power and refuses it.
func (s *Service) forbid(ctx context.Context, by By, target, sentence string) error {
	if err := s.Store.Audit(ctx, s.event(by, "admin.refused", target, sentence)); err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return fault.New(fault.Forbidden, sentence)
}
