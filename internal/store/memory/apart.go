package memory

import (
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
)

var _ store.Truth = (*Store)(nil)

// Standing implements store.Truth.
func (m *Store) Standing(ctx context.Context, rsn int64, refs []revoke.Ref) (head int64, covered bool, err error) {
	err = m.read(ctx, func() { head, covered = m.head, m.stale(&revoke.Guard{RSN: rsn, Refs: refs}) })
	return head, covered, err
}

// AddGrantApart implements store.Truth.
func (m *Store) AddGrantApart(ctx context.Context, g grant.Grant, fx revoke.Effects, also revoke.Guard) (bool, error) {
	return m.report(ctx, fx, func() error {
		if m.stale(&also) || !m.has(g.UserID, g.ClientID) {
			return errRefused
		}
		return m.putGrant(g)
	})
}

// AddTokenApart implements store.Truth.
func (m *Store) AddTokenApart(ctx context.Context, t grant.AccessToken, also revoke.Guard) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if m.stale(&also) {
			return errRefused
		}
		return m.putToken(t)
	})
}

// ChangeGrantApart implements store.Truth.
func (m *Store) ChangeGrantApart(
	ctx context.Context, grantID string, s *session.Session, also revoke.Guard, decide func(grant.State) grant.Change,
) error {
	return m.insist(ctx, revoke.Effects{}, func() error {
		if m.stale(&also) {
			return errRefused
		}
		return m.changeGrant(grantID, func(st grant.State) grant.Change {
			st.Session = s
			return decide(st)
		})
	})
}

// ForgetSessions implements store.Truth.
func (m *Store) ForgetSessions(ctx context.Context, ids []string) error {
	return m.write(ctx, func() error {
		m.endGrants(func(g grant.Grant) bool { return slices.Contains(ids, g.SessionID) },
			func(t grant.AccessToken) bool { return t.SessionID != "" && slices.Contains(ids, t.SessionID) })
		return nil
	})
}

// Sessions implements store.Truth.
func (m *Store) Sessions() session.Home { return own{m} }
