package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
)

// tokenExchange gives a service a token for the next one (RFC 8693). Actor tokens are
// not taken: who acts is the client that asks, and that is proved by its own
// credentials.
func (s *Surface) tokenExchange(r *http.Request, c call) (grant.Tokens, error) {
	ask, err := c.ask()
	if err != nil {
		return grant.Tokens{}, err
	}
	const jwt = "urn:ietf:params:oauth:token-type:jwt"
	switch {
	case c.form["subject_token"] == "" || c.form["subject_token_type"] == "":
		return grant.Tokens{}, refuse(grant.InvalidRequest, "subject_token or subject_token_type is missing.")
	case c.form["subject_token_type"] != grant.AccessTokenType && c.form["subject_token_type"] != jwt:
		return grant.Tokens{}, refuse(grant.InvalidRequest, "Only access tokens are exchanged.")
	case c.form["actor_token"] != "" || c.form["actor_token_type"] != "":
		return grant.Tokens{}, refuse(grant.InvalidRequest, "actor_token is not supported: the client that asks is the actor.")
	}
	if t := c.form["requested_token_type"]; t != "" && t != grant.AccessTokenType {
		return grant.Tokens{}, refuse(grant.InvalidRequest, "Only an access token can be asked for.")
	}
	return s.Grants.ExchangeToken(r.Context(), c.client, grant.ExchangeAsk{Subject: c.form["subject_token"], API: ask.API, Scopes: ask.Scopes, Proof: ask.Proof})
}
