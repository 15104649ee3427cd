package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	redigo "github.com/gomodule/redigo/redis"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// peer is scs over one of its stores. Its sessions hold what ours do.
type peer struct {
	name   string
	store  scs.Store
	bare   *scs.SessionManager // a request loads
	idle   *scs.SessionManager // and commits, since there is an idle limit
	quick  func(*sql.DB) error // while it is filled; nil without a database
	slow   func(*sql.DB) error
	db     *sql.DB
	turn   atomic.Int64
	tokens []string
}

func newPeer(name string, s scs.Store) *peer {
	p := &peer{name: "scs " + name, store: s, bare: scs.New(), idle: scs.New()}
	p.bare.Store, p.idle.Store = s, s
	p.bare.Lifetime, p.idle.Lifetime = 7*24*time.Hour, 7*24*time.Hour
	p.idle.IdleTimeout = 12 * time.Hour
	return p
}

func memoryPeer(context.Context, *rig) (*peer, error) {
	return newPeer("memstore", memstore.NewWithCleanupInterval(0)), nil
}

// sqlitePeer opens a file as ours is: a log, a flush for every commit, the same
// caches, statements run at once.
func sqlitePeer(ctx context.Context, r *rig) (*peer, error) {
	db, err := sql.Open("sqlite", "file:"+r.file("scs.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16384)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	// The table of its README.
	p, err := r.sqlPeer(ctx, "sqlite3store", db, []string{
		"CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)",
		"CREATE INDEX sessions_expiry_idx ON sessions(expiry)",
	})
	if err != nil {
		return nil, err
	}
	p.fit(sqlite3store.NewWithCleanupInterval(db, 0), "PRAGMA synchronous = OFF", "PRAGMA synchronous = FULL")
	return p, nil
}

func postgresPeer(ctx context.Context, r *rig) (*peer, error) {
	url, err := r.server.database(ctx, "scs")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	p, err := r.sqlPeer(ctx, "postgresstore", db, []string{
		"CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)",
		"CREATE INDEX sessions_expiry_idx ON sessions (expiry)",
	})
	if err != nil {
		return nil, err
	}
	p.fit(postgresstore.NewWithCleanupInterval(db, 0), "SET synchronous_commit = off", "SET synchronous_commit = on")
	return p, nil
}

func redisPeer(_ context.Context, r *rig) (*peer, error) {
	pool := &redigo.Pool{MaxIdle: callers, Dial: func() (redigo.Conn, error) { return redigo.Dial("tcp", r.server.address) }}
	r.ends = append(r.ends, pool.Close)
	return newPeer("redisstore", redisstore.New(pool)), nil
}

// connections is how many a pool has: as many as ours with a server.
const connections = 8

func (r *rig) sqlPeer(ctx context.Context, name string, db *sql.DB, tables []string) (*peer, error) {
	r.ends = append(r.ends, db.Close)
	for _, statement := range tables {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("table of scs: %w", err)
		}
	}
	p := newPeer(name, nil)
	p.db = db
	return p, nil
}

func (p *peer) fit(s scs.Store, quick, slow string) {
	p.store, p.bare.Store, p.idle.Store = s, s, s
	p.quick = func(db *sql.DB) error {
		db.SetMaxOpenConns(1) // what is set is of one connection
		_, err := db.Exec(quick)
		return err
	}
	p.slow = func(db *sql.DB) error {
		_, err := db.Exec(slow)
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return err
	}
}

// fill adds sessions, without waiting for the disk.
func (p *peer) fill(ctx context.Context, n int) error {
	begin := time.Now()
	if p.db != nil {
		if err := p.quick(p.db); err != nil {
			return err
		}
	}
	for i := range n {
		ctx, err := p.bare.Load(ctx, "")
		if err != nil {
			return err
		}
		for name, value := range map[string]any{
			"sid": fmt.Sprintf("ses_01jc9w2m4k%016d", i), "user": userName(i), "client": "shop-web", "created": begin.UnixMicro(),
			"auth": begin.UnixMicro(), "amr": "pwd", "address": address, "agent": agent,
		} {
			p.bare.Put(ctx, name, value)
		}
		token, _, err := p.bare.Commit(ctx)
		if err != nil {
			return err
		}
		p.tokens = append(p.tokens, token)
	}
	rand.Shuffle(n, func(i, j int) { p.tokens[i], p.tokens[j] = p.tokens[j], p.tokens[i] })
	p.tokens = packed(p.tokens)
	fmt.Fprintf(os.Stderr, "%s: %d sessions filled in %v\n", p.name, n, time.Since(begin).Round(time.Millisecond))
	if p.db != nil {
		return p.slow(p.db)
	}
	return nil
}

// load is what LoadAndSave does before a handler, and a handler that asks who it is.
func (p *peer) load(ctx context.Context) func() error {
	return func() error {
		_, err := p.open(ctx, p.bare)
		return err
	}
}

func (p *peer) open(ctx context.Context, m *scs.SessionManager) (context.Context, error) {
	ctx, err := m.Load(ctx, p.tokens[p.turn.Add(1)%int64(len(p.tokens))])
	if err == nil && m.GetString(ctx, "user") == "" {
		err = errors.New("a live session was not found")
	}
	return ctx, err
}

// use is load, and what LoadAndSave does after the handler.
func (p *peer) use(ctx context.Context) func() error {
	return func() error {
		ctx, err := p.open(ctx, p.idle)
		if err != nil {
			return err
		}
		if p.idle.Status(ctx) != scs.Modified {
			return errors.New("scs does not note uses")
		}
		_, _, err = p.idle.Commit(ctx)
		return err
	}
}
