package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// jwtBearer turns another issuer's assertion about a person into a token (RFC 7523
// section 2.1).
func (s *Surface) jwtBearer(r *http.Request, c call) (grant.Tokens, error) {
	ask, err := c.ask()
	if err != nil {
		return grant.Tokens{}, err
	}
	if c.form["assertion"] == "" {
		return grant.Tokens{}, refuse(grant.InvalidRequest, "assertion is missing.")
	}
	return s.Grants.AssertionGrant(r.Context(), c.client, grant.AssertionAsk{
		Assertion: c.form["assertion"], API: ask.API, Scopes: ask.Scopes, Proof: ask.Proof, Seen: middleware.Seen(r),
	})
}
