package sqlstore

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// PutOnce implements admin.SetupStore.
func (s *Store) PutOnce(ctx context.Context, name, value string) (there string, err error) {
	err = s.write(ctx, func(c *conn) error {
		if _, err := c.exec("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value); err != nil {
			return err
		}
		_, err := c.one(func(r *row) { there = r.text() }, "SELECT value FROM settings WHERE name = $1", name)
		return err
	})
	return there, err
}

// Setting implements admin.SetupStore.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.one(func(r *row) { value = r.text() }, "SELECT value FROM settings WHERE name = $1", name)
		return err
	})
	return value, err
}

// ChangeSetting implements admin.SetupStore.
func (s *Store) ChangeSetting(ctx context.Context, name, old, next string) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		switch {
		case old == "" && next == "":
			n, err := c.number("SELECT count(*) FROM settings WHERE name = $1", name)
			if err == nil && n > 0 {
				return errRefused
			}
			return err
		case old == "":
			return once(c.exec("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, next))
		case next == "":
			return once(c.exec("DELETE FROM settings WHERE name = $1 AND value = $2", name, old))
		}
		return once(c.exec("UPDATE settings SET value = $3 WHERE name = $1 AND value = $2", name, old, next))
	})
}

// OfferBootstrap implements admin.SetupStore.
func (s *Store) OfferBootstrap(ctx context.Context, d opaque.Digest, expires time.Time) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		if err := c.noAdmin(); err != nil {
			return err
		}
		return once(c.exec(`INSERT INTO bootstrap (id, digest, expires_at, redeemed) VALUES (1, $1, $2, 0)
			ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at WHERE bootstrap.redeemed = 0`,
			d[:], micros(expires)))
	})
}

func (c *conn) noAdmin() error {
	n, err := c.number("SELECT count(*) FROM user_roles WHERE role_id = $1", account.AdminRole)
	if err == nil && n > 0 {
		return errRefused
	}
	return err
}

// RedeemBootstrap implements admin.SetupStore.
func (s *Store) RedeemBootstrap(ctx context.Context, d opaque.Digest, now time.Time, u account.User, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		if err := c.noAdmin(); err != nil {
			return err
		}
		err := once(c.exec("UPDATE bootstrap SET redeemed = 1 WHERE digest = $1 AND expires_at > $2 AND redeemed = 0", d[:], micros(now)))
		if err != nil {
			return err
		}
		return c.addUser(u)
	})
}
