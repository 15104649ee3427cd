package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// schema is a set of tables: the files that make them, and the table that says
// which of these have run.
type schema struct {
	files   fs.FS
	version string
}

var (
	truthFile = embedded("migrations/sqlite", "goose_db_version")
	truthFar  = embedded("migrations/postgres", "wafer_version")
	apartFile = embedded("migrations/apart/sqlite", "apart_version")
	apartFar  = embedded("migrations/apart/postgres", "wafer_apart_version")
)

func embedded(folder, version string) schema {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		panic(err) // the name is valid
	}
	return schema{files, version}
}

// up brings tables up to date. Tables of a later release are left as they are: a
// release works on the tables of the next.
func (s schema) up(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	p, err := goose.NewProvider(dialect, db, s.files, goose.WithTableName(s.version),
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (l lite) migrate(ctx context.Context, s schema) (err error) {
	db, err := sql.Open("sqlite", source(l.path, forWriting))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return s.up(ctx, goose.DialectSQLite3, db)
}

// migrate is for one node at a time: the others wait, and find it done. It may
// take as long as it takes.
func (f *far) migrate(ctx context.Context, s schema) (err error) {
	config := f.config.Copy()
	config.RuntimeParams = maps.Clone(config.RuntimeParams)
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		config.RuntimeParams[name] = "0"
	}
	gate, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, gate.Close(context.WithoutCancel(ctx))) }() // opens the lock
	if _, err := gate.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return fmt.Errorf("wait for other nodes: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return s.up(ctx, goose.DialectPostgres, db)
}

// openFile opens a database file that holds a schema, with its writer.
func openFile(ctx context.Context, c Config, tables schema) (*database, error) {
	if c.Readers <= 0 {
		c.Readers = 4
	}
	if err := secureFile(c.Path); err != nil {
		return nil, err
	}
	d := newDatabase(lite{c.Path}, c.Readers)
	if err := d.openFile(ctx, c.Path, tables); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", c.Path, err), d.release())
	}
	return d, nil
}

func (d *database) openFile(ctx context.Context, path string, tables schema) (err error) {
	if d.lock, err = lockFile(path); err != nil {
		return err
	}
	d.writer = newWriter(newConn(d.engine))
	if err := d.writer.conn.connect(); err != nil {
		return err
	}
	if err := checkVersion(d.writer.conn); err != nil {
		return err
	}
	if err := (lite{path}).migrate(ctx, tables); err != nil {
		return err
	}
	return d.fill(nil)
}

// openFar opens a database of a server that holds a schema, without connections.
func openFar(ctx context.Context, c Config, tables schema) (*database, error) {
	if c.Readers <= 0 {
		c.Readers = 8
	}
	f, err := newFar(c.URL)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := f.migrate(ctx, tables); err != nil {
		return nil, fmt.Errorf("open database %s: %w", f.place(), err)
	}
	return newDatabase(f, c.Readers), nil
}
