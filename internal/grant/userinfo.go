package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// Shown is an access token as it was shown to the server itself.
type Shown struct {
	Token string
	// Scheme is that of the Authorization header, "Bearer" or "DPoP": a token that is
	// bound to a key is not taken for a bearer token (RFC 9449 section 7.2).
	Scheme string
	Proof  Proof
}

// Info is what userinfo answers: JSON, or, for a client that wants it, a JWT.
type Info struct {
	Body   []byte
	Signed bool
}

// Userinfo tells whom an access token stands for, as far as its scopes go (OpenID
// Connect Core section 5.3). Any access token of ours will do that has the scope
// openid and stands for a person.
func (s *Service) Userinfo(ctx context.Context, in Shown) (Info, error) {
	h, ok, err := s.read(ctx, in.Token)
	if err != nil {
		return Info{}, err
	}
	bad := refuse(oidc.InvalidToken, "The access token is not valid.")
	if !ok || !fits(h, in) {
		return Info{}, bad
	}
	st, err := s.stateOf(ctx, h)
	if err != nil {
		return Info{}, err
	}
	why, err := s.judge(ctx, st, h, s.Now())
	if err != nil {
		return Info{}, err
	}
	if why != "" {
		return Info{}, bad
	}
	scopes := strings.Fields(h.Scope)
	if h.SessionID == "" || !slices.Contains(scopes, oidc.OpenID) {
		return Info{}, refuse(oidc.InsufficientScope, "The access token needs the scope openid.")
	}
	if st.User == nil {
		return Info{}, bad
	}
	var names []string
	if st.Grant != nil && st.Grant.Details.Claims != nil {
		names = st.Grant.Details.Claims.Userinfo
	}
	claims := oidc.About(*st.User, scopes, names)
	claims["sub"] = st.User.ID
	return s.info(*st.Client, claims)
}

// fits reports whether a token was shown as it must be.
func fits(h held, in Shown) bool {
	c := h.Confirm
	if c.JKT != "" && (!strings.EqualFold(in.Scheme, "DPoP") || c.JKT != in.Proof.JKT) {
		return false
	}
	if c.JKT == "" && strings.EqualFold(in.Scheme, "DPoP") {
		return false
	}
	return c.X5T == "" || c.X5T == in.Proof.X5T
}

func (s *Service) info(c client.Client, claims map[string]any) (Info, error) {
	alg := c.OAuth.UserinfoAlg
	if alg == "" {
		body, err := json.Marshal(claims)
		return Info{Body: body}, err
	}
	key, err := s.issuerKey(alg)
	if err != nil {
		return Info{}, err
	}
	now := s.Now().Truncate(time.Second)
	signed := maps.Clone(claims)
	signed["iss"], signed["aud"], signed["iat"] = s.Issuer, c.ID, now.Unix()
	body, err := json.Marshal(signed)
	if err != nil {
		return Info{}, fmt.Errorf("encode claims: %w", err)
	}
	text, err := s.sign(key, "JWT", body)
	return Info{Body: []byte(text), Signed: true}, err
}
