package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store"
)

var _ store.Store = (*Store)(nil)

// Config says where a store is.
type Config struct {
	// Path is the database file. It is made when it is not there, readable by
	// its owner alone; its folder must be there.
	Path string
	// Readers is how many reads run at once. Default 4.
	Readers int
}

// Store is a store in a database. Make one with Open.
type Store struct {
	lock    *os.File
	writer  *writer
	view    atomic.Pointer[view]
	readers chan *conn
	count   int
	closing chan struct{}
	close   sync.Once
	closed  error

	clients register[client.Client]
	apis    register[api.API]
	roles   register[role.Role]
}

// Open opens a store, makes its tables when they are not there, and brings
// older ones up to date. A file that another Store has open is ErrLocked. Close
// it.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Readers <= 0 {
		c.Readers = 4
	}
	if err := secureFile(c.Path); err != nil {
		return nil, err
	}
	s := &Store{
		readers: make(chan *conn, c.Readers), closing: make(chan struct{}),
		clients: clientRegister(), apis: apiRegister(), roles: roleRegister(),
	}
	if err := s.open(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", c.Path, err), s.release())
	}
	go s.writer.loop()
	return s, nil
}

func (s *Store) open(ctx context.Context, c Config) (err error) {
	if s.lock, err = lockFile(c.Path); err != nil {
		return err
	}
	one, err := dial(source(c.Path, forWriting))
	if err != nil {
		return err
	}
	s.writer = newWriter(one, &s.view)
	if err := checkVersion(one); err != nil {
		return err
	}
	if err := migrate(ctx, c.Path); err != nil {
		return err
	}
	for range c.Readers {
		one, err := dial(source(c.Path, forReading))
		if err != nil {
			return err
		}
		s.readers <- one
		s.count++
	}
	first, err := one.look(nil)
	s.view.Store(first)
	return err
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

// Close writes what is queued, refuses all else, waits for reads under way, and
// closes the database.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.writer.close()
		close(s.closing)
		s.closed = s.release()
	})
	return s.closed
}

// release closes what open has opened.
func (s *Store) release() error {
	var errs []error
	for range s.count {
		c := <-s.readers
		errs = append(errs, c.close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.conn.close()) // the last one folds the log into the file
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// usable refuses a reader who has left, and everybody once the store is closed.
func (s *Store) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closing:
		return ErrClosed
	default:
		return nil
	}
}

// read lends a connection that sees the last commit.
func (s *Store) read(ctx context.Context, look func(*conn) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	select {
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		return look(c)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

// write makes a change of its own.
func (s *Store) write(ctx context.Context, change func(*conn) error) error {
	return s.writer.do(ctx, change)
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
