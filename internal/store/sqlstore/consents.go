package sqlstore

import (
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/revoke"
)

const consentColumns = "SELECT user_id, client_id, api_id, scopes, given_at, updated_at FROM consents "

// consent takes the next columns, consentColumns.
func (r *row) consent() consent.Consent {
	return consent.Consent{UserID: r.text(), ClientID: r.text(), APIID: r.text(), Scopes: r.list(), GivenAt: r.time(), UpdatedAt: r.time()}
}

// GiveConsent implements consent.Store.
func (s *Store) GiveConsent(ctx context.Context, next consent.Consent, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		err := once(c.number("SELECT count(*) FROM users AS u, clients AS c WHERE u.id = $1 AND c.id = $2", next.UserID, next.ClientID))
		if err != nil {
			return err
		}
		// The row is there before it is read: two that give at once wait for each other.
		_, err = c.exec(`INSERT INTO consents (user_id, client_id, api_id, scopes, given_at, updated_at) VALUES ($1, $2, $3, '[]', $4, $4)
			ON CONFLICT (user_id, client_id, api_id) DO UPDATE SET given_at = consents.given_at`,
			next.UserID, next.ClientID, next.APIID, micros(next.GivenAt))
		if err != nil {
			return err
		}
		var old consent.Consent
		_, err = c.one(func(r *row) { old = r.consent() }, consentColumns+"WHERE user_id = $1 AND client_id = $2 AND api_id = $3",
			next.UserID, next.ClientID, next.APIID)
		if err != nil || len(old.Scopes) > 0 && old.Covers(next.Scopes) {
			return err
		}
		all := append(slices.Clone(old.Scopes), next.Scopes...)
		slices.Sort(all)
		_, err = c.exec("UPDATE consents SET scopes = $4, updated_at = $5 WHERE user_id = $1 AND client_id = $2 AND api_id = $3",
			next.UserID, next.ClientID, next.APIID, texts(slices.Compact(all)), micros(next.UpdatedAt))
		return err
	})
}

// ConsentFor implements consent.Store.
func (s *Store) ConsentFor(ctx context.Context, userID, clientID, apiID string) (found consent.Consent, ok bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		ok, err = c.one(func(r *row) { found = r.consent() }, consentColumns+"WHERE user_id = $1 AND client_id = $2 AND api_id = $3", userID, clientID, apiID)
		return err
	})
	return found, ok, err
}

// ConsentsOf implements consent.Store.
func (s *Store) ConsentsOf(ctx context.Context, userID string) ([]consent.Consent, error) {
	return list(ctx, s.database, (*row).consent, consentColumns+"WHERE user_id = $1 ORDER BY client_id, api_id", userID)
}

// WithdrawConsent implements consent.Store.
func (s *Store) WithdrawConsent(ctx context.Context, userID, clientID string, make func(grantIDs []string) revoke.Effects) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		n, err := c.exec("DELETE FROM consents WHERE user_id = $1 AND client_id = $2", userID, clientID)
		if err != nil {
			return err
		}
		ids, err := c.ids("SELECT id FROM grants WHERE user_id = $1 AND client_id = $2 ORDER BY id", userID, clientID)
		if err != nil {
			return err
		}
		if n == 0 && len(ids) == 0 {
			return errRefused
		}
		fx := make(ids)
		if err := c.guard(fx.Guard); err != nil {
			return err
		}
		return c.apply(fx)
	})
}
