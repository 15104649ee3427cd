package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
)

// clientCredentials gives a client a token of its own (RFC 6749 section 4.4).
func (s *Surface) clientCredentials(r *http.Request, c call) (grant.Tokens, error) {
	ask, err := c.ask()
	if err != nil {
		return grant.Tokens{}, err
	}
	return s.Grants.ClientCredentials(r.Context(), c.client, ask)
}
