package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// ring wakes whoever waits for the log to go on. The caller holds m.mu.
func (m *Store) ring() {
	close(m.bell)
	m.bell = make(chan struct{})
}

// FeedHead implements feed.Store.
func (m *Store) FeedHead(ctx context.Context) (h feed.Head, err error) {
	err = m.read(ctx, func() { h = feed.Head{Epoch: m.epoch, Seq: m.head, EagerUntil: m.eager, KeyChanges: m.keysMoved} })
	return h, err
}

// AwaitRevocations implements feed.Store.
func (m *Store) AwaitRevocations(ctx context.Context, after int64) error {
	var rung <-chan struct{}
	head := int64(0)
	err := m.read(ctx, func() { rung, head = m.bell, m.head })
	if err != nil || head > after {
		return err
	}
	select {
	case <-rung:
		return m.read(ctx, func() {}) // Close rings too
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WantAcks implements feed.Store.
func (m *Store) WantAcks(ctx context.Context, until time.Time) error {
	return m.write(ctx, func() error {
		if until = when(until); until.After(m.eager) {
			m.eager = until
			m.ring()
		}
		return nil
	})
}

// RaiseEpoch implements feed.Store.
func (m *Store) RaiseEpoch(ctx context.Context, from, least int64) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if m.epoch != from {
			return errRefused
		}
		m.epoch++
		m.head = max(m.head, least)
		m.ring()
		return nil
	})
}

// AddVerifier implements feed.Store.
func (m *Store) AddVerifier(ctx context.Context, v feed.Verifier) error {
	return m.write(ctx, func() error {
		if _, found := m.verifiers[v.ID]; found {
			return taken("verifier id")
		}
		m.verifiers[v.ID] = verifierCopy(v)
		return nil
	})
}

// NoteVerifiers implements feed.Store.
func (m *Store) NoteVerifiers(ctx context.Context, notes []feed.Note) error {
	return m.write(ctx, func() error {
		for _, n := range notes {
			if v, found := m.verifiers[n.ID]; found {
				v.Note = noted(v.Note, n)
				m.verifiers[n.ID] = v
			}
		}
		return nil
	})
}

// noted is what two notes say together. How far somebody has come only grows; the
// rest is of the later one.
func noted(old, n feed.Note) feed.Note {
	n.Seen = when(n.Seen)
	next := n
	if n.Seen.Before(old.Seen) {
		next = old
	}
	switch {
	case n.Epoch < old.Epoch:
		next.Epoch, next.Applied = old.Epoch, old.Applied
	case n.Epoch == old.Epoch:
		next.Epoch, next.Applied = old.Epoch, max(old.Applied, n.Applied)
	default:
		next.Epoch, next.Applied = n.Epoch, n.Applied
	}
	return next
}

// Verifiers implements feed.Store.
func (m *Store) Verifiers(ctx context.Context) (out []feed.Verifier, err error) {
	err = m.read(ctx, func() {
		for _, v := range m.verifiers {
			out = append(out, v)
		}
	})
	slices.SortFunc(out, func(a, b feed.Verifier) int {
		return cmp.Or(a.Registered.Compare(b.Registered), cmp.Compare(a.ID, b.ID))
	})
	return out, err
}

// RemoveVerifiers implements feed.Store.
func (m *Store) RemoveVerifiers(ctx context.Context, ids []string) error {
	return m.write(ctx, func() error {
		for _, id := range ids {
			delete(m.verifiers, id)
		}
		return nil
	})
}

// PurgeVerifiers implements feed.Store.
func (m *Store) PurgeVerifiers(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = m.write(ctx, func() error {
		for id, v := range m.verifiers {
			if n < limit && v.Seen.Before(before) {
				delete(m.verifiers, id)
				n++
			}
		}
		return nil
	})
	return n, err
}
