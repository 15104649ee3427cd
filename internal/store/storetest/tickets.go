package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/ticket"
)

func ticketCases() []testCase {
	return []testCase{
		{"TicketReadBackAsWritten", ticketReadBack},
		{"TicketsAreCopies", ticketCopies},
		{"TicketIsAddedOnce", ticketOnce},
		{"TicketKindsAreApart", ticketKinds},
		{"ChangeTicketNeedsTheVersionRead", changeTicket},
		{"TicketIsTakenOnce", takeTicket},
		{"RefusedTicketsWriteNoEffects", ticketEffects},
		{"PurgeTicketsTakesOnlyTheExpired", purgeTickets},
		{"PurgeTicketsGoesOnOverItsSteps", purgeManyTickets},
		{"RaceToAddATicketHasOneWinner", raceToAddTicket},
		{"RaceToTakeATicketHasOneWinner", raceToTakeTicket},
		{"RaceToChangeATicketHasOneWinner", raceToChangeTicket},
		{"RaceToChangeOrTakeATicketIsInOrder", raceToChangeOrTake},
	}
}

func newTicket(name string) ticket.Ticket {
	return ticket.Ticket{Kind: ticket.Device, Key: opaque.Hash(name), Body: []byte("body of " + name), ExpiresAt: at(time.Minute), Version: 1}
}

func addTicket(t *testing.T, s store.Store, one ticket.Ticket) {
	t.Helper()
	ok, err := s.AddTicket(t.Context(), one, none)
	did(t, "AddTicket", ok, err)
}

// ticketsNow is the ticket of a name, or nothing.
func ticketsNow(t *testing.T, s store.Store, name string) []ticket.Ticket {
	t.Helper()
	one, found, err := s.TicketByKey(t.Context(), ticket.Device, opaque.Hash(name))
	must(t, err)
	if !found {
		return nil
	}
	return []ticket.Ticket{one}
}

func ticketReadBack(t *testing.T, s store.Store) {
	for name, body := range map[string][]byte{"nil": nil, "empty": {}, "text": []byte("{}"), "odd": {0, 0xff, 0xc3, 0, '\'', '\\'}} {
		one := newTicket(name)
		one.Body, one.Version = body, 77 // the first version is 1 whatever is given
		one.ExpiresAt = at(time.Minute).Add(789).In(time.FixedZone("CEST", 2*60*60))
		addTicket(t, s, one)
		want := newTicket(name)
		if want.Body = body; len(body) == 0 {
			want.Body = nil // an empty one comes back as none
		}
		same(t, name, ticketsNow(t, s, name), []ticket.Ticket{want})
		taken, found, err := s.TakeTicket(t.Context(), ticket.Device, one.Key)
		did(t, "TakeTicket", found, err)
		same(t, name+", taken", taken, want)
	}
	old := newTicket("old")
	old.ExpiresAt = time.Time{}
	addTicket(t, s, old)
	same(t, "without a time", ticketsNow(t, s, "old"), []ticket.Ticket{old})
	same(t, "guess", ticketsNow(t, s, "guess"), []ticket.Ticket(nil))
}

func ticketCopies(t *testing.T, s store.Store) {
	one := newTicket("t")
	addTicket(t, s, one)
	one.Body[0] = '!'
	for range 2 {
		got := ticketsNow(t, s, "t")
		same(t, "ticket", got, []ticket.Ticket{newTicket("t")})
		got[0].Body[0] = '!'
	}
	next := newTicket("t")
	ok, err := s.ChangeTicket(t.Context(), next, none)
	did(t, "ChangeTicket", ok, err)
	next.Body[0] = '!'
	want := newTicket("t")
	want.Version = 2
	same(t, "changed", ticketsNow(t, s, "t"), []ticket.Ticket{want})
}

// ticketOnce: a proof that was seen is seen for as long as it is remembered, also
// after its time.
func ticketOnce(t *testing.T, s store.Store) {
	ctx := t.Context()
	one := newTicket("t")
	one.ExpiresAt = at(-1000 * time.Hour)
	addTicket(t, s, one)
	again := newTicket("t")
	again.Body = []byte("another")
	ok, err := s.AddTicket(ctx, again, none)
	must(t, err)
	same(t, "added beside an expired one", ok, false)
	same(t, "untouched", ticketsNow(t, s, "t"), []ticket.Ticket{one})
	n, err := s.PurgeTickets(ctx, at(0), 10)
	must(t, err)
	same(t, "purged", n, 1)
	addTicket(t, s, again)
	ok, err = s.AddTicket(ctx, again, none)
	must(t, err)
	same(t, "added twice", ok, false)
	_, ok, err = s.TakeTicket(ctx, again.Kind, again.Key)
	did(t, "TakeTicket", ok, err)
	addTicket(t, s, one)
	same(t, "added after it was taken", ticketsNow(t, s, "t"), []ticket.Ticket{one})
}

func ticketKinds(t *testing.T, s store.Store) {
	ctx := t.Context()
	kinds := []ticket.Kind{ticket.Pushed, ticket.Device, ticket.UserCode, ticket.Assertion, ticket.Proof, ticket.Registration}
	of := func(kind ticket.Kind) ticket.Ticket {
		one := newTicket("same")
		one.Kind, one.Body = kind, []byte(kind)
		return one
	}
	for _, kind := range kinds {
		addTicket(t, s, of(kind))
	}
	next := of(ticket.Device)
	next.Body = []byte("changed")
	ok, err := s.ChangeTicket(ctx, next, none)
	did(t, "ChangeTicket", ok, err)
	_, ok, err = s.TakeTicket(ctx, ticket.Proof, next.Key)
	did(t, "TakeTicket", ok, err)
	next.Version++
	for _, kind := range kinds {
		want := of(kind)
		if kind == ticket.Device {
			want = next
		}
		got, found, err := s.TicketByKey(ctx, kind, want.Key)
		must(t, err)
		same(t, "found "+string(kind), found, kind != ticket.Proof)
		if found {
			same(t, "ticket", got, want)
		}
	}
}

func changeTicket(t *testing.T, s store.Store) {
	ctx := t.Context()
	ok, err := s.ChangeTicket(ctx, newTicket("t"), none)
	refused(t, "change of what is not there", ok, err)
	addTicket(t, s, newTicket("t"))
	addTicket(t, s, newTicket("other"))
	next := newTicket("t")
	next.Body, next.ExpiresAt = nil, at(-time.Hour) // an expired one can be changed on
	for version := int64(1); version < 4; version++ {
		for _, wrong := range []int64{0, version - 1, version + 1, -1} {
			one := newTicket("t")
			one.Version = wrong
			ok, err := s.ChangeTicket(ctx, one, none)
			refused(t, fmt.Sprintf("change of version %d at %d", wrong, version), ok, err)
		}
		next.Version = version
		ok, err := s.ChangeTicket(ctx, next, none)
		did(t, "change", ok, err)
		want := next
		want.Version++
		same(t, "changed", ticketsNow(t, s, "t"), []ticket.Ticket{want})
	}
	same(t, "another", ticketsNow(t, s, "other"), []ticket.Ticket{newTicket("other")})
}

func takeTicket(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, found, err := s.TakeTicket(ctx, ticket.Device, opaque.Hash("t"))
	must(t, err)
	same(t, "took what is not there", found, false)
	one := newTicket("t")
	one.ExpiresAt = at(-time.Hour)
	addTicket(t, s, one)
	addTicket(t, s, newTicket("other"))
	got, found, err := s.TakeTicket(ctx, ticket.Device, one.Key)
	did(t, "TakeTicket", found, err)
	same(t, "taken", got, one)
	got, found, err = s.TakeTicket(ctx, ticket.Device, one.Key)
	must(t, err)
	same(t, "taken twice", found, false)
	same(t, "what was not there", got, ticket.Ticket{})
	same(t, "left", ticketsNow(t, s, "t"), []ticket.Ticket(nil))
	same(t, "another", ticketsNow(t, s, "other"), []ticket.Ticket{newTicket("other")})
}

// ticketEffects: neither the ticket without its effects nor the effects without it.
func ticketEffects(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	addTicket(t, s, newTicket("t"))
	fx := takes(revoke.Session, "s1")
	fx.Audit = []audit.Event{event("one")}
	ok, err := s.AddTicket(ctx, newTicket("t"), fx)
	refused(t, "AddTicket", ok, err)
	stale := newTicket("t")
	stale.Version = 9
	ok, err = s.ChangeTicket(ctx, stale, fx)
	refused(t, "ChangeTicket", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{})
	same(t, "gone", w.gone(t), []string{})

	_, err = s.Record(ctx, takes(revoke.User, "eve"))
	must(t, err)
	fx.Guard = &revoke.Guard{RSN: 0, Refs: []revoke.Ref{{Kind: revoke.User, Key: "eve"}}}
	ok, err = s.AddTicket(ctx, newTicket("guarded"), fx)
	refused(t, "guarded AddTicket", ok, err)
	next := newTicket("t")
	next.Body = nil
	ok, err = s.ChangeTicket(ctx, next, fx)
	refused(t, "guarded ChangeTicket", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{1, 0})
	same(t, "added", ticketsNow(t, s, "guarded"), []ticket.Ticket(nil))
	same(t, "untouched", ticketsNow(t, s, "t"), []ticket.Ticket{newTicket("t")})
}

func purgeTickets(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i := range 5 {
		one := newTicket(fmt.Sprint(i))
		one.Kind = []ticket.Kind{ticket.Device, ticket.Proof}[i%2]
		one.ExpiresAt = at(time.Duration(i) * time.Minute)
		addTicket(t, s, one)
	}
	purge := func(now time.Time, limit, want int) {
		t.Helper()
		n, err := s.PurgeTickets(ctx, now, limit)
		must(t, err)
		same(t, "purged", n, want)
	}
	purge(at(0), 10, 0) // at its time, not after it
	purge(at(3*time.Minute), 0, 0)
	purge(at(3*time.Minute), 2, 2)
	purge(at(3*time.Minute), 2, 1)
	purge(at(3*time.Minute), 2, 0)
	for i := range 5 {
		_, found, err := s.TicketByKey(ctx, []ticket.Kind{ticket.Device, ticket.Proof}[i%2], opaque.Hash(fmt.Sprint(i)))
		must(t, err)
		same(t, fmt.Sprint("left ", i), found, i >= 3)
	}
	purge(at(4*time.Minute+time.Microsecond), 10, 2)
}

func purgeManyTickets(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i := range 450 {
		one := newTicket(fmt.Sprint(i))
		if i%9 == 0 {
			one.ExpiresAt = at(time.Hour)
		}
		addTicket(t, s, one)
	}
	n, err := s.PurgeTickets(ctx, at(30*time.Minute), 399)
	must(t, err)
	same(t, "purged at most", n, 399)
	n, err = s.PurgeTickets(ctx, at(30*time.Minute), 1000)
	must(t, err)
	same(t, "purged the rest", n, 1)
	for i := range 450 {
		same(t, fmt.Sprint("left ", i), len(ticketsNow(t, s, fmt.Sprint(i))) == 1, i%9 == 0)
	}
}

func raceToAddTicket(t *testing.T, s store.Store) {
	winner := make([]bool, racers)
	won := race(t, func(i int) (bool, error) {
		one := newTicket("t")
		one.Body = []byte{byte(i)}
		ok, err := s.AddTicket(t.Context(), one, revoke.Effects{Audit: []audit.Event{event("add")}})
		winner[i] = ok
		return ok, err
	})
	same(t, "winners", won, 1)
	same(t, "whose it is", winner[ticketsNow(t, s, "t")[0].Body[0]], true)
	same(t, "logs", ledgerOf(t, s), ledger{0, 1})
}

func raceToTakeTicket(t *testing.T, s store.Store) {
	addTicket(t, s, newTicket("t"))
	won := race(t, func(int) (bool, error) {
		got, found, err := s.TakeTicket(t.Context(), ticket.Device, opaque.Hash("t"))
		if found && string(got.Body) != "body of t" {
			return false, fmt.Errorf("took %+v", got)
		}
		return found, err
	})
	same(t, "winners", won, 1)
}

func raceToChangeTicket(t *testing.T, s store.Store) {
	addTicket(t, s, newTicket("t"))
	winner := make([]bool, racers)
	won := race(t, func(i int) (bool, error) {
		next := newTicket("t")
		next.Body = []byte{byte(i)}
		ok, err := s.ChangeTicket(t.Context(), next, none)
		winner[i] = ok
		return ok, err
	})
	same(t, "winners", won, 1)
	got := ticketsNow(t, s, "t")[0]
	same(t, "version", got.Version, int64(2))
	same(t, "whose it is", winner[got.Body[0]], true)
}

// raceToChangeOrTake: a decision on a device is made before the device takes it, or it
// is not made.
func raceToChangeOrTake(t *testing.T, s store.Store) {
	for i := range 20 {
		one := newTicket(fmt.Sprint(i))
		addTicket(t, s, one)
		var changed, taken bool
		var got ticket.Ticket
		race(t, func(n int) (bool, error) {
			switch n {
			case 0:
				next := one
				next.Body = []byte("decided")
				ok, err := s.ChangeTicket(t.Context(), next, none)
				changed = ok
				return ok, err
			case 1:
				var err error
				got, taken, err = s.TakeTicket(t.Context(), one.Kind, one.Key)
				return taken, err
			}
			return false, nil
		})
		same(t, "taken", taken, true)
		same(t, "taken with the decision", string(got.Body) == "decided", changed)
	}
}
