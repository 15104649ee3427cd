package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
)

// statuses are the status lists, by id, and how far into the log their marks go.
type statuses struct {
	lists map[string]*statusList
	at    int64
}

type statusList struct {
	statuslist.List
	entries []*statusEntry // by number
	ended   []int          // the numbers that are marked, in the order of their marks
}

type statusEntry struct {
	statuslist.Holder
	rsn   int64
	ended bool
}

// AssignStatus implements statuslist.Store.
func (m *Store) AssignStatus(ctx context.Context, r statuslist.Request) (slot statuslist.Slot, given bool, err error) {
	err = m.write(ctx, func() error {
		refs := r.Refs()
		if m.coveredSince(refs, r.RSN) {
			return nil
		}
		if r.TokenID == "" && r.SessionID != "" {
			if slot, given = m.heldStatus(r, refs); given {
				return nil
			}
		}
		l := m.listFor(r)
		if l == nil {
			return fault.New(fault.Conflict, "The id of the status list is taken.")
		}
		slot, given = statuslist.Slot{List: l.ID, N: l.Given}, true
		l.entries = append(l.entries, &statusEntry{Holder: r.Holder, rsn: r.RSN})
		l.Given++
		return nil
	})
	return slot, given, err
}

func (m *Store) coveredSince(refs []revoke.Ref, rsn int64) bool {
	return slices.ContainsFunc(m.log, func(e revoke.Recorded) bool {
		return (e.Seq > rsn || e.Kind.Always()) && slices.Contains(refs, revoke.Ref{Kind: e.Kind, Key: e.Key})
	})
}

func (m *Store) heldStatus(r statuslist.Request, refs []revoke.Ref) (statuslist.Slot, bool) {
	for _, l := range m.status.lists {
		if !l.Ends.Equal(when(r.Ends)) {
			continue
		}
		for n, e := range l.entries {
			if e.Holder == r.Holder && !e.ended && !m.coveredSince(refs, e.rsn) {
				return statuslist.Slot{List: l.ID, N: n}, true
			}
		}
	}
	return statuslist.Slot{}, false
}

// listFor is a list of the window with room, nil when the id of a new one is taken.
func (m *Store) listFor(r statuslist.Request) *statusList {
	for _, l := range m.status.lists {
		if l.Ends.Equal(when(r.Ends)) && l.Given < r.Capacity {
			return l
		}
	}
	if m.status.lists[r.NewList] != nil {
		return nil
	}
	if len(m.status.lists) == 0 {
		m.status = statuses{lists: map[string]*statusList{}, at: m.head}
	}
	l := &statusList{List: statuslist.List{ID: r.NewList, Opened: when(r.Now), Ends: when(r.Ends)}}
	m.status.lists[l.ID] = l
	return l
}

// MarkStatuses implements statuslist.Store.
func (m *Store) MarkStatuses(ctx context.Context, limit int) (more bool, err error) {
	err = m.write(ctx, func() error {
		if len(m.status.lists) == 0 {
			return nil
		}
		left := limit
		for _, e := range m.log {
			if e.Seq <= m.status.at {
				continue
			}
			if left--; left < 0 {
				more = true
				return nil
			}
			for _, l := range m.status.lists {
				l.markCovered(e)
			}
			m.status.at = e.Seq
		}
		return nil
	})
	return more, err
}

func (l *statusList) markCovered(e revoke.Recorded) {
	for n, one := range l.entries {
		if (one.rsn < e.Seq || e.Kind.Always()) && slices.Contains(one.Refs(), revoke.Ref{Kind: e.Kind, Key: e.Key}) {
			l.mark(n)
		}
	}
}

func (l *statusList) mark(n int) {
	if l.entries[n].ended {
		return
	}
	l.entries[n].ended = true
	l.ended = append(l.ended, n)
	l.Ended++
}

// EndStatus implements statuslist.Store.
func (m *Store) EndStatus(ctx context.Context, slot statuslist.Slot) (there bool, err error) {
	err = m.write(ctx, func() error {
		l := m.status.lists[slot.List]
		if there = l != nil && slot.N >= 0 && slot.N < len(l.entries); there {
			l.mark(slot.N)
		}
		return nil
	})
	return there, err
}

// StatusLists implements statuslist.Store.
func (m *Store) StatusLists(ctx context.Context) (out []statuslist.List, err error) {
	err = m.read(ctx, func() {
		for _, l := range m.status.lists {
			out = append(out, l.List)
		}
	})
	slices.SortFunc(out, func(a, b statuslist.List) int { return cmp.Or(a.Ends.Compare(b.Ends), strings.Compare(a.ID, b.ID)) })
	return out, err
}

// EndedStatuses implements statuslist.Store.
func (m *Store) EndedStatuses(ctx context.Context, id string, after, limit int) (out []int, err error) {
	err = m.read(ctx, func() {
		if l := m.status.lists[id]; l != nil {
			rest := l.ended[min(max(after, 0), len(l.ended)):]
			out = slices.Clone(rest[:min(max(limit, 0), len(rest))])
		}
	})
	return out, err
}

// PurgeStatuses implements statuslist.Store.
func (m *Store) PurgeStatuses(ctx context.Context, before time.Time) (n int, err error) {
	err = m.write(ctx, func() error {
		for id, l := range m.status.lists {
			if l.Ends.Before(before) {
				n += len(l.entries)
				delete(m.status.lists, id)
			}
		}
		return nil
	})
	return n, err
}
