package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/jose"
)

// bySystem is the server itself.
func bySystem() By { return By{Actor: audit.BySystem, All: true} }

// Seed sees to it that the management API, with all scopes and a key, and the
// admin role are there. Any number of nodes may call it at once.
func (s *Service) Seed(ctx context.Context) error {
	for _, a := range s.builtInAPIs() {
		if err := s.seedAPI(ctx, a); err != nil {
			return err
		}
	}
	_, found, err := s.Store.RoleByID(ctx, account.AdminRole)
	if err != nil || found {
		return wrap(err, "find admin role")
	}
	now := s.Now()
	err = s.Store.AddRole(ctx, role.Role{
		ID: account.AdminRole, Scopes: map[string][]string{api.Management: {role.All}}, CreatedAt: now, UpdatedAt: now, Version: 1,
	}, revoke.Effects{Audit: s.events(bySystem(), "role.add", account.AdminRole, []string{"built in"})})
	if fault.Is(err, fault.Conflict) {
		return nil // another node was faster
	}
	return wrap(err, "add admin role")
}

// seedAPI sees to it that a built-in API is there with the scopes of this release,
// and has a key.
func (s *Service) seedAPI(ctx context.Context, want api.API) error {
	for range attempts {
		old, found, err := s.Store.APIByID(ctx, want.ID)
		if err != nil {
			return fmt.Errorf("find built-in API: %w", err)
		}
		if found && slices.Equal(old.Scopes, want.Scopes) {
			return s.Keys.Ensure(ctx, old)
		}
		if found { // of an earlier release, with fewer scopes
			old.Scopes, old.UpdatedAt = want.Scopes, want.UpdatedAt
			_, err = s.Store.ChangeAPI(ctx, old, revoke.Effects{Audit: s.events(bySystem(), "api.edit", old.ID, []string{"built-in scopes"})})
		} else {
			err = s.Store.AddAPI(ctx, want, revoke.Effects{Audit: s.events(bySystem(), "api.add", want.ID, []string{"built in"})})
		}
		if err != nil && !fault.Is(err, fault.Conflict) {
			return fmt.Errorf("write built-in API: %w", err)
		}
	}
	return errOvertaken
}

// builtInAPIs are the APIs of the server itself.
func (s *Service) builtInAPIs() []api.API {
	now := s.Now()
	made := func(id, name string, scopes []string, stale api.Stale) api.API {
		return api.API{
			ID: id, Name: name, Token: api.Token{Alg: jose.EdDSA}, Scopes: slices.Clone(scopes), Stale: stale,
			CreatedAt: now, UpdatedAt: now, Version: 1,
		}.WithDefaults()
	}
	return []api.API{
		made(api.Management, "Management", api.ManagementScopes, api.Strict),
		made(api.Userinfo, "Who you are", oidc.IdentityScopes, api.Strict),
	}
}

// BootstrapFor is how long a one-time administrator token is good.
const BootstrapFor = 15 * time.Minute

// tokenBytes make the 128 bits of a one-time administrator token.
const tokenBytes = 16

// OfferBootstrap makes a one-time token for the first administrator and puts it
// in the place of one that was not used. offered is false when somebody has the
// admin role, or when such a token was ever redeemed. The token must not be
// written to a log.
func (s *Service) OfferBootstrap(ctx context.Context) (token string, offered bool, err error) {
	token = opaque.Text(tokenBytes)
	offered, err = s.Store.OfferBootstrap(ctx, opaque.Hash(token), s.Now().Add(BootstrapFor))
	if err != nil || !offered {
		return "", false, wrap(err, "offer bootstrap token")
	}
	return token, true, nil
}

// RedeemBootstrap makes the first administrator. The user's roles are given here;
// naming any, or being disabled, is refused. A wrong, used, replaced or expired
// token is fault.Forbidden, whatever else is right.
func (s *Service) RedeemBootstrap(ctx context.Context, token string, n NewUser) (account.User, error) {
	if len(n.Roles) > 0 || n.Disabled || n.PasswordHash != "" {
		return account.User{}, fault.New(fault.Invalid, "The first administrator has a login, a name and a password, and nothing else.")
	}
	if len(token) != len(opaque.Text(tokenBytes)) { // no hash is computed for what cannot be right
		return account.User{}, s.refuseBootstrap(ctx)
	}
	if n.Password == "" {
		return account.User{}, fault.New(fault.Invalid, "The password is empty.")
	}
	u, err := s.newUser(ctx, bySystem(), s.world(), n)
	if err != nil {
		return account.User{}, err
	}
	u.Roles = []string{account.AdminRole}
	if u, err = s.withPassword(ctx, u, n); err != nil {
		return account.User{}, err
	}
	fx := revoke.Effects{Audit: s.events(By{Actor: u.ID}, "bootstrap.redeem", u.ID, []string{u.Canonical})}
	done, err := s.Store.RedeemBootstrap(ctx, opaque.Hash(token), s.Now(), u, fx)
	if err != nil {
		return account.User{}, wrap(err, "redeem bootstrap token")
	}
	if !done {
		return account.User{}, s.refuseBootstrap(ctx)
	}
	return public(u), nil
}

var errBootstrap = fault.New(fault.Forbidden, "The one-time token is wrong, used or expired. A new one is offered when the server starts, as long as there is no administrator.")

func (s *Service) refuseBootstrap(ctx context.Context) error {
	if err := s.Store.Audit(ctx, s.event(By{}, "bootstrap.refused", "", "")); err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return errBootstrap
}
