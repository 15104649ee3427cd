package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/grant"
)

// authorizationCode turns a code into tokens (RFC 6749 section 4.1.3). Scopes are
// those that were allowed: the request names none. A resource must be the one that
// the code is for (RFC 8707 section 2.2).
func (s *Surface) authorizationCode(r *http.Request, c call) (grant.Tokens, error) {
	ask, err := c.ask()
	if err != nil {
		return grant.Tokens{}, err
	}
	code := c.form["code"]
	if code == "" {
		return grant.Tokens{}, refuse(grant.InvalidRequest, "code is missing.")
	}
	in := grant.CodeAsk{Code: code, RedirectURI: c.form["redirect_uri"], Verifier: c.form["code_verifier"], Proof: c.proof}
	if ask.API != "" {
		in.API = api.Named(s.Issuer, ask.API)
	}
	return s.Grants.Exchange(r.Context(), c.client, in)
}
