package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
)

// APIEdit is what is to change; nil leaves it as it is.
type APIEdit struct {
	Name     *string
	Token    *api.Token // as a whole
	Scopes   *[]string
	Stale    *api.Stale
	Disabled *bool
}

// AddAPI adds an API and its first key. What is empty gets its default. Times
// and version are filled in. A taken id is fault.Conflict.
func (s *Service) AddAPI(ctx context.Context, by By, a api.API) (api.API, error) {
	a, err := s.newAPI(a)
	if err != nil {
		return api.API{}, err
	}
	fx := revoke.Effects{Audit: s.events(by, "api.add", a.ID, []string{string(a.Token.Format) + " " + string(a.Token.Alg)})}
	if err := s.Store.AddAPI(ctx, a, fx); err != nil {
		return api.API{}, wrap(err, "add API")
	}
	return a, s.Keys.Ensure(ctx, a)
}

func (s *Service) newAPI(a api.API) (api.API, error) {
	if api.BuiltIn(s.apiID(a.ID)) {
		return api.API{}, fault.New(fault.Conflict, "The management API is built in.")
	}
	if a.ID == s.Issuer {
		return api.API{}, fault.New(fault.Invalid, "API "+a.ID+": the id is this server's own.")
	}
	a.CreatedAt, a.UpdatedAt, a.Version = s.Now(), s.Now(), 1
	a = normalAPI(a)
	return a, a.Check()
}

// normalAPI gives equal APIs one form. Double scopes stay: Check refuses them.
func normalAPI(a api.API) api.API {
	a = a.WithDefaults()
	a.Scopes = sorted(a.Scopes)
	if e := a.Token.Encrypt; e != nil {
		compact := *e
		var b bytes.Buffer
		if json.Compact(&b, e.JWK) == nil {
			compact.JWK = b.Bytes()
		}
		a.Token.Encrypt = &compact
	}
	return a
}

// EditAPI changes an API. A new algorithm signs when every verifier may know its
// key. Of the built-in API only the name, the tokens and the policy change. An
// edit that changes nothing writes nothing.
func (s *Service) EditAPI(ctx context.Context, by By, id string, e APIEdit) (api.API, error) {
	for range attempts {
		old, err := s.findAPI(ctx, id)
		if err != nil {
			return api.API{}, err
		}
		next, err := s.editedAPI(ctx, by, old, e)
		if err != nil {
			return api.API{}, err
		}
		changes := apiChanges(old, next)
		if len(changes) == 0 {
			return old, nil
		}
		next.UpdatedAt = s.Now()
		fx := revoke.Effects{Audit: s.events(by, "api.edit", old.ID, changes)}
		if next.Disabled && !old.Disabled {
			fx.Revoke = []revoke.Entry{s.entry(revoke.API, old.ID, "disabled")}
		}
		done, err := s.Store.ChangeAPI(ctx, next, fx)
		if err != nil {
			return api.API{}, wrap(err, "change API")
		}
		if done {
			next.Version++
			return next, s.Keys.Ensure(ctx, next)
		}
	}
	return api.API{}, errOvertaken
}

func (s *Service) editedAPI(ctx context.Context, by By, old api.API, e APIEdit) (api.API, error) {
	if old.ID == api.Management {
		if err := s.mayManage(ctx, by, old.ID, map[string][]string{api.Management: {role.All}}); err != nil {
			return api.API{}, err
		}
	}
	next := old
	assign(&next.Name, e.Name)
	assign(&next.Token, e.Token)
	assign(&next.Scopes, e.Scopes)
	assign(&next.Stale, e.Stale)
	assign(&next.Disabled, e.Disabled)
	next = normalAPI(next)
	if err := next.Check(); err != nil {
		return api.API{}, err
	}
	return next, mayBe(old, next)
}

// mayBe refuses what a built-in API cannot become.
func mayBe(old, next api.API) error {
	switch {
	case !api.BuiltIn(old.ID):
		return nil
	case next.Token.Alg.Symmetric():
		// Whoever reads an HMAC secret can mint: here that would be every power there is.
		return fault.New(fault.Invalid, "API "+old.ID+" is built in: its algorithm is not HMAC.")
	case !slices.Equal(next.Scopes, old.Scopes):
		return fault.New(fault.Invalid, "API "+old.ID+" is built in: it keeps its scopes.")
	case next.Token.Format == api.JWE:
		return fault.New(fault.Invalid, "API "+old.ID+" is built in: the server reads its tokens, so their format is not jwe.")
	case old.ID == api.Management && (next.Disabled || next.Token.Format != api.JWT):
		return fault.New(fault.Invalid, "API "+old.ID+" is built in: it stays enabled, with format jwt.")
	}
	return nil
}

// RemoveAPI removes an API, takes back every token for it, and takes it from the
// clients and roles that name it. The built-in API is fault.Conflict.
func (s *Service) RemoveAPI(ctx context.Context, by By, id string) error {
	if api.BuiltIn(s.apiID(id)) {
		return fault.New(fault.Conflict, "This API is built in. It cannot be removed.")
	}
	for range attempts {
		old, err := s.findAPI(ctx, id)
		if err != nil {
			return err
		}
		done, err := s.Store.RemoveAPI(ctx, old.ID, old.Version, revoke.Effects{
			Revoke: []revoke.Entry{s.entry(revoke.API, old.ID, "removed")},
			Audit:  s.events(by, "api.remove", old.ID, []string{old.Name}),
		})
		if err != nil {
			return wrap(err, "remove API")
		}
		if done {
			return s.forgetAPI(ctx, by, old.ID)
		}
	}
	return errOvertaken
}

// forgetAPI takes an API that is gone from clients and roles, so that another API
// of that id is not theirs by accident. It gives nothing, so it needs no more
// power than the removal did. What clients serve stays: it only limits them, and
// to serve nothing in particular would mean to serve every API.
func (s *Service) forgetAPI(ctx context.Context, by By, id string) error {
	clients, err := s.clientsWith(ctx, id)
	if err != nil {
		return err
	}
	full := By{Actor: by.Actor, All: true}
	for _, c := range clients {
		scopes := without(c.APIs, id)
		if _, err := s.EditClient(ctx, full, c.ID, ClientEdit{APIs: &scopes}); err != nil {
			return fmt.Errorf("take API from client %s: %w", c.ID, err)
		}
	}
	roles, err := s.allRoles(ctx)
	if err != nil {
		return err
	}
	for _, r := range roles {
		if _, names := r.Scopes[id]; !names {
			continue
		}
		scopes := without(r.Scopes, id)
		if _, err := s.EditRole(ctx, full, r.ID, RoleEdit{Scopes: &scopes}); err != nil {
			return fmt.Errorf("take API from role %s: %w", r.ID, err)
		}
	}
	return nil
}

func (s *Service) clientsWith(ctx context.Context, apiID string) ([]client.Client, error) {
	const page = 500
	var found []client.Client
	after := ""
	for {
		some, err := s.Store.Clients(ctx, after, page)
		if err != nil {
			return nil, fmt.Errorf("list clients: %w", err)
		}
		for _, c := range some {
			if _, names := c.APIs[apiID]; names {
				found = append(found, c)
			}
		}
		if len(some) < page {
			return found, nil
		}
		after = some[len(some)-1].ID
	}
}

// API finds an API by its id, or the built-in one by its audience too. None is
// fault.NotFound.
func (s *Service) API(ctx context.Context, id string) (api.API, error) { return s.findAPI(ctx, id) }

// APIs lists APIs with id > after, sorted by id, at most limit.
func (s *Service) APIs(ctx context.Context, after string, limit int) ([]api.API, error) {
	all, err := s.Store.APIs(ctx, after, limit)
	return all, wrap(err, "list APIs")
}

func (s *Service) findAPI(ctx context.Context, id string) (api.API, error) {
	a, found, err := s.Store.APIByID(ctx, s.apiID(id))
	if err != nil {
		return api.API{}, fmt.Errorf("find API: %w", err)
	}
	if !found {
		return api.API{}, fault.New(fault.NotFound, "No such API.")
	}
	return a, nil
}
