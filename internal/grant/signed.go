package grant

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/verify/jose"
)

// introspectionJWT is the typ of a signed answer (RFC 9701 section 5). No verifier of
// access tokens takes it for one.
const introspectionJWT = "token-introspection+jwt"

// SignAnswer returns an answer as a JWT for the caller that asked.
func (s *Service) SignAnswer(caller client.Client, a Answer) (string, error) {
	alg := caller.OAuth.IntrospectionAlg
	if alg == "" {
		alg = jose.RS256
	}
	key, err := s.issuerKey(alg)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Answer   Answer `json:"token_introspection"`
	}{s.Issuer, caller.ID, s.Now().Truncate(time.Second).Unix(), a})
	if err != nil {
		return "", fmt.Errorf("encode answer: %w", err)
	}
	return s.sign(key, introspectionJWT, body)
}

// sign signs what the issuer says to a client.
func (s *Service) sign(key *jose.Key, typ string, body []byte) (string, error) {
	text, err := jose.Sign(key, jose.Header{Type: typ}, body)
	if err != nil {
		return "", fmt.Errorf("sign a %s: %w", typ, err)
	}
	return text, nil
}
