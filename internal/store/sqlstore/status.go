package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
)

// AssignStatus implements statuslist.Store. A number that the holder has already
// is found without writing.
func (s *Store) AssignStatus(ctx context.Context, r statuslist.Request) (slot statuslist.Slot, given bool, err error) {
	var h held
	err = s.read(ctx, func(c *conn) error {
		h, err = c.heldStatus(r)
		return err
	})
	switch {
	case err != nil:
		return statuslist.Slot{}, false, err
	case h.refused:
		return statuslist.Slot{}, false, nil
	case h.found:
		return h.slot, true, nil
	}
	err = s.write(ctx, func(c *conn) error {
		slot, err = c.assignStatus(r)
		return err
	})
	if errors.Is(err, errRefused) {
		return statuslist.Slot{}, false, nil
	}
	return slot, err == nil, err
}

// held is what a holder has: nothing, a number that is good for the request, or an
// entry of the log that refuses it.
type held struct {
	slot           statuslist.Slot
	found, refused bool
}

// heldStatus looks for the number first and into the log afterwards. Whatever
// covers the request was in the log before a number that came after it was given,
// and is seen then; what comes into the log later marks the number.
func (c *conn) heldStatus(r statuslist.Request) (h held, err error) {
	rsn := int64(0)
	if r.TokenID == "" {
		h.found, err = c.one(func(row *row) {
			h.slot, rsn = statuslist.Slot{List: row.text(), N: int(row.int())}, row.int()
		}, `SELECT list, n, rsn FROM status_entries WHERE session_id = $1 AND session_id <> '' AND api_id = $2 AND client_id = $3
			AND grant_id = $4 AND key_id = $5 AND user_id = $6 AND ends_at = $7 AND ended = 0 AND token_id = '' ORDER BY rsn DESC, list, n LIMIT 1`,
			r.SessionID, r.APIID, r.ClientID, r.GrantID, r.KeyID, r.UserID, micros(r.Ends))
		if err != nil {
			return held{}, err
		}
	}
	since := r.RSN
	if h.found {
		since = min(since, rsn)
	}
	last, covered, err := c.newest(r.Refs(), func(k revoke.Kind) int64 {
		if k.Always() {
			return 0
		}
		return since
	})
	if err != nil || !covered {
		return h, err
	}
	if last.Seq > r.RSN || last.Kind.Always() {
		return held{refused: true}, nil
	}
	return held{}, nil // its number is covered, what it asks for is not
}

// assignStatus is errRefused when the log covers the holder.
func (c *conn) assignStatus(r statuslist.Request) (statuslist.Slot, error) {
	h, err := c.heldStatus(r)
	if err == nil && h.refused {
		err = errRefused
	}
	if err != nil || h.found {
		return h.slot, err
	}
	slot, err := c.nextStatus(r)
	if err != nil {
		return statuslist.Slot{}, err
	}
	_, err = c.exec(`INSERT INTO status_entries (list, n, rsn, ends_at, user_id, session_id, grant_id, client_id, api_id, key_id, token_id, ended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)`,
		slot.List, int64(slot.N), r.RSN, micros(r.Ends), r.UserID, r.SessionID, r.GrantID, r.ClientID, r.APIID, r.KeyID, r.TokenID)
	return slot, err
}

// nextStatus takes the next number of a list of the window.
func (c *conn) nextStatus(r statuslist.Request) (slot statuslist.Slot, err error) {
	found, err := c.one(func(row *row) { slot = statuslist.Slot{List: row.text(), N: int(row.int())} },
		"SELECT id, given FROM status_lists WHERE ends_at = $1 AND given < $2 ORDER BY id LIMIT 1", micros(r.Ends), int64(r.Capacity))
	if err != nil {
		return statuslist.Slot{}, err
	}
	if found {
		return slot, once(c.exec("UPDATE status_lists SET given = given + 1 WHERE id = $1 AND given = $2", slot.List, int64(slot.N)))
	}
	// Without lists nobody has read the log, and nothing in it is about a number.
	_, err = c.exec(`UPDATE counters SET value = (SELECT value FROM counters WHERE name = 'revocations')
		WHERE name = 'statuses' AND NOT EXISTS (SELECT 1 FROM status_lists)`)
	if err != nil {
		return statuslist.Slot{}, err
	}
	n, err := c.exec("INSERT INTO status_lists (id, opened_at, ends_at, given, ended) VALUES ($1, $2, $3, 1, 0) ON CONFLICT (id) DO NOTHING",
		r.NewList, micros(r.Now), micros(r.Ends))
	return statuslist.Slot{List: r.NewList}, free("id of the status list", n, err)
}

// MarkStatuses implements statuslist.Store.
func (s *Store) MarkStatuses(ctx context.Context, limit int) (more bool, err error) {
	due := int64(0)
	err = s.read(ctx, func(c *conn) error {
		due, err = c.number(`SELECT count(*) FROM counters AS k WHERE k.name = 'statuses' AND EXISTS (SELECT 1 FROM status_lists)
			AND EXISTS (SELECT 1 FROM revocations WHERE seq > k.value)`)
		return err
	})
	if err != nil || due == 0 {
		return false, err
	}
	err = s.write(ctx, func(c *conn) error {
		more, err = c.markStatuses(limit)
		return err
	})
	return more, err
}

func (c *conn) markStatuses(limit int) (more bool, err error) {
	at, err := c.number("SELECT value FROM counters WHERE name = 'statuses'")
	if err != nil {
		return false, err
	}
	var log []revoke.Recorded
	err = c.each(func(r *row) error {
		log = append(log, r.recorded())
		return nil
	}, recorded+"WHERE seq > $1 ORDER BY seq LIMIT $2", at, atMost(limit))
	if err != nil {
		return false, err
	}
	left := limit
	for _, e := range log {
		n, err := c.markCovered(e, left)
		if err != nil {
			return false, err
		}
		if left -= n; left <= 0 {
			more = true // there may be more under this entry: it is read again
			break
		}
		at = e.Seq
	}
	_, err = c.exec("UPDATE counters SET value = $1 WHERE name = 'statuses' AND value < $1", at)
	return more || len(log) == limit, err
}

// coveredStatuses finds, for each kind of entry, numbers that it covers.
var coveredStatuses = map[revoke.Kind]string{
	revoke.Token:   "token_id = $1 AND token_id <> ''",
	revoke.Session: "session_id = $1 AND session_id <> ''",
	revoke.Grant:   "grant_id = $1 AND grant_id <> ''",
	revoke.User:    "user_id = $1 AND user_id <> ''",
	revoke.Claims:  "user_id = $1 AND user_id <> ''",
	revoke.Client:  "client_id = $1",
	revoke.API:     "api_id = $1",
	revoke.Key:     "key_id = $1",
}

// markCovered marks at most limit numbers that an entry covers.
func (c *conn) markCovered(e revoke.Recorded, limit int) (int, error) {
	which := coveredStatuses[e.Kind]
	if which == "" || e.Key == "" {
		return 0, nil
	}
	before := e.Seq
	if e.Kind.Always() {
		before = int64(^uint64(0) >> 1)
	}
	var slots []statuslist.Slot
	err := c.each(func(r *row) error {
		slots = append(slots, statuslist.Slot{List: r.text(), N: int(r.int())})
		return nil
	}, "SELECT list, n FROM status_entries WHERE "+which+" AND ended = 0 AND rsn < $2 LIMIT $3", e.Key, before, atMost(limit))
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if err := c.markStatus(slot); err != nil {
			return 0, err
		}
	}
	return len(slots), nil
}

// markStatus gives a number that is not marked the next place in its list.
func (c *conn) markStatus(slot statuslist.Slot) error {
	place, err := c.number("UPDATE status_lists SET ended = ended + 1 WHERE id = $1 RETURNING ended", slot.List)
	if err != nil {
		return err
	}
	return once(c.exec("UPDATE status_entries SET ended = $3 WHERE list = $1 AND n = $2 AND ended = 0", slot.List, int64(slot.N), place))
}

// EndStatus implements statuslist.Store.
func (s *Store) EndStatus(ctx context.Context, slot statuslist.Slot) (there bool, err error) {
	err = s.write(ctx, func(c *conn) error {
		marked := int64(0)
		there, err = c.one(func(r *row) { marked = r.int() }, "SELECT ended FROM status_entries WHERE list = $1 AND n = $2", slot.List, int64(slot.N))
		if err != nil || !there || marked > 0 {
			return err
		}
		return c.markStatus(slot)
	})
	return there && err == nil, err
}

// StatusLists implements statuslist.Store.
func (s *Store) StatusLists(ctx context.Context) ([]statuslist.List, error) {
	return list(ctx, s.database, (*row).statusList, "SELECT id, opened_at, ends_at, given, ended FROM status_lists ORDER BY ends_at, id")
}

func (r *row) statusList() statuslist.List {
	return statuslist.List{ID: r.text(), Opened: r.time(), Ends: r.time(), Given: int(r.int()), Ended: int(r.int())}
}

// EndedStatuses implements statuslist.Store.
func (s *Store) EndedStatuses(ctx context.Context, id string, after, limit int) ([]int, error) {
	return list(ctx, s.database, func(r *row) int { return int(r.int()) },
		"SELECT n FROM status_entries WHERE list = $1 AND ended > $2 AND ended > 0 ORDER BY ended LIMIT $3", id, int64(after), atMost(limit))
}

// PurgeStatuses implements statuslist.Store. The numbers of a list go before the
// list, so that none is left without one.
func (s *Store) PurgeStatuses(ctx context.Context, before time.Time) (int, error) {
	all, err := s.StatusLists(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, l := range all {
		if !l.Ends.Before(before) {
			break
		}
		n, err := s.purge(ctx, unlimited, func(c *conn, most int) (int64, error) {
			return c.exec("DELETE FROM status_entries WHERE list = $1 AND n IN (SELECT n FROM status_entries WHERE list = $1 LIMIT $2)", l.ID, int64(most))
		})
		total += n
		if err != nil {
			return total, err
		}
		err = s.write(ctx, func(c *conn) error {
			_, err := c.exec(`DELETE FROM status_lists WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM status_entries WHERE list = $1)`, l.ID)
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
