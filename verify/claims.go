package verify

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

// claims is what a token or the server's answer says, typed but not yet judged.
type claims struct {
	id        *Identity
	room      []string // for lists, so that short ones need no memory of their own
	seen      uint32   // a bit for each name that was there, whatever its value
	tokenType string   // token_type of an introspection answer
	active    bool     // active of an introspection answer
	notBefore time.Time
	idle      time.Duration // of a session: unused for so long it ends
	touch     time.Duration // and its use is told once in this time
}

// name is a claim that we read; zero is any other.
type name uint8

const (
	nameIssuer name = iota + 1
	nameAudience
	nameSubject
	nameExpires
	nameIssued
	nameNotBefore
	nameAuthTime
	nameScope
	nameClient
	nameTokenID
	nameSession
	nameGrant
	nameACR
	nameAMR
	nameRSN
	nameBinding
	nameBound
	nameIdle
	nameTouch
	nameTokenType
	nameActive
)

func nameOf(s string) name {
	switch s {
	case "iss":
		return nameIssuer
	case "aud":
		return nameAudience
	case "sub":
		return nameSubject
	case "exp":
		return nameExpires
	case "iat":
		return nameIssued
	case "nbf":
		return nameNotBefore
	case "idle":
		return nameIdle
	case "touch":
		return nameTouch
	case "auth_time":
		return nameAuthTime
	case "scope":
		return nameScope
	case "client_id":
		return nameClient
	case "jti":
		return nameTokenID
	case "sid":
		return nameSession
	case "grant_id":
		return nameGrant
	case "acr":
		return nameACR
	case "amr":
		return nameAMR
	case "rsn":
		return nameRSN
	case "cnf":
		return nameBinding
	case "bnd":
		return nameBound
	case "token_type":
		return nameTokenType
	case "active":
		return nameActive
	}
	return 0
}

func (c *claims) has(n name) bool { return c.seen&(1<<n) != 0 }

// readClaims types the members it knows and refuses the whole when one of them
// has the wrong type: a claim that cannot be read is never a claim left out.
// What is not strict JSON is ErrMalformed.
func (v *Verifier) readClaims(c *claims, object string) error {
	c.id.object = object
	var found [nameActive + 1]string
	if !plainObject(object, &found) {
		members, err := jose.Members([]byte(object))
		if err != nil {
			return ErrMalformed
		}
		for i := range members {
			if n := nameOf(members[i].Name); n != 0 {
				found[n] = string(members[i].Value)
			}
		}
	}
	for n, raw := range found {
		if raw == "" {
			continue
		}
		err := v.readClaim(c, name(n), raw)
		if errors.Is(err, ErrBinding) {
			return ErrBinding
		}
		if err != nil {
			return ErrClaims
		}
	}
	return nil
}

func (v *Verifier) readClaim(c *claims, n name, raw string) (err error) {
	c.seen |= 1 << n
	switch n {
	case nameIssuer:
		c.id.Issuer, err = readText(raw)
	case nameAudience:
		c.id.Audience, err = v.readAudience(c, raw)
	case nameSubject:
		c.id.Subject, err = readText(raw)
	case nameExpires:
		c.id.ExpiresAt, err = readDate(raw)
	case nameIssued:
		c.id.IssuedAt, err = readDate(raw)
	case nameNotBefore:
		c.notBefore, err = readDate(raw)
	case nameAuthTime:
		c.id.AuthTime, err = readDate(raw)
	case nameScope:
		c.id.Scopes, err = readScope(c, raw)
	case nameClient:
		c.id.ClientID, err = readText(raw)
	case nameTokenID:
		c.id.TokenID, err = readText(raw)
	case nameSession:
		c.id.SessionID, err = readText(raw)
	case nameGrant:
		c.id.GrantID, err = readText(raw)
	case nameACR:
		c.id.ACR, err = readText(raw)
	case nameAMR:
		c.id.AMR, err = readList(c, raw)
	case nameRSN:
		c.id.RSN, err = readPosition(raw)
	case nameBinding:
		c.id.Confirm, err = readConfirmation(raw)
	case nameBound:
		c.id.Binding, err = readBinding(raw)
	case nameIdle:
		c.idle, err = readSeconds(raw)
	case nameTouch:
		c.touch, err = readSeconds(raw)
	case nameTokenType:
		c.tokenType, err = readText(raw)
	case nameActive:
		c.active, err = jose.Bool([]byte(raw))
	}
	return err
}

// readAudience gives a string or an array of strings (RFC 7519 section 4.1.3).
func (v *Verifier) readAudience(c *claims, raw string) ([]string, error) {
	if raw[0] == '[' {
		return readList(c, raw)
	}
	one, err := readText(raw)
	if one == v.audience {
		return v.audiences, err
	}
	return []string{one}, err
}

// readScope splits by the grammar of RFC 6749 section 3.3: single spaces, and
// no character that could make two readers split differently.
func readScope(c *claims, raw string) ([]string, error) {
	s, err := readText(raw)
	if err != nil || s == "" {
		return nil, err
	}
	scopes := c.list(strings.Count(s, " ") + 1)
	for from := 0; ; {
		end := from
		for end < len(s) && isPlain[s[end]] && s[end] != ' ' {
			end++
		}
		if end == from || end < len(s) && s[end] != ' ' {
			return nil, ErrClaims
		}
		scopes = append(scopes, s[from:end])
		if end == len(s) {
			return scopes, nil
		}
		from = end + 1
	}
}

// list is an empty list with room for so many.
func (c *claims) list(n int) []string {
	if n > len(c.room) {
		return make([]string, 0, n)
	}
	list := c.room[:0:n]
	c.room = c.room[n:]
	return list
}

// ValidScope reports whether s is one scope as RFC 6749 section 3.3 spells it.
func ValidScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// readBinding gives what the credential is bound to. One that is not understood
// refuses the credential: it would pass for unbound.
func readBinding(raw string) (bound.Binding, error) {
	s, err := readText(raw)
	if err != nil {
		return bound.Binding{}, err
	}
	return bound.Parse(s)
}

// readSeconds gives a length of time.
func readSeconds(raw string) (time.Duration, error) {
	n, err := readPosition(raw)
	if err == nil && n > int64(maxSeconds) {
		err = ErrClaims
	}
	return time.Duration(n) * time.Second, err
}

const maxSeconds = 10 * 366 * 24 * 3600

// readPosition gives a place in the revocation log, which counts from zero.
func readPosition(raw string) (int64, error) {
	if n, ok := digits(raw); ok {
		return n, nil
	}
	n, err := jose.Int64([]byte(raw))
	if err == nil && n < 0 {
		err = ErrClaims
	}
	return n, err
}

// checkPlace refuses what was minted by or for somebody else.
func (v *Verifier) checkPlace(c *claims) error {
	if !c.has(nameIssuer) || c.id.Issuer != v.issuer {
		return ErrIssuer
	}
	if !c.has(nameAudience) || !slices.Contains(c.id.Audience, v.audience) {
		return ErrAudience
	}
	return nil
}

// checkTime judges exp, iat and nbf at one reading of the clock.
func (v *Verifier) checkTime(c *claims, now time.Time) error {
	// The end is exclusive (RFC 7519 section 4.1.4).
	if !now.Before(c.id.ExpiresAt.Add(v.leeway)) {
		return ErrExpired
	}
	latest := now.Add(v.leeway)
	if c.id.IssuedAt.After(latest) || c.notBefore.After(latest) {
		return ErrNotYet
	}
	return nil
}
