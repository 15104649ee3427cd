package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/outbox"
)

const messageColumns = "number, id, topic, receiver, seq, body, created_at, due_at, attempts, holder, held_until, state, problem, settled_at"

func (r *row) message() outbox.Message {
	return outbox.Message{
		Number: r.int(), ID: r.text(), Topic: r.text(), To: r.text(), Seq: r.int(), Body: r.bytes(), CreatedAt: r.time(), DueAt: r.time(),
		Attempts: int(r.int()), Holder: r.text(), HeldUntil: r.time(), State: outbox.State(r.text()), Problem: r.text(), SettledAt: r.time(),
	}
}

const placeOfTopic = "SELECT seq + 1 FROM outbox_places WHERE topic = $1"

// place is how far a topic has come. No row reads as 0, and stands for Unread.
func (c *conn) place(topic string) (int64, error) {
	n, err := c.number(placeOfTopic, topic)
	return n + outbox.Unread, err
}

// TopicPlace implements outbox.Queue.
func (s *Store) TopicPlace(ctx context.Context, topic string) (at int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		at, err = c.place(topic)
		return err
	})
	return at, err
}

// AdvanceTopic implements outbox.Queue. The row is changed only from where the
// caller saw it, so of several nodes one adds the messages.
func (s *Store) AdvanceTopic(ctx context.Context, a outbox.Advance) (bool, error) {
	return s.reportPlain(ctx, func(c *conn) error {
		var err error
		if a.From == outbox.Unread {
			err = once(c.exec("INSERT INTO outbox_places (topic, seq) VALUES ($1, $2) ON CONFLICT (topic) DO NOTHING", a.Topic, a.To))
		} else {
			err = once(c.exec("UPDATE outbox_places SET seq = $3 WHERE topic = $1 AND seq = $2", a.Topic, a.From, a.To))
		}
		if err != nil {
			return err
		}
		return c.addMessages(a.Add)
	})
}

func (c *conn) addMessages(all []outbox.Message) error {
	for _, m := range all {
		n, err := c.exec(`INSERT INTO outbox (id, topic, receiver, seq, body, created_at, due_at, attempts, holder, held_until, state, problem, settled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING`,
			m.ID, m.Topic, m.To, m.Seq, blob(m.Body), micros(m.CreatedAt), micros(m.DueAt), int64(m.Attempts), m.Holder, micros(m.HeldUntil),
			string(m.State), m.Problem, micros(m.SettledAt))
		if err := free("message id", n, err); err != nil {
			return err
		}
	}
	return nil
}

const dueReceivers = `SELECT receiver FROM outbox WHERE topic = $1 AND state = 'waiting' AND due_at <= $2 AND held_until <= $2
	GROUP BY receiver ORDER BY min(due_at), receiver LIMIT $3`

// DueReceivers implements outbox.Queue.
func (s *Store) DueReceivers(ctx context.Context, topic string, now time.Time, limit int) ([]string, error) {
	return list(ctx, s.database, (*row).text, dueReceivers, topic, micros(now), atMost(limit))
}

const (
	heldMessages = "SELECT count(*) FROM outbox WHERE topic = $1 AND receiver = $2 AND state = 'waiting' AND held_until > $3"
	holdMessages = `UPDATE outbox SET holder = $4, held_until = $5 WHERE number IN (
			SELECT number FROM outbox WHERE topic = $1 AND receiver = $2 AND state = 'waiting' AND due_at <= $3 ORDER BY due_at, number LIMIT $6)
		RETURNING ` + messageColumns
)

// ClaimMessages implements outbox.Queue. All who write take turns, so what is read
// here stays as it is.
func (s *Store) ClaimMessages(ctx context.Context, q outbox.Claim) (out []outbox.Message, err error) {
	err = s.write(ctx, func(c *conn) error {
		out = nil
		held, err := c.number(heldMessages, q.Topic, q.To, micros(q.Now))
		if err != nil || held > 0 {
			return err
		}
		return c.each(func(r *row) error {
			out = append(out, r.message())
			return nil
		}, holdMessages, q.Topic, q.To, micros(q.Now), q.Holder, micros(q.Until), atMost(q.Limit))
	})
	slices.SortFunc(out, func(a, b outbox.Message) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Number, b.Number))
	})
	return out, err
}

// settleAs says, for each verdict, what becomes of a message. The condition is the
// same for all.
var settleAs = map[outbox.Verdict]string{
	outbox.Again: `UPDATE outbox SET holder = '', held_until = $4, attempts = $5, problem = $6, due_at = $7
		WHERE id = $1 AND receiver = $2 AND holder = $3 AND state = 'waiting'`,
	outbox.Giving: `UPDATE outbox SET holder = '', held_until = $4, attempts = $5, problem = $6, settled_at = $7, state = 'given up'
		WHERE id = $1 AND receiver = $2 AND holder = $3 AND state = 'waiting'`,
}

const dropMessage = "DELETE FROM outbox WHERE id = $1 AND receiver = $2 AND holder = $3 AND state = 'waiting'"

// SettleMessages implements outbox.Queue.
func (s *Store) SettleMessages(ctx context.Context, all []outbox.Settlement) (n int, err error) {
	err = s.write(ctx, func(c *conn) error {
		n = 0
		for _, one := range all {
			changed, err := c.settleMessage(one)
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return nil
	})
	return n, err
}

func (c *conn) settleMessage(s outbox.Settlement) (int64, error) {
	if s.Verdict == outbox.Done {
		return c.exec(dropMessage, s.ID, s.To, s.Holder)
	}
	at := s.DueAt
	if s.Verdict == outbox.Giving {
		at = s.At
	}
	query, known := settleAs[s.Verdict]
	if !known {
		return 0, nil
	}
	return c.exec(query, s.ID, s.To, s.Holder, micros(time.Time{}), int64(s.Attempts), s.Problem, micros(at))
}

const (
	messagesAfter = "SELECT " + messageColumns + " FROM outbox WHERE number > $1"
	messagesTo    = messagesAfter + " AND receiver = $3 AND ($4 = '' OR topic = $4) AND ($5 = '' OR state = $5) ORDER BY number LIMIT $2"
	messagesAll   = messagesAfter + " AND ($3 = '' OR topic = $3) AND ($4 = '' OR state = $4) ORDER BY number LIMIT $2"
)

// Messages implements outbox.Queue.
func (s *Store) Messages(ctx context.Context, w outbox.Which) ([]outbox.Message, error) {
	if w.To != "" { // by the index on receivers
		return list(ctx, s.database, (*row).message, messagesTo, w.After, atMost(w.Limit), w.To, w.Topic, string(w.State))
	}
	return list(ctx, s.database, (*row).message, messagesAll, w.After, atMost(w.Limit), w.Topic, string(w.State))
}

const (
	forgetMessages = `DELETE FROM outbox WHERE number IN (
		SELECT number FROM outbox WHERE state <> 'waiting' AND settled_at < $1 LIMIT $2)`
	giveMessagesUp = `UPDATE outbox SET state = 'given up', holder = '', held_until = $4, settled_at = $2 WHERE number IN (
		SELECT number FROM outbox WHERE state = 'waiting' AND created_at < $1 AND held_until <= $2 LIMIT $3)`
)

// PurgeMessages implements outbox.Queue, in small steps.
func (s *Store) PurgeMessages(ctx context.Context, p outbox.Purge) (int, error) {
	forgotten, err := s.purge(ctx, unlimited, func(c *conn, most int) (int64, error) {
		return c.exec(forgetMessages, micros(p.Forget), int64(most))
	})
	if err != nil {
		return forgotten, err
	}
	given, err := s.purge(ctx, unlimited, func(c *conn, most int) (int64, error) {
		return c.exec(giveMessagesUp, micros(p.GiveUp), micros(p.Now), int64(most), micros(time.Time{}))
	})
	return forgotten + given, err
}
