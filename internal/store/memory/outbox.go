package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// outbound is what an outbox keeps.
type outbound struct {
	places    map[string]int64
	messages  []outbox.Message // by number
	numbers   int64
	streams   map[string]outbox.Stream
	omissions []outbox.Omission
}

func messageCopy(m outbox.Message) outbox.Message {
	m.Body = bytes.Clone(m.Body)
	m.CreatedAt, m.DueAt, m.HeldUntil, m.SettledAt = when(m.CreatedAt), when(m.DueAt), when(m.HeldUntil), when(m.SettledAt)
	return m
}

func streamCopy(s outbox.Stream) outbox.Stream {
	s.Authorization, s.Requested = bytes.Clone(s.Authorization), slices.Clone(s.Requested)
	s.VerifiedAt, s.CreatedAt, s.UpdatedAt = when(s.VerifiedAt), when(s.CreatedAt), when(s.UpdatedAt)
	return s
}

func (o *outbound) place(topic string) int64 {
	if at, found := o.places[topic]; found {
		return at
	}
	return outbox.Unread
}

// add adds messages, all or none.
func (o *outbound) add(all []outbox.Message) error {
	next := slices.Clone(o.messages)
	n := o.numbers
	for _, m := range all {
		if slices.ContainsFunc(next, func(other outbox.Message) bool { return other.ID == m.ID }) {
			return taken("message id")
		}
		n++
		m.Number = n
		next = append(next, messageCopy(m))
	}
	o.messages, o.numbers = next, n
	return nil
}

// TopicPlace implements outbox.Queue.
func (m *Store) TopicPlace(ctx context.Context, topic string) (at int64, err error) {
	err = m.read(ctx, func() { at = m.out.place(topic) })
	return at, err
}

// AdvanceTopic implements outbox.Queue.
func (m *Store) AdvanceTopic(ctx context.Context, a outbox.Advance) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if m.out.place(a.Topic) != a.From {
			return errRefused
		}
		if err := m.out.add(a.Add); err != nil {
			return err
		}
		if m.out.places == nil {
			m.out.places = map[string]int64{}
		}
		m.out.places[a.Topic] = a.To
		return nil
	})
}

// DueReceivers implements outbox.Queue.
func (m *Store) DueReceivers(ctx context.Context, topic string, now time.Time, limit int) (out []string, err error) {
	err = m.read(ctx, func() {
		for _, one := range m.out.due(topic, now) {
			if !one.HeldUntil.After(now) && !slices.Contains(out, one.To) && len(out) < limit {
				out = append(out, one.To)
			}
		}
	})
	return out, err
}

// due lists what waits and is due, longest first.
func (o *outbound) due(topic string, now time.Time) []outbox.Message {
	var all []outbox.Message
	for _, one := range o.messages {
		if one.Topic == topic && one.State == outbox.Waiting && !one.DueAt.After(now) {
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b outbox.Message) int { return a.DueAt.Compare(b.DueAt) })
	return all
}

// ClaimMessages implements outbox.Queue.
func (m *Store) ClaimMessages(ctx context.Context, c outbox.Claim) (out []outbox.Message, err error) {
	err = m.write(ctx, func() error {
		for _, one := range m.out.messages {
			if one.Topic == c.Topic && one.To == c.To && one.State == outbox.Waiting && one.HeldUntil.After(c.Now) {
				return nil
			}
		}
		for _, one := range m.out.due(c.Topic, c.Now) {
			if one.To != c.To || len(out) >= c.Limit {
				continue
			}
			own := m.out.byID(one.ID)
			own.Holder, own.HeldUntil = c.Holder, when(c.Until)
			out = append(out, messageCopy(*own))
		}
		return nil
	})
	return out, err
}

func (o *outbound) byID(id string) *outbox.Message {
	for i := range o.messages {
		if o.messages[i].ID == id {
			return &o.messages[i]
		}
	}
	return nil
}

// SettleMessages implements outbox.Queue.
func (m *Store) SettleMessages(ctx context.Context, all []outbox.Settlement) (n int, err error) {
	err = m.write(ctx, func() error {
		for _, s := range all {
			one := m.out.byID(s.ID)
			known := s.Verdict == outbox.Done || s.Verdict == outbox.Again || s.Verdict == outbox.Giving
			if !known || one == nil || one.State != outbox.Waiting || one.To != s.To || one.Holder != s.Holder {
				continue
			}
			n++
			if s.Verdict == outbox.Done {
				m.out.drop(func(other outbox.Message) bool { return other.ID == s.ID })
				continue
			}
			one.Holder, one.HeldUntil = "", when(time.Time{})
			one.Attempts, one.Problem = s.Attempts, s.Problem
			if s.Verdict == outbox.Giving {
				one.State, one.SettledAt = outbox.GivenUp, when(s.At)
				continue
			}
			one.DueAt = when(s.DueAt)
		}
		return nil
	})
	return n, err
}

func (o *outbound) drop(which func(outbox.Message) bool) (n int) {
	before := len(o.messages)
	o.messages = slices.DeleteFunc(o.messages, which)
	return before - len(o.messages)
}

// Messages implements outbox.Queue.
func (m *Store) Messages(ctx context.Context, w outbox.Which) (out []outbox.Message, err error) {
	err = m.read(ctx, func() {
		for _, one := range m.out.messages {
			fits := one.Number > w.After && (w.Topic == "" || w.Topic == one.Topic) && (w.To == "" || w.To == one.To) &&
				(w.State == "" || w.State == one.State)
			if fits && len(out) < w.Limit {
				out = append(out, messageCopy(one))
			}
		}
	})
	return out, err
}

// PurgeMessages implements outbox.Queue.
func (m *Store) PurgeMessages(ctx context.Context, p outbox.Purge) (n int, err error) {
	err = m.write(ctx, func() error {
		n = m.out.drop(func(one outbox.Message) bool { return one.State == outbox.GivenUp && one.SettledAt.Before(p.Forget) })
		for i := range m.out.messages {
			one := &m.out.messages[i]
			if one.State == outbox.Waiting && one.CreatedAt.Before(p.GiveUp) && !one.HeldUntil.After(p.Now) {
				one.State, one.Holder, one.HeldUntil, one.SettledAt = outbox.GivenUp, "", when(time.Time{}), when(p.Now)
				n++
			}
		}
		return nil
	})
	return n, err
}

// AddStream implements outbox.Streams.
func (m *Store) AddStream(ctx context.Context, s outbox.Stream, notes ...audit.Event) error {
	return m.insist(ctx, revoke.Effects{Audit: notes}, func() error {
		for _, other := range m.out.streams {
			if other.ID == s.ID || other.ClientID == s.ClientID && other.Audience == s.Audience {
				return taken("stream")
			}
		}
		if m.out.streams == nil {
			m.out.streams = map[string]outbox.Stream{}
		}
		s.Version = 1
		m.out.streams[s.ID] = streamCopy(s)
		return nil
	})
}

// ChangeStream implements outbox.Streams.
func (m *Store) ChangeStream(ctx context.Context, c outbox.StreamChange) (bool, error) {
	return m.report(ctx, revoke.Effects{Audit: c.Audit}, func() error {
		old, found := m.out.streams[c.Next.ID]
		if !found || old.Version != c.Next.Version {
			return errRefused
		}
		before := slices.Clone(m.out.messages)
		if c.Empty {
			m.out.drop(func(one outbox.Message) bool { return one.To == old.ID && one.State == outbox.Waiting })
		}
		if err := m.out.add(c.Add); err != nil {
			m.out.messages = before
			return err
		}
		next := streamCopy(c.Next)
		next.ClientID, next.Audience = old.ClientID, old.Audience
		next.Version++
		m.out.streams[next.ID] = next
		return nil
	})
}

// RemoveStream implements outbox.Streams.
func (m *Store) RemoveStream(ctx context.Context, id string, notes ...audit.Event) (bool, error) {
	return m.report(ctx, revoke.Effects{Audit: notes}, func() error {
		if _, found := m.out.streams[id]; !found {
			return errRefused
		}
		delete(m.out.streams, id)
		m.out.drop(func(one outbox.Message) bool { return one.To == id })
		m.out.omissions = slices.DeleteFunc(m.out.omissions, func(o outbox.Omission) bool { return o.Stream == id })
		return nil
	})
}

// Streams implements outbox.Streams.
func (m *Store) Streams(ctx context.Context, after string, limit int) (out []outbox.Stream, err error) {
	err = m.read(ctx, func() { out = page(m.out.streams, after, limit, streamCopy) })
	return out, err
}

// StreamByID implements outbox.Streams.
func (m *Store) StreamByID(ctx context.Context, id string) (outbox.Stream, bool, error) {
	var s outbox.Stream
	found := false
	err := m.read(ctx, func() {
		s, found = m.out.streams[id]
		s = streamCopy(s)
	})
	if !found {
		return outbox.Stream{}, false, err
	}
	return s, true, err
}

// Omit implements outbox.Streams.
func (m *Store) Omit(ctx context.Context, o outbox.Omission, most int) (bool, error) {
	return m.report(ctx, revoke.Effects{}, func() error {
		if _, found := m.out.streams[o.Stream]; !found {
			return errRefused
		}
		n := 0
		for _, other := range m.out.omissions {
			if other.Stream != o.Stream {
				continue
			}
			if other.Subject == o.Subject {
				return nil
			}
			n++
		}
		if n >= most {
			return errRefused
		}
		m.out.omissions = append(m.out.omissions, o)
		return nil
	})
}

// Include implements outbox.Streams.
func (m *Store) Include(ctx context.Context, stream, subject string) error {
	return m.write(ctx, func() error {
		m.out.omissions = slices.DeleteFunc(m.out.omissions, func(o outbox.Omission) bool {
			return o.Stream == stream && o.Subject == subject
		})
		return nil
	})
}

// OmittedBy implements outbox.Streams.
func (m *Store) OmittedBy(ctx context.Context, subject string) (out []string, err error) {
	err = m.read(ctx, func() {
		for _, o := range m.out.omissions {
			if o.Subject == subject {
				out = append(out, o.Stream)
			}
		}
	})
	slices.SortFunc(out, cmp.Compare[string])
	return out, err
}
