package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// refresh turns a refresh token into the next one (RFC 6749 section 6). It is for
// the API of its grant: naming another one is refused (RFC 8707 section 2.2).
func (s *Surface) refresh(r *http.Request, c call) (grant.Tokens, error) {
	ask, err := c.ask()
	if err != nil {
		return grant.Tokens{}, err
	}
	token := c.form["refresh_token"]
	if token == "" {
		return grant.Tokens{}, refuse(grant.InvalidRequest, "refresh_token is missing.")
	}
	if err := s.checkAPI(r, c, token, ask.API); err != nil {
		return grant.Tokens{}, err
	}
	return s.Grants.Refresh(r.Context(), c.client, grant.RefreshAsk{Token: token, Scopes: ask.Scopes, Proof: c.proof, Seen: middleware.Seen(r)})
}

// checkAPI compares what was named with the audience of the grant. What the flow
// does not call active it will refuse itself, or answer for the grant's API alone.
func (s *Surface) checkAPI(r *http.Request, c call, token, named string) error {
	if named == "" {
		return nil
	}
	about, err := s.Grants.Introspect(r.Context(), c.client, grant.Question{Token: token})
	if err != nil || !about.Active {
		return err
	}
	if (api.API{ID: named}).Audience(s.Issuer) != about.Audience {
		return refuse(grant.InvalidTarget, "The refresh token is for another API.")
	}
	return nil
}
