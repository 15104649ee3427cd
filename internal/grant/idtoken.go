package grant

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/verify/jose"
)

// idTokenFor is how long an ID token is good: it is read once, right after it came.
const idTokenFor = 5 * time.Minute

// idToken makes the ID token that goes with an access token (OpenID Connect Core
// section 3.1.3.3). It is called by mint alone.
func (s *Service) idToken(st State, m minting, accessToken string) (string, error) {
	alg := st.Client.IDTokenAlg()
	key, err := s.issuerKey(alg)
	if err != nil {
		return "", err
	}
	now := m.now.Truncate(time.Second)
	t := oidc.IDToken{
		Issuer: s.Issuer, Subject: st.User.ID, Audience: st.Client.ID, IssuedAt: now, ExpiresAt: now.Add(idTokenFor), Nonce: m.nonce,
		AccessTokenHash: halfHash(alg, accessToken),
	}
	if st.Session != nil {
		t.AuthTime, t.ACR, t.AMR, t.SessionID = st.Session.AuthTime, st.Session.ACR(), st.Session.AMR, st.Session.ID
	}
	if st.Grant != nil && st.Grant.Details.Claims != nil {
		t.More = oidc.About(*st.User, nil, st.Grant.Details.Claims.IDToken)
	}
	body, err := t.JSON()
	if err != nil {
		return "", err
	}
	return s.sign(key, "JWT", body)
}

// issuerKey returns the key by which the issuer signs for others with an algorithm.
func (s *Service) issuerKey(alg jose.Algorithm) (*jose.Key, error) {
	if s.IssuerKey == nil {
		return nil, fmt.Errorf("there are no keys to sign with %s", alg)
	}
	key, ok := s.IssuerKey(alg)
	if !ok {
		return nil, fmt.Errorf("there is no key to sign with %s", alg)
	}
	return key, nil
}

// halfHash is at_hash: the left half of the hash that the algorithm signs with,
// SHA-512 for Ed25519 (OpenID Connect Core section 3.1.3.6).
func halfHash(alg jose.Algorithm, text string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(string(alg), "256"):
		h := sha256.Sum256([]byte(text))
		sum = h[:]
	case strings.HasSuffix(string(alg), "384"):
		h := sha512.Sum384([]byte(text))
		sum = h[:]
	default:
		h := sha512.Sum512([]byte(text))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
