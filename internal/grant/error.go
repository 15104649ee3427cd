package grant

import "github.com/wafer-auth/wafer/internal/oidc"

// The error codes that are used most, by their short names. All are in package
// oidc.
const (
	InvalidRequest       = oidc.InvalidRequest
	InvalidClient        = oidc.InvalidClient
	InvalidGrant         = oidc.InvalidGrant
	UnauthorizedClient   = oidc.UnauthorizedClient
	UnsupportedGrantType = oidc.UnsupportedGrantType
	InvalidScope         = oidc.InvalidScope
	InvalidTarget        = oidc.InvalidTarget
)

// Error is a refusal in the words of OAuth.
type Error = oidc.Error

func refuse(code, description string) *Error {
	return &Error{Code: code, Description: description}
}
