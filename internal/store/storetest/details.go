package storetest

import (
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func detailCases() []testCase {
	return []testCase{
		{"GrantDetailsReadBackAsWritten", detailsReadBack},
		{"GrantDetailsAreCopies", detailsCopies},
		{"PendingGrantComesToLife", pendingGrant},
		{"LiveGrantKeepsItsDetails", liveGrantKeeps},
		{"PendingGrantEndsLikeAnyOther", pendingEnds},
		{"RaceToRedeemACodeHasOneWinner", raceToRedeemCode},
		{"NoCodeIsRedeemedAfterTheSessionEnded", redeemAgainstEnd},
	}
}

func detailsReadBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	whole := newDetails()
	v := reflect.ValueOf(whole)
	all := []grant.Details{{}, whole, {Claims: &oidc.Claims{}}, {Claims: &oidc.Claims{IDToken: []string{}, ACR: []string{""}}}}
	for i := range v.NumField() { // each field alone
		var one grant.Details
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		all = append(all, one)
	}
	for i, details := range all {
		one := newGrant("d"+string(rune('a'+i)), w.sessions["s1"], "web", "orders")
		one.Details, one.Gen = details, uint32(i%2)
		ok, err := s.AddGrant(ctx, one, none)
		did(t, "AddGrant", ok, err)
		if c := one.Details.Claims; c != nil && len(c.IDToken) == 0 {
			read := *c
			read.IDToken = nil // an empty list comes back as none
			one.Details.Claims = &read
		}
		same(t, "grant", *w.grantNow(ctx, t, one.ID), one)
		must(t, s.ChangeGrant(ctx, one.ID, func(st grant.State) grant.Change {
			same(t, "grant as decided on", *st.Grant, one)
			return grant.Change{}
		}))
	}
}

func detailsCopies(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	given := newGrant("g9", w.sessions["s1"], "web", "orders")
	given.Gen = 0
	want := given
	want.Scopes, want.Details = []string{"read"}, newDetails()
	ok, err := s.AddGrant(ctx, given, none)
	did(t, "AddGrant", ok, err)
	scribble(reflect.ValueOf(&given))
	for range 2 {
		got := w.grantNow(ctx, t, "g9")
		same(t, "grant", *got, want)
		scribble(reflect.ValueOf(got))
		must(t, s.ChangeGrant(ctx, "g9", func(st grant.State) grant.Change {
			same(t, "grant as decided on", *st.Grant, want)
			scribble(reflect.ValueOf(st.Grant))
			return grant.Change{}
		}))
	}
	next := want
	next.Scopes, next.Details = []string{"write"}, newDetails()
	must(t, s.ChangeGrant(ctx, "g9", func(grant.State) grant.Change { return grant.Change{Next: &next} }))
	scribble(reflect.ValueOf(&next))
	want.Scopes = []string{"write"}
	same(t, "changed", *w.grantNow(ctx, t, "g9"), want)
}

// pendingGrant: a code that is exchanged gets the limits and the keys of what it
// becomes, and everything else stays.
func pendingGrant(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	code := newGrant("c1", w.sessions["s1"], "web", "orders")
	code.Gen, code.ExpiresAt = 0, at(time.Minute)
	w.grant(t, code)
	change := func(next grant.Grant) {
		t.Helper()
		must(t, s.ChangeGrant(ctx, "c1", func(grant.State) grant.Change { return grant.Change{Next: &next} }))
	}
	still := code
	still.Details.Challenge, still.ExpiresAt = "another", at(2*time.Minute)
	change(still)
	same(t, "still pending", *w.grantNow(ctx, t, "c1"), still)

	must(t, s.ChangeGrant(ctx, "c1", func(st grant.State) grant.Change { return grant.Change{} }))
	same(t, "after a decision for nothing", *w.grantNow(ctx, t, "c1"), still)

	next := newGrant("other", w.sessions["s3"], "app", "vault")
	next.Gen, next.Scopes, next.RotatedAt, next.ExpiresAt = 1, []string{"write"}, at(time.Second), at(20*time.Hour)
	next.CreatedAt, next.Details = at(time.Hour), grant.Details{JKT: "bound"}
	change(next)
	want := code
	want.Gen, want.Scopes, want.RotatedAt, want.ExpiresAt, want.Details = next.Gen, next.Scopes, next.RotatedAt, next.ExpiresAt, next.Details
	same(t, "alive", *w.grantNow(ctx, t, "c1"), want)

	late := next
	late.Gen, late.ExpiresAt, late.Details = 2, at(1000*time.Hour), newDetails()
	change(late)
	want.Gen = 2
	same(t, "once alive", *w.grantNow(ctx, t, "c1"), want)
	same(t, "another", *w.grantNow(ctx, t, "g1"), w.grants["g1"])
}

func liveGrantKeeps(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	back := w.grants["g1"] // a decision that would make a code of it again
	back.Gen, back.ExpiresAt, back.Details = 0, at(time.Minute), grant.Details{JKT: "another"}
	must(t, s.ChangeGrant(ctx, "g1", func(grant.State) grant.Change { return grant.Change{Next: &back} }))
	want := w.grants["g1"]
	want.Gen = 0
	same(t, "grant", *w.grantNow(ctx, t, "g1"), want)
}

// pendingEnds: a code goes with whatever it hangs from, and when its time is over.
func pendingEnds(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	for i, ref := range []revoke.Ref{
		{Kind: revoke.Grant, Key: "c0"}, {Kind: revoke.API, Key: "vault"}, {Kind: revoke.Session, Key: "s1"}, {Kind: revoke.Client, Key: "app"},
		{Kind: revoke.User, Key: "ada"},
	} {
		id := "c" + string(rune('0'+i))
		on := map[revoke.Kind]string{revoke.Session: "s1"}[ref.Kind]
		if on == "" {
			on = "s2"
		}
		code := newGrant(id, w.sessions[on], "app", "vault")
		code.Gen, code.ExpiresAt = 0, at(time.Minute)
		ok, err := s.AddGrant(ctx, code, none)
		did(t, "AddGrant", ok, err)
		_, err = s.Record(ctx, takes(ref.Kind, ref.Key))
		must(t, err)
		settle(t, s)
		same(t, "left after the end of a "+string(ref.Kind), w.grantNow(ctx, t, id) != nil, false)
	}
	one := newSession("s9", "bob", "")
	must(t, s.StartSession(ctx, one, none))
	code := newGrant("late", one, "web", "orders")
	code.Gen, code.ExpiresAt = 0, at(time.Minute)
	ok, err := s.AddGrant(ctx, code, none)
	did(t, "AddGrant", ok, err)
	n, err := s.PurgeTokens(ctx, at(time.Minute), 100)
	must(t, err)
	same(t, "purged at its time", n, 0)
	n, err = s.PurgeTokens(ctx, at(time.Minute+time.Microsecond), 100)
	must(t, err)
	same(t, "purged after its time", n, 1)
}

// raceToRedeemCode is a code that is shown many times at once (RFC 6749 section 4.1.2).
func raceToRedeemCode(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	code := newGrant("c1", w.sessions["s1"], "web", "orders")
	code.Gen, code.ExpiresAt = 0, at(time.Minute)
	w.grant(t, code)
	var late atomic.Int64
	won := race(t, func(i int) (bool, error) {
		redeemed := false
		err := s.ChangeGrant(ctx, "c1", func(st grant.State) grant.Change {
			redeemed = false
			if !st.Grant.Pending() {
				if st.Grant.Gen == 1 && st.Grant.Details.Challenge == "" {
					late.Add(1)
				}
				return grant.Change{}
			}
			redeemed = true
			next := *st.Grant
			next.Gen, next.ExpiresAt, next.Details.Challenge = 1, at(time.Hour), ""
			return grant.Change{Next: &next}
		})
		return redeemed, err
	})
	same(t, "redeemed", won, 1)
	same(t, "told that it was used", late.Load(), int64(racers-1))
	code.Gen, code.ExpiresAt, code.Details.Challenge = 1, at(time.Hour), ""
	same(t, "grant", *w.grantNow(ctx, t, "c1"), code)
}

func redeemAgainstEnd(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	code := newGrant("c1", w.sessions["s1"], "web", "orders")
	code.Gen = 0
	w.grant(t, code)
	seen := make([]int64, racers)
	var end int64
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			seq, err := s.Record(ctx, takes(revoke.Session, "s1"))
			end = seq
			return false, err
		}
		return false, s.ChangeGrant(ctx, "c1", func(st grant.State) grant.Change {
			seen[i] = -1
			if st.Grant == nil || st.Session == nil {
				return grant.Change{}
			}
			seen[i] = st.RSN
			next := *st.Grant
			next.Gen = 1
			return grant.Change{Next: &next}
		})
	})
	for i, rsn := range seen {
		if rsn >= end {
			t.Errorf("redemption %d saw the code at position %d, its end is at %d", i, rsn, end)
		}
	}
	same(t, "gone", w.gone(t), []string{"c1", "g1", "g2", "s1", "t1", "t2"})
}
