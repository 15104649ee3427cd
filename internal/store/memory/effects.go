package memory

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// apply writes effects: every change of this store that has effects comes here.
func (m *Store) apply(fx revoke.Effects) {
	for _, e := range fx.Revoke {
		e = m.name(entryCopy(e))
		m.end(e.Kind, e.Key)
		m.head++
		m.log = append(m.log, revoke.Recorded{Seq: m.head, Entry: e})
	}
	if len(fx.Revoke) > 0 {
		m.ring()
	}
	for _, e := range fx.Audit {
		e = eventCopy(e)
		e.Seq = int64(len(m.events) + 1)
		m.events = append(m.events, e)
	}
}

// name adds to an entry who is to be told of what it ends.
func (m *Store) name(e revoke.Entry) revoke.Entry {
	if e.Key == "" {
		return e
	}
	mine := func(s session.Session) bool { return s.ID == e.Key }
	granted := func(g grant.Grant) bool { return g.SessionID == e.Key }
	switch e.Kind {
	case revoke.Session:
	case revoke.User:
		mine = func(s session.Session) bool { return s.UserID == e.Key }
		granted = func(g grant.Grant) bool { return g.UserID == e.Key }
		e = e.Named(e.Key)
	case revoke.Grant:
		mine = func(session.Session) bool { return false }
		granted = func(g grant.Grant) bool { return g.ID == e.Key }
	default:
		return e
	}
	for _, s := range m.sessions {
		if mine(s) {
			e = e.Named(s.UserID, s.ClientID)
		}
	}
	for _, g := range m.grants {
		if granted(g) {
			e = e.Named(g.UserID, g.ClientID)
		}
	}
	return e
}

// end removes what an entry ends.
func (m *Store) end(kind revoke.Kind, key string) {
	if key == "" {
		return // a session without a client is not a session of the client ""
	}
	switch kind {
	case revoke.Session:
		m.endSession(key)
	case revoke.User:
		m.endSessions(func(s session.Session) bool { return s.UserID == key })
		m.endGrants(func(g grant.Grant) bool { return g.UserID == key }, func(t grant.AccessToken) bool { return t.UserID == key })
	case revoke.Client:
		m.endSessions(func(s session.Session) bool { return s.ClientID == key })
		m.endGrants(func(g grant.Grant) bool { return g.ClientID == key }, func(t grant.AccessToken) bool { return t.ClientID == key })
	case revoke.API:
		m.endGrants(func(g grant.Grant) bool { return g.APIID == key }, func(t grant.AccessToken) bool { return t.APIID == key })
	case revoke.Grant:
		m.endGrants(func(g grant.Grant) bool { return g.ID == key }, func(t grant.AccessToken) bool { return t.GrantID == key })
	case revoke.Token:
		m.endTokens(func(t grant.AccessToken) bool { return t.ID == key })
	case revoke.Key, revoke.Claims:
	}
}

func (m *Store) endSessions(which func(session.Session) bool) {
	for id, s := range m.sessions {
		if which(s) {
			m.endSession(id)
		}
	}
}

func (m *Store) endSession(id string) {
	m.dropSession(id)
	m.endGrants(func(g grant.Grant) bool { return g.SessionID == id }, func(t grant.AccessToken) bool { return t.SessionID == id })
}

// dropSession removes a session and nothing that hangs from it.
func (m *Store) dropSession(id string) {
	delete(m.secrets, m.sessions[id].Secret)
	delete(m.sessions, id)
	delete(m.leaving, id)
}

func (m *Store) endGrants(which func(grant.Grant) bool, tokens func(grant.AccessToken) bool) {
	for id, g := range m.grants {
		if which(g) {
			delete(m.grants, id)
		}
	}
	m.endTokens(tokens)
}

func (m *Store) endTokens(which func(grant.AccessToken) bool) {
	for d, t := range m.tokens {
		if which(t) {
			delete(m.tokens, d)
		}
	}
}

// stale reports whether the log holds an entry newer than what a guard allows.
func (m *Store) stale(g *revoke.Guard) bool {
	if g == nil {
		return false
	}
	return slices.ContainsFunc(m.log, func(r revoke.Recorded) bool {
		return r.Seq > g.RSN && slices.Contains(g.Refs, revoke.Ref{Kind: r.Kind, Key: r.Key})
	})
}

// Record implements revoke.Store.
func (m *Store) Record(ctx context.Context, fx revoke.Effects) (int64, error) {
	var seq int64
	err := m.insist(ctx, fx, func() error {
		seq = m.head + int64(len(fx.Revoke))
		return nil
	})
	return seq, err
}

// Covered implements revoke.Store.
func (m *Store) Covered(ctx context.Context, rsn int64, refs []revoke.Ref) (r revoke.Recorded, found bool, err error) {
	err = m.read(ctx, func() {
		for _, e := range slices.Backward(m.log) {
			if (e.Seq > rsn || e.Kind.Always()) && slices.Contains(refs, revoke.Ref{Kind: e.Kind, Key: e.Key}) {
				r, found = recordedCopy(e), true
				return
			}
		}
	})
	return r, found, err
}

// Head implements revoke.Store.
func (m *Store) Head(ctx context.Context) (head int64, err error) {
	err = m.read(ctx, func() { head = m.head })
	return head, err
}

// Revocations implements revoke.Store.
func (m *Store) Revocations(ctx context.Context, after int64, limit int) (out []revoke.Recorded, err error) {
	err = m.read(ctx, func() {
		for _, r := range m.log {
			if r.Seq > after && len(out) < limit {
				out = append(out, recordedCopy(r))
			}
		}
	})
	return out, err
}

// PurgeRevocations implements revoke.Store.
func (m *Store) PurgeRevocations(ctx context.Context, now time.Time) (n int, err error) {
	err = m.write(ctx, func() error {
		before := len(m.log)
		m.log = slices.DeleteFunc(m.log, func(r revoke.Recorded) bool { return r.KeepUntil.Before(now) })
		n = before - len(m.log)
		return nil
	})
	return n, err
}

// Audit implements audit.Store.
func (m *Store) Audit(ctx context.Context, events ...audit.Event) error {
	return m.insist(ctx, revoke.Effects{Audit: events}, func() error { return nil })
}

// Events implements audit.Store.
func (m *Store) Events(ctx context.Context, after int64, limit int) (out []audit.Event, err error) {
	err = m.read(ctx, func() {
		rest := m.events[min(max(after, 0), int64(len(m.events))):]
		out = slices.Clone(rest[:min(max(limit, 0), len(rest))])
	})
	return out, err
}
