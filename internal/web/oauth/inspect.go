package oauth

import (
	"io"
	"net/http"
	"strconv"
	"strings"

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
	switch {
	case wantsSigned(r, c.client):
		return s.signed(w, c.client, answer)
	case !answer.Active:
		respond.JSON(w, http.StatusOK, answer)
	default:
		respond.JSON(w, http.StatusOK, active(answer))
	}
	return nil
}

// introspectionType is the media type of a signed answer (RFC 9701 section 4).
const introspectionType = "application/token-introspection+jwt"

// wantsSigned reports whether a caller is to get a signed answer: it asks for one, or
// registered an algorithm and takes anything.
func wantsSigned(r *http.Request, c client.Client) bool {
	accept := r.Header.Get("Accept")
	for one := range strings.SplitSeq(accept, ",") {
		name, _, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), introspectionType) {
			return true
		}
	}
	return c.OAuth.IntrospectionAlg != "" && (accept == "" || accept == "*/*")
}

// signed answers with a JWT that nobody can take for an access token (RFC 9701).
func (s *Surface) signed(w http.ResponseWriter, caller client.Client, answer grant.Answer) error {
	text, err := s.Grants.SignAnswer(caller, answer)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", introspectionType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, text) // the caller may have left
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
