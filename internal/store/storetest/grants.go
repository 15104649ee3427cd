package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func grantCases() []testCase {
	return []testCase{
		{"AddGrantNeedsSessionUserAndClient", addGrantNeeds},
		{"AddGrantTakenIDIsAConflict", addGrantTaken},
		{"ChangeGrantWritesWhatIsDecided", changeGrant},
		{"ChangeGrantMovesNoLimitAndNoOwner", changeGrantKeeps},
		{"ChangeGrantOfNothing", changeGrantUnknown},
		{"ChangeGrantEndsTheFamily", changeGrantTheft},
		{"PurgeTokensTakesExpiredTokensAndGrants", purgeTokens},
		{"RefreshRaceHasOneNewHeadAndReplays", refreshRace},
		{"RefreshRaceIsLinear", refreshLinear},
		{"NoRefreshAfterTheSessionEnded", refreshAgainstEnd},
	}
}

func addGrantNeeds(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	before := ledgerOf(t, s)
	for name, edit := range map[string]func(*grant.Grant){
		"session": func(g *grant.Grant) { g.SessionID = "s9" },
		"user":    func(g *grant.Grant) { g.UserID = "eve" },
		"client":  func(g *grant.Grant) { g.ClientID = "evil" },
	} {
		g := newGrant("g9", w.sessions["s1"], "web", "orders")
		edit(&g)
		ok, err := s.AddGrant(ctx, g, revoke.Effects{Audit: []audit.Event{event("grant")}})
		refused(t, "grant without "+name, ok, err)
	}
	same(t, "logs", ledgerOf(t, s), before)
	want := newGrant("g9", w.sessions["s1"], "web", "orders")
	ok, err := s.AddGrant(ctx, want, revoke.Effects{Audit: []audit.Event{event("grant")}})
	did(t, "grant", ok, err)
	same(t, "grant", *w.grantNow(ctx, t, "g9"), want)
	same(t, "logs", ledgerOf(t, s), ledger{0, 1})
}

func addGrantTaken(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	_, err := s.AddGrant(t.Context(), newGrant("g1", w.sessions["s3"], "app", "vault"), none)
	conflict(t, "taken id", err)
	same(t, "untouched", *w.grantNow(t.Context(), t, "g1"), w.grants["g1"])
}

func changeGrant(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	_, err := s.Record(ctx, takes(revoke.Key, "k"))
	must(t, err)
	want, err := s.Snapshot(ctx, grant.Query{GrantID: "g1"})
	must(t, err)
	next := w.grants["g1"]
	next.Gen, next.RotatedAt, next.Replays, next.Scopes = 2, at(time.Minute), 3, []string{"write"}
	var seen grant.State
	err = s.ChangeGrant(ctx, "g1", func(st grant.State) grant.Change {
		seen = st
		return grant.Change{Next: &next, Effects: revoke.Effects{Audit: []audit.Event{event("refresh")}}}
	})
	must(t, err)
	same(t, "state", seen, want)
	same(t, "grant", *w.grantNow(ctx, t, "g1"), next)
	same(t, "logs", ledgerOf(t, s), ledger{1, 1})
	must(t, s.ChangeGrant(ctx, "g1", func(grant.State) grant.Change { return grant.Change{} }))
	same(t, "after a decision for nothing", *w.grantNow(ctx, t, "g1"), next)
	same(t, "another", *w.grantNow(ctx, t, "g2"), w.grants["g2"])
}

func changeGrantKeeps(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	next := newGrant("g2", w.sessions["s3"], "app", "vault")
	next.Gen, next.CreatedAt, next.ExpiresAt = 2, at(time.Hour), at(1000*time.Hour)
	must(t, s.ChangeGrant(t.Context(), "g1", func(grant.State) grant.Change { return grant.Change{Next: &next} }))
	want := w.grants["g1"]
	want.Gen = 2
	same(t, "changed", *w.grantNow(t.Context(), t, "g1"), want)
	same(t, "another", *w.grantNow(t.Context(), t, "g2"), w.grants["g2"])
}

func changeGrantUnknown(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	next := newGrant("g9", w.sessions["s1"], "web", "orders")
	var seen []grant.State
	err := s.ChangeGrant(t.Context(), "g9", func(st grant.State) grant.Change {
		seen = append(seen, st)
		return grant.Change{Next: &next, Effects: revoke.Effects{Audit: []audit.Event{event("refresh")}}}
	})
	must(t, err)
	if len(seen) == 0 {
		t.Fatal("decide was not asked")
	}
	same(t, "state", seen[0], grant.State{})
	if w.grantNow(t.Context(), t, "g9") != nil {
		t.Fatal("a decision made a grant out of nothing")
	}
	same(t, "logs", ledgerOf(t, s), ledger{0, 1})
}

func changeGrantTheft(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	next := w.grants["g1"]
	next.Gen = 2
	must(t, s.ChangeGrant(t.Context(), "g1", func(grant.State) grant.Change {
		return grant.Change{Next: &next, Effects: takes(revoke.Session, "s1")}
	}))
	same(t, "gone", w.gone(t), []string{"g1", "g2", "s1", "t1", "t2"})
	same(t, "logs", ledgerOf(t, s), ledger{1, 0})
}

func purgeTokens(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	short := newGrant("g9", w.sessions["s3"], "app", "vault")
	short.ExpiresAt = at(time.Minute)
	w.grant(t, short)
	n, err := s.PurgeTokens(ctx, at(time.Minute), 10)
	must(t, err)
	same(t, "purged at the limit", n, 0)
	n, err = s.PurgeTokens(ctx, at(time.Minute+time.Microsecond), 10)
	must(t, err)
	same(t, "purged after the limit of a grant", n, 1)
	same(t, "gone", w.gone(t), []string{"g9"})
	after := at(5*time.Minute + time.Microsecond)
	n, err = s.PurgeTokens(ctx, after, 4)
	must(t, err)
	same(t, "purged at most", n, 4)
	n, err = s.PurgeTokens(ctx, after, 4)
	must(t, err)
	same(t, "purged the rest", n, 2)
	same(t, "gone", w.gone(t), []string{"g9", "t1", "t2", "t3", "t4", "t5", "t6"})
	n, err = s.PurgeTokens(ctx, at(48*time.Hour), 100)
	must(t, err)
	same(t, "purged grants", n, 4)
}

// rotate decides like the refresh grant: the current generation moves on, the
// one before it is a replay, anything else is refused.
func rotate(gen uint32, rotated, replayed *bool) func(grant.State) grant.Change {
	return func(st grant.State) grant.Change {
		*rotated, *replayed = false, false
		if st.Grant == nil || st.Session == nil || st.User == nil || st.Client == nil {
			return grant.Change{}
		}
		next := *st.Grant
		switch gen {
		case next.Gen:
			next.Gen, next.RotatedAt, next.Replays = next.Gen+1, at(time.Minute), 0
			*rotated = true
		case next.Gen - 1:
			next.Replays++
			*replayed = true
		default:
			return grant.Change{Effects: takes(revoke.Session, next.SessionID)}
		}
		return grant.Change{Next: &next}
	}
}

func refreshRace(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	var replays atomic.Int64
	won := race(t, func(int) (bool, error) {
		var rotated, replayed bool
		err := s.ChangeGrant(t.Context(), "g1", rotate(1, &rotated, &replayed))
		if replayed {
			replays.Add(1)
		}
		return rotated, err
	})
	same(t, "new heads", won, 1)
	same(t, "replays", replays.Load(), int64(racers-1))
	g := w.grantNow(t.Context(), t, "g1")
	same(t, "generation", g.Gen, uint32(2))
	same(t, "replays written", g.Replays, racers-1)
}

func refreshLinear(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	seen := make([]uint32, racers)
	race(t, func(i int) (bool, error) {
		return true, s.ChangeGrant(t.Context(), "g1", func(st grant.State) grant.Change {
			next := *st.Grant
			next.Gen++
			seen[i] = next.Gen
			return grant.Change{Next: &next}
		})
	})
	once := map[uint32]bool{}
	for _, gen := range seen {
		once[gen] = true
	}
	same(t, "different generations", len(once), racers)
	same(t, "generation", w.grantNow(t.Context(), t, "g1").Gen, uint32(racers+1))
}

// refreshAgainstEnd is R7: after the end committed no refresh succeeds, and what
// was refreshed before carries an older position.
func refreshAgainstEnd(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	minted := make([]int64, racers)
	var end int64
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			seq, err := s.Record(t.Context(), takes(revoke.User, "ada"))
			end = seq
			return false, err
		}
		return false, s.ChangeGrant(t.Context(), "g1", func(st grant.State) grant.Change {
			minted[i] = -1
			if st.Grant == nil {
				return grant.Change{}
			}
			minted[i] = st.RSN
			next := *st.Grant
			next.Gen++
			return grant.Change{Next: &next}
		})
	})
	for i, rsn := range minted {
		if rsn >= end {
			t.Errorf("refresh %d saw the grant at position %d, its end is at %d", i, rsn, end)
		}
	}
	same(t, "gone", w.gone(t), []string{"g1", "g2", "g3", "s1", "s2", "t1", "t2", "t3", "t6"})
}
