package split

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// keep makes entries outlive every session they may have to cover: a home may
// bring one back as long as the session would have lived. Every method of this
// store that takes effects passes them through here. A node that does not know
// where sessions live just now takes it that they live apart.
func (s *Store) keep(fx revoke.Effects) revoke.Effects {
	v := s.seen.Load()
	if len(fx.Revoke) == 0 || v.own() && s.holds(v) {
		return fx
	}
	longest := max(v.Longest, s.c.Longest)
	fx.Revoke = slices.Clone(fx.Revoke)
	for i, e := range fx.Revoke {
		if least := e.At.Add(longest); endsSessions(e.Kind) && e.KeepUntil.Before(least) {
			fx.Revoke[i].KeepUntil = least
		}
	}
	return fx
}

func endsSessions(k revoke.Kind) bool {
	return k == revoke.Session || k == revoke.User || k == revoke.Client
}

// Record implements revoke.Store.
func (s *Store) Record(ctx context.Context, fx revoke.Effects) (int64, error) {
	return s.Truth.Record(ctx, s.keep(fx))
}

// AddUser implements admin.UserStore.
func (s *Store) AddUser(ctx context.Context, u account.User, fx revoke.Effects) error {
	return s.Truth.AddUser(ctx, u, s.keep(fx))
}

// ChangeUser implements admin.UserStore.
func (s *Store) ChangeUser(ctx context.Context, next account.User, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeUser(ctx, next, s.keep(fx))
}

// RemoveUser implements admin.UserStore.
func (s *Store) RemoveUser(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.Truth.RemoveUser(ctx, id, version, s.keep(fx))
}

// AddClient implements admin.ClientStore.
func (s *Store) AddClient(ctx context.Context, c client.Client, fx revoke.Effects) error {
	return s.Truth.AddClient(ctx, c, s.keep(fx))
}

// AddInvited implements admin.ClientStore.
func (s *Store) AddInvited(ctx context.Context, c client.Client, left ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.Truth.AddInvited(ctx, c, left, s.keep(fx))
}

// ChangeClient implements admin.ClientStore.
func (s *Store) ChangeClient(ctx context.Context, next client.Client, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeClient(ctx, next, s.keep(fx))
}

// RemoveClient implements admin.ClientStore.
func (s *Store) RemoveClient(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.Truth.RemoveClient(ctx, id, version, s.keep(fx))
}

// AddAPI implements admin.APIStore.
func (s *Store) AddAPI(ctx context.Context, a api.API, fx revoke.Effects) error {
	return s.Truth.AddAPI(ctx, a, s.keep(fx))
}

// ChangeAPI implements admin.APIStore.
func (s *Store) ChangeAPI(ctx context.Context, next api.API, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeAPI(ctx, next, s.keep(fx))
}

// RemoveAPI implements admin.APIStore.
func (s *Store) RemoveAPI(ctx context.Context, id string, version int64, fx revoke.Effects) (bool, error) {
	return s.Truth.RemoveAPI(ctx, id, version, s.keep(fx))
}

// AddRole implements admin.RoleStore.
func (s *Store) AddRole(ctx context.Context, r role.Role, fx revoke.Effects) error {
	return s.Truth.AddRole(ctx, r, s.keep(fx))
}

// ChangeRole implements admin.RoleStore.
func (s *Store) ChangeRole(ctx context.Context, next role.Role, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeRole(ctx, next, claims, s.keep(fx))
}

// RemoveRole implements admin.RoleStore.
func (s *Store) RemoveRole(ctx context.Context, id string, version int64, claims revoke.Entry, fx revoke.Effects) (bool, error) {
	return s.Truth.RemoveRole(ctx, id, version, claims, s.keep(fx))
}

// RedeemBootstrap implements admin.SetupStore.
func (s *Store) RedeemBootstrap(ctx context.Context, d opaque.Digest, now time.Time, u account.User, fx revoke.Effects) (bool, error) {
	return s.Truth.RedeemBootstrap(ctx, d, now, u, s.keep(fx))
}

// ChangeKeys implements keyring.Store.
func (s *Store) ChangeKeys(ctx context.Context, add []keyring.Record, moves []keyring.Move, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeKeys(ctx, add, moves, s.keep(fx))
}

// MarkRead implements keyring.Store.
func (s *Store) MarkRead(ctx context.Context, kid string, at time.Time, fx revoke.Effects) (bool, error) {
	return s.Truth.MarkRead(ctx, kid, at, s.keep(fx))
}

// GiveConsent implements consent.Store.
func (s *Store) GiveConsent(ctx context.Context, c consent.Consent, fx revoke.Effects) (bool, error) {
	return s.Truth.GiveConsent(ctx, c, s.keep(fx))
}

// WithdrawConsent implements consent.Store.
func (s *Store) WithdrawConsent(ctx context.Context, userID, clientID string, make func(grantIDs []string) revoke.Effects) (bool, error) {
	return s.Truth.WithdrawConsent(ctx, userID, clientID, func(ids []string) revoke.Effects { return s.keep(make(ids)) })
}

// AddTicket implements ticket.Store.
func (s *Store) AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.Truth.AddTicket(ctx, t, s.keep(fx))
}

// ChangeTicket implements ticket.Store.
func (s *Store) ChangeTicket(ctx context.Context, next ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.Truth.ChangeTicket(ctx, next, s.keep(fx))
}
