package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/wafer-auth/wafer/internal/fault"
)

// database is an open database: connections that read, and one that writes.
type database struct {
	engine  engine
	lock    *os.File // of a file; nil for a server
	writer  *writer  // nil: every change is one statement, on a connection that reads
	readers chan *conn
	count   int
	bell    bell
	ear     ear
	closing chan struct{}
	close   sync.Once
	closed  error
}

func newDatabase(e engine, readers int) *database {
	return &database{engine: e, readers: make(chan *conn, readers), closing: make(chan struct{})}
}

// fill adds the connections that read. A far one is made when it is needed.
func (d *database) fill(made func()) error {
	for range cap(d.readers) {
		c := newConn(d.engine)
		c.made = made
		if d.engine.alone() {
			if err := c.connect(); err != nil {
				return err
			}
		}
		d.readers <- c
		d.count++
	}
	return nil
}

// Close writes what is queued, refuses all else, waits for reads under way, and
// closes the database.
func (d *database) Close() error {
	d.close.Do(func() {
		if d.writer != nil {
			d.writer.close()
		}
		close(d.closing)
		d.ear.close()
		d.closed = d.release()
	})
	return d.closed
}

// release closes what was opened.
func (d *database) release() error {
	var errs []error
	for range d.count {
		c := <-d.readers
		errs = append(errs, c.close())
	}
	if d.writer != nil {
		errs = append(errs, d.writer.conn.close()) // the last one folds a file's log into it
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// usable refuses a caller who has left, and everybody once the store is closed.
func (d *database) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-d.closing:
		return ErrClosed
	default:
		return nil
	}
}

func (d *database) borrow(ctx context.Context) (*conn, error) {
	if err := d.usable(ctx); err != nil {
		return nil, err
	}
	select {
	case c := <-d.readers:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.closing:
		return nil, ErrClosed
	}
}

// read lends a connection that sees the last commit. When the connection turns
// out to be lost, look is run once more, on another.
func (d *database) read(ctx context.Context, look func(*conn) error) error {
	c, err := d.borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { d.readers <- c }()
	if d.engine.alone() {
		return look(c)
	}
	lost, err := c.attempt(ctx, look)
	if lost && err != nil && ctx.Err() == nil {
		_, err = c.attempt(ctx, look)
	}
	return err
}

// attempt runs look within the bounds of ctx. It reports whether a connection that
// was there before was lost over it.
func (c *conn) attempt(ctx context.Context, look func(*conn) error) (lost bool, err error) {
	bound, cancel := c.engine.bound(ctx)
	defer cancel()
	c.ctx = bound
	defer func() { c.ctx = context.Background() }()
	there := c.c != nil
	if err = c.connect(); err == nil {
		err = look(c)
	}
	if err == nil {
		return false, nil
	}
	dead := c.dead(err)
	if dead {
		c.drop()
	}
	if left := ctx.Err(); left != nil {
		return there && dead, fmt.Errorf("%w: %w", left, err)
	}
	if dead && !fault.Is(err, fault.Unavailable) {
		return there, unreachable(err)
	}
	return there && dead, c.engine.explain(err)
}

// write makes a change of its own.
func (d *database) write(ctx context.Context, change func(*conn) error) error {
	if d.writer != nil {
		return d.writer.do(ctx, change)
	}
	c, err := d.borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { d.readers <- c }()
	// What was sent on a connection may have been done before it was lost, so one
	// that the server has closed meanwhile is found before anything is sent.
	if c.c != nil && !quiet(c.c) {
		c.drop()
	}
	_, err = c.attempt(context.WithoutCancel(ctx), change)
	return err
}

// list reads all rows of a query.
func list[T any](ctx context.Context, d *database, read func(*row) T, query string, args ...any) (out []T, err error) {
	err = d.read(ctx, func(c *conn) error {
		out = nil // what a lost connection gave
		return c.each(func(r *row) error {
			out = append(out, read(r))
			return nil
		}, query, args...)
	})
	return out, err
}
