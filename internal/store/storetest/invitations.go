package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/ticket"
)

func invitationCases() []testCase {
	return []testCase{
		{"InvitationIsUsedWithTheClient", invitedClient},
		{"InvitationIsUsedOnceInARace", invitedRace},
	}
}

func invitation(t *testing.T, s store.Store) ticket.Ticket {
	t.Helper()
	inv := ticket.Ticket{Kind: ticket.Registration, Key: opaque.Hash("invitation"), Body: []byte("2"), ExpiresAt: at(time.Hour), Version: 1}
	ok, err := s.AddTicket(t.Context(), inv, none)
	did(t, "add", ok, err)
	return inv
}

func invitedClient(t *testing.T, s store.Store) {
	ctx := t.Context()
	inv := invitation(t, s)
	must(t, s.AddClient(ctx, newClient("taken"), none))
	fx := takes(revoke.Client, "x")
	head, err := s.Head(ctx)
	must(t, err)
	inv.Body = []byte("1")
	ok, err := s.AddInvited(ctx, newClient("taken"), inv, fx)
	refused(t, "a taken id", ok, err)
	old := inv
	old.Version = 7
	ok, err = s.AddInvited(ctx, newClient("late"), old, fx)
	refused(t, "an invitation that changed meanwhile", ok, err)
	left, _, err := s.TicketByKey(ctx, inv.Kind, inv.Key)
	must(t, err)
	same(t, "after refusals", string(left.Body), "2")
	_, found, err := s.ClientByID(ctx, "late")
	refused(t, "the client of a refusal", found, err)
	now, err := s.Head(ctx)
	must(t, err)
	same(t, "effects of refusals", now, head)

	ok, err = s.AddInvited(ctx, newClient("first"), inv, fx)
	did(t, "first", ok, err)
	if now, err = s.Head(ctx); err != nil || now == head {
		t.Errorf("effects were not written: %d, %v", now, err)
	}
	left, _, err = s.TicketByKey(ctx, inv.Kind, inv.Key)
	must(t, err)
	same(t, "what is left", left, ticket.Ticket{Kind: inv.Kind, Key: inv.Key, Body: []byte("1"), ExpiresAt: inv.ExpiresAt, Version: 2})
	left.Body = nil
	ok, err = s.AddInvited(ctx, newClient("last"), left, none)
	did(t, "last", ok, err)
	_, found, err = s.TicketByKey(ctx, inv.Kind, inv.Key)
	refused(t, "a used invitation", found, err)
	for _, id := range []string{"first", "last"} {
		_, found, err = s.ClientByID(ctx, id)
		did(t, id, found, err)
	}
	ok, err = s.AddInvited(ctx, newClient("more"), left, none)
	refused(t, "an invitation that is gone", ok, err)
}

func invitedRace(t *testing.T, s store.Store) {
	inv := invitation(t, s)
	inv.Body = nil
	var in atomic.Int32
	t.Run("all", func(t *testing.T) {
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			t.Run(id, func(t *testing.T) {
				t.Parallel()
				ok, err := s.AddInvited(t.Context(), newClient(id), inv, none)
				must(t, err)
				if ok {
					in.Add(1)
				}
			})
		}
	})
	same(t, "how many came in", in.Load(), int32(1))
	all, err := s.Clients(t.Context(), "", 10)
	must(t, err)
	same(t, "clients", len(all), 1)
}
