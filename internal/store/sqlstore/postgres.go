package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/wafer-auth/wafer/internal/fault"
)

// Advisory locks are numbers in a database. Ours are "wafer" and a digit.
const (
	writeLock   = 0x776166657231 // held by the transaction that writes
	migrateLock = 0x776166657232 // held while tables are brought up to date
)

// patience is how long one batch or one read may take before its connection is
// given up: the server hangs, or the network does. The server ends a statement
// before that (statement_timeout), and a transaction whose node stands still long
// before: no node keeps the lock from the others.
const patience = 35 * time.Second

// connectTimeout is how long a new connection may take, for each address.
const connectTimeout = 5 * time.Second

// oldestServer is the first PostgreSQL that we run on, as server_version_num.
const oldestServer = 140000

// far is PostgreSQL: a server that other nodes write to as well.
type far struct {
	config   *pgx.ConnConfig
	patience time.Duration
}

func newFar(url string) (*far, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err // without the password
	}
	config.ConnectTimeout = connectTimeout
	// A standby shows sessions that have ended: only a server that takes writes
	// is read, whatever the URL says.
	config.ValidateConnect = validate
	for name, value := range map[string]string{
		"application_name": "wafer", "timezone": "UTC", "standard_conforming_strings": "on", "default_transaction_read_only": "off",
		"default_transaction_isolation": "read committed", "statement_timeout": "30s", "lock_timeout": "10s",
		"idle_in_transaction_session_timeout": "5s",
		// Every statement is short and looks up an index.
		"jit": "off", "random_page_cost": "1.1",
	} {
		config.RuntimeParams[name] = value
	}
	return &far{config: config, patience: patience}, nil
}

// validate looks at the server, and makes a commit wait for the disk. More than
// that, a wait for standbys, is left as it is set.
func validate(ctx context.Context, c *pgconn.PgConn) error {
	results, err := c.Exec(ctx, `SELECT pg_is_in_recovery(), current_setting('server_encoding'), current_setting('server_version_num'),
		set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply')
			THEN current_setting('synchronous_commit') ELSE 'on' END, false)`).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return errors.New("server does not say what it is")
	}
	r := results[0].Rows[0]
	if string(r[0]) != "f" {
		return errors.New("server is a standby: wafer needs the one that takes writes")
	}
	if encoding := string(r[1]); encoding != "UTF8" {
		return fmt.Errorf("database has encoding %s: make one with UTF8", encoding)
	}
	if version, err := strconv.Atoi(string(r[2])); err != nil || version < oldestServer {
		return fmt.Errorf("server is PostgreSQL %s: version %d or later is needed", r[2], oldestServer/10000)
	}
	return nil
}

// place names the database in messages, without its password.
func (f *far) place() string { return fmt.Sprintf("%s on %s", f.config.Database, f.config.Host) }

func (*far) alone() bool { return false }

func (f *far) dial(ctx context.Context, _ bool) (link, error) {
	c, err := stdlib.GetConnector(*f.config).Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return linkOf(c)
}

func (f *far) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, f.patience)
}

func pgxOf(l link) *pgx.Conn { return l.(*stdlib.Conn).Conn() }

func (f *far) script(c *conn, statements ...string) error {
	_, err := f.send(c, statements)
	return err
}

func (*far) send(c *conn, statements []string) ([]*pgconn.Result, error) {
	if c.c == nil {
		return nil, errNoConnection
	}
	text := ""
	for _, statement := range statements {
		text += statement + ";"
	}
	results, err := pgxOf(c.c).PgConn().Exec(c.ctx, text).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", text, err)
	}
	return results, nil
}

// begin takes the lock before anything is read. At this isolation every statement
// sees what was committed before it began, so each after the lock sees all.
func (f *far) begin(c *conn) error {
	return f.script(c, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(writeLock)))
}

// commit checks what was done: COMMIT of a transaction that failed rolls it back,
// and that is no error.
func (f *far) commit(c *conn) error {
	statements := []string{"COMMIT"}
	if c.rings {
		statements = []string{"NOTIFY " + doorbell, "COMMIT"}
	}
	results, err := f.send(c, statements)
	if err != nil {
		return err
	}
	if tag := results[len(results)-1].CommandTag.String(); tag != "COMMIT" {
		return fmt.Errorf("commit was answered with %s", tag)
	}
	return nil
}

func (*far) dead(l link, err error) bool {
	// A server that became a standby keeps its connections.
	return pgxOf(l).IsClosed() || codeOf(err) == "25006"
}

// codeOf is the SQLSTATE in an error, "" without one.
func codeOf(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

func (*far) ofStorage(err error) bool {
	code := codeOf(err)
	if len(code) != 5 {
		return false
	}
	switch code {
	case "57014": // this statement took too long
		return false
	case "25006": // read-only
		return true
	}
	switch code[:2] {
	case "08", "53", "57", "58", "F0", "XX": // connection, resources, operator, system, configuration, bug
		return true
	}
	return false
}

// breaks: what a server holds is not ours to doubt.
func (*far) breaks(error) bool { return false }

func (f *far) explain(err error) error {
	var failed *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case f.ofStorage(err), errors.As(err, &failed), errors.Is(err, errNoConnection):
	default:
		switch codeOf(err) {
		case "40001", "40P01", "55P03", "57014": // serialization, deadlock, lock, statement took too long
		default:
			return err
		}
	}
	return unreachable(err)
}

func unreachable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "The server cannot reach its storage.")
}

func (*far) taken(err error) bool { return codeOf(err) == "23505" }

// most keeps the savepoints of a transaction below what a session keeps at hand
// (64): with more, everybody's snapshots become slower.
func (*far) most() int { return 60 }

// pipeline implements pipeliner. Without a transaction around them the statements
// share one, and take their locks in the order that is given.
func (*far) pipeline(c *conn, query string, all [][]any) ([]int64, error) {
	if len(all) == 0 {
		return nil, nil
	}
	if _, err := c.prepare(query); err != nil {
		return nil, err
	}
	var batch pgx.Batch
	for _, args := range all {
		args = slices.Clone(args)
		for i, a := range args {
			if text, ok := a.(string); ok {
				args[i] = escaped(text)
			}
		}
		batch.Queue(query, args...)
	}
	results := pgxOf(c.c).SendBatch(c.ctx, &batch)
	counts := make([]int64, len(all))
	for i := range all {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // says the same
			return nil, fmt.Errorf("run %q: %w", query, err)
		}
		counts[i] = tag.RowsAffected()
	}
	if err := results.Close(); err != nil {
		return nil, fmt.Errorf("run %q: %w", query, err)
	}
	return counts, nil
}
