package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
)

// A member of a crowd is one session to be.
type member struct {
	user string
	idle time.Duration
	told bool // it is among those that are asked for
}

// plainCrowd is so many people with one session each, all of them asked for.
func plainCrowd(n int) []member {
	all := make([]member, n)
	for i := range all {
		all[i] = member{user: userName(i), idle: session.DefaultLimits().Idle, told: true}
	}
	return all
}

func userName(i int) string { return fmt.Sprintf("usr_01jc9w2m4k%016d", i) }

// fill adds a crowd in a random order.
func (h *house) fill(ctx context.Context, all []member) error {
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	begin := time.Now()
	fill := h.add
	if h.kind.hands == 0 {
		fill = h.copy
	}
	if err := fill(ctx, all); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	// Requests come in another order than logins did.
	rand.Shuffle(len(h.ids), func(i, j int) {
		h.ids[i], h.ids[j] = h.ids[j], h.ids[i]
		h.secrets[i], h.secrets[j] = h.secrets[j], h.secrets[i]
	})
	h.secrets = packed(h.secrets)
	n, err := h.home.Count(ctx)
	if err == nil && n != int64(len(all)) {
		err = fmt.Errorf("%d sessions were added, and there are %d", len(all), n)
	}
	fmt.Fprintf(os.Stderr, "sessions %s: %d sessions filled in %v\n", h.kind.name, len(all), time.Since(begin).Round(time.Millisecond))
	return err
}

// packed puts texts side by side. A cookie has just been read when it is looked at;
// one that is fetched from anywhere in memory would be measured too.
func packed(texts []string) []string {
	all, out := strings.Join(texts, ""), make([]string, len(texts))
	for i, text := range texts {
		out[i], all = all[:len(text)], all[len(text):]
	}
	return out
}

// add adds members as logins do, many at once.
func (h *house) add(ctx context.Context, all []member) error {
	var next atomic.Int64
	var mu sync.Mutex
	var first atomic.Pointer[error]
	var hands sync.WaitGroup
	for range h.kind.hands {
		hands.Go(func() {
			for first.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				r, secret := h.record(i, all[i])
				if err := h.home.Add(ctx, r); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				if all[i].told {
					mu.Lock()
					h.ids, h.secrets = append(h.ids, r.ID), append(h.secrets, secret)
					mu.Unlock()
				}
			}
		})
	}
	hands.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

// columns are those of a table of sessions.
const columns = "id, secret, user_id, client_id, created_at, auth_time, amr, seen_at, idle_until, expires_at, dead_at, address, agent, binding"

// row is a member as its row of a table.
func (h *house) row(i int, m member) []any {
	r, secret := h.record(i, m)
	if m.told {
		h.ids, h.secrets = append(h.ids, r.ID), append(h.secrets, secret)
	}
	row := []any{r.ID, r.Secret[:], r.UserID, r.ClientID, r.CreatedAt.UnixMicro(), r.AuthTime.UnixMicro(), `["pwd"]`, r.SeenAt.UnixMicro(),
		r.IdleUntil.UnixMicro(), r.ExpiresAt.UnixMicro(), r.IdleUntil.UnixMicro(), r.Address, r.Agent, r.Binding}
	if !h.kind.own {
		row = append(row, r.RSN)
	}
	return row
}

// copy writes members into their table, as a restored backup is: a million logins
// would take minutes.
func (h *house) copy(ctx context.Context, all []member) error {
	table, names := "sessions", strings.Split(columns, ", ")
	if !h.kind.own {
		table, names = "apart_sessions", append(names, "rsn")
	}
	if file, is := strings.CutPrefix(h.tables, "sqlite:"); is {
		return h.insert(ctx, file, table, names, all)
	}
	c, err := pgx.Connect(ctx, h.tables)
	if err != nil {
		return err
	}
	i := -1
	_, err = c.CopyFrom(ctx, pgx.Identifier{table}, names, pgx.CopyFromFunc(func() ([]any, error) {
		if i++; i == len(all) {
			return nil, nil
		}
		return h.row(i, all[i]), nil
	}))
	if err == nil { // what the server does by itself some time later
		_, err = c.Exec(ctx, "VACUUM ANALYZE "+table)
	}
	return errors.Join(err, c.Close(ctx))
}

// insert is copy for SQLite.
func (h *house) insert(ctx context.Context, file, table string, names []string, all []member) error {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=synchronous(OFF)&_pragma=cache_size(-524288)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	statement := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	const some = 50_000 // in a transaction
	for from := 0; from < len(all); from += some {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		to, err := tx.PrepareContext(ctx, statement)
		for i := from; err == nil && i < min(from+some, len(all)); i++ {
			_, err = to.ExecContext(ctx, h.row(i, all[i])...)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// agent and address are what a browser shows.
const (
	agent   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
	address = "203.0.113.77"
)

// record is what Keeper.Start makes of a login.
func (h *house) record(i int, m member) (session.Record, string) {
	secret := opaque.Secret()
	at := h.base.Add(-time.Duration(i%1000) * time.Millisecond)
	return session.Record{Session: session.Session{
		ID: opaque.ID(opaque.SessionID, at), Secret: opaque.Hash(secret), UserID: m.user, ClientID: "shop-web",
		CreatedAt: at, AuthTime: at, AMR: []string{"pwd"}, SeenAt: at, IdleUntil: at.Add(m.idle),
		ExpiresAt: at.Add(session.DefaultLimits().Absolute), Address: address, Agent: agent,
	}}, secret
}
