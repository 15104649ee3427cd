package client

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// Kind says whether a client can keep a secret (RFC 6749 section 2.1).
type Kind string

// The kinds.
const (
	Public       Kind = "public"
	Confidential Kind = "confidential"
)

// The grant types a client may be given. A client uses only those in its list.
const (
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	ClientCredentials = "client_credentials"
)

// GrantTypes lists every grant type that a client may be given.
var GrantTypes = []string{AuthorizationCode, ClientCredentials, RefreshToken}

// Client is one registered application.
type Client struct {
	ID           string
	Name         string
	Kind         Kind
	FirstParty   bool                // may log people in with their credentials at POST /session
	SecretHash   opaque.Digest       // zero for public clients
	RedirectURIs []string            // exact, absolute, no fragment
	Origins      []string            // scheme://host[:port], lower case, no path
	Grants       []string            // of GrantTypes
	APIs         map[string][]string // API id -> scopes; {"*"} is every scope of the API
	Serves       []string            // ids of the APIs it is the service of: it may introspect their credentials only; empty: any
	Disabled     bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64 // 1 when added
}

// MaySend reports whether uri may be a place to return to: it is registered,
// byte for byte (RFC 9700 section 2.1).
func (c Client) MaySend(uri string) bool { return slices.Contains(c.RedirectURIs, uri) }

// MayUse reports whether the client may use a grant type.
func (c Client) MayUse(grantType string) bool { return slices.Contains(c.Grants, grantType) }

// Check returns nil, or a fault naming the first thing wrong with the client.
func (c Client) Check() error {
	if err := checkID(c.ID); err != nil {
		return err
	}
	if len(c.Name) > 200 || strings.ContainsFunc(c.Name, isControl) {
		return invalid(c.ID, "the name is longer than 200 bytes or holds control characters")
	}
	if c.Kind != Public && c.Kind != Confidential {
		return invalid(c.ID, "kind must be public or confidential")
	}
	if (c.Kind == Public) != c.SecretHash.IsZero() {
		return invalid(c.ID, "a confidential client has a secret, a public one has none")
	}
	for _, g := range c.Grants {
		if !slices.Contains(GrantTypes, g) {
			return invalid(c.ID, "grant type "+g+" is not one of "+strings.Join(GrantTypes, ", "))
		}
	}
	if c.Kind == Public && c.MayUse(ClientCredentials) {
		return invalid(c.ID, "a public client cannot use client_credentials")
	}
	for _, u := range c.RedirectURIs {
		if err := checkRedirect(c.ID, u); err != nil {
			return err
		}
	}
	for _, o := range c.Origins {
		if err := checkOrigin(c.ID, o); err != nil {
			return err
		}
	}
	for _, a := range c.Serves {
		if !isAPI(a) {
			return invalid(c.ID, "serves "+a+", which is neither an absolute URI nor management")
		}
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// isAPI reports whether id has the form of an API id: an audience (RFC 8707
// section 2), or the name of the built-in API.
func isAPI(id string) bool {
	if id == "management" {
		return true
	}
	u, err := url.Parse(id)
	return err == nil && u.IsAbs() && len(id) <= 200 && !strings.ContainsAny(id, "# \t\r\n")
}

func invalid(id, what string) error {
	return fault.New(fault.Invalid, "Client "+id+": "+what+".")
}

// checkID keeps client ids apart from user ids (RFC 9068 section 5) and from
// URLs, which other specifications give a meaning.
func checkID(id string) error {
	if id == "" || len(id) > 100 {
		return fault.New(fault.Invalid, "A client id has 1 to 100 characters.")
	}
	for _, r := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return fault.New(fault.Invalid, "A client id holds letters, digits, '-', '_' and '.' only.")
		}
	}
	if strings.HasPrefix(id, opaque.UserID+"_") {
		return fault.New(fault.Invalid, "A client id cannot begin like a user id (usr_).")
	}
	return nil
}

func checkRedirect(id, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || !u.IsAbs() || u.Fragment != "" || strings.Contains(raw, "#") || u.User != nil || strings.ContainsAny(raw, "\\ \t\r\n*") {
		return invalid(id, "redirect URI "+raw+" must be absolute, without fragment, user, wildcard or space")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if IsLoopback(u.Hostname()) {
			return nil
		}
		return invalid(id, "redirect URI "+raw+" uses http outside loopback")
	}
	if u.Host == "" && strings.Contains(u.Scheme, ".") {
		return nil // private-use scheme (RFC 8252 section 7.1)
	}
	return invalid(id, "redirect URI "+raw+" has a scheme that is neither https nor a private-use one with a dot")
}

func checkOrigin(id, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || raw != u.Scheme+"://"+u.Host || raw != strings.ToLower(raw) {
		return invalid(id, "origin "+raw+" must be scheme://host[:port] in lower case, nothing else")
	}
	if u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()) {
		return nil
	}
	return invalid(id, "origin "+raw+" must use https, or http on loopback")
}

// IsLoopback reports whether a host name stands for this machine.
func IsLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
