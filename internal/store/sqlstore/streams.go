package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// streamDocument is, field for field, what is kept of a stream beside its keys.
type streamDocument struct {
	ID            string        `json:"-"`
	ClientID      string        `json:"-"`
	Audience      string        `json:"-"`
	Description   string        `json:"description"`
	Method        outbox.Method `json:"method"`
	Endpoint      string        `json:"endpoint"`
	Authorization []byte        `json:"authorization,omitempty"`
	Requested     []string      `json:"requested"`
	Status        outbox.Status `json:"status"`
	Reason        string        `json:"reason"`
	VerifiedAt    time.Time     `json:"verified_at"`
	CreatedAt     time.Time     `json:"created_at"`
	UpdatedAt     time.Time     `json:"updated_at"`
	Version       int64         `json:"-"`
}

func streamBody(s outbox.Stream) (string, error) {
	d := streamDocument(s)
	d.VerifiedAt, d.CreatedAt, d.UpdatedAt = when(d.VerifiedAt), when(d.CreatedAt), when(d.UpdatedAt)
	return encode(d)
}

const streamColumns = "id, client_id, audience, version, body"

func (r *row) stream() outbox.Stream {
	d := streamDocument{}
	id, clientID, audience, version := r.text(), r.text(), r.text(), r.int()
	if err := json.Unmarshal([]byte(r.text()), &d); err != nil && r.err == nil {
		r.err = fmt.Errorf("document of stream %s: %w", id, err)
	}
	d.ID, d.ClientID, d.Audience, d.Version = id, clientID, audience, version
	return outbox.Stream(d)
}

// reportPlain is report for changes that have no effects.
func (s *Store) reportPlain(ctx context.Context, change func(*conn) error) (bool, error) {
	err := s.write(ctx, change)
	if errors.Is(err, errRefused) {
		return false, nil
	}
	return err == nil, err
}

// AddStream implements outbox.Streams.
func (s *Store) AddStream(ctx context.Context, one outbox.Stream, notes ...audit.Event) error {
	body, err := streamBody(one)
	if err != nil {
		return err
	}
	return s.insist(ctx, revoke.Effects{Audit: notes}, func(c *conn) error {
		n, err := c.exec("INSERT INTO streams (id, client_id, audience, version, body) VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING",
			one.ID, one.ClientID, one.Audience, body)
		return free("stream", n, err)
	})
}

// ChangeStream implements outbox.Streams.
func (s *Store) ChangeStream(ctx context.Context, change outbox.StreamChange) (bool, error) {
	body, err := streamBody(change.Next)
	if err != nil {
		return false, err
	}
	return s.report(ctx, revoke.Effects{Audit: change.Audit}, func(c *conn) error {
		err := once(c.exec("UPDATE streams SET body = $3, version = version + 1 WHERE id = $1 AND version = $2",
			change.Next.ID, change.Next.Version, body))
		if err != nil {
			return err
		}
		if change.Empty {
			if _, err := c.exec("DELETE FROM outbox WHERE receiver = $1 AND state = 'waiting'", change.Next.ID); err != nil {
				return err
			}
		}
		return c.addMessages(change.Add)
	})
}

// RemoveStream implements outbox.Streams.
func (s *Store) RemoveStream(ctx context.Context, id string, notes ...audit.Event) (bool, error) {
	return s.report(ctx, revoke.Effects{Audit: notes}, func(c *conn) error {
		if err := once(c.exec("DELETE FROM streams WHERE id = $1", id)); err != nil {
			return err
		}
		if _, err := c.exec("DELETE FROM outbox WHERE receiver = $1", id); err != nil {
			return err
		}
		_, err := c.exec("DELETE FROM stream_omissions WHERE stream_id = $1", id)
		return err
	})
}

// Streams implements outbox.Streams.
func (s *Store) Streams(ctx context.Context, after string, limit int) ([]outbox.Stream, error) {
	return list(ctx, s.database, (*row).stream, "SELECT "+streamColumns+" FROM streams WHERE id > $1 ORDER BY id LIMIT $2", after, atMost(limit))
}

// StreamByID implements outbox.Streams.
func (s *Store) StreamByID(ctx context.Context, id string) (one outbox.Stream, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) { one = r.stream() }, "SELECT "+streamColumns+" FROM streams WHERE id = $1", id)
		return err
	})
	return one, found, err
}

// Omit implements outbox.Streams.
func (s *Store) Omit(ctx context.Context, o outbox.Omission, most int) (bool, error) {
	return s.reportPlain(ctx, func(c *conn) error {
		there, err := c.number("SELECT count(*) FROM streams WHERE id = $1", o.Stream)
		if err != nil {
			return err
		}
		same, err := c.number("SELECT count(*) FROM stream_omissions WHERE stream_id = $1 AND subject = $2", o.Stream, o.Subject)
		if err != nil || there > 0 && same > 0 {
			return err
		}
		all, err := c.number("SELECT count(*) FROM stream_omissions WHERE stream_id = $1", o.Stream)
		if err != nil {
			return err
		}
		if there == 0 || all >= int64(most) {
			return errRefused
		}
		_, err = c.exec("INSERT INTO stream_omissions (stream_id, subject, at) VALUES ($1, $2, $3)", o.Stream, o.Subject, micros(o.At))
		return err
	})
}

// Include implements outbox.Streams.
func (s *Store) Include(ctx context.Context, stream, subject string) error {
	return s.write(ctx, func(c *conn) error {
		_, err := c.exec("DELETE FROM stream_omissions WHERE stream_id = $1 AND subject = $2", stream, subject)
		return err
	})
}

// OmittedBy implements outbox.Streams.
func (s *Store) OmittedBy(ctx context.Context, subject string) ([]string, error) {
	return list(ctx, s.database, (*row).text, "SELECT stream_id FROM stream_omissions WHERE subject = $1 ORDER BY stream_id", subject)
}
