package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// authMethods are the ways a client proves who it is, as metadata names them.
var authMethods = []string{"client_secret_basic", "client_secret_post", "none"}

// secretMethods are those that leave a proof.
var secretMethods = []string{"client_secret_basic", "client_secret_post"}

// credentials reads a client's proof. More than one is refused, even if they
// agree (RFC 6749 section 2.3).
func credentials(r *http.Request, form middleware.Fields) (grant.Credentials, error) {
	if form["client_assertion"] != "" || form["client_assertion_type"] != "" {
		return grant.Credentials{}, refuse(grant.InvalidClient, "Client assertions are not supported.")
	}
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return grant.Credentials{}, refuse(grant.InvalidRequest, "There is more than one Authorization header.")
	}
	if len(headers) == 1 {
		return headerCredentials(headers[0], form)
	}
	if form["client_id"] == "" {
		return grant.Credentials{}, refuse(grant.InvalidClient, "Client authentication failed.")
	}
	return grant.Credentials{ID: form["client_id"], Secret: form["client_secret"]}, nil
}

func headerCredentials(header string, form middleware.Fields) (grant.Credentials, error) {
	id, secret, ok := middleware.Basic(header)
	if !ok {
		return grant.Credentials{}, refuse(grant.InvalidClient, "Client authentication failed.")
	}
	if form["client_secret"] != "" {
		return grant.Credentials{}, refuse(grant.InvalidRequest, "The client authenticates in two ways at once.")
	}
	if other := form["client_id"]; other != "" && other != id {
		return grant.Credentials{}, refuse(grant.InvalidRequest, "client_id differs from the authenticated client.")
	}
	return grant.Credentials{ID: id, Secret: secret, Basic: true}, nil
}
