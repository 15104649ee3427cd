package authorize

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/verify/jose"
)

// hintFor is how long after it was made an ID token is still taken as a hint. It
// may be expired: it says who somebody was, and proves nothing.
const hintFor = 90 * 24 * time.Hour

// readHint reads id_token_hint: an ID token that we gave this client.
func (s *Service) readHint(ctx context.Context, c client.Client, in Params, r *oidc.Request) error {
	text := in.get("id_token_hint")
	if text == "" {
		return nil
	}
	bad := refuse(oidc.InvalidRequest, "id_token_hint is not an ID token that was given to this client.")
	m, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		return bad
	}
	key, name, ok, err := s.Issued.Find(ctx, m.Header.KeyID)
	if err != nil {
		return fmt.Errorf("find key: %w", err)
	}
	// Only the keys that sign for clients: an access token is no ID token.
	if !ok || name != keyring.ForIssuer(key.Algorithm()) || !strings.EqualFold(m.Header.Type, "JWT") {
		return bad
	}
	payload, err := m.Verify(key)
	if err != nil {
		return bad
	}
	members, err := jose.Members(payload)
	if err != nil {
		return bad
	}
	claims := map[string][]byte{}
	for _, one := range members {
		claims[one.Name] = one.Value
	}
	iss, err1 := jose.String(claims["iss"])
	aud, err2 := jose.StringOrArray(claims["aud"])
	sub, err3 := jose.String(claims["sub"])
	made, err4 := jose.NumericDate(claims["iat"])
	_, err5 := jose.NumericDate(claims["auth_time"]) // logout tokens and answers of userinfo have none
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
		return bad
	}
	if iss != s.Issuer || !slices.Contains(aud, c.ID) || sub == "" || s.Now().Sub(made) > hintFor {
		return bad
	}
	r.HintSub = sub
	if sid, err := jose.String(claims["sid"]); err == nil {
		r.HintSID = sid
	}
	return nil
}
