package authorize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// pushedPrefix is that of our request URIs (RFC 9126 section 2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// PushedFor is how long a browser may take to bring a pushed request.
const PushedFor = 90 * time.Second

// Pushed is the answer to a pushed request.
type Pushed struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int    `json:"expires_in"` // seconds
}

// kept is the body of a ticket. When a browser brings the request in time, the ticket
// is kept beyond Until, so that the answer can still use it up.
type kept struct {
	Request oidc.Request `json:"request"`
	Until   time.Time    `json:"until"`
}

// Push checks a request that its client sent itself and keeps it for a while (RFC
// 9126). jkt is the thumbprint of the key that a DPoP proof came with, "" for none:
// the code is bound to it (RFC 9449 section 10.1). A refusal is an *oidc.Error.
func (s *Service) Push(ctx context.Context, c client.Client, p Params, jkt string) (Pushed, error) {
	switch {
	case len(p["request_uri"]) > 0:
		return Pushed{}, refuse(oidc.InvalidRequest, "A pushed request holds no request_uri.") // RFC 9126 section 2.1
	case !p.once("client_id") || p.get("client_id") != "" && p.get("client_id") != c.ID:
		return Pushed{}, refuse(oidc.InvalidRequest, "client_id is not that of the authenticated client.")
	}
	in, err := s.object(ctx, c, p)
	if err != nil {
		return Pushed{}, err
	}
	r, err := place(c, in)
	if err != nil {
		return Pushed{}, inOAuth(err)
	}
	if r, err = s.check(ctx, c, in, r); err != nil {
		return Pushed{}, err
	}
	if r.JKT != "" && jkt != "" && r.JKT != jkt {
		return Pushed{}, refuse(oidc.InvalidDPoPProof, "dpop_jkt is not the key of the DPoP proof.")
	}
	if jkt != "" {
		r.JKT = jkt
	}
	return s.keep(ctx, r)
}

// inOAuth says to a client what a person would be told.
func inOAuth(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return refuse(oidc.InvalidRequest, f.Public)
	}
	return err
}

func (s *Service) keep(ctx context.Context, r oidc.Request) (Pushed, error) {
	secret, now := opaque.Secret(), s.now()
	body, err := json.Marshal(kept{Request: r, Until: now.Add(PushedFor)})
	if err != nil {
		return Pushed{}, fmt.Errorf("encode request: %w", err)
	}
	added, err := s.Tickets.AddTicket(ctx, ticket.Ticket{
		Kind: ticket.Pushed, Key: opaque.Hash(secret), Body: body, ExpiresAt: now.Add(PushedFor),
	}, revoke.Effects{})
	if err != nil {
		return Pushed{}, fmt.Errorf("keep request: %w", err)
	}
	if !added {
		return Pushed{}, errors.New("keep request: the key is taken")
	}
	return Pushed{RequestURI: pushedPrefix + secret, ExpiresIn: int(PushedFor / time.Second)}, nil
}

// pushed finds the request that a request_uri stands for. An address of somebody
// else's is never fetched: it may lead to where only this server can go.
func (s *Service) pushed(ctx context.Context, c client.Client, p Params) (oidc.Request, error) {
	if !p.once("request_uri") {
		return oidc.Request{}, refuse(oidc.InvalidRequest, "request_uri is there more than once.")
	}
	secret, ours := strings.CutPrefix(p.get("request_uri"), pushedPrefix)
	if !ours {
		return oidc.Request{}, refuse(oidc.RequestURINotSupported, "request_uri is taken only from the pushed authorization request endpoint.")
	}
	if len(p["request"]) > 0 {
		return oidc.Request{}, refuse(oidc.InvalidRequest, "request and request_uri do not go together.")
	}
	bad := refuse(oidc.InvalidRequestURI, "The request_uri is unknown, expired, another client's, or was used.")
	key := opaque.Hash(secret)
	t, found, err := s.Tickets.TicketByKey(ctx, ticket.Pushed, key)
	if err != nil {
		return oidc.Request{}, fmt.Errorf("find pushed request: %w", err)
	}
	if !found {
		return oidc.Request{}, bad
	}
	var k kept
	if err := json.Unmarshal(t.Body, &k); err != nil {
		return oidc.Request{}, fmt.Errorf("read pushed request: %w", err)
	}
	if k.Request.ClientID != c.ID || !s.Now().Before(k.Until) {
		return oidc.Request{}, bad
	}
	if !t.ExpiresAt.After(k.Until) {
		t.ExpiresAt = k.Until.Add(flowFor)
		if _, err := s.Tickets.ChangeTicket(ctx, t, revoke.Effects{}); err != nil { // false: another tab did it
			return oidc.Request{}, fmt.Errorf("keep pushed request: %w", err)
		}
	}
	k.Request.Started, k.Request.Pushed = s.now(), key
	return k.Request, nil
}

// errAnswered is for who comes with a pushed request that was answered.
var errAnswered = fault.New(fault.Invalid, "This request was answered already. Go back to the application and start again.")

// use uses a pushed request up: of any number of answers one is given.
func (s *Service) use(ctx context.Context, r oidc.Request) error {
	if r.Pushed.IsZero() {
		return nil
	}
	_, found, err := s.Tickets.TakeTicket(ctx, ticket.Pushed, r.Pushed)
	if err != nil {
		return fmt.Errorf("use pushed request: %w", err)
	}
	if !found {
		return errAnswered
	}
	return nil
}
