package logout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Topic is the name under which messages and the place in the log are kept.
const Topic = "logout"

// TokenType is the "typ" of a logout token, and Event the one event in it.
const (
	TokenType = "logout+jwt"
	Event     = "http://schemas.openid.net/event/backchannel-logout"
)

// tokenLifetime is short: a token that was caught must be worth nothing soon (section 4).
const tokenLifetime = 2 * time.Minute

// Clients finds clients.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, bool, error)
}

// Config is what a Notifier is made of. All fields are needed.
type Config struct {
	Issuer  string
	Clients Clients
	// Signer is the key that signs logout tokens. It stands in the issuer's key set.
	Signer func() (*jose.Key, bool)
	Post   outbox.Post
	Now    func() time.Time
}

// Notifier is the topic of logout tokens.
type Notifier struct{ c Config }

var _ outbox.Topic = (*Notifier)(nil)

// New returns a topic for an outbox.
func New(c Config) (*Notifier, error) {
	if c.Issuer == "" || c.Clients == nil || c.Signer == nil || c.Post == nil || c.Now == nil {
		return nil, errors.New("logout notices need an issuer, clients, a signer, a sender and a clock")
	}
	return &Notifier{c}, nil
}

// notice is the body of a message.
type notice struct {
	Subject string `json:"sub,omitempty"`
	Session string `json:"sid,omitempty"`
}

// Name implements outbox.Topic.
func (n *Notifier) Name() string { return Topic }

// Plan implements outbox.Topic.
func (n *Notifier) Plan(ctx context.Context, r revoke.Recorded) ([]outbox.Message, error) {
	what, tells := noticeOf(r.Entry)
	if !tells {
		return nil, nil
	}
	body, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("encode notice: %w", err)
	}
	var all []outbox.Message
	for _, id := range r.Clients {
		_, listens, err := n.listener(ctx, id)
		if err != nil {
			return nil, err
		}
		if listens {
			all = append(all, outbox.NewMessage(Topic, id, body, n.c.Now()))
		}
	}
	return all, nil
}

// noticeOf says what to tell of an entry. A user's entry ends every session there
// is: a token that names the user alone says just that (section 2.4).
func noticeOf(e revoke.Entry) (what notice, tells bool) {
	switch e.Kind {
	case revoke.Session:
		return notice{Subject: e.Subject, Session: e.Key}, true
	case revoke.User:
		return notice{Subject: e.Key}, true
	}
	return notice{}, false
}

func (n *Notifier) listener(ctx context.Context, id string) (c client.Client, listens bool, err error) {
	c, found, err := n.c.Clients.ClientByID(ctx, id)
	if err != nil {
		return client.Client{}, false, fmt.Errorf("find client: %w", err)
	}
	return c, found && !c.Disabled && c.BackchannelLogoutURI != "", nil
}

// Open implements outbox.Topic.
func (n *Notifier) Open(context.Context, string) (bool, error) { return true, nil }

// The answers of a client (section 2.8). Some write 204 where 200 was meant.
const (
	ok         = 200
	noContent  = 204
	badRequest = 400
)

// Deliver implements outbox.Topic. The address is the one the client has now.
func (n *Notifier) Deliver(ctx context.Context, m outbox.Message) outbox.Outcome {
	c, listens, err := n.listener(ctx, m.To)
	if err != nil {
		return outbox.Outcome{Result: outbox.Failed, Problem: err.Error()}
	}
	if !listens {
		return outbox.Outcome{Result: outbox.Moot}
	}
	token, err := n.token(c, m)
	if err != nil {
		return outbox.Outcome{Result: outbox.Failed, Problem: err.Error()}
	}
	answer, err := n.c.Post(ctx, outbox.Letter{
		URL: c.BackchannelLogoutURI, ContentType: "application/x-www-form-urlencoded",
		Body: []byte(url.Values{"logout_token": {token}}.Encode()),
	})
	switch {
	case err != nil:
		return outbox.Outcome{Result: outbox.Failed, Problem: err.Error()}
	case answer.Status == ok || answer.Status == noContent:
		return outbox.Outcome{Result: outbox.Delivered}
	case answer.Status == badRequest:
		return outbox.Outcome{Result: outbox.Refused, Problem: "the client refused the logout token with status 400"}
	}
	return outbox.Outcome{Result: outbox.Failed, Problem: fmt.Sprintf("the client answered with status %d", answer.Status), After: answer.After}
}

// claims of a logout token (section 2.4). There is no nonce: a logout token must
// never pass for an ID token.
type claims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub,omitempty"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	ID       string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	Session  string              `json:"sid,omitempty"`
}

// token makes the token of one attempt. Each has an id of its own: a client that
// remembers ids would take a second attempt, after a failure of its own, for a replay.
func (n *Notifier) token(c client.Client, m outbox.Message) (string, error) {
	var what notice
	if err := json.Unmarshal(m.Body, &what); err != nil {
		return "", fmt.Errorf("read message %s: %w", m.ID, err)
	}
	key, there := n.c.Signer()
	if !there {
		return "", errors.New("no key signs logout tokens yet")
	}
	now := n.c.Now()
	payload, err := json.Marshal(claims{
		Issuer: n.c.Issuer, Subject: what.Subject, Audience: c.ID, IssuedAt: now.Unix(), Expires: now.Add(tokenLifetime).Unix(),
		ID: m.ID + "." + strconv.Itoa(m.Attempts+1), Events: map[string]struct{}{Event: {}}, Session: what.Session,
	})
	if err != nil {
		return "", fmt.Errorf("encode logout token: %w", err)
	}
	text, err := jose.Sign(key, jose.Header{Type: TokenType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign logout token: %w", err)
	}
	return text, nil
}
