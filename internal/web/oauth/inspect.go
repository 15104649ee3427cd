package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// introspect answers services about credentials (RFC 7662). A caller that cannot
// prove who it is gets nothing: section 2.1 wants it authorized.
func (s *Surface) introspect(w http.ResponseWriter, r *http.Request, c call) error {
	if c.client.Kind != client.Confidential {
		return refuse(grant.InvalidClient, "Client authentication failed.")
	}
	token := c.form["token"]
	if token == "" {
		return refuse(grant.InvalidRequest, "token is missing.")
	}
	once := c.form["once"]
	if once != "" && once != "true" && once != "false" {
		return refuse(grant.InvalidRequest, "once is true or false.")
	}
	answer, err := s.Grants.Introspect(r.Context(), c.client, grant.Question{
		Token: token, Hint: c.form["token_type_hint"], API: c.form["api"], Once: once == "true",
	})
	if err != nil {
		return err
	}
	if !answer.Active {
		respond.JSON(w, http.StatusOK, answer)
		return nil
	}
	respond.JSON(w, http.StatusOK, active(answer))
	return nil
}

// active is an answer without its own marshaling, which would encode it twice.
type active grant.Answer

// revoke takes back a client's own token (RFC 7009). Whether there was one the
// answer does not tell.
func (s *Surface) revoke(w http.ResponseWriter, r *http.Request, c call) error {
	token := c.form["token"]
	if token == "" {
		return refuse(grant.InvalidRequest, "token is missing.")
	}
	if err := s.Grants.Revoke(r.Context(), c.client, token, c.form["token_type_hint"]); err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, struct{}{})
	return nil
}
