package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/bound"
)

// NewClient is a client to be added. SecretHash, times and version are filled
// in. One that proves itself by a secret and has none in Secret gets one.
type NewClient struct {
	client.Client
	Secret  string          // at least 20 characters
	Members json.RawMessage // what to change in OAuth, as ClientEdit.OAuth has it
}

// ClientEdit is what is to change; nil leaves it as it is.
type ClientEdit struct {
	Name         *string
	Kind         *client.Kind // to confidential needs Secret or a method; to public drops what there was
	FirstParty   *bool
	Secret       *string
	RedirectURIs *[]string
	Origins      *[]string
	Grants       *[]string
	APIs         *map[string][]string
	Serves       *[]string
	Bind         *bound.Policy

	BackchannelLogoutURI     *string
	BackchannelLogoutSession *bool

	// OAuth is a JSON object in the names of client.OAuth. Its members take the place
	// of those of the same name, null takes one away. A method that is not by secret
	// drops the secret.
	OAuth json.RawMessage

	Disabled *bool
	// Overlap is how long the present secret works beside the new one, if Secret
	// changes; at most MostOverlap.
	Overlap time.Duration
	// EndTokens also takes back everything the client was given: for a secret or a key
	// that somebody else has. Without a new secret, method or key it is refused.
	EndTokens bool
}

// AddClient adds a client. The secret is returned if it was made here: once,
// and never again. A taken id is fault.Conflict.
func (s *Service) AddClient(ctx context.Context, by By, n NewClient) (c client.Client, secret string, err error) {
	if n, err = n.whole(); err != nil {
		return client.Client{}, "", err
	}
	if n.KeepsSecret() && n.Secret == "" {
		n.Secret = opaque.Secret()
		secret = n.Secret
	}
	if c, err = s.newClient(ctx, by, s.world(), n); err != nil {
		return client.Client{}, "", err
	}
	fx := revoke.Effects{Audit: s.events(by, "client.add", c.ID, []string{string(c.Kind)})}
	if err := s.Store.AddClient(ctx, c, fx); err != nil {
		return client.Client{}, "", wrap(err, "add client")
	}
	return withoutSecret(c), secret, nil
}

// whole returns n with its members in their places.
func (n NewClient) whole() (NewClient, error) {
	var err error
	n.OAuth, err = patched(n.OAuth, n.Members, "oauth")
	n.Members = nil
	return n, err
}

func (s *Service) newClient(ctx context.Context, by By, w world, n NewClient) (client.Client, error) {
	c := n.Client
	c.CreatedAt, c.UpdatedAt, c.Version = s.Now(), s.Now(), 1
	c, err := s.withSecret(c, n.Secret)
	if err != nil {
		return client.Client{}, err
	}
	c = s.normalClient(c)
	if err := c.Check(); err != nil {
		return client.Client{}, err
	}
	if err := w.checkScopes(ctx, "Client "+c.ID, c.APIs); err != nil {
		return client.Client{}, err
	}
	if err := w.checkServed(ctx, c); err != nil {
		return client.Client{}, err
	}
	return c, s.mayManage(ctx, by, c.ID, c.APIs)
}

// normalClient gives equal clients one form.
func (s *Service) normalClient(c client.Client) client.Client {
	c.RedirectURIs, c.Origins = once(c.RedirectURIs), once(c.Origins)
	c.Grants = set(c.Grants)
	c.APIs = s.normalScopes(c.APIs)
	serves := make([]string, 0, len(c.Serves))
	for _, id := range c.Serves {
		serves = append(serves, s.apiID(id))
	}
	c.Serves = set(serves)
	c.OAuth = normalOAuth(c.OAuth)
	if c.Name == "" {
		c.Name = c.ID
	}
	return c
}

func normalOAuth(o client.OAuth) client.OAuth {
	o = o.Clone()
	o.JWKS = oneForm(o.JWKS)
	o.PostLogoutRedirectURIs, o.DefaultACR, o.Contacts = once(o.PostLogoutRedirectURIs), once(o.DefaultACR), once(o.Contacts)
	for i, a := range o.Assertions {
		o.Assertions[i].JWKS = oneForm(a.JWKS)
	}
	if len(o.Assertions) == 0 {
		o.Assertions = nil
	}
	return o
}

// checkServed refuses a client that serves an API that is not known.
func (w world) checkServed(ctx context.Context, c client.Client) error {
	served := map[string][]string{}
	for _, id := range c.Serves {
		served[id] = nil
	}
	return w.checkScopes(ctx, "Client "+c.ID, served)
}

// EditClient changes a client. What the change takes away is revoked with it.
// An edit that changes nothing writes nothing.
func (s *Service) EditClient(ctx context.Context, by By, id string, e ClientEdit) (client.Client, error) {
	for range attempts {
		old, err := s.findClient(ctx, id)
		if err != nil {
			return client.Client{}, err
		}
		next, err := s.editedClient(ctx, by, s.world(), old, e)
		if err != nil {
			return client.Client{}, err
		}
		changes := clientChanges(old, next)
		if len(changes) == 0 {
			return withoutSecret(old), nil
		}
		next.UpdatedAt = s.Now()
		fx := revoke.Effects{Revoke: s.takenFromClient(old, next, e), Audit: s.events(by, "client.edit", old.ID, changes)}
		done, err := s.Store.ChangeClient(ctx, next, fx)
		if err != nil {
			return client.Client{}, wrap(err, "change client")
		}
		if done {
			next.Version++
			return withoutSecret(next), nil
		}
	}
	return client.Client{}, errOvertaken
}

func (s *Service) editedClient(ctx context.Context, by By, w world, old client.Client, e ClientEdit) (client.Client, error) {
	if err := s.mayManage(ctx, by, old.ID, old.APIs); err != nil {
		return client.Client{}, err
	}
	next := old
	assign(&next.Name, e.Name)
	assign(&next.Kind, e.Kind)
	assign(&next.FirstParty, e.FirstParty)
	assign(&next.RedirectURIs, e.RedirectURIs)
	assign(&next.Origins, e.Origins)
	assign(&next.Grants, e.Grants)
	assign(&next.APIs, e.APIs)
	assign(&next.Serves, e.Serves)
	assign(&next.Bind, e.Bind)
	assign(&next.BackchannelLogoutURI, e.BackchannelLogoutURI)
	assign(&next.BackchannelLogoutSession, e.BackchannelLogoutSession)
	assign(&next.Disabled, e.Disabled)
	if next.Kind != old.Kind {
		next.OAuth.AuthMethod = "" // that of the other kind
	}
	var err error
	if next.OAuth, err = patched(next.OAuth, e.OAuth, "oauth"); err != nil {
		return client.Client{}, err
	}
	if next, err = s.editedSecret(old, next, e); err != nil {
		return client.Client{}, err
	}
	next = s.normalClient(next)
	if err := next.Check(); err != nil {
		return client.Client{}, err
	}
	// Names that were there before may be gone by now; that must not stand in
	// the way of disabling a client.
	if e.APIs != nil {
		if err := w.checkScopes(ctx, "Client "+next.ID, next.APIs); err != nil {
			return client.Client{}, err
		}
	}
	if e.Serves != nil {
		if err := w.checkServed(ctx, next); err != nil {
			return client.Client{}, err
		}
	}
	return next, s.mayManage(ctx, by, next.ID, next.APIs)
}

// takenFromClient is the entry that takes back what next may have no more. What was
// given for another kind, or without what FAPI demands, is not for this client.
func (s *Service) takenFromClient(old, next client.Client, e ClientEdit) []revoke.Entry {
	switch {
	case next.Disabled && !old.Disabled:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "disabled")}
	case next.Kind != old.Kind:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "kind")}
	case next.Holds() == client.FAPI2 && old.Holds() != client.FAPI2:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "profile")}
	case e.EndTokens && next.SecretHash != old.SecretHash:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "secret")}
	case e.EndTokens:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "key")}
	}
	return nil
}

// RemoveClient removes a client and takes back everything it was given.
func (s *Service) RemoveClient(ctx context.Context, by By, id string) error {
	for range attempts {
		old, err := s.findClient(ctx, id)
		if err != nil {
			return err
		}
		if err := s.mayManage(ctx, by, id, old.APIs); err != nil {
			return err
		}
		done, err := s.removeClient(ctx, by, old)
		if err != nil || done {
			return wrap(err, "remove client")
		}
	}
	return errOvertaken
}

// removeClient reports whether nobody was faster.
func (s *Service) removeClient(ctx context.Context, by By, old client.Client) (bool, error) {
	return s.Store.RemoveClient(ctx, old.ID, old.Version, revoke.Effects{
		Revoke: []revoke.Entry{s.entry(revoke.Client, old.ID, "removed")},
		Audit:  s.events(by, "client.remove", old.ID, []string{old.Name}),
	})
}

// Client finds a client, without what is stored of its secret. None is
// fault.NotFound.
func (s *Service) Client(ctx context.Context, id string) (client.Client, error) {
	c, err := s.findClient(ctx, id)
	return withoutSecret(c), err
}

// Clients lists clients with id > after, sorted by id, at most limit, without
// what is stored of their secrets.
func (s *Service) Clients(ctx context.Context, after string, limit int) ([]client.Client, error) {
	all, err := s.Store.Clients(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	for i := range all {
		all[i] = withoutSecret(all[i])
	}
	return all, nil
}

func (s *Service) findClient(ctx context.Context, id string) (client.Client, error) {
	c, found, err := s.Store.ClientByID(ctx, id)
	if err != nil {
		return client.Client{}, fmt.Errorf("find client: %w", err)
	}
	if !found {
		return client.Client{}, fault.New(fault.NotFound, "No such client.")
	}
	return c, nil
}
