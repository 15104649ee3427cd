package authorize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	objectFor  = time.Hour        // the longest that a request object may be good
	objectSkew = 30 * time.Second // how far a client's clock may be ahead (FAPI 2.0 section 5.3.2.1)
	mostObject = 16 << 10         // bytes
)

// RequestAlgs are the algorithms of request objects, for metadata: never one whose
// key both sides know, and never none.
var RequestAlgs = []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA, jose.RS256}

// fapiAlgs are those of FAPI 2.0 (section 5.4.1).
var fapiAlgs = []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA}

func badObject(what string) error {
	return refuse(oidc.InvalidRequestObject, "The request object "+what+".")
}

// object returns the parameters that count: those in the signed request object,
// where there is one, and then no others (RFC 9101 section 6.3).
func (s *Service) object(ctx context.Context, c client.Client, p Params) (Params, error) {
	text := p.get("request")
	switch {
	case !p.once("request"):
		return nil, refuse(oidc.InvalidRequest, "request is there more than once.")
	case text == "" && c.OAuth.RequireSigned:
		return nil, refuse(oidc.InvalidRequest, "The client must sign its requests (RFC 9101): request is missing.")
	case text == "":
		return p, nil
	case unsigned(text):
		return nil, refuse(oidc.RequestNotSupported, "Request objects must be signed.")
	}
	payload, err := s.opened(ctx, c, text)
	if err != nil {
		return nil, err
	}
	members, err := jose.Members(payload)
	if err != nil {
		return nil, badObject("is not one JSON object")
	}
	if err := s.checkObject(c, members); err != nil {
		return nil, err
	}
	return fields(members)
}

// unsigned reports whether a text is a JWS that says of itself that it is not
// signed.
func unsigned(text string) bool {
	head, _, _ := strings.Cut(text, ".")
	raw, err := jose.DecodeSegment(head)
	if err != nil {
		return false
	}
	var h struct {
		Alg string `json:"alg"`
	}
	return json.Unmarshal(raw, &h) == nil && h.Alg == "none"
}

// opened returns what the client signed.
func (s *Service) opened(ctx context.Context, c client.Client, text string) ([]byte, error) {
	m, err := jose.Parse(text, jose.Limits{Token: mostObject})
	if err != nil {
		return nil, badObject("is not a signed JWT")
	}
	h := m.Header
	if kind := strings.TrimPrefix(strings.ToLower(h.Type), "application/"); kind != "" && kind != "jwt" && kind != "oauth-authz-req+jwt" {
		return nil, badObject("has a typ that is for something else") // RFC 8725 section 3.11
	}
	allowed := RequestAlgs
	if c.Holds() == client.FAPI2 {
		allowed = fapiAlgs
	}
	if !slices.Contains(allowed, h.Algorithm) || c.OAuth.RequestAlg != "" && c.OAuth.RequestAlg != h.Algorithm {
		return nil, badObject("is signed with an algorithm that is not the client's")
	}
	keys, err := s.Keys.Find(ctx, peerkeys.Source{JWKS: c.OAuth.JWKS, URI: c.OAuth.JWKSURI}, h.KeyID, h.Algorithm)
	switch {
	case errors.Is(err, peerkeys.ErrUnavailable):
		return nil, refuse(oidc.TemporarilyUnavailable, "The keys of the client are not at hand.")
	case err != nil && !errors.Is(err, peerkeys.ErrNoKey):
		return nil, fmt.Errorf("find keys of client: %w", err)
	}
	for _, key := range keys {
		if payload, err := m.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, badObject("is not signed by the client")
}

// checkObject checks the claims about the object itself (RFC 9101 sections 4, 6.3
// and 10.8).
func (s *Service) checkObject(c client.Client, members []jose.Member) error {
	claims := map[string][]byte{}
	for _, m := range members {
		claims[m.Name] = m.Value
	}
	if iss, err := jose.String(claims["iss"]); err != nil || iss != c.ID {
		return badObject("has another iss than the client_id")
	}
	if id, err := jose.String(claims["client_id"]); err != nil || id != c.ID {
		return badObject("has another client_id than the request")
	}
	if aud, err := jose.StringOrArray(claims["aud"]); err != nil || !slices.Contains(aud, s.Issuer) {
		return badObject("is for another server: aud must be the issuer")
	}
	if sub, err := jose.String(claims["sub"]); err == nil && sub == c.ID {
		return badObject("has the client for its sub, as a client assertion has")
	}
	if claims["request"] != nil || claims["request_uri"] != nil {
		return badObject("holds another one")
	}
	return s.checkTimes(c, claims)
}

func (s *Service) checkTimes(c client.Client, claims map[string][]byte) error {
	now := s.Now()
	exp, err := jose.NumericDate(claims["exp"])
	if err != nil || !now.Before(exp) || exp.After(now.Add(objectFor+objectSkew)) {
		return badObject("must have an exp of at most 60 minutes ahead")
	}
	raw, given := claims["nbf"]
	if !given && c.Holds() != client.FAPI2 {
		return nil
	}
	nbf, err := jose.NumericDate(raw)
	if err != nil || nbf.After(now.Add(objectSkew)) || nbf.Before(now.Add(-objectFor)) || exp.Sub(nbf) > objectFor {
		return badObject("must have an nbf of at most 60 minutes ago, and an exp of at most 60 minutes later")
	}
	return nil
}

// fields are the parameters in an object, as they would have come in a URL.
func fields(members []jose.Member) (Params, error) {
	in := Params{}
	for _, m := range members {
		value, err := asText(m)
		if err != nil {
			return nil, err
		}
		if value != nil {
			in[m.Name] = value
		}
	}
	return in, nil
}

func asText(m jose.Member) ([]string, error) {
	if m.Name != "resource" && !slices.Contains(known, m.Name) {
		return nil, nil
	}
	wrong := badObject("holds " + m.Name + " in a form that it cannot have")
	switch m.Name {
	case "claims":
		if len(m.Value) == 0 || m.Value[0] != '{' {
			return nil, wrong
		}
		return []string{string(m.Value)}, nil
	case "max_age":
		if n, err := jose.Int64(m.Value); err == nil {
			return []string{fmt.Sprint(n)}, nil
		}
	case "resource":
		if list, err := jose.StringOrArray(m.Value); err == nil {
			return list, nil
		}
	}
	text, err := jose.String(m.Value)
	if err != nil {
		return nil, wrong
	}
	return []string{text}, nil
}
