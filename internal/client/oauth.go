package client

import (
	"encoding/json"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Source says who registered a client.
type Source string

// The sources. The zero value is an operator.
const (
	ByOperator Source = ""
	ByItself   Source = "registration" // dynamic registration (RFC 7591)
	ByDocument Source = "document"     // a Client ID Metadata Document; the client id is its URL
)

// Profile is the set of rules that a client is held to.
type Profile string

// The profiles. The zero value is Strict.
const (
	Strict        Profile = "strict"        // OAuth 2.1: PKCE always, codes only
	FAPI2         Profile = "fapi2"         // FAPI 2.0 Security Profile
	Certification Profile = "certification" // what the OpenID suites send: confidential clients without PKCE
)

// AuthMethod is how a client proves who it is at the token endpoint (RFC 7591
// section 2, RFC 8705).
type AuthMethod string

// The methods. The zero value is None for a public client, and either of the
// secret ones for a confidential one.
const (
	AuthNone          AuthMethod = "none"
	AuthSecretBasic   AuthMethod = "client_secret_basic"
	AuthSecretPost    AuthMethod = "client_secret_post"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt"
	AuthTLS           AuthMethod = "tls_client_auth"
	AuthSelfSignedTLS AuthMethod = "self_signed_tls_client_auth"
)

// AuthMethods lists every method.
var AuthMethods = []AuthMethod{AuthSecretBasic, AuthSecretPost, AuthNone, AuthPrivateKeyJWT, AuthSelfSignedTLS, AuthTLS}

// ResponseAlgs are the algorithms with which the server can sign for a client: ID
// tokens, and answers of userinfo and introspection.
var ResponseAlgs = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// BySecret reports whether the method proves a shared secret.
func (m AuthMethod) BySecret() bool { return m == AuthSecretBasic || m == AuthSecretPost }

// Consents says when people are asked what a client may do.
type Consents string

// The ways. The zero value is Remember.
const (
	Remember Consents = "remember" // once for each scope, until it is withdrawn
	Ask      Consents = "ask"      // every time
	Skip     Consents = "skip"     // never: for first-party clients only
)

// OAuth is how a client speaks the protocols, in the names of the registrations of
// RFC 7591, OpenID Connect Registration, RFC 8705, RFC 9101, RFC 9126 and RFC 9449;
// those without a registered name are ours. The zero value is a plain client of
// OAuth 2.1.
type OAuth struct {
	Profile    Profile        `json:"profile,omitempty"`
	AuthMethod AuthMethod     `json:"token_endpoint_auth_method,omitempty"`
	AuthAlg    jose.Algorithm `json:"token_endpoint_auth_signing_alg,omitempty"` // "": any that its keys are for
	// JWKS or JWKSURI are the client's public keys: for its assertions, its request
	// objects, its self-signed certificates.
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`
	// One of these names the certificate of tls_client_auth (RFC 8705 section 2.1.2).
	TLSSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSSANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	TLSSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSSANEmail  string `json:"tls_client_auth_san_email,omitempty"`

	TLSBound      bool           `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPBound     bool           `json:"dpop_bound_access_tokens,omitempty"`
	RequirePAR    bool           `json:"require_pushed_authorization_requests,omitempty"`
	RequireSigned bool           `json:"require_signed_request_object,omitempty"`
	RequestAlg    jose.Algorithm `json:"request_object_signing_alg,omitempty"`

	IDTokenAlg       jose.Algorithm `json:"id_token_signed_response_alg,omitempty"`      // "": RS256; ES256 with fapi2
	UserinfoAlg      jose.Algorithm `json:"userinfo_signed_response_alg,omitempty"`      // "": plain JSON
	IntrospectionAlg jose.Algorithm `json:"introspection_signed_response_alg,omitempty"` // "": as asked for, RS256

	PostLogoutRedirectURIs    []string `json:"post_logout_redirect_uris,omitempty"`
	FrontchannelLogoutURI     string   `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSession bool     `json:"frontchannel_logout_session_required,omitempty"`

	DefaultMaxAge    *int     `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime  bool     `json:"require_auth_time,omitempty"`
	DefaultACR       []string `json:"default_acr_values,omitempty"`
	InitiateLoginURI string   `json:"initiate_login_uri,omitempty"`

	ApplicationType string   `json:"application_type,omitempty"` // web or native
	SectorURI       string   `json:"sector_identifier_uri,omitempty"`
	URI             string   `json:"client_uri,omitempty"`
	LogoURI         string   `json:"logo_uri,omitempty"`
	PolicyURI       string   `json:"policy_uri,omitempty"`
	TermsURI        string   `json:"tos_uri,omitempty"`
	Contacts        []string `json:"contacts,omitempty"`

	Consents Consents `json:"consent,omitempty"`
	// Assertions are the issuers whose assertions the client may turn into tokens
	// (RFC 7523 section 2.1).
	Assertions []AssertionIssuer `json:"assertion_issuers,omitempty"`
}

// AssertionIssuer is somebody whose word about who a user is counts, for the one
// client that has it in its list.
type AssertionIssuer struct {
	Issuer  string          `json:"issuer"`             // iss, byte for byte
	JWKS    json.RawMessage `json:"jwks,omitempty"`     // its keys, or
	JWKSURI string          `json:"jwks_uri,omitempty"` // where they are
}

// Clone returns a copy that shares nothing with o. A list without members is nil in
// it, as it is after a way through JSON.
func (o OAuth) Clone() OAuth {
	o.JWKS = some(o.JWKS)
	o.PostLogoutRedirectURIs, o.DefaultACR = some(o.PostLogoutRedirectURIs), some(o.DefaultACR)
	o.Contacts, o.Assertions = some(o.Contacts), some(o.Assertions)
	for i := range o.Assertions {
		o.Assertions[i].JWKS = some(o.Assertions[i].JWKS)
	}
	if o.DefaultMaxAge != nil {
		age := *o.DefaultMaxAge
		o.DefaultMaxAge = &age
	}
	return o
}

func some[S ~[]E, E any](list S) S { return append(S(nil), list...) }

// Auth returns the client's method, with the default of its kind: "" stands for
// either of the secret ones.
func (c Client) Auth() AuthMethod {
	if c.OAuth.AuthMethod == "" && c.Kind == Public {
		return AuthNone
	}
	return c.OAuth.AuthMethod
}

// KeepsSecret reports whether the client proves who it is by a secret. Such a client
// has one, no other does: a client with a key gains nothing from a secret that leaks.
func (c Client) KeepsSecret() bool {
	return c.Kind == Confidential && (c.Auth() == "" || c.Auth().BySecret())
}

// SkipsConsent reports whether people are never asked what the client may do.
func (c Client) SkipsConsent() bool { return c.FirstParty && c.OAuth.Consents == Skip }

// Holds returns the profile, with the default.
func (c Client) Holds() Profile {
	if c.OAuth.Profile == "" {
		return Strict
	}
	return c.OAuth.Profile
}

// IDTokenAlg returns the algorithm of the client's ID tokens.
func (c Client) IDTokenAlg() jose.Algorithm {
	switch {
	case c.OAuth.IDTokenAlg != "":
		return c.OAuth.IDTokenAlg
	case c.Holds() == FAPI2:
		return jose.ES256
	}
	return jose.RS256 // the default of OpenID Connect Registration section 2
}

// NeedsPKCE reports whether an authorization request without a code challenge is
// refused. Only confidential clients of the certification profile may go without.
func (c Client) NeedsPKCE() bool { return c.Kind == Public || c.Holds() != Certification }

// NeedsPAR reports whether only pushed authorization requests are taken.
func (c Client) NeedsPAR() bool { return c.OAuth.RequirePAR || c.Holds() == FAPI2 }

// Rotates reports whether each use of a refresh token gives another one. A token
// that only its client can use is not taken from it by an answer that got lost;
// one that anybody can use must not be used twice unnoticed (RFC 9700 section
// 2.2.2). bound says that the token is bound to a key.
func (c Client) Rotates(bound bool) bool { return c.Kind == Public && !bound }
