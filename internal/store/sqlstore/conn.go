package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// conn is one connection with the statements it has prepared. One goroutine uses
// it at a time. A change that has begun is carried through whatever becomes of the
// caller, and so is every statement of SQLite: each is short.
//
// It speaks to the driver itself: the pool of database/sql would be one more
// pool around ours, for a third of the time that a small read takes.
type conn struct {
	engine engine
	writes bool            // belongs to the writer
	made   func()          // hears of every connection that is made; may be nil
	c      link            // nil when there is none: never made, or lost
	ctx    context.Context // bounds every statement
	stmts  map[string]*statement
	learnt []func() // what a commit makes true (see Store.remember)
	rings  bool     // whoever waits for the log is to be woken after the commit
}

// link and prepared are what the driver gives.
type link interface {
	driver.Conn
	driver.ConnPrepareContext
}

type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type statement struct {
	prepared
	args []driver.NamedValue // reused
	vals []driver.Value      // one row, reused
}

func newConn(e engine) *conn { return &conn{engine: e, ctx: context.Background()} }

var errNoConnection = errors.New("no connection to the database")

// connect makes the connection when there is none. It must not be called inside a
// transaction: what follows would run outside of it.
func (c *conn) connect() error {
	if c.c != nil {
		return nil
	}
	l, err := c.engine.dial(c.ctx, c.writes)
	if err != nil {
		return err
	}
	c.c, c.stmts = l, map[string]*statement{}
	if c.made != nil {
		c.made()
	}
	return nil
}

// linkOf is a driver's connection as we need it.
func linkOf(c driver.Conn) (link, error) {
	l, ok := c.(link)
	if !ok {
		return nil, errors.Join(errors.New("driver does not prepare statements"), c.Close())
	}
	return l, nil
}

// dead reports whether nothing more can be done on the connection after err.
func (c *conn) dead(err error) bool { return c.c == nil || c.engine.dead(c.c, err) }

// drop forgets the connection. The next one to need it makes another.
func (c *conn) drop() {
	if c.c == nil {
		return
	}
	_ = c.c.Close() // dead anyway
	c.c, c.stmts = nil, nil
}

func (c *conn) close() error {
	if c.c == nil {
		return nil
	}
	if c.engine.alone() {
		for _, st := range c.stmts {
			_ = st.Close() // says only again how its last run went
		}
	}
	return c.c.Close()
}

func (c *conn) prepare(query string) (*statement, error) {
	if st, found := c.stmts[query]; found {
		return st, nil
	}
	if c.c == nil {
		return nil, errNoConnection
	}
	s, err := c.c.PrepareContext(c.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	p, ok := s.(prepared)
	if !ok {
		return nil, errors.Join(errors.New("driver does not run prepared statements"), s.Close())
	}
	st := &statement{prepared: p}
	c.stmts[query] = st
	return st, nil
}

func (c *conn) bind(st *statement, args []any) []driver.NamedValue {
	st.args = st.args[:0]
	for i, a := range args {
		if text, ok := a.(string); ok && !c.engine.alone() {
			a = escaped(text)
		}
		st.args = append(st.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return st.args
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	st, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(c.ctx, c.bind(st, args))
	if err != nil {
		return 0, fmt.Errorf("run %q: %w", query, err)
	}
	return res.RowsAffected()
}

// many runs a statement once for each args, in one go where the database is far,
// and returns how many rows each changed. Outside of a transaction it is one.
func (c *conn) many(query string, all [][]any) ([]int64, error) {
	if p, ok := c.engine.(pipeliner); ok {
		return p.pipeline(c, query, all)
	}
	counts := make([]int64, len(all))
	for i, args := range all {
		n, err := c.exec(query, args...)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	return counts, nil
}

// each shows every row of a query to see. The row is see's only until it
// returns, and see must not run the same query.
func (c *conn) each(see func(*row) error, query string, args ...any) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(c.ctx, c.bind(st, args))
	if err != nil {
		return fmt.Errorf("run %q: %w", query, err)
	}
	err = st.scan(rows, !c.engine.alone(), see)
	if closed := rows.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", query, err)
	}
	return nil
}

func (st *statement) scan(rows driver.Rows, far bool, see func(*row) error) error {
	if st.vals == nil {
		st.vals = make([]driver.Value, len(rows.Columns()))
	}
	for {
		err := rows.Next(st.vals)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r := row{vals: st.vals, far: far}
		if err := see(&r); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
	}
}

// one shows the only row of a query to see, and reports whether there was one.
func (c *conn) one(see func(*row), query string, args ...any) (found bool, err error) {
	err = c.each(func(r *row) error {
		found = true
		see(r)
		return nil
	}, query, args...)
	return found, err
}

// number returns the first column of the only row of a query, 0 without one.
func (c *conn) number(query string, args ...any) (n int64, err error) {
	_, err = c.one(func(r *row) { n = r.int() }, query, args...)
	return n, err
}
