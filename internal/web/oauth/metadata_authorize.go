package oauth

import (
	"slices"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/verify/jose"
)

// metadataOfSignIn is the part of the metadata about authorization requests and who
// people are (RFC 9101, 9126, 9207, OpenID Connect Discovery 1.0 section 3).
type metadataOfSignIn struct {
	AuthorizationEndpoint string           `json:"authorization_endpoint"`
	PushedEndpoint        string           `json:"pushed_authorization_request_endpoint"`
	UserinfoEndpoint      string           `json:"userinfo_endpoint"`
	ResponseTypes         []string         `json:"response_types_supported"`
	ResponseModes         []string         `json:"response_modes_supported"`
	ChallengeMethods      []string         `json:"code_challenge_methods_supported"`
	Prompts               []string         `json:"prompt_values_supported"`
	ACRs                  []string         `json:"acr_values_supported"`
	Subjects              []string         `json:"subject_types_supported"`
	Scopes                []string         `json:"scopes_supported"`
	Claims                []string         `json:"claims_supported"`
	ClaimTypes            []string         `json:"claim_types_supported"`
	IDTokenAlgs           []jose.Algorithm `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs          []jose.Algorithm `json:"userinfo_signing_alg_values_supported"`
	RequestAlgs           []jose.Algorithm `json:"request_object_signing_alg_values_supported"`
	ClaimsParameter       bool             `json:"claims_parameter_supported"`
	RequestParameter      bool             `json:"request_parameter_supported"`
	RequestURIs           bool             `json:"request_uri_parameter_supported"` // true when it is left out
	Iss                   bool             `json:"authorization_response_iss_parameter_supported"`
}

// ownClaims are those of an ID token that are not about the person.
var ownClaims = []string{"acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"}

func signInMetadata(issuer string) metadataOfSignIn {
	return metadataOfSignIn{
		AuthorizationEndpoint: issuer + "/oauth/authorize", PushedEndpoint: issuer + pushPath, UserinfoEndpoint: issuer + api.UserinfoPath,
		ResponseTypes: []string{"code"}, ResponseModes: []string{oidc.Query, oidc.FormPost}, ChallengeMethods: []string{"S256"},
		Prompts: authorize.Prompts, ACRs: []string{"aal1"}, Subjects: []string{"public"}, Scopes: oidc.IdentityScopes,
		Claims: slices.Sorted(slices.Values(append(oidc.ClaimNames(), ownClaims...))), ClaimTypes: []string{"normal"},
		IDTokenAlgs: keyring.IssuerAlgs, UserinfoAlgs: keyring.IssuerAlgs, RequestAlgs: authorize.RequestAlgs,
		ClaimsParameter: true, RequestParameter: true, Iss: true,
	}
}
