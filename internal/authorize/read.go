package authorize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// What the person in front is told while nobody knows where to send them. None says
// what was sent: it may be anything.
var (
	errClient   = fault.New(fault.Invalid, "The link that brought you here names no application that is registered here. Go back and try again.")
	errRedirect = fault.New(fault.Invalid, "The application that sent you here wants you back at an address that is not registered for it. Nobody was told anything.")
	errMissing  = fault.New(fault.Invalid, "The application that sent you here does not say where you go back to (redirect_uri).")
	errRepeated = fault.New(fault.Invalid, "The application that sent you here says twice who it is or where you go back to.")
)

// Read checks a request that came with a browser. An error is a *Refused when the
// client may be told, and else a fault for the person: nobody is redirected to an
// address that was not found to be the client's (RFC 6749 section 4.1.2.1).
func (s *Service) Read(ctx context.Context, p Params) (oidc.Request, error) {
	c, err := s.caller(ctx, p)
	if err != nil {
		return oidc.Request{}, err
	}
	if p.get("request_uri") != "" || len(p["request_uri"]) > 1 {
		r, err := s.pushed(ctx, c, p)
		if err != nil {
			return oidc.Request{}, s.outside(c, p, err)
		}
		return r, nil
	}
	if c.NeedsPAR() {
		return oidc.Request{}, s.outside(c, p, refuse(oidc.InvalidRequest, "The client must push its authorization requests (RFC 9126)."))
	}
	in, err := s.object(ctx, c, p)
	if err != nil {
		return oidc.Request{}, s.outside(c, p, err)
	}
	r, err := place(c, in)
	if err != nil {
		return oidc.Request{}, err
	}
	r, err = s.check(ctx, c, in, r)
	if err != nil {
		return oidc.Request{}, s.back(r, err)
	}
	return r, nil
}

// outside routes a refusal by the parameters in the URL, where those inside of a
// request object or a pushed request could not be had.
func (s *Service) outside(c client.Client, p Params, err error) error {
	var why *oidc.Error
	if !errors.As(err, &why) {
		return err
	}
	r, placeErr := place(c, p)
	if placeErr != nil {
		return fault.Wrap(err, fault.Invalid, "The application that sent you here did not ask in a way that can be answered. Go back and try again.")
	}
	return s.back(r, err)
}

// caller finds the client.
func (s *Service) caller(ctx context.Context, p Params) (client.Client, error) {
	if !p.once("client_id") {
		return client.Client{}, errRepeated
	}
	id := p.get("client_id")
	if s.Documents != nil && len(id) <= mostText {
		if err := s.Documents(ctx, id); err != nil {
			return client.Client{}, described(err)
		}
	}
	return s.client(ctx, id)
}

// described says to a person that an application does not describe itself well.
func described(err error) error {
	var why *oidc.Error
	if !errors.As(err, &why) {
		return err
	}
	return fault.Wrap(err, fault.Invalid, "The application that sent you here cannot be identified. "+why.Description)
}

func (s *Service) client(ctx context.Context, id string) (client.Client, error) {
	if id == "" {
		return client.Client{}, errClient
	}
	c, found, err := s.Clients.ClientByID(ctx, id)
	if err != nil {
		return client.Client{}, fmt.Errorf("find client: %w", err)
	}
	if !found || c.Disabled || c.Source == client.ByDocument && s.Documents == nil {
		return client.Client{}, errClient
	}
	return c, nil
}

// place finds where the answer goes, and how.
func place(c client.Client, p Params) (oidc.Request, error) {
	if !p.once("redirect_uri") {
		return oidc.Request{}, errRepeated
	}
	uri := p.get("redirect_uri")
	r := oidc.Request{ClientID: c.ID, RedirectURI: uri, RedirectSent: uri != "", Mode: oidc.Query}
	switch {
	case uri != "":
		if !c.MaySend(uri) {
			return oidc.Request{}, errRedirect
		}
	case len(c.RedirectURIs) != 1 || c.Holds() == client.FAPI2 || asksFor(p, oidc.OpenID):
		return oidc.Request{}, errMissing // OAuth 2.1 section 2.3.3, OpenID Connect Core section 3.1.2.1
	default:
		r.RedirectURI = c.RedirectURIs[0]
	}
	if p.once("response_mode") && p.get("response_mode") == oidc.FormPost {
		r.Mode = oidc.FormPost
	}
	if state := p.get("state"); p.once("state") && plain(state) && len(state) <= mostText {
		r.State = state
	}
	return r, nil
}

func asksFor(p Params, scope string) bool {
	return slices.ContainsFunc(p["scope"], func(list string) bool { return slices.Contains(strings.Fields(list), scope) })
}
