package jose

import (
	"encoding/base64"
	"strings"
)

// privateMembers are those of a JWK that nobody should ever see in a header.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// ParseProof reads a compact JWS that brings its own public key along (jwk), such as
// a DPoP proof, and the key. typ must be exactly that of the header. It checks no
// signature: give the key to Message.Verify. What is proved then is that whoever made
// the proof holds the key, and nothing about who that is.
//
// A key with private members, a symmetric one, or one that does not fit the header's
// algorithm is ErrKey or ErrAlgorithm. No other function of this package looks at jwk.
func ParseProof(token, typ string, l Limits) (*Message, *Key, error) {
	m, err := Parse(token, l)
	if err != nil {
		return nil, nil, err
	}
	if m.Header.Type != typ {
		return nil, nil, malformed("another type of token")
	}
	if m.Header.Algorithm.Symmetric() {
		return nil, nil, ErrAlgorithm
	}
	segment, _, _ := strings.Cut(token, ".")
	header, err := DecodeSegment(segment)
	if err != nil {
		return nil, nil, err
	}
	members, err := Members(header)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range members {
		if h.Name == "jwk" {
			key, err := bareKey(m.Header.Algorithm, h.Value)
			return m, key, err
		}
	}
	return nil, nil, badKey("the header holds no key")
}

// bareKey reads a public JWK for one algorithm.
func bareKey(alg Algorithm, jwk []byte) (*Key, error) {
	members, err := Members(jwk)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		for _, private := range privateMembers {
			if m.Name == private {
				return nil, badKey("the header holds a private key")
			}
		}
	}
	return ParseKeyFor(alg, jwk)
}

// SignProof returns payload as a compact JWS under k that brings the public key along,
// for ParseProof. An HMAC key is ErrKey: it has no public part.
func SignProof(k *Key, typ string, payload []byte) (string, error) {
	if !k.CanSign() {
		return "", badKey("not a signing key")
	}
	if !plain(typ) || typ == "" || len(payload) == 0 {
		return "", malformed("a proof needs a type and a payload")
	}
	jwk, err := publicMaterial(k)
	if err != nil {
		return "", err
	}
	header := appendMember([]byte{'{'}, "alg", string(k.alg))
	header = appendMember(header, "typ", typ)
	header = append(header, `,"jwk":`...)
	header = append(append(header, jwk...), '}')
	enc := base64.RawURLEncoding
	token := append(enc.AppendEncode(nil, header), '.')
	token = enc.AppendEncode(token, payload)
	signature, err := k.sign(token)
	if err != nil {
		return "", err
	}
	return string(enc.AppendEncode(append(token, '.'), signature)), nil
}

// publicMaterial is the public JWK with the members that RFC 7638 requires and no
// others.
func publicMaterial(k *Key) ([]byte, error) {
	if k.secret != nil {
		return nil, badKey("an HMAC key has no public part")
	}
	return k.publicMembers().bare(), nil
}
