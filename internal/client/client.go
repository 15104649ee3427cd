package client

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/bound"
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
	DeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	JWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	TokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// GrantTypes lists every grant type that a client may be given.
var GrantTypes = []string{AuthorizationCode, ClientCredentials, RefreshToken, DeviceCode, JWTBearer, TokenExchange}

// Client is one registered application.
type Client struct {
	ID           string
	Name         string
	Kind         Kind
	FirstParty   bool                // may log people in with their credentials at POST /session
	SecretHash   opaque.Digest       // zero for public clients
	RedirectURIs []string            // exact, absolute, no fragment; inside of Origins where there are any
	Origins      []string            // its pages, as browsers spell them: scheme://host[:port]
	Grants       []string            // of GrantTypes
	APIs         map[string][]string // API id -> scopes; {"*"} is every scope of the API
	Serves       []string            // ids of the APIs it is the service of: it may introspect their credentials only; empty: any
	Bind         bound.Policy        // what the sessions it starts, and their tokens, are bound to

	// OldSecretHash still counts until OldSecretUntil, so that a service can be given
	// the next secret while it runs with the last one. Zero: there is none.
	OldSecretHash  opaque.Digest
	OldSecretUntil time.Time

	OAuth  OAuth  // how it speaks the protocols; the zero value is a plain OAuth 2.1 client
	Source Source // who registered it
	// RegistrationHash is of the token by which a client that registered itself
	// reads and changes its registration (RFC 7592); zero for others.
	RegistrationHash opaque.Digest

	BackchannelLogoutURI     string // where it is told that a session it took part in has ended; "" for nowhere
	BackchannelLogoutSession bool   // it can do nothing with a notice that names no session

	Disabled  bool
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 // 1 when added
}

// MayUse reports whether the client may use a grant type.
func (c Client) MayUse(grantType string) bool { return slices.Contains(c.Grants, grantType) }

// Check returns nil, or a fault naming the first thing wrong with the client.
func (c Client) Check() error {
	if err := c.checkID(); err != nil {
		return err
	}
	if len(c.Name) > 200 || strings.ContainsFunc(c.Name, isControl) {
		return invalid(c.ID, "the name is longer than 200 bytes or holds control characters")
	}
	if c.Kind != Public && c.Kind != Confidential {
		return invalid(c.ID, "kind must be public or confidential")
	}
	for _, rule := range []func() error{c.checkProof, c.checkGrants, c.checkPlaces, c.checkBackchannel, c.checkOAuth, c.checkSource} {
		if err := rule(); err != nil {
			return err
		}
	}
	for what, mode := range map[string]bound.Mode{"network": c.Bind.Network, "device": c.Bind.Device} {
		if mode.Check() != nil {
			return invalid(c.ID, "bind."+what+" must be report, step-up or refuse")
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
// section 2), or the name of a built-in API.
func isAPI(id string) bool {
	if id == "management" || id == "userinfo" {
		return true
	}
	u, err := url.Parse(id)
	return err == nil && u.IsAbs() && len(id) <= 200 && !strings.ContainsAny(id, "# \t\r\n")
}

func invalid(id, what string) error {
	return fault.New(fault.Invalid, "Client "+id+": "+what+".")
}

// checkGrants checks the grant types, and that they can work.
func (c Client) checkGrants() error {
	for _, g := range c.Grants {
		if !slices.Contains(GrantTypes, g) {
			return invalid(c.ID, "grant type "+g+" is not one of "+strings.Join(GrantTypes, ", "))
		}
	}
	for _, g := range []string{ClientCredentials, JWTBearer, TokenExchange} {
		if c.Kind == Public && c.MayUse(g) {
			return invalid(c.ID, "a public client cannot use "+g+": it cannot prove who it is")
		}
	}
	if c.MayUse(AuthorizationCode) && len(c.RedirectURIs) == 0 {
		// Nothing is learned from traffic: the first address that came would be it.
		return invalid(c.ID, "authorization_code needs a redirect URI")
	}
	if c.MayUse(JWTBearer) && len(c.OAuth.Assertions) == 0 {
		return invalid(c.ID, JWTBearer+" needs assertion_issuers")
	}
	return nil
}

// checkSource keeps from clients that nobody here has looked at what an operator
// alone may give.
func (c Client) checkSource() error {
	if c.Source == ByOperator {
		return nil
	}
	switch {
	case c.FirstParty:
		return invalid(c.ID, "a client that registered itself cannot be first-party")
	case len(c.OAuth.Assertions) > 0:
		return invalid(c.ID, "a client that registered itself cannot say whose assertions count")
	}
	if _, manages := c.APIs["management"]; manages {
		return invalid(c.ID, "a client that registered itself cannot manage anything")
	}
	return nil
}

// checkID keeps client ids apart from user ids (RFC 9068 section 5) and from
// URLs: those are the ids of clients that a document describes, and of no others.
func (c Client) checkID() error {
	if c.Source == ByDocument {
		return CheckDocumentID(c.ID)
	}
	if c.ID == "" || len(c.ID) > 100 {
		return fault.New(fault.Invalid, "A client id has 1 to 100 characters.")
	}
	for _, r := range c.ID {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return fault.New(fault.Invalid, "A client id holds letters, digits, '-', '_' and '.' only.")
		}
	}
	if strings.HasPrefix(c.ID, opaque.UserID+"_") {
		return fault.New(fault.Invalid, "A client id cannot begin like a user id (usr_).")
	}
	return nil
}

// mostDocumentID is more bytes than an id that is a URL needs.
const mostDocumentID = 300

// CheckDocumentID returns nil for a URL that may be a client id (Client ID Metadata
// Document): https, or http on loopback, with a host as browsers spell it and a path,
// and only one way to write it: no user, query, fragment, dot segments or escapes, no
// default port.
func CheckDocumentID(id string) error {
	no := func(what string) error {
		return fault.New(fault.Invalid, "The client id "+strconv.QuoteToASCII(id)+" "+what+".")
	}
	scheme, rest, ok := strings.Cut(id, "://")
	if !ok || scheme != "https" && scheme != "http" || len(id) > mostDocumentID || !plain(id) {
		return no("is not a https URL in plain ASCII without fragment, of at most " + strconv.Itoa(mostDocumentID) + " bytes")
	}
	if strings.ContainsAny(rest, "@?%*") {
		return no("holds a user, a query, an escape or a wildcard")
	}
	host, path, _ := strings.Cut(rest, "/")
	if path == "" {
		return no("has no path")
	}
	if err := checkOrigin(id, scheme+"://"+host); err != nil {
		return no("has a host that browsers do not spell so, or uses http outside loopback")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return no("has a dot segment")
		}
	}
	return nil
}
