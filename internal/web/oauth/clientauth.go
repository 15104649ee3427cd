package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// authMethods are the ways a client proves who it is, as metadata names them.
func (s *Surface) authMethods() []client.AuthMethod {
	all := []client.AuthMethod{client.AuthSecretBasic, client.AuthSecretPost, client.AuthPrivateKeyJWT}
	if s.Certificates == nil {
		return all
	}
	all = append(all, client.AuthSelfSignedTLS)
	if s.Certificates.Roots != nil {
		all = append(all, client.AuthTLS)
	}
	return all
}

// credentials reads a client's proof. More than one is refused, even if they
// agree (RFC 6749 section 2.3). A certificate beside another one is no second proof:
// it may be there for the tokens alone.
func (s *Surface) credentials(r *http.Request, form middleware.Fields) (grant.Credentials, error) {
	certificate, err := s.Certificates.Of(r)
	if err != nil {
		return grant.Credentials{}, err
	}
	c := grant.Credentials{
		ID: form["client_id"], Secret: form["client_secret"], Certificate: certificate,
		Assertion: form["client_assertion"], AssertionType: form["client_assertion_type"],
	}
	headers := r.Header.Values("Authorization")
	asserts := c.Assertion != "" || c.AssertionType != ""
	switch {
	case len(headers) > 1:
		return grant.Credentials{}, refuse(grant.InvalidRequest, "There is more than one Authorization header.")
	case asserts && (len(headers) == 1 || c.Secret != ""):
		return grant.Credentials{}, refuse(grant.InvalidRequest, "The client authenticates in two ways at once.")
	case asserts && (c.Assertion == "" || c.AssertionType != grant.ClientAssertion):
		return grant.Credentials{}, refuse(grant.InvalidClient, "client_assertion_type must be "+grant.ClientAssertion+".")
	case len(headers) == 1:
		return headerCredentials(headers[0], c)
	case c.ID == "" && !asserts:
		return grant.Credentials{}, refuse(grant.InvalidClient, "Client authentication failed.")
	}
	return c, nil
}

func headerCredentials(header string, c grant.Credentials) (grant.Credentials, error) {
	id, secret, ok := middleware.Basic(header)
	if !ok {
		return grant.Credentials{}, refuse(grant.InvalidClient, "Client authentication failed.")
	}
	if c.Secret != "" {
		return grant.Credentials{}, refuse(grant.InvalidRequest, "The client authenticates in two ways at once.")
	}
	if c.ID != "" && c.ID != id {
		return grant.Credentials{}, refuse(grant.InvalidRequest, "client_id differs from the authenticated client.")
	}
	return grant.Credentials{ID: id, Secret: secret, Basic: true, Certificate: c.Certificate}, nil
}
