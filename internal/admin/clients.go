package admin

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/bound"
)

// NewClient is a client to be added. SecretHash, times and version are filled
// in. A confidential client without Secret gets one.
type NewClient struct {
	client.Client
	Secret string // at least 20 characters
}

// ClientEdit is what is to change; nil leaves it as it is.
type ClientEdit struct {
	Name         *string
	Kind         *client.Kind // to confidential needs Secret; to public drops it
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

	Disabled *bool
	// EndTokens also takes back everything the client was given, if Secret
	// changes: for a secret that somebody else has.
	EndTokens bool
}

// secretCode is what is stored of a secret. Package grant computes it likewise.
func secretCode(k *opaque.Key, id, secret string) opaque.Digest {
	return k.MAC("client", id, secret)
}

// AddClient adds a client. The secret is returned if it was made here: once,
// and never again. A taken id is fault.Conflict.
func (s *Service) AddClient(ctx context.Context, by By, n NewClient) (c client.Client, secret string, err error) {
	if n.Kind == client.Confidential && n.Secret == "" {
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

// withSecret checks a secret and stores its code in the client.
func (s *Service) withSecret(c client.Client, secret string) (client.Client, error) {
	if secret == "" {
		c.SecretHash = opaque.Digest{}
		return c, nil
	}
	if len(secret) < 20 || len(secret) > 200 {
		return client.Client{}, fault.New(fault.Invalid, "Client "+c.ID+": a secret has 20 to 200 characters.")
	}
	for _, r := range secret {
		if r < 0x21 || r > 0x7e { // VSCHAR without space, RFC 6749 appendix A.2
			return client.Client{}, fault.New(fault.Invalid, "Client "+c.ID+": a secret holds visible ASCII characters only.")
		}
	}
	c.SecretHash = secretCode(s.Secrets, c.ID, secret)
	return c, nil
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
	if c.Name == "" {
		c.Name = c.ID
	}
	return c
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
	secret := ""
	assign(&secret, e.Secret)
	if secret != "" || next.Kind == client.Public {
		var err error
		if next, err = s.withSecret(next, secret); err != nil {
			return client.Client{}, err
		}
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

func (s *Service) takenFromClient(old, next client.Client, e ClientEdit) []revoke.Entry {
	switch {
	case next.Disabled && !old.Disabled:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "disabled")}
	case next.Kind != old.Kind:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "kind")}
	case e.EndTokens && next.SecretHash != old.SecretHash:
		return []revoke.Entry{s.entry(revoke.Client, old.ID, "secret")}
	}
	return nil
}

// RotateClientSecret gives a confidential client a new secret and returns it,
// once. The old one stops working at once; what the client was given lives on.
func (s *Service) RotateClientSecret(ctx context.Context, by By, id string) (string, error) {
	return s.rotateSecret(ctx, by, id, ClientEdit{})
}

// RotateStolenSecret is RotateClientSecret for a secret that somebody else has:
// everything the client was given is taken back in the same transaction.
func (s *Service) RotateStolenSecret(ctx context.Context, by By, id string) (string, error) {
	return s.rotateSecret(ctx, by, id, ClientEdit{EndTokens: true})
}

func (s *Service) rotateSecret(ctx context.Context, by By, id string, e ClientEdit) (string, error) {
	c, err := s.findClient(ctx, id)
	if err != nil {
		return "", err
	}
	if c.Kind != client.Confidential {
		return "", fault.New(fault.Conflict, "Client "+id+" is public: it has no secret.")
	}
	secret := opaque.Secret()
	e.Secret = &secret
	if _, err := s.EditClient(ctx, by, id, e); err != nil {
		return "", err
	}
	return secret, nil
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
		done, err := s.Store.RemoveClient(ctx, id, old.Version, revoke.Effects{
			Revoke: []revoke.Entry{s.entry(revoke.Client, id, "removed")},
			Audit:  s.events(by, "client.remove", id, []string{old.Name}),
		})
		if err != nil || done {
			return wrap(err, "remove client")
		}
	}
	return errOvertaken
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

func withoutSecret(c client.Client) client.Client {
	c.SecretHash = opaque.Digest{}
	return c
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
