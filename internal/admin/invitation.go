package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// The bounds of an invitation.
const (
	InvitationFor     = 24 * time.Hour // when nothing else is said
	MostInvitationFor = 30 * 24 * time.Hour
	MostInvitations   = 1000 // clients that one lets in
)

// Invitation is what one is to be good for.
type Invitation struct {
	Uses int           // clients that it lets in; 0: one
	For  time.Duration // 0: InvitationFor
}

// Invited is a new invitation: an initial access token (RFC 7591 section 3). Token is
// shown once.
type Invited struct {
	Token     string
	Uses      int
	ExpiresAt time.Time
}

// invited is the body of its ticket.
type invited struct {
	Uses int    `json:"uses"` // that are left
	By   string `json:"by"`
}

// Invite makes an invitation. Who is invited gets what all get that register
// themselves, so no more is needed than to be allowed to add clients.
func (s *Service) Invite(ctx context.Context, by By, in Invitation) (Invited, error) {
	if s.Registration.Mode == RegistrationOff {
		return Invited{}, fault.New(fault.Conflict, "Clients cannot register themselves here: the server runs without --registration.")
	}
	if in.Uses == 0 {
		in.Uses = 1
	}
	if in.For == 0 {
		in.For = InvitationFor
	}
	if in.Uses < 1 || in.Uses > MostInvitations {
		return Invited{}, fault.New(fault.Invalid, "An invitation is for 1 to "+strconv.Itoa(MostInvitations)+" clients.")
	}
	if in.For < time.Minute || in.For > MostInvitationFor {
		return Invited{}, fault.New(fault.Invalid, "An invitation lasts from a minute to 30 days.")
	}
	body, err := json.Marshal(invited{Uses: in.Uses, By: by.Actor})
	if err != nil {
		return Invited{}, fmt.Errorf("encode invitation: %w", err)
	}
	out := Invited{Token: opaque.Secret(), Uses: in.Uses, ExpiresAt: s.Now().UTC().Add(in.For)}
	detail := strconv.Itoa(in.Uses) + " until " + out.ExpiresAt.Format(time.RFC3339)
	added, err := s.Store.AddTicket(ctx, ticket.Ticket{
		Kind: ticket.Registration, Key: opaque.Hash(out.Token), Body: body, ExpiresAt: out.ExpiresAt,
	}, revoke.Effects{Audit: s.events(by, "client.invite", "", []string{detail})})
	if err == nil && !added {
		err = errors.New("the key is taken")
	}
	if err != nil {
		return Invited{}, fmt.Errorf("keep invitation: %w", err)
	}
	return out, nil
}

// invitation finds one that is still good.
func (s *Service) invitation(ctx context.Context, key opaque.Digest) (ticket.Ticket, error) {
	t, found, err := s.Store.TicketByKey(ctx, ticket.Registration, key)
	if err != nil {
		return ticket.Ticket{}, fmt.Errorf("find invitation: %w", err)
	}
	if !found || !s.Now().Before(t.ExpiresAt) {
		return ticket.Ticket{}, errRegistrationToken
	}
	return t, nil
}

// useInvitation adds the client and takes one use of the invitation away, in one
// transaction: of any number of clients with one use one comes in.
func (s *Service) useInvitation(ctx context.Context, by By, t ticket.Ticket, c client.Client) error {
	for range attempts {
		var left invited
		if err := json.Unmarshal(t.Body, &left); err != nil {
			return fmt.Errorf("read invitation: %w", err)
		}
		from := left.By
		if left.Uses--; left.Uses < 1 {
			t.Body = nil
		} else {
			body, err := json.Marshal(left)
			if err != nil {
				return fmt.Errorf("encode invitation: %w", err)
			}
			t.Body = body
		}
		fx := revoke.Effects{Audit: s.events(by, "client.register", c.ID, []string{"invited by " + from})}
		done, err := s.Store.AddInvited(ctx, c, t, fx)
		if err != nil || done {
			return wrap(err, "add client")
		}
		if t, err = s.invitation(ctx, t.Key); err != nil {
			return err
		}
	}
	return errOvertaken
}
