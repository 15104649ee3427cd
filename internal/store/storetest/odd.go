package storetest

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/ticket"
)

func oddCases() []testCase {
	return []testCase{{"OddTextIsNoError", oddText}}
}

// oddText is what a stranger can send where a text is stored or looked for: a NUL,
// and bytes that are no text. A database that refuses them must not make an error
// of it, and must not take one for another.
func oddText(t *testing.T, s store.Store) {
	ctx := t.Context()
	newWorld(t, s)
	for _, odd := range []string{"\x00", "ada\x00", "\xff", "\xed\xa0\x80", "\U0010FFFF", "ada\xc3"} {
		_, found, err := s.UserByLogin(ctx, odd)
		refused(t, "user "+odd, found, err)
		_, found, err = s.SessionByID(ctx, odd)
		refused(t, "session "+odd, found, err)
		_, found, err = s.ClientByID(ctx, odd)
		refused(t, "client "+odd, found, err)
		st, err := s.Snapshot(ctx, grant.Query{SessionID: odd, UserID: odd, ClientID: odd, APIID: odd})
		must(t, err)
		same(t, "snapshot of "+odd, st, grant.State{RSN: st.RSN})
		_, found, err = s.Covered(ctx, 0, []revoke.Ref{{Kind: revoke.User, Key: odd}})
		refused(t, "covered "+odd, found, err)

		given, err := s.GiveConsent(ctx, newConsent(odd, "web", "orders", "read"), none)
		refused(t, "consent of "+odd, given, err)
		given, err = s.GiveConsent(ctx, newConsent("ada", odd, "orders", "read"), none)
		refused(t, "consent to "+odd, given, err)
		give(t, s, newConsent("ada", "web", odd, "read"))
		_, found, err = s.ConsentFor(ctx, "ada", "web", odd)
		did(t, "consent for "+odd, found, err)
		_, found, err = s.ConsentFor(ctx, odd, "web", odd)
		refused(t, "consent for "+odd+" of nobody", found, err)
		given, err = s.WithdrawConsent(ctx, "ada", "web"+odd, func([]string) revoke.Effects { return none })
		refused(t, "withdrawal from "+odd, given, err)
		_, found, err = s.TicketByKey(ctx, ticket.Kind(odd), opaque.Hash("t"))
		refused(t, "ticket of kind "+odd, found, err)

		one := newSession("s"+odd, "ada", odd)
		one.Agent, one.Address = odd, odd
		must(t, s.StartSession(ctx, one, none))
		got, found, err := s.SessionByID(ctx, one.ID)
		did(t, "session with "+odd, found, err)
		same(t, "session with "+odd, got, one)
		must(t, s.Audit(ctx, audit.Event{At: at(0), Action: odd, Actor: odd, Detail: odd}))
		rules := []limit.Rule{{Key: odd, Free: 1, Base: time.Minute, Max: time.Minute, Forget: time.Hour}}
		_, err = s.Attempt(ctx, rules, at(0))
		must(t, err)
		_, err = s.Record(ctx, takes(revoke.Session, one.ID))
		must(t, err)
		_, found, err = s.SessionByID(ctx, one.ID)
		refused(t, "ended session with "+odd, found, err)
	}
	for _, id := range []string{"s1", "s2", "s3"} {
		_, found := find(t, s, id)
		same(t, "neighbor "+id, found, true)
	}
}
