package ssf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Topic is the name under which messages and the place in the log are kept.
const Topic = "ssf"

// The scopes of the management API that a receiver needs: one to see its streams
// and come for events, the other to change them.
const (
	ScopeRead   = "ssf:read"
	ScopeManage = "ssf:manage"
)

// What a receiver may do, and how often.
const (
	VerificationInterval = 5 * time.Second
	mostOmissions        = 10_000
	page                 = 200
	attempts             = 10
)

// Clients finds clients.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, bool, error)
}

// Users finds users.
type Users interface {
	UserByID(ctx context.Context, id string) (account.User, bool, error)
}

// Config is what a Service is made of. All fields are needed.
type Config struct {
	Issuer  string
	Store   outbox.Store
	Clients Clients
	Users   Users
	// Signer is the key that signs events: RS256, and in the issuer's key set.
	Signer func() (*jose.Key, bool)
	Post   outbox.Post
	Seal   *opaque.Key // seals what receivers want to be shown
	Now    func() time.Time
	Log    *slog.Logger
}

// Service is the rules of streams, and the topic of their events.
type Service struct{ c Config }

// New returns a service.
func New(c Config) (*Service, error) {
	if c.Issuer == "" || c.Store == nil || c.Clients == nil || c.Users == nil || c.Signer == nil || c.Post == nil || c.Seal == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("shared signals need an issuer, a store, clients, users, a signer, a sender, a sealing key, a clock and a log")
	}
	return &Service{c}, nil
}

var errNoStream = fault.New(fault.NotFound, "No such stream.")

// Streams lists the streams of a client.
func (s *Service) Streams(ctx context.Context, clientID string) ([]outbox.Stream, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(one outbox.Stream) bool { return one.ClientID != clientID }), nil
}

func (s *Service) all(ctx context.Context) (all []outbox.Stream, err error) {
	for after := ""; ; after = all[len(all)-1].ID {
		some, err := s.c.Store.Streams(ctx, after, page)
		if err != nil {
			return nil, fmt.Errorf("list streams: %w", err)
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
	}
}

// Stream finds a stream of a client. None, and another's, is fault.NotFound.
func (s *Service) Stream(ctx context.Context, clientID, id string) (outbox.Stream, error) {
	one, found, err := s.c.Store.StreamByID(ctx, id)
	if err != nil {
		return outbox.Stream{}, fmt.Errorf("find stream: %w", err)
	}
	if !found || one.ClientID != clientID {
		return outbox.Stream{}, errNoStream
	}
	return one, nil
}

// Add makes the stream of a client. A second one is fault.Conflict.
func (s *Service) Add(ctx context.Context, clientID string, w Wanted) (outbox.Stream, error) {
	now := s.c.Now()
	one := outbox.Stream{
		ID: opaque.ID(streamID, now), ClientID: clientID, Audience: clientID, Method: outbox.Poll, Status: outbox.Enabled,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	one, err := s.apply(one, w)
	if err != nil {
		return outbox.Stream{}, err
	}
	err = s.c.Store.AddStream(ctx, one, s.note("stream.add", one, string(one.Method)))
	if fault.Is(err, fault.Conflict) {
		return outbox.Stream{}, fault.Wrap(err, fault.Conflict, "This client has a stream already.")
	}
	if err != nil {
		return outbox.Stream{}, fmt.Errorf("add stream: %w", err)
	}
	return one, nil
}

// Edit changes what w holds of a stream.
func (s *Service) Edit(ctx context.Context, clientID, id string, w Wanted) (outbox.Stream, error) {
	return s.change(ctx, clientID, id, func(old outbox.Stream) (outbox.StreamChange, error) {
		next, err := s.apply(old, w)
		return outbox.StreamChange{Next: next, Audit: []audit.Event{s.note("stream.edit", next, string(next.Method))}}, err
	})
}

// SetStatus makes a stream flow, wait or be silent. What a silent one would have
// told is not told later.
func (s *Service) SetStatus(ctx context.Context, clientID, id string, to outbox.Status, reason string) (outbox.Stream, error) {
	if to != outbox.Enabled && to != outbox.Paused && to != outbox.Disabled {
		return outbox.Stream{}, fault.New(fault.Invalid, "status must be enabled, paused or disabled.")
	}
	if len(reason) > mostText || !printable(reason) {
		return outbox.Stream{}, fault.New(fault.Invalid, "reason is longer than 500 bytes, or holds control characters.")
	}
	return s.change(ctx, clientID, id, func(old outbox.Stream) (outbox.StreamChange, error) {
		next := old
		next.Status, next.Reason = to, reason
		return outbox.StreamChange{
			Next: next, Empty: to == outbox.Disabled, Audit: []audit.Event{s.note("stream."+string(to), next, reason)},
		}, nil
	})
}

// Verify has a verification sent in a stream, with the state that the receiver will
// know it by ("" for none). Asked for too often it is fault.TooMany.
func (s *Service) Verify(ctx context.Context, clientID, id, state string) error {
	if len(state) > mostState || !printable(state) {
		return fault.New(fault.Invalid, "state is longer than 1000 bytes, or holds control characters.")
	}
	_, err := s.change(ctx, clientID, id, func(old outbox.Stream) (outbox.StreamChange, error) {
		now := s.c.Now()
		if old.Status == outbox.Disabled {
			return outbox.StreamChange{}, fault.New(fault.Conflict, "The stream is disabled: nothing is sent in it.")
		}
		if next := old.VerifiedAt.Add(VerificationInterval); now.Before(next) {
			return outbox.StreamChange{}, fault.New(fault.TooMany, "Verifications are asked for too often.").Retry(next.Sub(now))
		}
		e := event{Type: Verification, About: subject{Format: "opaque", ID: old.ID}, Members: map[string]any{}}
		if state != "" {
			e.Members["state"] = state
		}
		m, err := message(old, e, now)
		next := old
		next.VerifiedAt = now
		return outbox.StreamChange{Next: next, Add: []outbox.Message{m}}, err
	})
	return err
}

// change makes a change of the present version, again when it was overtaken.
func (s *Service) change(ctx context.Context, clientID, id string, decide func(outbox.Stream) (outbox.StreamChange, error)) (outbox.Stream, error) {
	for range attempts {
		old, err := s.Stream(ctx, clientID, id)
		if err != nil {
			return outbox.Stream{}, err
		}
		c, err := decide(old)
		if err != nil {
			return outbox.Stream{}, err
		}
		c.Next.UpdatedAt = s.c.Now()
		done, err := s.c.Store.ChangeStream(ctx, c)
		if err != nil {
			return outbox.Stream{}, fmt.Errorf("change stream: %w", err)
		}
		if done {
			c.Next.Version++
			return c.Next, nil
		}
	}
	return outbox.Stream{}, fault.New(fault.Conflict, "The stream is being changed by others.")
}

// Remove removes a stream and what waits in it.
func (s *Service) Remove(ctx context.Context, clientID, id string) error {
	one, err := s.Stream(ctx, clientID, id)
	if err != nil {
		return err
	}
	return s.remove(ctx, one)
}

func (s *Service) remove(ctx context.Context, one outbox.Stream) error {
	done, err := s.c.Store.RemoveStream(ctx, one.ID, s.note("stream.remove", one, ""))
	if err != nil {
		return fmt.Errorf("remove stream: %w", err)
	}
	if !done {
		return errNoStream
	}
	return nil
}

// Tidy removes the streams of clients that are gone. Call it every minute or so.
func (s *Service) Tidy(ctx context.Context) error {
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		_, found, err := s.c.Clients.ClientByID(ctx, one.ClientID)
		if err != nil {
			return fmt.Errorf("find client: %w", err)
		}
		if found {
			continue
		}
		if err := s.remove(ctx, one); err != nil && !errors.Is(err, errNoStream) {
			return err
		}
	}
	return nil
}

func (s *Service) note(action string, one outbox.Stream, detail string) audit.Event {
	return audit.Event{At: s.c.Now(), Action: action, Actor: one.ClientID, Target: one.ID, Client: one.ClientID, Detail: audit.Clip(detail)}
}

// hears reports whether a client still may be told: it is there, and has the scope.
// A token that was taken from it would only have kept it from asking.
func (s *Service) hears(ctx context.Context, clientID string) (bool, error) {
	c, found, err := s.c.Clients.ClientByID(ctx, clientID)
	if err != nil {
		return false, fmt.Errorf("find client: %w", err)
	}
	scopes := c.APIs[api.Management]
	may := slices.Contains(scopes, "*") || slices.Contains(scopes, ScopeRead) || slices.Contains(scopes, ScopeManage)
	return found && !c.Disabled && may, nil
}
