package sqlstore

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// conn is one connection with the statements it has prepared. One goroutine uses
// it at a time. Its statements run to their end whatever becomes of the caller:
// each is short, and a change that has begun is carried through.
//
// It speaks to the driver itself: the pool of database/sql would be one more
// pool around ours, for a third of the time that a small read takes.
type conn struct {
	c     link
	stmts map[string]*statement
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

func dial(source string) (*conn, error) {
	c, err := new(sqlite.Driver).Open(source)
	if err != nil {
		return nil, err
	}
	l, ok := c.(link)
	if !ok {
		return nil, errors.Join(errors.New("driver does not prepare statements"), c.Close())
	}
	return &conn{c: l, stmts: map[string]*statement{}}, nil
}

func (c *conn) close() error {
	for _, st := range c.stmts {
		_ = st.Close() // says only again how its last run went
	}
	return c.c.Close()
}

func (c *conn) prepare(query string) (*statement, error) {
	if st, found := c.stmts[query]; found {
		return st, nil
	}
	s, err := c.c.PrepareContext(context.Background(), query)
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

func (st *statement) bind(args []any) []driver.NamedValue {
	st.args = st.args[:0]
	for i, a := range args {
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
	res, err := st.ExecContext(context.Background(), st.bind(args))
	if err != nil {
		return 0, fmt.Errorf("run %q: %w", query, err)
	}
	return res.RowsAffected()
}

// each shows every row of a query to see. The row is see's only until it
// returns, and see must not run the same query.
func (c *conn) each(see func(*row) error, query string, args ...any) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), st.bind(args))
	if err != nil {
		return fmt.Errorf("run %q: %w", query, err)
	}
	err = st.scan(rows, see)
	if closed := rows.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", query, err)
	}
	return nil
}

func (st *statement) scan(rows driver.Rows, see func(*row) error) error {
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
		r := row{vals: st.vals}
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

// row is read column by column, from the left. NULL is the zero value. The first
// column that is not what it should be sets err.
type row struct {
	vals []driver.Value
	at   int
	err  error
}

func (r *row) next() any {
	v := r.vals[r.at]
	r.at++
	return v
}

func (r *row) skip(columns int) { r.at += columns }

// missing reports whether the next column is NULL: an outer join found nothing.
func (r *row) missing() bool { return r.vals[r.at] == nil }

func (r *row) text() string {
	switch v := r.next().(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		r.fail("text", v)
		return ""
	}
}

func (r *row) int() int64 {
	switch v := r.next().(type) {
	case nil:
		return 0
	case int64:
		return v
	default:
		r.fail("an integer", v)
		return 0
	}
}

func (r *row) bytes() []byte {
	switch v := r.next().(type) {
	case nil:
		return nil
	case []byte:
		return v
	default:
		r.fail("bytes", v)
		return nil
	}
}

func (r *row) digest() (d opaque.Digest) {
	b := r.bytes()
	if b != nil && copy(d[:], b) != len(d) {
		r.fail("a digest", b)
	}
	return d
}

func (r *row) time() time.Time { return time.UnixMicro(r.int()).UTC() }

func (r *row) list() (l []string) {
	text := r.text()
	if l, ok := plainList(text); ok {
		return l
	}
	r.decode(text, &l)
	return l
}

// plainList reads a list of texts in which nothing is escaped, as almost all are.
func plainList(text string) (l []string, ok bool) {
	inner, opened := strings.CutPrefix(text, `["`)
	inner, closed := strings.CutSuffix(inner, `"]`)
	if !opened || !closed || strings.IndexByte(inner, '\\') >= 0 {
		return nil, false
	}
	l = strings.Split(inner, `","`)
	for _, s := range l {
		if strings.IndexByte(s, '"') >= 0 {
			return nil, false
		}
	}
	return l, true
}

func (r *row) decode(text string, into any) {
	if err := json.Unmarshal([]byte(text), into); err != nil && r.err == nil {
		r.err = fmt.Errorf("column %d: %w", r.at, err)
	}
}

func (r *row) fail(want string, got any) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d is a %T, not %s", r.at, got, want)
	}
}

// micros is a time as it is stored. The zero time is a number like any other, far
// before 1970, and comes back as itself.
func micros(t time.Time) int64 { return t.UnixMicro() }

// when is a time as it comes back.
func when(t time.Time) time.Time { return time.UnixMicro(micros(t)).UTC() }

// list is a list as it is stored. nil and empty stay apart.
func list(l []string) string {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(text)
}
