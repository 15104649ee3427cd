package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// StartSession implements session.Store.
func (m *Store) StartSession(ctx context.Context, s session.Session, fx revoke.Effects) error {
	return m.insist(ctx, fx, func() error { return m.putSession(s) })
}

func (m *Store) putSession(s session.Session) error {
	if _, found := m.sessions[s.ID]; found {
		return taken("session id")
	}
	if _, found := m.secrets[s.Secret]; found {
		return taken("session secret")
	}
	m.sessions[s.ID], m.secrets[s.Secret] = sessionCopy(s), s.ID
	return nil
}

// SessionBySecret implements session.Store.
func (m *Store) SessionBySecret(ctx context.Context, d opaque.Digest) (s session.Session, rsn int64, found bool, err error) {
	err = m.read(ctx, func() {
		rsn = m.head
		if s, found = m.sessions[m.secrets[d]]; found {
			s = sessionCopy(s)
		}
	})
	return s, rsn, found, err
}

// SessionByID implements session.Store.
func (m *Store) SessionByID(ctx context.Context, id string) (session.Session, bool, error) {
	return byID(ctx, m, m.sessions, id, sessionCopy)
}

// SessionsOf implements session.Store.
func (m *Store) SessionsOf(ctx context.Context, userID string) (out []session.Session, err error) {
	err = m.read(ctx, func() {
		for _, s := range m.sessions {
			if s.UserID == userID {
				out = append(out, sessionCopy(s))
			}
		}
	})
	slices.SortFunc(out, func(a, b session.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return out, err
}

// RenewSession implements session.Store.
func (m *Store) RenewSession(ctx context.Context, old opaque.Digest, next session.Session, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		s, found := m.sessions[next.ID]
		if !found || m.leaving[s.ID] || !s.Secret.Equal(old) || !s.Live(next.SeenAt) {
			return errRefused
		}
		if owner, found := m.secrets[next.Secret]; found && owner != s.ID {
			return taken("session secret")
		}
		delete(m.secrets, old)
		s.Secret, s.AuthTime, s.AMR, s.SeenAt, s.IdleUntil = next.Secret, next.AuthTime, next.AMR, next.SeenAt, next.IdleUntil
		m.sessions[s.ID], m.secrets[s.Secret] = sessionCopy(s), s.ID
		return nil
	})
}

// TouchSessions implements session.Store.
func (m *Store) TouchSessions(ctx context.Context, touches []session.Touch) (n int, err error) {
	err = m.write(ctx, func() error {
		for _, t := range touches {
			if m.touch(t) {
				n++
			}
		}
		return nil
	})
	return n, err
}

func (m *Store) touch(t session.Touch) bool {
	s, found := m.sessions[t.ID]
	seen, idleUntil := when(t.Seen), when(t.IdleUntil)
	if !found || m.leaving[t.ID] || !s.Live(seen) {
		return false
	}
	if seen.After(s.SeenAt) {
		s.SeenAt = seen
	}
	if idleUntil.After(s.IdleUntil) {
		s.IdleUntil = idleUntil
	}
	m.sessions[s.ID] = s
	return true
}

// PurgeSessions implements session.Store.
func (m *Store) PurgeSessions(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = m.write(ctx, func() error {
		for id, s := range m.sessions {
			if n < limit && !s.Live(now) {
				m.endSession(id)
				n++
			}
		}
		return nil
	})
	return n, err
}
