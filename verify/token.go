package verify

import (
	"context"
	"strings"

	"github.com/wafer-auth/wafer/verify/jose"
)

// accessTokenType is the one typ a token may have (RFC 9068 section 2.1).
const accessTokenType = "at+jwt"

// Token verifies an access token: a JWT or, when there is a Server, an opaque
// token. Either the identity or the error is nil; the error matches one of the
// Err variables.
func (v *Verifier) Token(ctx context.Context, token string) (*Identity, error) {
	return v.token(ctx, token, question{})
}

// TokenOnce verifies an access token and uses it up: of any number of times that
// a token is shown, at any number of services, one succeeds; the others, and
// every later Token, are ErrRevoked. It always asks the server, whatever the
// policy for when it cannot be asked, and needs one.
func (v *Verifier) TokenOnce(ctx context.Context, token string) (*Identity, error) {
	if v.server == nil {
		return nil, unavailable("use up a token", errNoServer)
	}
	return v.token(ctx, token, question{once: true, api: v.audience})
}

func (v *Verifier) token(ctx context.Context, token string, q question) (*Identity, error) {
	if token == "" {
		return nil, ErrNoCredential
	}
	if len(token) > v.limits.Token {
		return nil, ErrTooLarge
	}
	if v.server != nil && strings.IndexByte(token, '.') < 0 {
		return v.opaque(ctx, token, q)
	}
	if v.keys == nil {
		return nil, ErrType
	}
	signed, err := v.unwrap(token)
	if err != nil {
		return nil, err
	}
	c, err := v.jwt(ctx, signed)
	if err != nil {
		return nil, err
	}
	if v.stale != Open || q.once {
		// The server is shown what it signed: it cannot open what was encrypted for us.
		if err := v.confirm(ctx, signed, c, q); err != nil {
			return nil, err
		}
	}
	return &c.id, nil
}

// jwt checks all of a signed token that can be checked here.
func (v *Verifier) jwt(ctx context.Context, signed string) (*claims, error) {
	m, err := v.headers.Parse(signed, v.limits)
	if err != nil {
		return nil, fromJOSE(err)
	}
	if !isAccessToken(m.Header.Type) {
		return nil, ErrType
	}
	if !v.allows(m.Header.Algorithm) {
		return nil, ErrAlgorithm
	}
	// Nothing of these claims is used before the signature is checked, except to refuse:
	// a token for somebody else, or one long expired, must not make us fetch keys.
	c, err := v.claimsOf(m.UnverifiedText())
	if err != nil {
		return nil, err
	}
	key, err := v.keys.Key(ctx, m.Header.KeyID, m.Header.Algorithm)
	if err != nil {
		return nil, keyError(err)
	}
	// The header's algorithm chose the key; the key's own algorithm must agree (RFC 8725 section 3.1).
	if key == nil || canonical(key.Algorithm()) != canonical(m.Header.Algorithm) {
		return nil, ErrKeyUnknown
	}
	if _, err := m.Verify(key); err != nil {
		return nil, fromJOSE(err)
	}
	return c, nil
}

// unwrap opens an encrypted token. What was inside still has to be signed:
// anybody can encrypt to a public key.
func (v *Verifier) unwrap(token string) (string, error) {
	encrypted := jose.IsEncrypted(token)
	switch {
	case len(v.decrypt) == 0 && encrypted:
		return "", ErrEncryption
	case len(v.decrypt) == 0:
		return token, nil
	case !encrypted:
		return "", ErrEncryption
	}
	for _, key := range v.decrypt {
		inner, _, err := jose.Decrypt(token, key)
		if err == nil {
			return inner, nil
		}
	}
	return "", ErrDecrypt
}

// claimsOf reads and judges the claims of a JWT access token (RFC 9068 section 4).
func (v *Verifier) claimsOf(payload string) (*claims, error) {
	c := &claims{id: Identity{Kind: Token}}
	if err := v.readClaims(c, payload); err != nil {
		return nil, err
	}
	if err := v.checkPlace(c); err != nil {
		return nil, err
	}
	if !c.has(nameExpires) || !c.has(nameIssued) || c.id.Subject == "" || c.id.ClientID == "" || c.id.TokenID == "" {
		return nil, ErrClaims
	}
	if err := v.checkTime(c, v.now()); err != nil {
		return nil, err
	}
	if c.id.ExpiresAt.Sub(c.id.IssuedAt) > v.maxLifetime {
		return nil, ErrLifetime
	}
	if c.has(nameBinding) {
		return nil, ErrBinding
	}
	return c, nil
}

// confirm asks the server whether a JWT that is valid by itself still counts.
func (v *Verifier) confirm(ctx context.Context, token string, c *claims, q question) error {
	q.token, q.hint = token, "access_token"
	a, err := v.ask(ctx, q)
	if err != nil {
		return err
	}
	if !a.active {
		return ErrRevoked
	}
	// An answer about another token is worth nothing: a confused cache or proxy stands between.
	if a.id.TokenID != c.id.TokenID || a.id.Subject != c.id.Subject {
		return unavailable("ask about a token", errOtherToken)
	}
	return nil
}

func (v *Verifier) allows(alg jose.Algorithm) bool {
	alg = canonical(alg)
	for _, a := range v.algorithms {
		if a == alg {
			return true
		}
	}
	return false
}

// isAccessToken compares typ as a media type: without case, "application/" optional (RFC 7515 section 4.1.9).
func isAccessToken(typ string) bool {
	const prefix = "application/"
	if len(typ) == len(prefix)+len(accessTokenType) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return strings.EqualFold(typ, accessTokenType)
}

// Session verifies the value of the cookie called CookieName. It needs a
// Server; without one every session is refused with ErrType.
func (v *Verifier) Session(ctx context.Context, cookie string) (*Identity, error) {
	if cookie == "" {
		return nil, ErrNoCredential
	}
	if v.server == nil {
		return nil, ErrType
	}
	if len(cookie) > maxOpaque {
		return nil, ErrTooLarge
	}
	return v.remote(ctx, Session, question{token: cookie, hint: "session", api: v.audience})
}

// opaque verifies an access token that only the server can read.
func (v *Verifier) opaque(ctx context.Context, token string, q question) (*Identity, error) {
	if len(token) > maxOpaque {
		return nil, ErrTooLarge
	}
	q.token, q.hint = token, "access_token"
	return v.remote(ctx, Opaque, q)
}

// remote takes the server's word for a credential, after checking that the
// answer is about a credential of this kind, for this API, and alive by our clock.
func (v *Verifier) remote(ctx context.Context, kind Kind, q question) (*Identity, error) {
	if !plain(q.token) {
		return nil, ErrMalformed
	}
	c, err := v.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if !c.active {
		return nil, ErrRevoked
	}
	c.id.Kind = kind
	if err := checkKind(c, kind); err != nil {
		return nil, err
	}
	if err := v.checkPlace(c); err != nil {
		return nil, err
	}
	if !c.has(nameExpires) || c.id.Subject == "" || kind == Session && c.id.SessionID == "" {
		return nil, ErrClaims
	}
	if err := v.checkTime(c, v.now()); err != nil {
		return nil, err
	}
	if c.has(nameBinding) {
		return nil, ErrBinding
	}
	return &c.id, nil
}

// checkKind refuses a session presented as a bearer token, an access token
// presented as a cookie, and a refresh token presented as either.
func checkKind(c *claims, kind Kind) error {
	switch {
	case kind == Session && c.tokenType == "session":
		return nil
	case kind == Opaque && strings.EqualFold(c.tokenType, "Bearer"):
		return nil
	case kind == Opaque && strings.EqualFold(c.tokenType, "DPoP"):
		return ErrBinding
	}
	return ErrType
}

// plain allows the characters of RFC 6750's b64token without "/", "+" and "=",
// so that garbage costs no call.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			continue
		}
		if c != '-' && c != '_' && c != '.' && c != '~' {
			return false
		}
	}
	return true
}

// maxOpaque bounds a credential that goes to the server as it stands.
const maxOpaque = 512
