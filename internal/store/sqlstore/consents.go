package sqlstore

import (
	"context"
	"errors"
	"slices"

	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
)

const consentColumns = "SELECT user_id, client_id, api_id, scopes, given_at, updated_at FROM consents "

// consent takes the next columns, consentColumns.
func (r *row) consent() consent.Consent {
	c := consent.Consent{UserID: r.text(), ClientID: r.text(), APIID: r.text(), Scopes: r.list(), GivenAt: r.time(), UpdatedAt: r.time()}
	if len(c.Scopes) == 0 {
		c.Scopes = nil
	}
	return c
}

const (
	consentsOf    = consentColumns + "WHERE user_id = $1 ORDER BY client_id, api_id"
	dropConsents  = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2"
	grantsBetween = "SELECT id FROM grants WHERE user_id = $1 AND client_id = $2"
)

const consentOf = consentColumns + "WHERE user_id = $1 AND client_id = $2 AND api_id = $3"

func (c *conn) consent(userID, clientID, apiID string) (given consent.Consent, found bool, err error) {
	found, err = c.one(func(r *row) { given = r.consent() }, consentOf, userID, clientID, apiID)
	return given, found, err
}

// GiveConsent implements consent.Store.
func (s *Store) GiveConsent(ctx context.Context, next consent.Consent, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		err := once(c.number("SELECT count(*) FROM users AS u, clients AS c WHERE u.id = $1 AND c.id = $2", next.UserID, next.ClientID))
		if err != nil {
			return err
		}
		return c.give(next)
	})
}

// give merges. Nobody else writes meanwhile: every change has the one writer of a
// file, or the lock that the writers of a server share.
func (c *conn) give(next consent.Consent) error {
	all := slices.Clone(next.Scopes)
	old, found, err := c.consent(next.UserID, next.ClientID, next.APIID)
	if err != nil || found && old.Covers(all) {
		return err
	}
	if found {
		all, next.GivenAt = append(all, old.Scopes...), old.GivenAt
	}
	slices.Sort(all)
	_, err = c.exec(`INSERT INTO consents (user_id, client_id, api_id, scopes, given_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id, client_id, api_id) DO UPDATE SET scopes = excluded.scopes, updated_at = excluded.updated_at`,
		next.UserID, next.ClientID, next.APIID, texts(slices.Compact(all)), micros(next.GivenAt), micros(next.UpdatedAt))
	return err
}

// ConsentFor implements consent.Store.
func (s *Store) ConsentFor(ctx context.Context, userID, clientID, apiID string) (found consent.Consent, ok bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, ok, err = c.consent(userID, clientID, apiID)
		return err
	})
	return found, ok, err
}

// ConsentsOf implements consent.Store.
func (s *Store) ConsentsOf(ctx context.Context, userID string) ([]consent.Consent, error) {
	return list(ctx, s.database, (*row).consent, consentsOf, userID)
}

// WithdrawConsent implements consent.Store.
func (s *Store) WithdrawConsent(ctx context.Context, userID, clientID string, make func(grantIDs []string) revoke.Effects) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		n, err := c.exec(dropConsents, userID, clientID)
		if err != nil {
			return err
		}
		ids, err := c.ids(grantsBetween, userID, clientID)
		if err != nil {
			return err
		}
		if n == 0 && len(ids) == 0 {
			return errRefused
		}
		slices.Sort(ids) // escaped, they would sort otherwise
		fx := make(ids)
		err = c.guard(fx.Guard)
		if errors.Is(err, errRefused) {
			return fault.New(fault.Conflict, "What allowed this was taken back meanwhile.")
		}
		if err != nil {
			return err
		}
		return c.apply(fx)
	})
}
