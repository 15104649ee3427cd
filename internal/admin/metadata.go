package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/jose"
)

// plainMetadata are the members of client metadata (RFC 7591 section 2, OpenID Connect
// Registration section 2) that client.OAuth has not.
type plainMetadata struct {
	RedirectURIs       []string `json:"redirect_uris"`
	Grants             []string `json:"grant_types"`
	Responses          []string `json:"response_types"`
	Name               string   `json:"client_name"`
	Scope              string   `json:"scope"`
	Subject            string   `json:"subject_type"`
	BackchannelURI     string   `json:"backchannel_logout_uri"`
	BackchannelSession bool     `json:"backchannel_logout_session_required"`
}

// notTheirs are the members of client.OAuth that an operator alone may state.
var notTheirs = []string{"profile", "consent", "assertion_issuers"}

// notHere are members whose silence would leave a client with less protection than it
// asked for.
var notHere = []string{
	"id_token_encrypted_response_alg", "id_token_encrypted_response_enc", "userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc",
	"request_object_encryption_alg", "request_object_encryption_enc", "introspection_encrypted_response_alg", "introspection_encrypted_response_enc",
}

// RegistrableGrants are the grant types of clients that no operator has looked at:
// those in which a person says yes, to a page that says where they came from.
var RegistrableGrants = []string{client.AuthorizationCode, client.RefreshToken}

func badMetadata(description string) error { return refuse(oidc.InvalidClientMetadata, description) }

// describe makes a client of metadata. lenient leaves out grants and scopes that are
// not to be had, where a document speaks to many servers; else they are refused. What
// is left to check is done by client.Check.
func (s *Service) describe(ctx context.Context, metadata json.RawMessage, lenient bool) (client.Client, error) {
	members, err := jose.Members(metadata)
	if err != nil {
		return client.Client{}, badMetadata("Client metadata must be one JSON object without repeated members.")
	}
	for _, m := range members {
		if slices.Contains(notHere, m.Name) && string(m.Value) != "null" {
			return client.Client{}, badMetadata(m.Name + " is not supported.")
		}
	}
	plain, err := metadataIn[plainMetadata](members)
	if err != nil {
		return client.Client{}, err
	}
	o, err := metadataIn[client.OAuth](members)
	if err != nil {
		return client.Client{}, err
	}
	if lenient {
		plain.Grants = slices.DeleteFunc(plain.Grants, func(g string) bool { return !slices.Contains(RegistrableGrants, g) })
	}
	c := client.Client{
		Name: plain.Name, RedirectURIs: plain.RedirectURIs, OAuth: o,
		BackchannelLogoutURI: plain.BackchannelURI, BackchannelLogoutSession: plain.BackchannelSession,
	}
	for _, step := range []func(plainMetadata, *client.Client) error{flowsIn, s.methodIn, placesIn} {
		if err := step(plain, &c); err != nil {
			return client.Client{}, err
		}
	}
	if c.APIs, err = s.asksFor(ctx, plain.Scope, lenient); err != nil {
		return client.Client{}, err
	}
	if lenient {
		c.OAuth.SectorURI = "" // it serves pairwise subjects, and there are none
	}
	return c, s.checkSector(ctx, c)
}

// metadataIn reads the members that T has. Others are not understood, and null is as
// good as nothing (RFC 7591 section 2, RFC 7592 section 2.2).
func metadataIn[T any](members []jose.Member) (T, error) {
	known, text := fieldsByName(reflect.TypeFor[T]()), bytes.NewBufferString("{")
	for _, m := range members {
		if _, ok := known[m.Name]; !ok || slices.Contains(notTheirs, m.Name) || string(m.Value) == "null" {
			continue
		}
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.Quote(m.Name) + ":")
		text.Write(m.Value)
	}
	text.WriteByte('}')
	var none T
	v, err := patched(none, text.Bytes(), "metadata")
	if err != nil {
		return none, inMetadata("", err)
	}
	return v, nil
}

// flowsIn reads what the client does: codes, and refreshing them.
func flowsIn(p plainMetadata, c *client.Client) error {
	if len(p.Grants) == 0 {
		p.Grants = []string{client.AuthorizationCode}
	}
	for _, g := range p.Grants {
		if !slices.Contains(RegistrableGrants, g) {
			return badMetadata("grant_types " + strconv.QuoteToASCII(g) + " is not one of " + strings.Join(RegistrableGrants, ", ") + ".")
		}
	}
	if !slices.Contains(p.Grants, client.AuthorizationCode) {
		return badMetadata("grant_types must hold authorization_code.")
	}
	for _, r := range p.Responses {
		if r != "code" {
			return badMetadata("The only one of response_types is code.")
		}
	}
	if p.Subject != "" && p.Subject != "public" {
		return badMetadata("The only subject_type is public.")
	}
	// A name that turns its own text around can look like another one.
	if strings.ContainsFunc(p.Name, isDirection) {
		return badMetadata("client_name holds characters that change the direction of text.")
	}
	c.Grants = p.Grants
	return nil
}

// isDirection reports whether a character only changes the direction of text.
func isDirection(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// methodIn reads how the client proves who it is, and with it what it is.
func (s *Service) methodIn(_ plainMetadata, c *client.Client) error {
	if c.OAuth.AuthMethod == "" {
		c.OAuth.AuthMethod = client.AuthSecretBasic // RFC 7591 section 2
	}
	c.Kind = client.Confidential
	if c.OAuth.AuthMethod == client.AuthNone {
		c.Kind = client.Public
	} else if !slices.Contains(s.Registration.Methods, c.OAuth.AuthMethod) {
		return badMetadata("token_endpoint_auth_method " + strconv.QuoteToASCII(string(c.OAuth.AuthMethod)) + " is not supported.")
	}
	if c.Kind == client.Confidential || s.Registration.Profile == client.FAPI2 {
		c.OAuth.Profile = s.Registration.Profile
	}
	return nil
}

// placesIn checks where the client is returned to (OpenID Connect Registration section
// 2, application_type). Programs that listen on loopback often state no type: their
// addresses say it.
func placesIn(p plainMetadata, c *client.Client) error {
	if len(p.RedirectURIs) == 0 {
		return refuse(oidc.InvalidRedirectURI, "redirect_uris is missing.")
	}
	web := func(uri string) bool { return strings.HasPrefix(uri, "https://") }
	for _, uri := range slices.Concat(p.RedirectURIs, c.OAuth.PostLogoutRedirectURIs) {
		if err := client.CheckRedirect(uri); err != nil {
			return inRedirect(err)
		}
		if c.OAuth.ApplicationType == "web" && !web(uri) {
			return refuse(oidc.InvalidRedirectURI, "A web application is returned to https: "+uri+" needs application_type native.")
		}
	}
	if c.OAuth.ApplicationType == "" {
		c.OAuth.ApplicationType = "native"
		if !slices.ContainsFunc(p.RedirectURIs, func(uri string) bool { return !web(uri) }) {
			c.OAuth.ApplicationType = "web"
		}
	}
	return nil
}

// offered is what clients that no operator added may ask for now.
func (s *Service) offered(ctx context.Context) (map[string][]string, error) {
	out := map[string][]string{api.Userinfo: oidc.IdentityScopes}
	for name, scopes := range s.Registration.APIs {
		id := s.apiID(name)
		a, found, err := s.Store.APIByID(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("find API: %w", err)
		}
		if !found || a.Disabled || id == api.Management {
			continue
		}
		if slices.Contains(scopes, role.All) {
			scopes = a.Scopes
		}
		out[id] = slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !a.Has(scope) })
	}
	return out, nil
}

// asksFor is the part of what is offered that scope names; all of it, when it names
// nothing.
func (s *Service) asksFor(ctx context.Context, scope string, lenient bool) (map[string][]string, error) {
	all, err := s.offered(ctx)
	if err != nil || scope == "" {
		return all, err
	}
	out := map[string][]string{api.Userinfo: nil}
	for _, one := range strings.Fields(scope) {
		found := false
		for id, scopes := range all {
			if slices.Contains(scopes, one) {
				out[id], found = append(out[id], one), true
			}
		}
		if !found && !lenient {
			return nil, badMetadata("scope " + strconv.QuoteToASCII(one) + " is not offered to clients that register themselves.")
		}
	}
	return out, nil
}

// mostSector is how long a list of redirect URIs may be, in bytes.
const mostSector = 64 << 10

// checkSector wants every redirect URI of a client in the list at its
// sector_identifier_uri (OpenID Connect Registration section 5). It tells nothing of
// what the address answered: it may be one that only this server reaches.
func (s *Service) checkSector(ctx context.Context, c client.Client) error {
	uri := c.OAuth.SectorURI
	if uri == "" {
		return nil
	}
	bad := badMetadata("sector_identifier_uri must be a https address of a JSON list that holds every one of redirect_uris.")
	if u, err := url.Parse(uri); err != nil || u.Scheme != "https" || client.CheckEndpoint(uri) != nil || s.Registration.Fetch == nil {
		return bad
	}
	doc, err := s.Registration.Fetch(ctx, uri, mostSector)
	if err != nil {
		s.unread(ctx, uri, err)
		return bad
	}
	var list []string
	if json.Unmarshal(doc.Body, &list) != nil {
		return bad
	}
	for _, r := range c.RedirectURIs {
		if !slices.Contains(list, r) {
			return bad
		}
	}
	return nil
}

// unread logs why an address was of no use. Who gave it is not told.
func (s *Service) unread(ctx context.Context, uri string, err error) {
	if s.Registration.Log == nil {
		return
	}
	bare, _, _ := strings.Cut(uri, "?")
	s.Registration.Log.WarnContext(ctx, "an address of a client cannot be read", "address", bare, "error", err)
}

// redescribed is a client with the metadata of another: what an operator said of it
// stays, everything else is replaced.
func redescribed(old, by client.Client) client.Client {
	next := old
	next.Name, next.Kind, next.RedirectURIs, next.Grants, next.APIs = by.Name, by.Kind, by.RedirectURIs, by.Grants, maps.Clone(by.APIs)
	next.BackchannelLogoutURI, next.BackchannelLogoutSession = by.BackchannelLogoutURI, by.BackchannelLogoutSession
	next.OAuth = by.OAuth.Clone()
	next.OAuth.Consents = old.OAuth.Consents
	return next
}

// checkOwn checks what a change says of what the server gave (RFC 7592 section 2.2): a
// client may repeat who it is and its secret, and nothing else.
func (s *Service) checkOwn(c client.Client, metadata json.RawMessage) error {
	members, err := jose.Members(metadata)
	if err != nil {
		return badMetadata("Client metadata must be one JSON object without repeated members.")
	}
	named := false
	for _, m := range members {
		var text string
		_ = json.Unmarshal(m.Value, &text) // what is no text is not what it should be
		switch m.Name {
		case "client_id":
			if named = text == c.ID; !named {
				return badMetadata("client_id is not that of the registration.")
			}
		case "client_secret":
			if !c.KeepsSecret() || !secretCode(s.Secrets, c.ID, text).Equal(c.SecretHash) {
				return badMetadata("client_secret is not that of the client: it is chosen by the server.")
			}
		case "registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at":
			return badMetadata(m.Name + " does not belong into a change.")
		}
	}
	if !named {
		return badMetadata("client_id is missing.")
	}
	return nil
}
