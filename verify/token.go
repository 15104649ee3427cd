package verify

import (
	"context"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// accessTokenType is the one typ a token may have (RFC 9068 section 2.1).
const accessTokenType = "at+jwt"

// Token verifies an access token: a JWT or, when there is a Server, an opaque
// token. Either the identity or the error is nil; the error matches one of the
// Err variables. A token that is bound to a key is ErrBinding: see Bound.
func (v *Verifier) Token(ctx context.Context, token string) (*Identity, error) {
	return unproved(v.token(ctx, token, question{}))
}

// TokenOnce verifies an access token and uses it up: of any number of times that
// a token is shown, at any number of services, one succeeds; the others, and
// every later Token, are ErrRevoked. It always asks the server, whatever the
// policy for when it cannot be asked, and needs one.
func (v *Verifier) TokenOnce(ctx context.Context, token string) (*Identity, error) {
	return v.BoundOnce(ctx, token, bearer)
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
	now := v.now()
	hash := v.cache.hash(token)
	if h := v.recall(hash, token, now); h != nil {
		return v.judge(ctx, h, now, q)
	}
	h, err := v.first(ctx, token, now)
	if err != nil {
		return nil, err
	}
	id, err := v.judge(ctx, h, now, q)
	if err == nil && !q.once {
		v.keep(hash, h, now)
	}
	return id, err
}

// recall finds a JWT that was verified before with the keys as they still are.
func (v *Verifier) recall(hash uint64, token string, now time.Time) *held {
	h := v.cache.find(hash, token, Token)
	if h == nil || v.versions == nil || h.keyset == 0 || h.keyset != v.versions.Version(now) {
		return nil
	}
	if v.feed != nil && h.live.Load() != v.feed.Version() && v.feed.Check(&h.keys, h.id.RSN) == revocation.Unknown {
		return nil // hashed with a secret that the feed has no more
	}
	return h
}

// judge decides about a JWT whose signature and claims are right.
func (v *Verifier) judge(ctx context.Context, h *held, now time.Time, q question) (*Identity, error) {
	switch at := now.UnixNano(); {
	case at >= h.until:
		return nil, ErrExpired
	case at < h.from: // the clock was set back
		return nil, ErrNotYet
	}
	if !q.once {
		if err := v.settle(ctx, h, now); err != nil {
			return nil, err
		}
		return &h.id, nil
	}
	if err := q.prove(h.id.Confirm); err != nil {
		return nil, err
	}
	if err := v.confirm(ctx, h.signed, &h.id, q); err != nil {
		return nil, err
	}
	return &h.id, nil
}

// keep remembers a JWT that was found good. One that was checked while the feed
// knew nothing is looked at anew the next time.
func (v *Verifier) keep(hash uint64, h *held, now time.Time) {
	if h.keyset != 0 && (v.feed == nil || h.live.Load() != 0) {
		v.cache.keep(hash, h, now)
	}
}

// first verifies a JWT that is not remembered, with everything that can be checked
// here.
func (v *Verifier) first(ctx context.Context, token string, now time.Time) (*held, error) {
	v.counts.first.Add(1)
	var version uint64
	if v.versions != nil {
		version = v.versions.Version(now) // before the key is looked up: it may change meanwhile
	}
	signed, err := v.unwrap(token)
	if err != nil {
		return nil, err
	}
	h, err := v.jwt(ctx, signed, now)
	if err != nil {
		return nil, err
	}
	h.credential, h.signed, h.keyset, h.until = token, signed, version, v.end(&h.id)
	if v.feed != nil {
		h.keys = v.feed.Keys(v.subject(&h.id))
	}
	return h, nil
}

// jwt checks all of a signed token that can be checked here.
func (v *Verifier) jwt(ctx context.Context, signed string, now time.Time) (*held, error) {
	m, err := v.headers.Parse(signed, v.limits)
	if err != nil {
		if len(v.decrypt) == 0 && jose.IsEncrypted(signed) {
			return nil, ErrEncryption
		}
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
	h := &held{}
	h.id.Kind = Token
	c := claims{id: &h.id, room: h.lists[:]}
	if err := v.claimsOf(&c, m.UnverifiedText(), now); err != nil {
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
	h.id.keyID = key.ID()
	from := h.id.IssuedAt
	if c.notBefore.After(from) {
		from = c.notBefore
	}
	h.from = from.Add(-v.leeway).UnixNano()
	return h, nil
}

// unwrap opens an encrypted token. What was inside still has to be signed:
// anybody can encrypt to a public key.
func (v *Verifier) unwrap(token string) (string, error) {
	if len(v.decrypt) == 0 {
		return token, nil // an encrypted one has too many segments for a signed one
	}
	if !jose.IsEncrypted(token) {
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
func (v *Verifier) claimsOf(c *claims, payload string, now time.Time) error {
	if err := v.readClaims(c, payload); err != nil {
		return err
	}
	if err := v.checkPlace(c); err != nil {
		return err
	}
	if !c.has(nameExpires) || !c.has(nameIssued) || c.id.Subject == "" || c.id.ClientID == "" || c.id.TokenID == "" {
		return ErrClaims
	}
	if err := v.checkTime(c, now); err != nil {
		return err
	}
	if c.id.ExpiresAt.Sub(c.id.IssuedAt) > v.maxLifetime {
		return ErrLifetime
	}
	return nil
}

// confirm asks the server whether a JWT that is valid by itself still counts.
func (v *Verifier) confirm(ctx context.Context, signed string, id *Identity, q question) error {
	// The server is shown what it signed: it cannot open what was encrypted for us.
	q.token, q.hint = signed, "access_token"
	a, err := v.ask(ctx, q)
	if err != nil {
		return err
	}
	if !a.active {
		return ErrRevoked
	}
	// An answer about another token is worth nothing: a confused cache or proxy stands between.
	if a.id.TokenID != id.TokenID || a.id.Subject != id.Subject {
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
