package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/file"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/redis"
	"github.com/wafer-auth/wafer/internal/store/split"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/web/manage"
)

// openStore opens the database, and the home of sessions.
func (a *App) openStore(ctx context.Context) error {
	if err := a.dir.claim(a.config.Database); err != nil {
		return err
	}
	truth, err := openTruth(ctx, a.dir, a.config.Database)
	if err != nil {
		return err
	}
	a.store, err = split.Open(ctx, split.Config{
		Truth: truth, Open: func(ctx context.Context, url string) (session.Home, error) { return openHome(ctx, url, a.now, a.log) }, Sessions: a.config.Sessions, Seal: a.root.Derive("session homes"), Now: a.now, Log: a.log,
		Longest: a.config.SessionLifetime,
	})
	if err != nil {
		return errors.Join(err, truth.Close())
	}
	return nil
}

// openTruth opens the database: SQLite in the data folder, or PostgreSQL.
func openTruth(ctx context.Context, d *dataDir, database string) (store.Truth, error) {
	p, err := config.ParsePlace(database)
	if err != nil {
		return nil, fmt.Errorf("database %w", err)
	}
	c := sqlstore.Config{Path: d.file("wafer.db")}
	if p.Kind == config.PlacePostgres {
		c = sqlstore.Config{URL: p.URL}
	}
	s, err := sqlstore.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

// openHome opens a home of sessions. A new kind is one line here and one in
// config.ParsePlace.
func openHome(ctx context.Context, url string, now func() time.Time, log *slog.Logger) (session.Home, error) {
	p, err := config.ParsePlace(url)
	if err != nil {
		return nil, fmt.Errorf("sessions %w", err)
	}
	switch p.Kind {
	case config.PlaceMemory:
		return memory.NewHome(), nil
	case config.PlaceFile:
		return file.Open(ctx, file.Config{Dir: p.Path, Log: log})
	case config.PlaceSQLite:
		return sqlstore.OpenSessions(ctx, sqlstore.Config{Path: p.Path})
	case config.PlacePostgres:
		return sqlstore.OpenSessions(ctx, sqlstore.Config{URL: p.URL})
	case config.PlaceRedis:
		return redis.Open(ctx, redis.Config{URL: p.URL, Now: now, Log: log})
	}
	return nil, fmt.Errorf("sessions %q: no such home", config.Redact(url))
}

// claim remembers which database a data folder belongs to. Another one is
// refused: a command without --database would otherwise change a new, empty
// database, and say that it is done.
func (d *dataDir) claim(database string) error {
	name, mine := d.file("database"), "SQLite in this folder"
	if database != "" {
		mine = config.Redact(database)
	}
	there, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.file("wafer.db")); err == nil && database != "" {
			return fmt.Errorf("%s belongs to SQLite in this folder, not to %s: name another folder with --data", d.path, mine)
		}
		return writeNew(name, mine+"\n")
	}
	if err != nil {
		return fmt.Errorf("read which database the data folder belongs to: %w", err)
	}
	if was := strings.TrimSpace(string(there)); was != mine {
		return fmt.Errorf("%s belongs to %s, not to %s: give --database (or WAFER_DATABASE), name another folder with --data, "+
			"or, if the database has moved, remove %s", d.path, was, mine, name)
	}
	return nil
}

// theDatabase is what split calls the database as a home of sessions.
const theDatabase = "the database"

// describeStores tells where things are kept, and what is risky about it.
func (a *App) describeStores(ctx context.Context, at *Address) error {
	at.Database = "SQLite"
	if a.config.Database != "" {
		at.Database = config.Redact(a.config.Database)
	}
	m, err := moves{a.store}.SessionMove(ctx)
	if err != nil {
		return err
	}
	if m.From != theDatabase {
		at.Sessions = m.From
	} else {
		at.Database += ", sessions included"
	}
	if at.Risks, err = a.store.Risks(ctx); err != nil {
		return err
	}
	if p, err := config.ParsePlace(at.Sessions); err == nil && a.config.Database != "" && p.Alone() {
		at.Risks = append(at.Risks, "Only this node can reach "+at.Sessions+": a second node on this database would sign people out.")
	}
	for _, risk := range at.Risks {
		a.log.Warn("sessions", "risk", risk)
	}
	return nil
}

// moves shows the split store to the management API.
type moves struct{ *split.Store }

// SessionMove implements manage.Moves.
func (m moves) SessionMove(ctx context.Context) (manage.SessionMove, error) {
	p, err := m.MoveStatus(ctx)
	if err != nil {
		return manage.SessionMove{}, err
	}
	out := manage.SessionMove{Stage: p.Stage, From: p.From, To: p.To, Moved: p.Copied, Left: p.Left, Problem: p.Error}
	if p.Stage == "settled" {
		out.From, out.To = p.To, ""
	}
	return out, nil
}
