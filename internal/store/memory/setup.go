package memory

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// An offer is a one-time administrator token.
type offer struct {
	digest   opaque.Digest
	expires  time.Time
	open     bool // on offer and not redeemed
	redeemed bool // one ever was
}

// PutOnce implements admin.SetupStore.
func (m *Store) PutOnce(ctx context.Context, name, value string) (there string, err error) {
	err = m.write(ctx, func() error {
		if _, found := m.settings[name]; !found {
			m.settings[name] = value
		}
		there = m.settings[name]
		return nil
	})
	return there, err
}

// Setting implements admin.SetupStore.
func (m *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = m.read(ctx, func() { value = m.settings[name] })
	return value, err
}

// ChangeSetting implements admin.SetupStore.
func (m *Store) ChangeSetting(ctx context.Context, name, old, next string) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if m.settings[name] != old {
			return errRefused
		}
		if next == "" {
			delete(m.settings, name)
		} else {
			m.settings[name] = next
		}
		return nil
	})
}

// OfferBootstrap implements admin.SetupStore.
func (m *Store) OfferBootstrap(ctx context.Context, d opaque.Digest, expires time.Time) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if m.bootstrap.redeemed || m.hasAdmin() {
			return errRefused
		}
		m.bootstrap = offer{digest: d, expires: expires, open: true}
		return nil
	})
}

// RedeemBootstrap implements admin.SetupStore.
func (m *Store) RedeemBootstrap(ctx context.Context, d opaque.Digest, now time.Time, u account.User, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		b := m.bootstrap
		if !b.open || !b.digest.Equal(d) || !now.Before(b.expires) || m.hasAdmin() {
			return errRefused
		}
		if err := m.putNewUser(u); err != nil {
			return err
		}
		m.bootstrap = offer{redeemed: true}
		return nil
	})
}

func (m *Store) hasAdmin() bool {
	for _, u := range m.users {
		if u.HasRole(account.AdminRole) {
			return true
		}
	}
	return false
}
