package memory

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Snapshot implements grant.Store.
func (m *Store) Snapshot(ctx context.Context, q grant.Query) (st grant.State, err error) {
	err = m.read(ctx, func() { st = m.state(q) })
	return st, err
}

func (m *Store) state(q grant.Query) grant.State {
	st := grant.State{RSN: m.head}
	if q.GrantID != "" {
		g, found := m.grants[q.GrantID]
		if !found {
			return st
		}
		st.Grant = pointer(g, grantCopy)
		q = grant.Query{SessionID: g.SessionID, UserID: g.UserID, ClientID: g.ClientID, APIID: g.APIID}
	}
	if !q.SessionSecret.IsZero() {
		q.SessionID = m.secrets[q.SessionSecret]
	}
	if s, found := m.sessions[q.SessionID]; found {
		st.Session = pointer(s, sessionCopy)
		if q.UserID == "" {
			q.UserID = s.UserID
		}
	}
	if u, found := m.users[q.UserID]; found {
		st.User = pointer(u, userCopy)
		for _, id := range u.Roles {
			if r, found := m.roles.rows[id]; found {
				st.Roles = append(st.Roles, roleCopy(r))
			}
		}
	}
	if c, found := m.clients.rows[q.ClientID]; found {
		st.Client = pointer(c, clientCopy)
	}
	if a, found := m.apis.rows[q.APIID]; found {
		st.API = pointer(a, apiCopy)
	}
	return st
}

func pointer[T any](v T, copied func(T) T) *T {
	v = copied(v)
	return &v
}

// AddGrant implements grant.Store.
func (m *Store) AddGrant(ctx context.Context, g grant.Grant, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		if _, found := m.sessions[g.SessionID]; !found || !m.has(g.UserID, g.ClientID) {
			return errRefused
		}
		return m.putGrant(g)
	})
}

func (m *Store) has(userID, clientID string) bool {
	_, user := m.users[userID]
	_, client := m.clients.rows[clientID]
	return user && client
}

func (m *Store) putGrant(g grant.Grant) error {
	if _, found := m.grants[g.ID]; found {
		return taken("grant id")
	}
	given, found := m.consents[consentKey{g.UserID, g.ClientID, g.APIID}]
	if g.Details.Consented && (!found || !given.Covers(g.Scopes)) {
		return errRefused
	}
	m.grants[g.ID] = grantCopy(g)
	return nil
}

// ChangeGrant implements grant.Store.
func (m *Store) ChangeGrant(ctx context.Context, grantID string, decide func(grant.State) grant.Change) error {
	return m.insist(ctx, revoke.Effects{}, func() error { return m.changeGrant(grantID, decide) })
}

func (m *Store) changeGrant(grantID string, decide func(grant.State) grant.Change) error {
	st := grant.State{RSN: m.head}
	if grantID != "" {
		st = m.state(grant.Query{GrantID: grantID})
	}
	ch := decide(st)
	if m.stale(ch.Effects.Guard) {
		return errRefused
	}
	g, found := m.grants[grantID]
	if found && ch.Next != nil {
		g.Scopes, g.Gen, g.RotatedAt, g.Replays = ch.Next.Scopes, ch.Next.Gen, ch.Next.RotatedAt, ch.Next.Replays
		if m.grants[grantID].Pending() {
			g.ExpiresAt, g.Details = ch.Next.ExpiresAt, ch.Next.Details
		}
		m.grants[grantID] = grantCopy(g)
	}
	m.apply(ch.Effects)
	return nil
}

// AddToken implements grant.Store.
func (m *Store) AddToken(ctx context.Context, t grant.AccessToken) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if _, found := m.sessions[t.SessionID]; !found && t.SessionID != "" {
			return errRefused
		}
		return m.putToken(t)
	})
}

// putToken adds a token whose session is known to be there.
func (m *Store) putToken(t grant.AccessToken) error {
	if _, found := m.clients.rows[t.ClientID]; !found {
		return errRefused
	}
	if _, found := m.users[t.UserID]; !found && t.UserID != "" {
		return errRefused
	}
	if _, found := m.grants[t.GrantID]; !found && t.GrantID != "" {
		return errRefused
	}
	if _, found := m.tokens[t.Digest]; found {
		return taken("token digest")
	}
	m.tokens[t.Digest] = tokenCopy(t)
	return nil
}

// TokenByDigest implements grant.Store.
func (m *Store) TokenByDigest(ctx context.Context, d opaque.Digest) (t grant.AccessToken, found bool, err error) {
	err = m.read(ctx, func() {
		if t, found = m.tokens[d]; found {
			t = tokenCopy(t)
		}
	})
	return t, found, err
}

// PurgeTokens implements grant.Store.
func (m *Store) PurgeTokens(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = m.write(ctx, func() error {
		for d, t := range m.tokens {
			if n < limit && t.ExpiresAt.Before(now) {
				delete(m.tokens, d)
				n++
			}
		}
		for id, g := range m.grants {
			if n < limit && g.ExpiresAt.Before(now) {
				delete(m.grants, id)
				n++
			}
		}
		return nil
	})
	return n, err
}
