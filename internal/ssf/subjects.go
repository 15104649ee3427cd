package ssf

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/outbox"
)

// Identifier is a subject as a receiver names it.
type Identifier struct {
	Format  string
	Issuer  string
	Subject string
}

// subjectOf is the user that a receiver means. Whether there is one is not said: a
// receiver is no directory.
func (s *Service) subjectOf(id Identifier) (string, error) {
	if id.Format != "iss_sub" {
		return "", fault.New(fault.Invalid, "A subject is named in the format iss_sub.")
	}
	if id.Issuer != s.c.Issuer || !opaque.IsID(opaque.UserID, id.Subject) {
		return "", fault.New(fault.NotFound, "No such subject.")
	}
	return id.Subject, nil
}

// AddSubject takes a subject, left out before, back into a stream.
func (s *Service) AddSubject(ctx context.Context, clientID, streamID string, id Identifier) error {
	one, err := s.Stream(ctx, clientID, streamID)
	if err != nil {
		return err
	}
	who, err := s.subjectOf(id)
	if err != nil {
		return err
	}
	if err := s.c.Store.Include(ctx, one.ID, who); err != nil {
		return fmt.Errorf("add subject: %w", err)
	}
	return nil
}

// RemoveSubject leaves a subject out of a stream. There is a bound on how many
// (fault.TooMany).
func (s *Service) RemoveSubject(ctx context.Context, clientID, streamID string, id Identifier) error {
	one, err := s.Stream(ctx, clientID, streamID)
	if err != nil {
		return err
	}
	who, err := s.subjectOf(id)
	if err != nil {
		return err
	}
	done, err := s.c.Store.Omit(ctx, outbox.Omission{Stream: one.ID, Subject: who, At: s.c.Now()}, mostOmissions)
	if err != nil {
		return fmt.Errorf("remove subject: %w", err)
	}
	if !done {
		return fault.New(fault.TooMany, "The stream leaves out as many subjects as it can.")
	}
	return nil
}
