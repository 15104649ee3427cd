package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/ticket"
)

func lifeCases() []testCase {
	return []testCase{
		{"PingWhileOpen", ping},
		{"NothingWorksAfterClose", closed},
		{"DoneContextChangesNothing", doneContext},
		{"CloseWaitsForWhatIsBeingWritten", closeUnderLoad},
	}
}

func ping(t *testing.T, s store.Store) {
	must(t, s.Ping(t.Context()))
	must(t, s.Close())
	if s.Ping(t.Context()) == nil {
		t.Fatal("Ping after Close: no error")
	}
}

func closed(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.Close())
	must(t, s.Close())
	_, headErr := s.Head(ctx)
	_, snapErr := s.Snapshot(ctx, grant.Query{UserID: "ada"})
	_, _, userErr := s.UserByID(ctx, "ada")
	_, feedErr := s.FeedHead(ctx)
	_, listErr := s.Verifiers(ctx)
	_, raiseErr := s.RaiseEpoch(ctx, 1, 0)
	_, purgeErr := s.PurgeVerifiers(ctx, at(0), 1)
	_, addErr := s.AddTicket(ctx, newTicket("t"), none)
	_, _, ticketErr := s.TicketByKey(ctx, ticket.Device, opaque.Hash("t"))
	_, _, takeErr := s.TakeTicket(ctx, ticket.Device, opaque.Hash("t"))
	_, ticketsErr := s.PurgeTickets(ctx, at(0), 1)
	_, giveErr := s.GiveConsent(ctx, newConsent("ada", "web", "orders"), none)
	_, consentsErr := s.ConsentsOf(ctx, "ada")
	_, withdrawErr := s.WithdrawConsent(ctx, "ada", "web", func([]string) revoke.Effects { return none })
	for name, err := range map[string]error{
		"Audit": s.Audit(ctx, event("a")), "AddUser": s.AddUser(ctx, newUser("ada"), none), "Head": headErr, "Snapshot": snapErr, "UserByID": userErr,
		"FeedHead": feedErr, "Verifiers": listErr, "RaiseEpoch": raiseErr, "PurgeVerifiers": purgeErr, "AwaitRevocations": s.AwaitRevocations(ctx, 0),
		"WantAcks": s.WantAcks(ctx, at(0)), "AddVerifier": s.AddVerifier(ctx, newVerifier("v", at(0))), "NoteVerifiers": s.NoteVerifiers(ctx, nil),
		"RemoveVerifiers": s.RemoveVerifiers(ctx, nil), "AddTicket": addErr, "TicketByKey": ticketErr, "TakeTicket": takeErr, "PurgeTickets": ticketsErr,
		"GiveConsent": giveErr, "ConsentsOf": consentsErr, "WithdrawConsent": withdrawErr,
	} {
		if err == nil {
			t.Errorf("%s after Close: no error", name)
		}
	}
}

func doneContext(t *testing.T, s store.Store) {
	newWorld(t, s)
	before := ledgerOf(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fx := takes(revoke.User, "ada")
	_, recordErr := s.Record(ctx, fx)
	_, changeErr := s.ChangeUser(ctx, newUser("ada"), fx)
	_, ticketErr := s.AddTicket(ctx, newTicket("t"), fx)
	_, _, takeErr := s.TakeTicket(ctx, ticket.Device, opaque.Hash("t"))
	_, giveErr := s.GiveConsent(ctx, newConsent("ada", "web", "orders"), fx)
	decided := false
	_, withdrawErr := s.WithdrawConsent(ctx, "ada", "web", func([]string) revoke.Effects {
		decided = true
		return fx
	})
	for name, err := range map[string]error{
		"AddTicket": ticketErr, "TakeTicket": takeErr, "GiveConsent": giveErr, "WithdrawConsent": withdrawErr,
		"Record": recordErr, "ChangeUser": changeErr, "Audit": s.Audit(ctx, event("a")), "AddUser": s.AddUser(ctx, newUser("eve"), fx),
		"ChangeGrant": s.ChangeGrant(ctx, "g1", func(grant.State) grant.Change {
			decided = true
			return grant.Change{Effects: fx}
		}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want %v", name, err, context.Canceled)
		}
	}
	same(t, "decided", decided, false)
	same(t, "logs", ledgerOf(t, s), before)
	must(t, s.Audit(t.Context(), event("a")))
}

// closeUnderLoad: what is refused by a closing store was not acknowledged, and
// nothing hangs.
func closeUnderLoad(t *testing.T, s store.Store) {
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			return true, s.Close()
		}
		return s.Audit(t.Context(), event("a")) == nil, nil
	})
}

// survives fills a store, takes it through again, and finds all that was
// acknowledged.
func survives(t *testing.T, s store.Store, again func(*testing.T, store.Store) store.Store) {
	w := newWorld(t, s)
	ctx := t.Context()
	ok, err := s.ChangeKeys(ctx, []keyring.Record{newKey("k1", "orders", keyring.Active)}, nil, none)
	did(t, "ChangeKeys", ok, err)
	_, err = s.PutOnce(ctx, "installation", "a")
	must(t, err)
	race(t, func(i int) (bool, error) {
		one := newSession("r"+string(rune('A'+i)), "bob", "app")
		return true, s.StartSession(ctx, one, revoke.Effects{Revoke: []revoke.Entry{entry(revoke.Key, one.ID)}})
	})
	_, err = s.Record(ctx, takes(revoke.User, "ada"))
	must(t, err)
	must(t, s.AddVerifier(ctx, newVerifier("v1", at(0))))
	must(t, s.NoteVerifiers(ctx, []feed.Note{{ID: "v1", Epoch: 1, Applied: 9, Seen: at(time.Second)}}))
	must(t, s.WantAcks(ctx, at(time.Minute)))
	ok, err = s.RaiseEpoch(ctx, 1, 500)
	did(t, "RaiseEpoch", ok, err)
	ok, err = touch(ctx, s, "s3", at(time.Minute), at(2*time.Hour))
	did(t, "TouchSession", ok, err)
	ok, err = s.AddTicket(ctx, newTicket("t"), none)
	did(t, "AddTicket", ok, err)
	ok, err = s.ChangeTicket(ctx, newTicket("t"), none)
	did(t, "ChangeTicket", ok, err)
	ok, err = s.AddTicket(ctx, newTicket("taken"), none)
	did(t, "AddTicket", ok, err)
	_, ok, err = s.TakeTicket(ctx, ticket.Device, opaque.Hash("taken"))
	did(t, "TakeTicket", ok, err)
	give(t, s, newConsent("bob", "app", "orders", "read"))
	give(t, s, newConsent("bob", "web", "orders", "read"))
	ok, err = s.WithdrawConsent(ctx, "bob", "web", func([]string) revoke.Effects { return none })
	did(t, "WithdrawConsent", ok, err)
	before := contentsOf(t, s, w)

	s = again(t, s)
	w.Store = s
	same(t, "contents", contentsOf(t, s, w), before)
	got, err := s.PutOnce(ctx, "installation", "b")
	must(t, err)
	same(t, "put once", got, "a")
	seq, err := s.Record(ctx, takes(revoke.User, "bob"))
	must(t, err)
	same(t, "next position", seq, before.head+1)
}

type contents struct {
	ledger
	users    []account.User
	keys     []keyring.Record
	sessions []session.Session
	gone     []string
	log      []revoke.Recorded

	ticket, taken []ticket.Ticket
	consents      []consent.Consent

	feed      feed.Head
	verifiers []feed.Verifier
}

func contentsOf(t *testing.T, s store.Store, w *world) contents {
	t.Helper()
	ctx := t.Context()
	c := contents{ledger: ledgerOf(t, s), gone: w.gone(t)}
	var err error
	c.users, err = s.Users(ctx, "", 100)
	must(t, err)
	c.keys, err = s.Keys(ctx)
	must(t, err)
	c.sessions, err = s.SessionsOf(ctx, "bob")
	must(t, err)
	c.log, err = s.Revocations(ctx, 0, 1000)
	must(t, err)
	c.ticket, c.taken = ticketsNow(t, s, "t"), ticketsNow(t, s, "taken")
	c.consents, err = s.ConsentsOf(ctx, "bob")
	must(t, err)
	c.feed, c.verifiers = feedHead(t, s), verifiers(t, s)
	return c
}
