package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store"
)

var _ store.Truth = (*Store)(nil)

// Config says where a database is: in a file of SQLite, or with a server of
// PostgreSQL.
type Config struct {
	// Path is the database file. It is made when it is not there, readable by
	// its owner alone; its folder must be there.
	Path string
	// URL is a server and a database there, as in libpq:
	// postgres://user@host:5432/name. Path is then not used. The database must
	// be there, with encoding UTF8, and the user must be allowed to make tables.
	URL string
	// Readers is how many reads run at once. Default 4, and 8 with a server.
	Readers int
}

// Store is a store in a database. Make one with Open.
type Store struct {
	*database
	view    atomic.Pointer[view]
	backend atomic.Uint32 // the server's number of the connection that writes

	clients register[client.Client]
	users   *memo[account.User]
	apis    register[api.API]
	roles   register[role.Role]
}

// Open opens a store, makes its tables when they are not there, and brings
// older ones up to date. A file that another Store has open is ErrLocked; a
// server serves any number. Close it.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{clients: clientRegister(), apis: apiRegister(), roles: roleRegister(), users: newMemo(userOf, account.User.Clone)}
	var err error
	if c.URL != "" {
		err = s.openFar(ctx, c)
	} else {
		err = s.openFile(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	go s.writer.loop()
	return s, nil
}

func (s *Store) openFile(ctx context.Context, c Config) error {
	d, err := openFile(ctx, c, truthFile)
	if err != nil {
		return err
	}
	s.database = d
	s.writer.settle, s.writer.ring = s.settle, s.bell.ring
	first, err := d.writer.conn.look(nil)
	if err != nil {
		return errors.Join(err, d.release())
	}
	s.view.Store(first)
	return nil
}

func (s *Store) openFar(ctx context.Context, c Config) error {
	d, err := openFar(ctx, c, truthFar)
	if err != nil {
		return err
	}
	s.database = d
	d.writer = newWriter(newConn(d.engine))
	// A lost connection may be a lost server, whose successor counts again from
	// an earlier number.
	forget := func() { s.view.Store(nil) }
	d.writer.conn.made = func() {
		forget()
		s.backend.Store(pgxOf(d.writer.conn.c).PgConn().PID())
	}
	d.writer.ring = s.bell.ring
	if err := errors.Join(d.writer.conn.connect(), d.fill(forget)); err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", d.engine.(*far).place(), err), d.release())
	}
	return nil
}

// Ping reads, and writes for real: it fails on a full disk and after ErrBroken.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.Head(ctx); err != nil {
		return err
	}
	return s.write(ctx, func(c *conn) error {
		_, err := c.exec("UPDATE counters SET value = value WHERE name = 'events'")
		return err
	})
}

// errRefused is what a change returns when its condition does not hold. Whatever
// it wrote is rolled back.
var errRefused = errors.New("refused")

// report makes a change and then its effects, in one transaction: neither when
// the guard or the change itself refuses. It reports whether it did.
func (s *Store) report(ctx context.Context, fx revoke.Effects, change func(*conn) error) (bool, error) {
	err := s.write(ctx, func(c *conn) error {
		if err := c.guard(fx.Guard); err != nil {
			return err
		}
		if err := change(c); err != nil {
			return err
		}
		return c.apply(fx)
	})
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, err
}

// insist is report for calls that do not report: a refusal is a conflict.
func (s *Store) insist(ctx context.Context, fx revoke.Effects, change func(*conn) error) error {
	ok, err := s.report(ctx, fx, change)
	if err == nil && !ok {
		return fault.New(fault.Conflict, "What allowed this was taken back meanwhile.")
	}
	return err
}

// once turns the count of a conditional statement into errRefused when there was
// nothing to change.
func once(n int64, err error) error {
	if err == nil && n == 0 {
		return errRefused
	}
	return err
}

// free turns the count of an insert into a conflict when the place was taken.
func free(what string, n int64, err error) error {
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "The "+what+" is taken.")
	}
	return err
}
