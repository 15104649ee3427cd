package storetest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// HomeBackend is how a home of sessions under test is opened.
type HomeBackend struct {
	// Open gives a new, empty home, which closes itself when the test ends.
	Open func(t *testing.T) session.Home
	// Reopen closes a home and opens what it left. Nil for one that keeps
	// nothing.
	Reopen func(t *testing.T, h session.Home) session.Home
	// Recover opens what a home has left so far, as if its process had just
	// died, without closing it. Nil for one that keeps nothing. Touches may be
	// lost then (S4), nothing else.
	Recover func(t *testing.T, h session.Home) session.Home
	// Second opens a second home on the records of the first, as another node
	// would. Nil for a home that is not shared.
	Second func(t *testing.T, h session.Home) session.Home
	// Own marks the sessions of a truth, as a home (store.Truth): the RSN of a
	// record is the position it was read at, 0 here, and Close does nothing.
	Own bool
}

// RunHome holds a home of sessions to the contract of session.Home.
//
// The clock of these tests stands in the year 2100: a home that drops dead
// records by itself, by the real clock, keeps what is written here until it is
// purged. Nothing here sleeps.
func RunHome(t *testing.T, b HomeBackend) {
	for _, c := range homeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if b.Own && c.notOwn != "" {
				t.Skip("the sessions of a truth: " + c.notOwn)
			}
			c.run(t, b.Open(t))
		})
	}
	for _, c := range homeRaces() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := b.Open(t)
			c.run(t, nodes{h, h})
		})
		if b.Second == nil {
			continue
		}
		t.Run(c.name+"/OverTwoNodes", func(t *testing.T) {
			t.Parallel()
			h := b.Open(t)
			c.run(t, nodes{h, b.Second(t, h)})
		})
	}
	if b.Second != nil {
		t.Run("EachNodeSeesWhatTheOtherWrote", func(t *testing.T) {
			t.Parallel()
			h := b.Open(t)
			eachSeesTheOther(t, nodes{h, b.Second(t, h)})
		})
	}
	if b.Reopen != nil {
		t.Run("AcknowledgedSurvivesClose", func(t *testing.T) {
			t.Parallel()
			homeSurvives(t, b.Open(t), b.Reopen, keepsTouches)
		})
	}
	if b.Recover != nil {
		t.Run("AcknowledgedSurvivesDeath", func(t *testing.T) {
			t.Parallel()
			homeSurvives(t, b.Open(t), b.Recover, mayLoseTouches)
		})
	}
}

// A homeCase is one promise, checked on an empty home.
type homeCase struct {
	name   string
	run    func(t *testing.T, h session.Home)
	notOwn string // why the sessions of a truth are spared, "" when they are not
}

// A homeRace is a promise that holds whatever node things happen on.
type homeRace struct {
	name string
	run  func(t *testing.T, h nodes)
}

// nodes are two homes on the same records, or one twice.
type nodes [2]session.Home

func (n nodes) of(i int) session.Home { return n[i%len(n)] }

func homeCases() []homeCase {
	return slices.Concat(homeReadCases(), homeChangeCases(), homeEndCases(), homeLifeCases())
}

// far is a moment of the clock of these tests.
func far(d time.Duration) time.Time {
	return time.Date(2100, 8, 1, 12, 0, 0, 123_456_000, time.UTC).Add(d)
}

// newRecord is idle at far(1h) and at its end at far(24h).
func newRecord(id, userID, clientID string) session.Record {
	s := newSession(id, userID, clientID)
	s.CreatedAt, s.AuthTime, s.SeenAt = far(0), far(0), far(0)
	s.IdleUntil, s.ExpiresAt = far(time.Hour), far(24*time.Hour)
	return session.Record{Session: s}
}

func put(t *testing.T, h session.Home, all ...session.Record) {
	t.Helper()
	for _, r := range all {
		must(t, h.Add(t.Context(), r))
	}
}

// putMany is put for many, a few at once.
func putMany(t *testing.T, h session.Home, all []session.Record) {
	t.Helper()
	var putting sync.WaitGroup
	const hands = 16
	for first := range hands {
		putting.Go(func() {
			for i := first; i < len(all); i += hands {
				if err := h.Add(t.Context(), all[i]); err != nil {
					t.Errorf("add %s: %v", all[i].ID, err)
				}
			}
		})
	}
	putting.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// record reads a record that is there.
func record(t *testing.T, h session.Home, id string) session.Record {
	t.Helper()
	r, found, err := h.ByID(t.Context(), id)
	did(t, "record "+id+" is there", found, err)
	return r
}

// touchOne notes one use, and reports whether the record took it.
func touchOne(t *testing.T, h session.Home, id string, seen, idleUntil time.Time) (bool, error) {
	n, err := h.Touch(t.Context(), []session.Touch{{ID: id, Seen: seen, IdleUntil: idleUntil}})
	return n == 1, err
}

// holds fails the test unless the home, which is at rest, holds exactly these
// records, wherever one looks.
func holds(t *testing.T, h session.Home, want ...session.Record) {
	t.Helper()
	ctx := t.Context()
	owners := map[revoke.Ref][]session.Record{}
	for _, r := range want {
		same(t, "by id "+r.ID, record(t, h, r.ID), r)
		got, found, err := h.BySecret(ctx, r.Secret)
		did(t, "found by secret: "+r.ID, found, err)
		same(t, "by secret "+r.ID, got, r)
		for _, owner := range r.Refs() {
			if owner.Kind != revoke.Session {
				owners[owner] = append(owners[owner], r)
			}
		}
	}
	for owner, theirs := range owners {
		got, err := h.Of(ctx, owner)
		must(t, err)
		newestFirst(theirs)
		same(t, "sessions of "+string(owner.Kind)+" "+owner.Key, got, theirs)
	}
	same(t, "on pages", ids(pages(t, h, 100)), ids(want))
	n, err := h.Count(ctx)
	must(t, err)
	same(t, "count", n, int64(len(want)))
}

// gone fails the test unless these records are nowhere.
func gone(t *testing.T, h session.Home, all ...session.Record) {
	t.Helper()
	ctx := t.Context()
	lists := map[revoke.Ref]map[string]bool{}
	for _, r := range all {
		_, found, err := h.ByID(ctx, r.ID)
		refused(t, "found by id: "+r.ID, found, err)
		_, found, err = h.BySecret(ctx, r.Secret)
		refused(t, "found by secret: "+r.ID, found, err)
		for _, owner := range r.Refs() {
			if owner.Kind == revoke.Session {
				continue
			}
			if lists[owner] == nil {
				lists[owner] = listedFor(t, h, owner)
			}
			same(t, "listed for "+string(owner.Kind)+": "+r.ID, lists[owner][r.ID], false)
		}
	}
}

func listedFor(t *testing.T, h session.Home, owner revoke.Ref) map[string]bool {
	t.Helper()
	all, err := h.Of(t.Context(), owner)
	must(t, err)
	in := map[string]bool{}
	for _, r := range all {
		in[r.ID] = true
	}
	return in
}

// pages returns what all pages hold, each record once.
func pages(t *testing.T, h session.Home, limit int) []session.Record {
	t.Helper()
	seen := map[string]session.Record{}
	cursor := ""
	for range 100_000 {
		some, next, err := h.Page(t.Context(), cursor, limit)
		must(t, err)
		for _, r := range some {
			seen[r.ID] = r
		}
		if next == "" {
			return slices.SortedFunc(maps.Values(seen), func(a, b session.Record) int { return cmp.Compare(a.ID, b.ID) })
		}
		cursor = next
	}
	t.Fatal("pages without an end")
	return nil
}

func newestFirst(all []session.Record) {
	slices.SortFunc(all, func(a, b session.Record) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
}

// ids are sorted.
func ids(all []session.Record) []string {
	out := make([]string, 0, len(all))
	for _, r := range all {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return out
}

// asSet sorts ids that a home returned in any order.
func asSet(all []string) []string {
	out := append([]string{}, all...)
	slices.Sort(out)
	return out
}

func refTo(kind revoke.Kind, key string) revoke.Ref { return revoke.Ref{Kind: kind, Key: key} }

func renewed(r session.Record, secret string) session.Session {
	s := r.Session
	s.Secret = opaque.Hash(secret)
	return s
}
