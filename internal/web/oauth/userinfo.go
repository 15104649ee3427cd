package oauth

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// proofAlgs is the parameter of a challenge (RFC 9449 section 7.1).
var proofAlgs = func() string {
	var names []string
	for _, alg := range grant.ProofAlgs {
		names = append(names, string(alg))
	}
	return `algs="` + strings.Join(names, " ") + `"`
}()

// userinfo tells whom an access token stands for (OpenID Connect Core section 5.3).
// The token comes in the Authorization header, or in the body of a form; in a URL it
// would stand in logs, and is not looked for there.
func (s *Surface) userinfo(w http.ResponseWriter, r *http.Request) error {
	shown, err := s.shown(r)
	if err != nil {
		return s.challenge(w, r, err)
	}
	if shown.Token == "" {
		// Who shows nothing is told how, and no error (RFC 6750 section 3.1).
		w.Header().Set("WWW-Authenticate", `Bearer realm="wafer"`)
		w.Header().Add("WWW-Authenticate", `DPoP realm="wafer", `+proofAlgs)
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	if shown.Proof, err = s.held(w, r, shown.Token); err != nil {
		return s.challenge(w, r, err)
	}
	info, err := s.Grants.Userinfo(r.Context(), shown)
	if err != nil {
		return s.challenge(w, r, err)
	}
	kind := "application/json"
	if info.Signed {
		kind = "application/jwt"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(info.Body)))
	_, _ = w.Write(info.Body) // the caller may have left
	return nil
}

// shown finds the one token of a request.
func (s *Surface) shown(r *http.Request) (grant.Shown, error) {
	header, err := middleware.Authorization(r)
	if err != nil {
		return grant.Shown{}, inOAuth(err)
	}
	var out grant.Shown
	if scheme, rest, _ := strings.Cut(header, " "); strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP") {
		out = grant.Shown{Scheme: scheme, Token: strings.TrimLeft(rest, " ")}
	}
	if r.Method != http.MethodPost || r.ContentLength == 0 || r.Header.Get("Content-Type") == "" {
		return out, nil
	}
	form, err := middleware.Form(r)
	if err != nil {
		return grant.Shown{}, inOAuth(err)
	}
	switch token := form["access_token"]; {
	case token != "" && out.Token != "":
		return grant.Shown{}, refuse(grant.InvalidRequest, "The request shows its token in two ways.") // RFC 6750 section 2
	case token != "":
		out = grant.Shown{Scheme: "Bearer", Token: token}
	}
	return out, nil
}

// held are the keys that who shows a token proves to hold.
func (s *Surface) held(w http.ResponseWriter, r *http.Request, token string) (grant.Proof, error) {
	certificate, err := s.Certificates.Of(r)
	if err != nil {
		return grant.Proof{}, inOAuth(err)
	}
	checked, err := s.checkProof(w, r, api.UserinfoPath, token)
	if err != nil {
		return grant.Proof{}, err
	}
	jkt, err := s.Grants.UseProof(r.Context(), checked)
	return grant.Proof{JKT: jkt, X5T: certificate.Thumbprint()}, err
}

// challenge answers a refusal as RFC 6750 section 3 wants; what is none is handed on.
func (s *Surface) challenge(w http.ResponseWriter, r *http.Request, err error) error {
	var why *grant.Error
	if !errors.As(err, &why) {
		return err
	}
	status := http.StatusBadRequest
	switch why.Code {
	case oidc.InvalidToken, oidc.InvalidDPoPProof, oidc.UseDPoPNonce:
		status = http.StatusUnauthorized
	case oidc.InsufficientScope:
		status = http.StatusForbidden
	}
	scheme := "Bearer"
	if name, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(name, "DPoP") {
		scheme = "DPoP"
	}
	value := scheme + ` realm="wafer", error="` + why.Code + `", error_description="` + why.Description + `"`
	if why.Code == oidc.InsufficientScope {
		value += `, scope="` + oidc.OpenID + `"`
	}
	if scheme == "DPoP" {
		value += ", " + proofAlgs
	}
	w.Header().Set("WWW-Authenticate", value)
	if scheme != "DPoP" && status == http.StatusUnauthorized {
		// A token that is bound to a key is not shown as a bearer token (RFC 9449 section 7.2).
		w.Header().Add("WWW-Authenticate", `DPoP realm="wafer", `+proofAlgs)
	}
	respond.Refuse(w, r, respond.Refusal{Status: status, Code: why.Code, Message: why.Description, OAuth: true})
	return nil
}
