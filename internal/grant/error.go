package grant

// The error codes of RFC 6749 section 5.2, and invalid_target of RFC 8707.
const (
	InvalidRequest       = "invalid_request"
	InvalidClient        = "invalid_client"
	InvalidGrant         = "invalid_grant"
	UnauthorizedClient   = "unauthorized_client"
	UnsupportedGrantType = "unsupported_grant_type"
	InvalidScope         = "invalid_scope"
	InvalidTarget        = "invalid_target"
)

// Error is a refusal in the words of OAuth. Description is for developers and
// never tells which part of a secret was wrong.
type Error struct {
	Code        string
	Description string
}

// Error is for logs.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

func refuse(code, description string) *Error {
	return &Error{Code: code, Description: description}
}
