package jose

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Message is a compact JWS that has been read but not verified.
type Message struct {
	// Header is what the token says of itself. Use it to choose a key; the key, not
	// the header, decides the algorithm.
	Header Header

	signed    []byte
	payload   []byte
	signature []byte
}

// Sign returns payload as a compact JWS under k. The header's algorithm and key id
// are the key's; h adds Type and ContentType. A key that cannot sign, or an empty
// payload, is an error.
func Sign(k *Key, h Header, payload []byte) (string, error) {
	if !k.CanSign() {
		return "", badKey("not a signing key")
	}
	if len(payload) == 0 {
		return "", malformed("empty payload")
	}
	if err := h.claim(k.alg, k.id); err != nil {
		return "", err
	}
	if h.Encryption != "" {
		return "", malformed("a signed token has no enc")
	}
	h.Algorithm, h.KeyID = k.alg, k.id
	header := append(h.appendTo([]byte{'{'}), '}')

	enc := base64.RawURLEncoding
	size := enc.EncodedLen(len(header)) + enc.EncodedLen(len(payload)) + enc.EncodedLen(maxSignature) + 2
	token := make([]byte, 0, size)
	token = enc.AppendEncode(token, header)
	token = append(token, '.')
	token = enc.AppendEncode(token, payload)
	signature, err := k.sign(token)
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(enc.AppendEncode(token, signature)), nil
}

// Verify parses token under the default limits and checks it with k. The header
// and payload are returned only if the signature is right.
func Verify(token string, k *Key) (Header, []byte, error) {
	m, err := Parse(token, Limits{})
	if err != nil {
		return Header{}, nil, err
	}
	payload, err := m.Verify(k)
	if err != nil {
		return Header{}, nil, err
	}
	return m.Header, payload, nil
}

// Parse reads a compact JWS: three non-empty segments, a strict header that names
// a signature algorithm of this package, no extension. It checks no signature.
func Parse(token string, l Limits) (*Message, error) {
	l = l.orDefault()
	if len(token) > l.Token {
		return nil, ErrTooLarge
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first <= 0 || last == first || last == len(token)-1 {
		return nil, malformed("not three segments")
	}
	if first > l.Header {
		return nil, ErrTooLarge
	}
	if last == first+1 || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return nil, malformed("not three segments")
	}

	// One allocation holds the bytes that were signed and all that is decoded.
	buf := make([]byte, 0, len(token)+len(token)*3/4)
	buf = append(buf, token...)
	signed := buf[:last:last]
	header, rest, err := decodeNext(buf, buf[:first])
	if err != nil {
		return nil, err
	}
	payload, rest, err := decodeNext(rest, buf[first+1:last])
	if err != nil {
		return nil, err
	}
	signature, _, err := decodeNext(rest, buf[last+1:len(token)])
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if h.Encryption != "" {
		return nil, malformed("a signed token has no enc")
	}
	if h.Algorithm.traits().family == familyNone {
		return nil, ErrAlgorithm
	}
	return &Message{Header: h.Header, signed: signed, payload: payload, signature: signature}, nil
}

// decodeNext decodes segment behind what buf holds already.
func decodeNext(buf, segment []byte) (decoded, rest []byte, err error) {
	start := len(buf)
	rest, err = appendSegment(buf, segment)
	if err != nil {
		return nil, nil, err
	}
	return rest[start:len(rest):len(rest)], rest, nil
}

// Verify checks the signature with k and returns the payload, which must not be
// changed. The token must name the algorithm that k is bound to.
func (m *Message) Verify(k *Key) ([]byte, error) {
	if k == nil {
		return nil, badKey("no key")
	}
	if !k.alg.matches(m.Header.Algorithm) {
		return nil, ErrAlgorithm
	}
	if !k.verify(m.signed, m.signature) {
		return nil, ErrSignature
	}
	return m.payload, nil
}

// UnverifiedPayload returns a copy of the payload that nobody has vouched for. It
// serves to show a token to a person or to refuse one early; never to grant.
func (m *Message) UnverifiedPayload() []byte {
	return bytes.Clone(m.payload)
}
