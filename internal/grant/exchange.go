package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
)

// AccessTokenType is the only kind of token that is exchanged, and given (RFC 8693
// section 3).
const AccessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// mostActors is how long a chain of services may become.
const mostActors = 8

// ExchangeAsk is a token exchange as asked for.
type ExchangeAsk struct {
	Subject string // an access token of ours, in any shape but an encrypted one
	API     string // "": the client's only API
	Scopes  []string
	Proof   Proof
}

// ExchangeToken gives a service a token for the next one, on behalf of the person
// whose token it was shown (RFC 8693). The chain of services stands in act. A token
// for the same API never says more than the one it was given for, and no token
// outlives the one it was given for, nor the session and the grant of that.
func (s *Service) ExchangeToken(ctx context.Context, c client.Client, ask ExchangeAsk) (Tokens, error) {
	h, ok, err := s.read(ctx, ask.Subject)
	if err != nil {
		return Tokens{}, err
	}
	bad := refuse(InvalidRequest, "subject_token is not a token that this client may exchange.") // RFC 8693 section 2.2.2
	if !ok || !mayExchange(c, h) {
		return Tokens{}, bad
	}
	if h.SessionID == "" {
		return Tokens{}, refuse(InvalidRequest, "subject_token stands for no person: ask for a token by client_credentials.")
	}
	id, err := s.apiID(ctx, Ask{ClientID: c.ID, API: ask.API})
	if err != nil {
		return Tokens{}, err
	}
	st, err := s.Store.Snapshot(ctx, Query{SessionID: h.SessionID, ClientID: c.ID, APIID: id})
	if err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	// Asked after the position was read that the new token will carry: what takes the
	// old one back later takes the new one too, or is seen here.
	now := s.Now()
	why, err := s.alive(ctx, h, now)
	if err != nil {
		return Tokens{}, err
	}
	if why != "" {
		return Tokens{}, bad
	}
	asked, refused := narrowed(h, id, ask.Scopes)
	if refused != nil {
		return Tokens{}, refused
	}
	scopes, refused := authorizeIssuance(st, byExchange, want{scopes: asked, proof: ask.Proof}, now)
	if refused != nil {
		return Tokens{}, refused
	}
	actor, refused := acting(c, h)
	if refused != nil {
		return Tokens{}, refused
	}
	out, err := s.mint(ctx, st, minting{
		scopes: scopes, proof: ask.Proof, now: now, actor: actor, within: h.ExpiresAt, grantID: h.GrantID,
	})
	out.IssuedType = AccessTokenType
	return out, err
}

// mayExchange reports whether a token is the client's to pass on: it was given to it,
// or shown to it as the service of the API that it is for.
func mayExchange(c client.Client, h held) bool {
	return h.ClientID == c.ID || slices.Contains(c.Serves, h.apiID)
}

// narrowed are the scopes to ask for. For another API the client's registration and
// the person's roles say what there is; for the same one the old token does too.
func narrowed(h held, apiID string, asked []string) ([]string, *Error) {
	if apiID != h.apiID {
		return asked, nil
	}
	old := strings.Fields(h.Scope)
	if len(asked) == 0 {
		return old, nil
	}
	for _, s := range asked {
		if !slices.Contains(old, s) {
			return nil, refuse(InvalidScope, "An exchange cannot widen the scope.")
		}
	}
	return asked, nil
}

// acting is the chain of services: the one that asks, and in it those before it (RFC
// 8693 section 4.1).
func acting(c client.Client, h held) (json.RawMessage, *Error) {
	type actor struct {
		Subject string          `json:"sub"`
		Before  json.RawMessage `json:"act,omitempty"`
	}
	depth := 1
	for before := h.Actor; len(before) > 0; depth++ {
		var a actor
		if json.Unmarshal(before, &a) != nil {
			break // it is our own writing
		}
		before = a.Before
	}
	if depth > mostActors {
		return nil, refuse(InvalidRequest, fmt.Sprintf("A chain has %d services at most.", mostActors))
	}
	text, err := json.Marshal(actor{Subject: c.ID, Before: h.Actor})
	if err != nil {
		panic(err) // a string and our own JSON always marshal
	}
	return text, nil
}
