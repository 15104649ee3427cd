package oauth

import (
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// checkProof checks the one DPoP proof of a request, if there is one, and offers a
// nonce for the next (RFC 9449 section 8.2). Nothing is used up yet. The address that
// the proof must name is made of our own names and the path of the route: what Host
// and X-Forwarded-Host say is the caller's.
func (s *Surface) checkProof(w http.ResponseWriter, r *http.Request, path, token string) (grant.Checked, error) {
	headers := r.Header.Values("DPoP")
	if len(headers) == 0 {
		return grant.Checked{}, nil
	}
	w.Header().Set("DPoP-Nonce", s.Grants.ProofNonce())
	if len(headers) > 1 {
		return grant.Checked{}, refuse(oidc.InvalidDPoPProof, "There is more than one DPoP header.")
	}
	return s.Grants.CheckProof(grant.Presented{Proof: headers[0], Method: r.Method, URL: s.baseOf(r) + path, Token: token})
}

// baseOf picks the one of our names that a request was made to: the issuer, unless it
// is that of certificates.
func (s *Surface) baseOf(r *http.Request) string {
	if host, ok := strings.CutPrefix(s.MTLS, "https://"); ok && strings.EqualFold(r.Host, host) {
		return s.MTLS
	}
	return s.Issuer
}
