package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// Recent is whether a version of SQLite is new enough.
var Recent = recent

// The documents, for the test of what is on disk.
var (
	UserBody   = userBody
	ClientBody = clientBody
	APIBody    = apiBody
	RoleBody   = roleBody
)

// Do runs SQL in a change of its own.
func (s *Store) Do(ctx context.Context, query string) error {
	return s.write(ctx, func(c *conn) error {
		_, err := c.exec(query)
		return err
	})
}

// MostPages limits the size of the database, as a full disk does; 0 lifts the
// limit.
func (s *Store) MostPages(ctx context.Context, n int) error {
	if n == 0 {
		n = 1 << 30
	}
	return s.write(ctx, func(c *conn) error {
		_, err := c.number(fmt.Sprintf("PRAGMA max_page_count = %d", n))
		return err
	})
}

// Pragma is a setting of the connection that writes.
func (s *Store) Pragma(ctx context.Context, name string) (value any, err error) {
	err = s.write(ctx, func(c *conn) error {
		_, err = c.one(func(r *row) { value = r.next() }, "PRAGMA "+name)
		return err
	})
	return value, err
}

// ReaderPragma is a setting of a connection that reads.
func (s *Store) ReaderPragma(ctx context.Context, name string) (value int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		value, err = c.number("PRAGMA " + name)
		return err
	})
	return value, err
}

// Pages is the size of the database.
func (s *Store) Pages(ctx context.Context) (n int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		n, err = c.number("PRAGMA page_count")
		return err
	})
	return n, err
}

// Integrity is what SQLite says of the file: "ok".
func (s *Store) Integrity(ctx context.Context) (said string, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err = c.one(func(r *row) { said = r.text() }, "PRAGMA integrity_check(1)")
		return err
	})
	return said, err
}

// Plan is how SQLite runs a query.
func (s *Store) Plan(ctx context.Context, query string) (steps []string, err error) {
	var args []any
	for strings.Contains(query, fmt.Sprintf("$%d", len(args)+1)) {
		args = append(args, "")
	}
	err = s.read(ctx, func(c *conn) error {
		return c.each(func(r *row) error {
			r.skip(3)
			steps = append(steps, r.text())
			return nil
		}, "EXPLAIN QUERY PLAN "+query, args...)
	})
	return steps, err
}

// Waits is whether somebody waits for the doorbell.
func (s *Store) Waits() bool {
	s.bell.mu.Lock()
	defer s.bell.mu.Unlock()
	return s.bell.rung != nil
}

// Ends is every statement by which an entry of a kind finds out who is to be told,
// and removes something.
func Ends() []string {
	var all []string
	for _, query := range told {
		all = append(all, query)
	}
	for _, queries := range ends {
		all = append(all, queries...)
	}
	return all
}

// Snapshots is every statement that reads a snapshot.
var Snapshots = []string{ofGrant.whole, ofGrant.brief, bySecret.whole, bySecret.brief, byID.whole, byID.brief}

// Protocols is every statement on tickets and consents that looks for something.
var Protocols = []string{ticketOf, changeTicket, takeTicket, expireTickets, consentOf, consentsOf, dropConsents, grantsBetween,
	"DELETE FROM consents WHERE client_id = $1"}

// NewestOf is the statement that finds the newest entry for n refs.
func NewestOf(n int) string { return newestOf[n] }

// Stall keeps the writer busy until the returned function is called.
func (s *Store) Stall() (release func()) {
	begun, end, finished := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		_ = s.write(context.Background(), func(*conn) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		close(end)
		<-finished
	}
}

// Queued is how many changes wait for the writer.
func (s *Store) Queued() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.queue)
}

// FailCommits makes every commit return an error, after it was done or without
// doing it. It is undone by the function it returns.
func (s *Store) FailCommits(done bool) (undo func()) {
	var fails atomic.Bool
	fails.Store(true)
	commit := s.writer.commit
	s.writer.commit = func(c *conn) error {
		if fails.Load() && !done {
			return errors.New("commit fails for the test")
		}
		err := commit(c)
		if fails.Load() {
			return errors.New("commit is not known to have succeeded")
		}
		return err
	}
	return func() { fails.Store(false) }
}
