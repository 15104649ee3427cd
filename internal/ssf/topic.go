package ssf

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
)

var _ outbox.Topic = (*Service)(nil)

// Name implements outbox.Topic.
func (s *Service) Name() string { return Topic }

// Plan implements outbox.Topic.
func (s *Service) Plan(ctx context.Context, r revoke.Recorded) ([]outbox.Message, error) {
	about, events, err := s.eventsOf(ctx, r)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	streams, err := s.all(ctx)
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	omitted, err := s.c.Store.OmittedBy(ctx, about)
	if err != nil {
		return nil, fmt.Errorf("read omissions: %w", err)
	}
	var all []outbox.Message
	for _, one := range streams {
		if one.Status == outbox.Disabled || slices.Contains(omitted, one.ID) {
			continue
		}
		hears, err := s.hears(ctx, one.ClientID)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if !hears || !slices.Contains(one.Requested, e.Type) {
				continue
			}
			m, err := message(one, e, s.c.Now())
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// Open implements outbox.Topic.
func (s *Service) Open(ctx context.Context, to string) (bool, error) {
	one, found, err := s.c.Store.StreamByID(ctx, to)
	if err != nil {
		return false, fmt.Errorf("find stream: %w", err)
	}
	if !found || one.Method != outbox.Push || one.Status != outbox.Enabled {
		return false, nil
	}
	return s.hears(ctx, one.ClientID)
}

// The answers of a receiver (RFC 8935 section 2). 202 is what they should say.
const (
	ok         = 200
	accepted   = 202
	noContent  = 204
	badRequest = 400
)

// Deliver implements outbox.Topic.
func (s *Service) Deliver(ctx context.Context, m outbox.Message) outbox.Outcome {
	failed := func(problem string) outbox.Outcome {
		return outbox.Outcome{Result: outbox.Failed, Problem: problem}
	}
	to, found, err := s.c.Store.StreamByID(ctx, m.To)
	switch {
	case err != nil:
		return failed(err.Error())
	case !found:
		return outbox.Outcome{Result: outbox.Moot}
	case to.Method != outbox.Push || to.Status != outbox.Enabled: // changed just now
		return failed("the stream is not pushed any more")
	}
	letter := outbox.Letter{URL: to.Endpoint, ContentType: "application/" + TokenType, Accept: "application/json"}
	if to.Authorization != nil {
		plain, err := s.c.Seal.Open(to.Authorization, sealedAs(to.ID))
		if err != nil {
			return failed(err.Error())
		}
		letter.Authorization = string(plain)
	}
	token, err := s.sign(m, to)
	if err != nil {
		return failed(err.Error())
	}
	letter.Body = []byte(token)
	answer, err := s.c.Post(ctx, letter)
	switch {
	case err != nil:
		return failed(err.Error())
	case answer.Status == accepted || answer.Status == ok || answer.Status == noContent:
		return outbox.Outcome{Result: outbox.Delivered}
	case answer.Status == badRequest:
		return outbox.Outcome{Result: outbox.Refused, Problem: "the receiver refused the event: " + refusal(answer.Body)}
	}
	return outbox.Outcome{Result: outbox.Failed, Problem: fmt.Sprintf("the receiver answered with status %d", answer.Status), After: answer.After}
}

// refusal is the error code of RFC 8935 section 2.3, as far as it is one.
func refusal(body []byte) string {
	var said struct {
		Err string `json:"err"`
	}
	if json.Unmarshal(body, &said) != nil || said.Err == "" {
		return "status 400"
	}
	return clip(said.Err)
}

// clip makes a text of a stranger's fit for a log.
func clip(text string) string {
	const most = 200
	clean := make([]rune, 0, most)
	for _, r := range text {
		if len(clean) == most {
			break
		}
		if r >= ' ' && r <= '~' {
			clean = append(clean, r)
		}
	}
	return string(clean)
}
