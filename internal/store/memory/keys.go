package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Keys implements keyring.Store.
func (m *Store) Keys(ctx context.Context) (out []keyring.Record, err error) {
	err = m.read(ctx, func() {
		for _, k := range m.keys {
			out = append(out, keyCopy(k))
		}
	})
	slices.SortFunc(out, func(a, b keyring.Record) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, err
}

// ChangeKeys implements keyring.Store.
func (m *Store) ChangeKeys(ctx context.Context, add []keyring.Record, moves []keyring.Move, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		next := maps.Clone(m.keys)
		for _, mv := range moves {
			k, found := next[mv.ID]
			if !found || k.State != mv.From {
				return errRefused
			}
			next[mv.ID] = keyCopy(moved(k, mv))
		}
		for _, k := range add {
			if _, found := next[k.ID]; found {
				return taken("key id")
			}
			next[k.ID] = keyCopy(k)
		}
		active := map[string]bool{}
		for _, k := range next {
			if k.State == keyring.Active && active[k.API] {
				return errRefused
			}
			active[k.API] = active[k.API] || k.State == keyring.Active
		}
		m.keys = next
		m.keysMoved++
		m.ring()
		return nil
	})
}

func moved(k keyring.Record, mv keyring.Move) keyring.Record {
	k.State = mv.To
	switch mv.To {
	case keyring.Active:
		k.ActiveAt = mv.At
	case keyring.Retired:
		k.RetiredAt = mv.At
	case keyring.Removed:
		k.RemovedAt, k.Sealed = mv.At, nil
	case keyring.Announced:
	}
	return k
}

// MarkRead implements keyring.Store.
func (m *Store) MarkRead(ctx context.Context, kid string, at time.Time, fx revoke.Effects) (bool, error) {
	return m.report(ctx, fx, func() error {
		k, found := m.keys[kid]
		if !found || !k.ReadAt.IsZero() {
			return errRefused
		}
		k.ReadAt = when(at)
		m.keys[kid] = k
		return nil
	})
}
