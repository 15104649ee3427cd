package sqlstore

import (
	"context"
	"strings"
	"time"
)

// The texts that PostgreSQL stores.
var (
	Escaped   = escaped
	Unescaped = unescaped
)

// Patience sets how long a store waits for a server that does not answer, for
// connections that are made from now on.
func (s *Store) Patience(d time.Duration) {
	s.engine.(*far).patience = d
}

// FarPlan is how PostgreSQL runs a query when it may not read whole tables
// unless it must.
func (s *Store) FarPlan(ctx context.Context, query string) (plan string, err error) {
	var args []any
	err = s.write(ctx, func(c *conn) error {
		if err := c.engine.script(c, "SET LOCAL enable_seqscan = off", "SET LOCAL plan_cache_mode = force_generic_plan"); err != nil {
			return err
		}
		st, err := c.prepare(query)
		if err != nil {
			return err
		}
		for range st.NumInput() {
			args = append(args, nil)
		}
		return c.each(func(r *row) error {
			plan += r.text() + "\n"
			return nil
		}, "EXPLAIN "+query, args...)
	})
	return strings.TrimSpace(plan), err
}

// Tables is every statement on tables of sessions.
func Tables() []string {
	var all []string
	for _, t := range []table{inTruth} { // the other has the same statements and indexes
		all = append(all, t.bySecret, t.byID, t.ofUser, t.ofClient, t.first, t.page, t.renew, t.secretOfOther, t.touch, t.leave,
			t.dead, t.dropDead, t.endID, t.endUser, t.endClient, t.dropBefore)
	}
	return all
}

// Migration runs SQL as a later release would, on the tables of the store at a
// place.
func Migration(ctx context.Context, c Config, queries ...string) error {
	var d *database
	if c.URL == "" {
		d = newDatabase(lite{c.Path}, 0)
	} else {
		f, err := newFar(c.URL)
		if err != nil {
			return err
		}
		d = newDatabase(f, 0)
	}
	one := newConn(d.engine)
	one.writes = true
	if err := one.connect(); err != nil {
		return err
	}
	for _, query := range queries {
		if err := d.engine.script(one, query); err != nil {
			return err
		}
	}
	return one.close()
}

// Migrations are all files that make tables.
var Migrations = migrations

// NewestKnown is how many clients are known in memory, -1 when nothing is.
func (s *Store) NewestKnown() int {
	v := s.view.Load()
	if v == nil {
		return -1
	}
	return len(v.known.clients.rows)
}

// SettingOf is a setting of the connection that writes, inside its transaction.
func (s *Store) SettingOf(ctx context.Context, name string) (value string, err error) {
	err = s.write(ctx, func(c *conn) error {
		_, err = c.one(func(r *row) { value = r.text() }, "SELECT current_setting($1)", name)
		return err
	})
	return value, err
}
