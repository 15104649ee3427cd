package memory

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

type ticketKey struct {
	kind ticket.Kind
	key  opaque.Digest
}

// AddTicket implements ticket.Store.
func (m *Store) AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error) {
	at := ticketKey{t.Kind, t.Key}
	return m.report(ctx, fx, func() error {
		if _, found := m.tickets[at]; found {
			return errRefused
		}
		t.Version = 1
		m.tickets[at] = ticketCopy(t)
		return nil
	})
}

// TicketByKey implements ticket.Store.
func (m *Store) TicketByKey(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error) {
	err = m.read(ctx, func() {
		if t, found = m.tickets[ticketKey{kind, key}]; found {
			t = ticketCopy(t)
		}
	})
	return t, found, err
}

// ChangeTicket implements ticket.Store.
func (m *Store) ChangeTicket(ctx context.Context, next ticket.Ticket, fx revoke.Effects) (bool, error) {
	at := ticketKey{next.Kind, next.Key}
	return m.report(ctx, fx, func() error {
		old, found := m.tickets[at]
		if !found || old.Version != next.Version {
			return errRefused
		}
		next.Version++
		m.tickets[at] = ticketCopy(next)
		return nil
	})
}

// TakeTicket implements ticket.Store.
func (m *Store) TakeTicket(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error) {
	at := ticketKey{kind, key}
	err = m.write(ctx, func() error {
		t, found = m.tickets[at]
		delete(m.tickets, at)
		return nil
	})
	return t, found, err
}

// PurgeTickets implements ticket.Store.
func (m *Store) PurgeTickets(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = m.write(ctx, func() error {
		for at, t := range m.tickets {
			if n < limit && t.ExpiresAt.Before(now) {
				delete(m.tickets, at)
				n++
			}
		}
		return nil
	})
	return n, err
}
