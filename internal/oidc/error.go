package oidc

// The error codes of the token endpoint (RFC 6749 section 5.2), of resource
// indicators (RFC 8707), of the device flow (RFC 8628 section 3.5) and of DPoP (RFC
// 9449 section 5).
const (
	InvalidRequest       = "invalid_request"
	InvalidClient        = "invalid_client"
	InvalidGrant         = "invalid_grant"
	UnauthorizedClient   = "unauthorized_client"
	UnsupportedGrantType = "unsupported_grant_type"
	InvalidScope         = "invalid_scope"
	InvalidTarget        = "invalid_target"

	AuthorizationPending = "authorization_pending"
	SlowDown             = "slow_down"
	ExpiredToken         = "expired_token"
	AccessDenied         = "access_denied"

	InvalidDPoPProof = "invalid_dpop_proof"
	UseDPoPNonce     = "use_dpop_nonce"

	InvalidToken      = "invalid_token"
	InsufficientScope = "insufficient_scope"
)

// The error codes of the authorization endpoint besides: RFC 6749 section 4.1.2.1,
// OpenID Connect Core section 3.1.2.6, RFC 9101 section 7, and unmet authentication
// requirements.
const (
	UnsupportedResponseType = "unsupported_response_type"
	ServerError             = "server_error"
	TemporarilyUnavailable  = "temporarily_unavailable"

	LoginRequired            = "login_required"
	ConsentRequired          = "consent_required"
	InteractionRequired      = "interaction_required"
	AccountSelectionRequired = "account_selection_required"

	InvalidRequestURI      = "invalid_request_uri"
	InvalidRequestObject   = "invalid_request_object"
	RequestNotSupported    = "request_not_supported"
	RequestURINotSupported = "request_uri_not_supported"
	UnmetAuthRequirements  = "unmet_authentication_requirements"
	InvalidClientMetadata  = "invalid_client_metadata"
	InvalidRedirectURI     = "invalid_redirect_uri"
	InsufficientUserAuth   = "insufficient_user_authentication"
)

// Error is a refusal in the words of OAuth. Description is for developers and
// never tells which part of a secret was wrong.
type Error struct {
	Code        string
	Description string
}

// Error is for logs.
func (e *Error) Error() string { return e.Code + ": " + e.Description }
