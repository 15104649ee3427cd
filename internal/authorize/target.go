package authorize

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/role"
)

// target finds the API that a request is for: the one it names (RFC 8707), else the
// only one that has all the scopes. Who a person is needs no other API.
func (s *Service) target(ctx context.Context, c client.Client, in Params, r oidc.Request) (string, error) {
	scopes := r.Scopes
	if err := mayIdentify(c, asked(r, scopes)); err != nil {
		return "", err
	}
	identity, ofAPI := oidc.SplitScopes(scopes)
	named := slices.DeleteFunc(slices.Clone(in["resource"]), func(v string) bool { return v == "" })
	switch {
	case len(named) > 1:
		return "", refuse(oidc.InvalidTarget, "A request is for one API: name one resource.")
	case len(named) == 1:
		return s.named(ctx, c, named[0], ofAPI)
	case len(ofAPI) == 0 && len(identity) > 0:
		return api.Userinfo, nil
	}
	return s.only(ctx, c, ofAPI)
}

func (s *Service) named(ctx context.Context, c client.Client, name string, scopes []string) (string, error) {
	u, err := url.Parse(name)
	if err != nil || !u.IsAbs() || strings.Contains(name, "#") || len(name) > 200 {
		return "", refuse(oidc.InvalidTarget, "resource is not an absolute URI without fragment.")
	}
	id := api.Named(s.Issuer, name)
	_, registered := c.APIs[id]
	a, found, err := s.APIs.APIByID(ctx, id)
	if err != nil {
		return "", fmt.Errorf("find API: %w", err)
	}
	if !found || a.Disabled || !registered && id != api.Userinfo {
		return "", refuse(oidc.InvalidTarget, "The client is not registered for this API.")
	}
	if !covers(c, a, scopes) {
		return "", refuse(oidc.InvalidScope, "The client may not ask for all of these scopes of this API.")
	}
	return id, nil
}

// only finds the one API of the client that has all the scopes; without scopes the
// client must have no more than one.
func (s *Service) only(ctx context.Context, c client.Client, scopes []string) (string, error) {
	var fit []string
	for id := range c.APIs {
		if id == api.Userinfo {
			continue
		}
		a, found, err := s.APIs.APIByID(ctx, id)
		if err != nil {
			return "", fmt.Errorf("find API: %w", err)
		}
		if found && !a.Disabled && covers(c, a, scopes) {
			fit = append(fit, id)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return "", refuse(oidc.InvalidTarget, "Name the API with resource: the scopes are those of several.")
	case len(scopes) == 0:
		return "", refuse(oidc.InvalidScope, "scope is missing.")
	}
	return "", refuse(oidc.InvalidScope, "The client may not ask for all of these scopes of any one API.")
}

func covers(c client.Client, a api.API, scopes []string) bool {
	list := c.APIs[a.ID]
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !a.Has(scope) || !allows(list, scope) })
}

func allows(list []string, scope string) bool {
	return slices.Contains(list, scope) || slices.Contains(list, role.All)
}

// asked are the scopes that a person allows when a request gives scopes: a claim that
// is asked for by name is as much as the scope it belongs to.
func asked(r oidc.Request, scopes []string) []string {
	all := slices.Concat(scopes, r.Claims.Scopes())
	slices.Sort(all)
	return slices.Compact(all)
}

// mayIdentify holds a client to the identity scopes it lists, if it lists any.
func mayIdentify(c client.Client, scopes []string) error {
	list, limited := c.APIs[api.Userinfo]
	if limited && slices.ContainsFunc(scopes, func(scope string) bool { return oidc.IsIdentity(scope) && !allows(list, scope) }) {
		return refuse(oidc.InvalidScope, "The client may not ask for all of these identity scopes.")
	}
	return nil
}
