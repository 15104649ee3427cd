package sqlstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
)

// A table is one that holds sessions, with the statements on it.
type table struct {
	bySecret, byID, ofUser, ofClient, first, page, count string

	renew, secretOfOther, touch, leave string

	dead, dropDead                        string
	endID, endUser, endClient, dropBefore string
}

var (
	inTruth = newTable("sessions", "k.value", "counters AS k, sessions AS s WHERE k.name = 'revocations'",
		"(SELECT value FROM counters WHERE name = 'revocations')")
	inApart = newTable("apart_sessions", "s.rsn", "apart_sessions AS s WHERE TRUE", "rsn")
)

// newTable makes the statements on a table. rsn gives the position of a record,
// and from is where all of them are read; own is the position inside a statement
// that changes the table.
func newTable(name, rsn, from, own string) table {
	read := "SELECT " + rsn + ", s.leaving, " + sessionColumns + " FROM " + from + " AND "
	end := "SELECT s.id FROM " + from + " AND " + rsn + " < $2 AND "
	return table{
		bySecret: read + "s.secret = $1",
		byID:     read + "s.id = $1",
		ofUser:   read + "s.user_id = $1",
		ofClient: read + "s.client_id = $1 AND s.client_id <> ''",
		first:    read + "s.id >= $1 ORDER BY s.id LIMIT $2",
		page:     read + "s.id > $1 ORDER BY s.id LIMIT $2",
		count:    "SELECT count(*) FROM " + name,

		renew: `UPDATE ` + name + ` SET secret = $3, auth_time = $4, amr = $5, seen_at = $6, idle_until = $7,
				dead_at = CASE WHEN $7 < expires_at THEN $7 ELSE expires_at END
			WHERE id = $1 AND secret = $2 AND dead_at > $6 AND leaving = 0
				AND NOT EXISTS (SELECT 1 FROM ` + name + ` AS other WHERE other.secret = $3 AND other.id <> $1)`,
		secretOfOther: "SELECT count(*) FROM " + name + " WHERE secret = $1 AND id <> $2",
		touch: `UPDATE ` + name + ` SET
				seen_at = CASE WHEN seen_at < $2 THEN $2 ELSE seen_at END,
				idle_until = CASE WHEN idle_until < $3 THEN $3 ELSE idle_until END,
				dead_at = CASE WHEN $3 <= dead_at THEN dead_at WHEN $3 < expires_at THEN $3 ELSE expires_at END
			WHERE id = $1 AND dead_at > $2 AND leaving = 0`,
		leave: "UPDATE " + name + " SET leaving = 1 WHERE id = $1",

		dead:     "SELECT id FROM " + name + " WHERE dead_at <= $1 AND dead_hour <= $2 LIMIT $3",
		dropDead: "DELETE FROM " + name + " WHERE id = $1 AND dead_at <= $2",

		endID:      end + "s.id = $1 LIMIT $3",
		endUser:    end + "s.user_id = $1 ORDER BY s.id LIMIT $3",
		endClient:  end + "s.client_id = $1 AND s.client_id <> '' ORDER BY s.id LIMIT $3",
		dropBefore: "DELETE FROM " + name + " WHERE id = $1 AND " + own + " < $2",
	}
}

// sessionValues is the end of the statement that adds a session, with one more
// column when it has a name.
func sessionValues(more string) string {
	names := "id, secret, user_id, client_id, created_at, auth_time, amr, seen_at, idle_until, expires_at, dead_at, address, agent, binding"
	if more != "" {
		names += ", " + more
	}
	var places []string
	for i := range strings.Split(names, ",") {
		places = append(places, fmt.Sprintf("$%d", i+1))
	}
	return "(" + names + ") VALUES (" + strings.Join(places, ", ") + ") ON CONFLICT DO NOTHING"
}

func sessionArgs(one session.Session) []any {
	return []any{
		one.ID, one.Secret[:], one.UserID, one.ClientID, micros(one.CreatedAt), micros(one.AuthTime), texts(one.AMR), micros(one.SeenAt),
		micros(one.IdleUntil), micros(one.ExpiresAt), min(micros(one.IdleUntil), micros(one.ExpiresAt)), one.Address, one.Agent, one.Binding,
	}
}

// record takes the columns that a table's reading statements give.
func (r *row) record() session.Record {
	rsn, leaving := r.int(), r.int() != 0
	return session.Record{Session: r.session(), RSN: rsn, Leaving: leaving}
}

// newest sorts sessions. It is not for the database to do: a text that it stores
// escaped has another place there.
func newest(a, b session.Session) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
}

// hour is dead_hour of a time.
func hour(t time.Time) int64 { return micros(t) / time.Hour.Microseconds() }

func (c *conn) ids(query string, args ...any) (ids []string, err error) {
	err = c.each(func(r *row) error {
		ids = append(ids, r.text())
		return nil
	}, query, args...)
	return ids, err
}

// renew is errRefused when the session is not as it should be.
func (c *conn) renew(t *table, old opaque.Digest, next session.Session) error {
	n, err := c.exec(t.renew, next.ID, old[:], next.Secret[:], micros(next.AuthTime), texts(next.AMR), micros(next.SeenAt), micros(next.IdleUntil))
	taken := err != nil && c.engine.taken(err)
	if err != nil && !taken || n > 0 {
		return err
	}
	if !taken {
		others, err := c.number(t.secretOfOther, next.Secret[:], next.ID)
		if err != nil {
			return err
		}
		taken = others > 0
	}
	if taken {
		return fault.New(fault.Conflict, "The session secret is taken.")
	}
	return errRefused
}

// touch notes uses in the order of the sessions' ids: two nodes that note the same
// ones never wait for each other in a circle.
func (c *conn) touch(t *table, touches []session.Touch) (n int, err error) {
	touches = slices.Clone(touches)
	slices.SortStableFunc(touches, func(a, b session.Touch) int { return strings.Compare(a.ID, b.ID) })
	all := make([][]any, len(touches))
	for i, one := range touches {
		all[i] = []any{one.ID, micros(one.Seen), micros(one.IdleUntil)}
	}
	counts, err := c.many(t.touch, all)
	for _, one := range counts {
		n += int(one)
	}
	return n, err
}
