package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// grantTypes is every grant type the token endpoint knows, sorted by name. Each
// has a file of its own.
var grantTypes = []grantType{
	{"authorization_code", (*Surface).authorizationCode},
	{"client_credentials", (*Surface).clientCredentials},
	{"refresh_token", (*Surface).refresh},
	{client.DeviceCode, (*Surface).deviceCode},
	{client.JWTBearer, (*Surface).jwtBearer},
	{client.TokenExchange, (*Surface).tokenExchange},
}

type grantType struct {
	name  string
	serve func(*Surface, *http.Request, call) (grant.Tokens, error)
}

func (s *Surface) token(w http.ResponseWriter, r *http.Request, c call) error {
	name := c.form["grant_type"]
	if name == "" {
		return refuse(grant.InvalidRequest, "grant_type is missing.")
	}
	for _, g := range grantTypes {
		if g.name != name {
			continue
		}
		tokens, err := g.serve(s, r, c)
		if err != nil {
			return err
		}
		respond.JSON(w, http.StatusOK, tokens)
		return nil
	}
	return refuse(grant.UnsupportedGrantType, "This grant type is not supported.")
}
