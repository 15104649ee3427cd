package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// RegistrationMode says who may register a client.
type RegistrationMode string

// The modes.
const (
	RegistrationOff   RegistrationMode = ""
	RegistrationToken RegistrationMode = "token" // who has an invitation
	RegistrationOpen  RegistrationMode = "open"  // everybody
)

// Registration is how clients that no operator adds come to be. The zero value lets
// none in.
type Registration struct {
	Mode      RegistrationMode
	Documents bool // an address of a Client ID Metadata Document is a client id
	Loopback  bool // such an address may be http on loopback, for development
	// APIs are those that such clients may ask for, and their scopes. An API that is
	// not there, or disabled, is left out. For userinfo these are the identity scopes;
	// all of them when it is not named.
	APIs    map[string][]string
	Profile client.Profile      // of confidential ones; "": strict
	Methods []client.AuthMethod // that the server can check
	// Fetch gets a document of at most so many bytes. It goes nowhere that it must not
	// reach, and follows no redirect.
	Fetch func(ctx context.Context, uri string, bytes int64) (Fetched, error)
	Log   *slog.Logger // why an address could not be read; nil: nowhere
}

// Fetched is what an address answered.
type Fetched struct {
	Body   []byte
	Type   string        // the media type alone, in lower case
	MaxAge time.Duration // 0: it does not say, or forbids it
}

// Enrollment is a request to be registered.
type Enrollment struct {
	Metadata json.RawMessage // RFC 7591 section 2
	Token    string          // the invitation; "" for none
	Address  netip.Addr      // where it comes from
}

// Registered is a client that registered itself, as it may see itself. Secret and
// Token are shown once.
type Registered struct {
	Client client.Client
	Secret string // "": none, or the one it has
	Token  string // reads and changes the registration (RFC 7592)
}

func refuse(code, description string) error {
	return &oidc.Error{Code: code, Description: description}
}

// errRegistrationToken is for every token that is none, or is not good any more.
var errRegistrationToken = refuse(oidc.InvalidToken, "The token is missing, unknown, expired or used up, or its client is gone.")

// Register adds a client that nobody here has looked at (RFC 7591). A refusal is an
// *oidc.Error, or a fault when it comes too often.
func (s *Service) Register(ctx context.Context, in Enrollment) (Registered, error) {
	inv, err := s.admitted(ctx, in)
	if err != nil {
		return Registered{}, err
	}
	c, err := s.describe(ctx, in.Metadata, false)
	if err != nil {
		return Registered{}, err
	}
	out := Registered{Token: opaque.Secret()}
	c.ID, c.Source, c.RegistrationHash = opaque.ID(opaque.ClientID, s.Now()), client.ByItself, opaque.Hash(out.Token)
	if c.KeepsSecret() {
		out.Secret = opaque.Secret()
	}
	by := By{Actor: c.ID}
	if c, err = s.newClient(ctx, by, s.world(), NewClient{Client: c, Secret: out.Secret}); err != nil {
		return Registered{}, inMetadata(c.ID, err)
	}
	out.Client = withoutSecret(c)
	if inv == nil {
		fx := revoke.Effects{Audit: s.events(by, "client.register", c.ID, []string{"open"})}
		return out, wrap(s.Store.AddClient(ctx, c, fx), "add client")
	}
	return out, s.useInvitation(ctx, by, *inv, c)
}

// admitted finds the invitation of who wants in; nil: none is needed.
func (s *Service) admitted(ctx context.Context, in Enrollment) (*ticket.Ticket, error) {
	switch {
	case s.Registration.Mode == RegistrationOff:
		return nil, fault.New(fault.NotFound, "Clients cannot register themselves here.")
	case in.Token != "":
		t, err := s.invitation(ctx, opaque.Hash(in.Token))
		return &t, err
	case s.Registration.Mode != RegistrationOpen:
		return nil, errRegistrationToken
	}
	return nil, s.slowed(ctx, registering(in.Address))
}

// registering are the counters of a network that registers clients, and of all.
func registering(from netip.Addr) []limit.Rule {
	keys := limit.NetworkKeys(from)
	return []limit.Rule{
		{Key: "registration/" + keys[0], Free: 20, Base: 10 * time.Second, Max: 10 * time.Minute, Forget: time.Hour},
		{Key: "registration/" + keys[1], Free: 100, Base: time.Second, Max: 10 * time.Minute, Forget: time.Hour},
		{Key: "registration/all", Free: 1000, Base: time.Second, Max: time.Minute, Forget: time.Hour},
	}
}

func (s *Service) slowed(ctx context.Context, rules []limit.Rule) error {
	wait, err := s.Store.Attempt(ctx, rules, s.Now())
	if err != nil {
		return fmt.Errorf("count registration: %w", err)
	}
	if wait > 0 {
		return fault.New(fault.TooMany, "Too many clients are being registered. Try again later.").Retry(wait)
	}
	return nil
}

// inMetadata says in the words of RFC 7591 what the rules of clients refuse.
func inMetadata(id string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Invalid {
		return err
	}
	return refuse(oidc.InvalidClientMetadata, withoutName(f.Public, id))
}

// RegisteredClient returns the client whose registration token it is. Every refusal is
// invalid_token: a token of one client is worth nothing at another, and the token of a
// disabled client nothing anywhere.
func (s *Service) RegisteredClient(ctx context.Context, id, token string) (Registered, error) {
	c, err := s.registrant(ctx, id, token)
	return Registered{Client: withoutSecret(c), Token: token}, err
}

func (s *Service) registrant(ctx context.Context, id, token string) (client.Client, error) {
	if s.Registration.Mode == RegistrationOff || token == "" {
		return client.Client{}, errRegistrationToken
	}
	c, found, err := s.Store.ClientByID(ctx, id)
	if err != nil {
		return client.Client{}, fmt.Errorf("find client: %w", err)
	}
	if !found || c.Disabled || c.Source != client.ByItself || c.RegistrationHash.IsZero() || !opaque.Hash(token).Equal(c.RegistrationHash) {
		return client.Client{}, errRegistrationToken
	}
	return c, nil
}

// Reregister puts other metadata in the place of all that the client has, and another
// token in the place of its token (RFC 7592 section 2.2). What an operator alone may
// say of a client stays.
func (s *Service) Reregister(ctx context.Context, id, token string, metadata json.RawMessage) (Registered, error) {
	old, err := s.registrant(ctx, id, token)
	if err != nil {
		return Registered{}, err
	}
	if err := s.checkOwn(old, metadata); err != nil {
		return Registered{}, err
	}
	described, err := s.describe(ctx, metadata, false)
	if err != nil {
		return Registered{}, err
	}
	by := By{Actor: id}
	for range attempts {
		if old, err = s.registrant(ctx, id, token); err != nil {
			return Registered{}, err
		}
		out := Registered{Token: opaque.Secret()}
		next, e := redescribed(old, described), ClientEdit{}
		next.RegistrationHash = opaque.Hash(out.Token)
		if next.KeepsSecret() && !old.KeepsSecret() {
			out.Secret = opaque.Secret()
			e.Secret = &out.Secret
		}
		var done bool
		if out.Client, done, err = s.replaceClient(ctx, by, change{old, next, e, "registration token changed"}); err != nil {
			return Registered{}, inMetadata(id, err)
		}
		if done {
			return out, nil
		}
	}
	return Registered{}, errOvertaken
}

// change is a client before and after, and what goes with it.
type change struct {
	old, next client.Client
	edit      ClientEdit
	note      string // one more line for the audit log; "" for none
}

// replaceClient writes a whole client in the place of what it was. It reports whether
// nobody was faster.
func (s *Service) replaceClient(ctx context.Context, by By, ch change) (client.Client, bool, error) {
	next, err := s.editedSecret(ch.old, ch.next, ch.edit)
	if err != nil {
		return client.Client{}, false, err
	}
	next = s.normalClient(next)
	if err := next.Check(); err != nil {
		return client.Client{}, false, err
	}
	if err := s.world().checkScopes(ctx, "Client "+next.ID, next.APIs); err != nil {
		return client.Client{}, false, err
	}
	changes := clientChanges(ch.old, next)
	if ch.note != "" {
		changes = append(changes, ch.note)
	}
	if len(changes) == 0 {
		return withoutSecret(ch.old), true, nil
	}
	next.UpdatedAt = s.Now()
	fx := revoke.Effects{Revoke: s.takenFromClient(ch.old, next, ch.edit), Audit: s.events(by, "client.edit", next.ID, changes)}
	done, err := s.Store.ChangeClient(ctx, next, fx)
	next.Version++
	return withoutSecret(next), done, wrap(err, "change client")
}

// Unregister removes the client and takes back everything it was given (RFC 7592
// section 2.3).
func (s *Service) Unregister(ctx context.Context, id, token string) error {
	for range attempts {
		old, err := s.registrant(ctx, id, token)
		if err != nil {
			return err
		}
		done, err := s.removeClient(ctx, By{Actor: id}, old)
		if err != nil || done {
			return wrap(err, "remove client")
		}
	}
	return errOvertaken
}

// inRedirect says so of a redirect URI.
func inRedirect(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Invalid {
		return err
	}
	return refuse(oidc.InvalidRedirectURI, withoutName(f.Public, ""))
}

// withoutName takes the name of a client from a sentence: it did not ask under one.
func withoutName(sentence, id string) string {
	return strings.TrimPrefix(sentence, "Client "+id+": ")
}
