package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
)

type consentKey struct{ user, client, api string }

// GiveConsent implements consent.Store.
func (m *Store) GiveConsent(ctx context.Context, c consent.Consent, fx revoke.Effects) (bool, error) {
	at := consentKey{c.UserID, c.ClientID, c.APIID}
	return m.report(ctx, fx, func() error {
		if !m.has(c.UserID, c.ClientID) {
			return errRefused
		}
		next := consentCopy(c)
		if old, found := m.consents[at]; found {
			next.GivenAt = old.GivenAt
			if old.Covers(next.Scopes) {
				return nil
			}
			next.Scopes = append(next.Scopes, old.Scopes...)
		}
		slices.Sort(next.Scopes)
		next.Scopes = slices.Compact(next.Scopes)
		m.consents[at] = next
		return nil
	})
}

// ConsentFor implements consent.Store.
func (m *Store) ConsentFor(ctx context.Context, userID, clientID, apiID string) (c consent.Consent, found bool, err error) {
	err = m.read(ctx, func() {
		if c, found = m.consents[consentKey{userID, clientID, apiID}]; found {
			c = consentCopy(c)
		}
	})
	return c, found, err
}

// ConsentsOf implements consent.Store.
func (m *Store) ConsentsOf(ctx context.Context, userID string) (all []consent.Consent, err error) {
	err = m.read(ctx, func() {
		for at, c := range m.consents {
			if at.user == userID {
				all = append(all, consentCopy(c))
			}
		}
	})
	slices.SortFunc(all, func(a, b consent.Consent) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.APIID, b.APIID))
	})
	return all, err
}

// WithdrawConsent implements consent.Store.
func (m *Store) WithdrawConsent(ctx context.Context, userID, clientID string, make func([]string) revoke.Effects) (did bool, err error) {
	err = m.write(ctx, func() error {
		var ids []string
		for id, g := range m.grants {
			if g.UserID == userID && g.ClientID == clientID {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		mine := func(at consentKey, _ consent.Consent) bool { return at.user == userID && at.client == clientID }
		did = len(ids) > 0
		for at, c := range m.consents {
			did = did || mine(at, c)
		}
		if !did {
			return nil
		}
		fx := make(ids)
		if m.stale(fx.Guard) {
			did = false
			return fault.New(fault.Conflict, "What allowed this was taken back meanwhile.")
		}
		maps.DeleteFunc(m.consents, mine)
		m.apply(fx)
		return nil
	})
	return did, err
}

// forgetConsents removes those of a user, or of a client; "" names none.
func (m *Store) forgetConsents(userID, clientID string) {
	for at := range m.consents {
		if at.user == userID && userID != "" || at.client == clientID && clientID != "" {
			delete(m.consents, at)
		}
	}
}
