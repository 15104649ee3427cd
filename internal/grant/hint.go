package grant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Hint is whom one of our ID tokens was about, and whom it was for.
type Hint = oidc.Hint

// IDTokenHint reads an ID token of ours that came back as an id_token_hint. It may
// have expired long ago (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout
// section 2): it says who somebody was, and proves nothing about who is there now.
// ok is false for everything that is no unchanged ID token of ours, access tokens,
// logout tokens and signed userinfo included; err is for broken parts.
func (s *Service) IDTokenHint(ctx context.Context, token string) (h Hint, ok bool, err error) {
	m, err := s.headers.Parse(token, jose.Limits{})
	if err != nil || m.Header.Type != "JWT" {
		return Hint{}, false, nil
	}
	key, name, found, err := s.Keys.Find(ctx, m.Header.KeyID)
	if err != nil || !found || name != keyring.ForIssuer(m.Header.Algorithm) {
		return Hint{}, false, err // a key of an API signs nothing about who somebody is
	}
	body, err := m.Verify(key)
	if err != nil {
		return Hint{}, false, nil
	}
	var c struct {
		Issuer    string   `json:"iss"`
		Subject   string   `json:"sub"`
		Audience  string   `json:"aud"`
		SessionID string   `json:"sid"`
		IssuedAt  int64    `json:"iat"`
		Expires   *float64 `json:"exp"` // signed userinfo has none
	}
	if json.Unmarshal(body, &c) != nil || c.Issuer != s.Issuer || c.Subject == "" || c.Audience == "" || c.SessionID == "" || c.Expires == nil {
		return Hint{}, false, nil
	}
	return Hint{Subject: c.Subject, SessionID: c.SessionID, ClientID: c.Audience, IssuedAt: time.Unix(c.IssuedAt, 0).UTC()}, true, nil
}
