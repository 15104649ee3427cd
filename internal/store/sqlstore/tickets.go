package sqlstore

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

const ticketColumns = "kind, id, body, expires_at, version"

const (
	ticketOf      = "SELECT " + ticketColumns + " FROM tickets WHERE kind = $1 AND id = $2"
	changeTicket  = "UPDATE tickets SET body = $4, expires_at = $5, version = version + 1 WHERE kind = $1 AND id = $2 AND version = $3"
	takeTicket    = "DELETE FROM tickets WHERE kind = $1 AND id = $2 RETURNING " + ticketColumns
	expireTickets = "DELETE FROM tickets WHERE (kind, id) IN (SELECT kind, id FROM tickets WHERE expires_at < $1 LIMIT $2)"
)

// ticket takes the next columns, ticketColumns.
func (r *row) ticket() ticket.Ticket {
	return ticket.Ticket{Kind: ticket.Kind(r.text()), Key: r.digest(), Body: r.bytes(), ExpiresAt: r.time(), Version: r.int()}
}

// AddTicket implements ticket.Store.
func (s *Store) AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		return once(c.exec("INSERT INTO tickets (kind, id, body, expires_at, version) VALUES ($1, $2, $3, $4, 1) ON CONFLICT DO NOTHING",
			string(t.Kind), t.Key[:], blob(t.Body), micros(t.ExpiresAt)))
	})
}

// TicketByKey implements ticket.Store.
func (s *Store) TicketByKey(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) { t = r.ticket() }, ticketOf, string(kind), key[:])
		return err
	})
	return t, found, err
}

// ChangeTicket implements ticket.Store.
func (s *Store) ChangeTicket(ctx context.Context, next ticket.Ticket, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error { return c.changeTicket(next) })
}

func (c *conn) changeTicket(next ticket.Ticket) error {
	return once(c.exec(changeTicket, string(next.Kind), next.Key[:], next.Version, blob(next.Body), micros(next.ExpiresAt)))
}

// TakeTicket implements ticket.Store.
func (s *Store) TakeTicket(ctx context.Context, kind ticket.Kind, key opaque.Digest) (t ticket.Ticket, found bool, err error) {
	err = s.write(ctx, func(c *conn) (err error) {
		found, err = c.one(func(r *row) { t = r.ticket() }, takeTicket, string(kind), key[:])
		return err
	})
	return t, found, err
}

// PurgeTickets implements ticket.Store.
func (s *Store) PurgeTickets(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.purge(ctx, limit, func(c *conn, most int) (int64, error) {
		return c.exec(expireTickets, micros(now), int64(most))
	})
}
