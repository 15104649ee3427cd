package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// step is how many rows a purge removes in one transaction: others wait no
// longer than for that.
const step = 200

// apply writes effects. Every change that has some comes here, after its own
// writing, so that the counters are taken last.
func (c *conn) apply(fx revoke.Effects) error {
	entries := make([]revoke.Entry, len(fx.Revoke))
	for i, e := range fx.Revoke {
		var err error
		if entries[i], err = c.name(e); err != nil {
			return err
		}
		if err := c.end(e.Kind, e.Key); err != nil {
			return err
		}
	}
	if err := c.audit(fx.Audit); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	c.rings = true
	last, err := c.positions("revocations", len(entries))
	if err != nil {
		return err
	}
	for i, e := range entries {
		_, err := c.exec("INSERT INTO revocations (seq, kind, key, at, keep_until, reason, subject, clients) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			last-int64(len(entries)-1-i), string(e.Kind), e.Key, micros(e.At), micros(e.KeepUntil), e.Reason, e.Subject, oddTexts(e.Clients))
		if err != nil {
			return err
		}
	}
	return nil
}

// positions takes n positions and returns the last of them.
func (c *conn) positions(counter string, n int) (int64, error) {
	return c.number("UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value", counter, int64(n))
}

func (c *conn) audit(events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	last, err := c.positions("events", len(events))
	if err != nil {
		return err
	}
	for i, e := range events {
		_, err := c.exec(`INSERT INTO events (seq, at, action, actor, target, client, session, address, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			last-int64(len(events)-1-i), micros(e.At), e.Action, e.Actor, e.Target, e.Client, e.Session, e.Address, e.Detail)
		if err != nil {
			return err
		}
	}
	return nil
}

// told is who is to be told of what an entry of a kind removes.
var told = map[revoke.Kind]string{
	revoke.Session: "SELECT user_id, client_id FROM sessions WHERE id = $1 UNION SELECT user_id, client_id FROM grants WHERE session_id = $1",
	revoke.Grant:   "SELECT user_id, client_id FROM grants WHERE id = $1",
	revoke.User:    "SELECT user_id, client_id FROM sessions WHERE user_id = $1 UNION SELECT user_id, client_id FROM grants WHERE user_id = $1",
}

// name adds to an entry who is to be told of it, before that is removed.
func (c *conn) name(e revoke.Entry) (revoke.Entry, error) {
	subject := ""
	if e.Kind == revoke.User {
		subject = e.Key
	}
	var clients []string
	if query := told[e.Kind]; query != "" && e.Key != "" {
		err := c.each(func(r *row) error {
			subject = r.text()
			clients = append(clients, r.text())
			return nil
		}, query, e.Key)
		if err != nil {
			return revoke.Entry{}, err
		}
	}
	return e.Named(subject, clients...), nil
}

// hanging is what removes everything that hangs from a session.
var hanging = []string{
	"DELETE FROM tokens WHERE session_id = $1 AND session_id <> ''",
	"DELETE FROM grants WHERE session_id = $1",
}

// ends is what an entry of each kind removes, children first.
var ends = map[revoke.Kind][]string{
	revoke.Token: {"DELETE FROM tokens WHERE id = $1"},
	revoke.Grant: {
		"DELETE FROM tokens WHERE grant_id = $1 AND grant_id <> ''",
		"DELETE FROM grants WHERE id = $1",
	},
	revoke.Session: append(slices.Clone(hanging), "DELETE FROM sessions WHERE id = $1"),
	revoke.User: {
		"DELETE FROM tokens WHERE user_id = $1 AND user_id <> ''",
		"DELETE FROM grants WHERE user_id = $1",
		"DELETE FROM sessions WHERE user_id = $1",
	},
	revoke.Client: {
		"DELETE FROM tokens WHERE session_id <> '' AND session_id IN (SELECT id FROM sessions WHERE client_id = $1 AND client_id <> '')",
		"DELETE FROM grants WHERE session_id IN (SELECT id FROM sessions WHERE client_id = $1 AND client_id <> '')",
		"DELETE FROM sessions WHERE client_id = $1 AND client_id <> ''",
		"DELETE FROM tokens WHERE client_id = $1",
		"DELETE FROM grants WHERE client_id = $1",
	},
	revoke.API: {
		"DELETE FROM tokens WHERE api_id = $1",
		"DELETE FROM grants WHERE api_id = $1",
	},
	revoke.Key:    nil,
	revoke.Claims: nil,
}

func (c *conn) end(kind revoke.Kind, key string) error {
	if key == "" {
		return nil // a session without a client is not a session of the client ""
	}
	for _, query := range ends[kind] {
		if _, err := c.exec(query, key); err != nil {
			return err
		}
	}
	return nil
}

// guard refuses a change when the log holds an entry newer than what it allows.
func (c *conn) guard(g *revoke.Guard) error {
	if g == nil {
		return nil
	}
	_, found, err := c.newest(g.Refs, func(revoke.Kind) int64 { return g.RSN })
	if err == nil && found {
		return errRefused
	}
	return err
}

// Record implements revoke.Store.
func (s *Store) Record(ctx context.Context, fx revoke.Effects) (seq int64, err error) {
	err = s.insist(ctx, fx, func(c *conn) error {
		seq, err = c.head()
		seq += int64(len(fx.Revoke))
		return err
	})
	return seq, err
}

func (c *conn) head() (int64, error) {
	return c.number("SELECT value FROM counters WHERE name = 'revocations'")
}

// Head implements revoke.Store.
func (s *Store) Head(ctx context.Context) (head int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		head, err = c.head()
		return err
	})
	return head, err
}

// Covered implements revoke.Store. Only refs that something may have been recorded
// for since are looked up: for a fresh token hardly any.
func (s *Store) Covered(ctx context.Context, rsn int64, refs []revoke.Ref) (r revoke.Recorded, found bool, err error) {
	after := func(k revoke.Kind) int64 {
		if k.Always() {
			return 0
		}
		return rsn
	}
	if v := s.latest(); v != nil {
		later := make([]revoke.Ref, 0, len(refs))
		for _, ref := range refs {
			if after(ref.Kind) < v.head {
				later = append(later, ref)
			}
		}
		refs = later
	}
	if len(refs) == 0 {
		return revoke.Recorded{}, false, s.usable(ctx)
	}
	err = s.read(ctx, func(c *conn) error {
		r, found, err = c.newest(refs, after)
		return err
	})
	return r, found, err
}

const recorded = "SELECT seq, kind, key, at, keep_until, reason, subject, clients FROM revocations "

// refsMost is how many refs one statement asks for.
const refsMost = 16

// newest finds the newest entry for one of refs that is above the position after
// gives for its kind.
func (c *conn) newest(refs []revoke.Ref, after func(revoke.Kind) int64) (r revoke.Recorded, found bool, err error) {
	for len(refs) > 0 {
		some := refs[:min(len(refs), refsMost)]
		refs = refs[len(some):]
		_, err := c.one(func(row *row) {
			if one := row.recorded(); one.Seq > r.Seq {
				r, found = one, true
			}
		}, newestOf[len(some)], probes(some, after)...)
		if err != nil {
			return revoke.Recorded{}, false, err
		}
	}
	return r, found, nil
}

// probes are the arguments of probeOf.
func probes(refs []revoke.Ref, after func(revoke.Kind) int64) []any {
	args := make([]any, 0, 3*len(refs))
	for _, ref := range refs {
		args = append(args, string(ref.Kind), ref.Key, after(ref.Kind))
	}
	return args
}

// probeOf is one probe of the index for each of n refs.
func probeOf(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(
			"SELECT max(seq) AS seq FROM revocations WHERE kind = $%d AND key = $%d AND seq > $%d", 3*i+1, 3*i+2, 3*i+3))
	}
	return all
}

// newestOf is, for each number of refs, the statement that finds the newest
// entry for any of them.
var newestOf = func() (queries [refsMost + 1]string) {
	for n := range queries {
		queries[n] = recorded + "WHERE seq = (SELECT max(seq) FROM (" + strings.Join(probeOf(n), " UNION ALL ") + ") AS found)"
	}
	return queries
}()

func (r *row) recorded() revoke.Recorded {
	return revoke.Recorded{Seq: r.int(), Entry: revoke.Entry{
		Kind: revoke.Kind(r.text()), Key: r.text(), At: r.time(), KeepUntil: r.time(), Reason: r.text(), Subject: r.text(), Clients: r.oddTexts(),
	}}
}

// Revocations implements revoke.Store.
func (s *Store) Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error) {
	return list(ctx, s.database, (*row).recorded, recorded+"WHERE seq > $1 ORDER BY seq LIMIT $2", after, atMost(limit))
}

// PurgeRevocations implements revoke.Store.
func (s *Store) PurgeRevocations(ctx context.Context, now time.Time) (int, error) {
	return s.purge(ctx, unlimited, func(c *conn, most int) (int64, error) {
		return c.exec("DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE keep_until < $1 LIMIT $2)", micros(now), int64(most))
	})
}

// atMost is a limit as databases take it: a negative one is none at all with SQLite,
// and an error with PostgreSQL.
func atMost(limit int) int64 { return int64(max(limit, 0)) }

const unlimited = int(^uint(0) >> 1)

// purge removes at most limit rows, a few in each transaction, until remove
// finds fewer than it was asked for.
func (s *Store) purge(ctx context.Context, limit int, remove func(c *conn, most int) (int64, error)) (total int, err error) {
	for total < limit {
		most, n := min(step, limit-total), int64(0)
		err := s.write(ctx, func(c *conn) (err error) {
			n, err = remove(c, most)
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(n)
		if int(n) < most {
			break
		}
	}
	return total, nil
}

// Audit implements audit.Store.
func (s *Store) Audit(ctx context.Context, events ...audit.Event) error {
	return s.insist(ctx, revoke.Effects{Audit: events}, func(*conn) error { return nil })
}

// Events implements audit.Store.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]audit.Event, error) {
	return list(ctx, s.database, (*row).event,
		"SELECT seq, at, action, actor, target, client, session, address, detail FROM events WHERE seq > $1 ORDER BY seq LIMIT $2",
		after, atMost(limit))
}

func (r *row) event() audit.Event {
	return audit.Event{
		Seq: r.int(), At: r.time(), Action: r.text(), Actor: r.text(), Target: r.text(), Client: r.text(),
		Session: r.text(), Address: r.text(), Detail: r.text(),
	}
}
