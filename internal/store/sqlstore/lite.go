package sqlstore

import (
	"context"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lite is SQLite: a file that one store has.
type lite struct{ path string }

func (lite) alone() bool { return true }

func (l lite) dial(_ context.Context, writes bool) (link, error) {
	settings := forReading
	if writes {
		settings = forWriting
	}
	c, err := new(sqlite.Driver).Open(source(l.path, settings))
	if err != nil {
		return nil, err
	}
	return linkOf(c)
}

func (lite) bound(context.Context) (context.Context, context.CancelFunc) {
	return context.Background(), func() {}
}

func (lite) script(c *conn, statements ...string) error {
	for _, statement := range statements {
		if _, err := c.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

func (l lite) begin(c *conn) error  { return l.script(c, "BEGIN IMMEDIATE") }
func (l lite) commit(c *conn) error { return l.script(c, "COMMIT") }

func (lite) dead(link, error) bool { return false }

func (lite) ofStorage(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

func (lite) breaks(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

func (lite) explain(err error) error { return err }

func (lite) taken(err error) bool { return primary(err) == sqlite3.SQLITE_CONSTRAINT }

// most bounds how long the first change of a batch waits for the last.
func (lite) most() int { return 256 }

// primary is SQLite's primary result code in an error, 0 without one.
func primary(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
