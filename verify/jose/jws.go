package jose

import (
	"encoding/base64"
	"strings"
)

// Message is a compact JWS that has been read but not verified.
type Message struct {
	// Header is what the token says of itself. Use it to choose a key; the key, not
	// the header, decides the algorithm.
	Header Header

	signed  string // the token up to its signature
	payload string
	headers *Headers // to tell when the header, which was not known, is verified

	// The signature lies in the message itself unless it is longer than usual. No
	// slice of short is kept, so that a message can live on its reader's stack.
	long  []byte
	short [usualSignature]byte
	size  int
}

// usualSignature is as long as those of RSA with 2048 bits.
const usualSignature = 256

// headerSegment returns the encoded header of a token of this type.
func (k *Key) headerSegment(h Header) string {
	if last := k.header.Load(); last != nil && last.typ == h.Type && last.cty == h.ContentType {
		return last.segment
	}
	h.Algorithm, h.KeyID = k.alg, k.id
	segment := base64.RawURLEncoding.EncodeToString(append(h.appendTo([]byte{'{'}), '}'))
	k.header.Store(&firstSegment{typ: h.Type, cty: h.ContentType, segment: segment})
	return segment
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
	header := k.headerSegment(h)
	enc := base64.RawURLEncoding
	size := len(header) + enc.EncodedLen(len(payload)) + enc.EncodedLen(k.signatureSize()) + 2
	token := make([]byte, 0, size)
	token = append(token, header...)
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
	if len(token) > l.orDefault().Token {
		return nil, ErrTooLarge // before anything is allocated
	}
	return new(Message).read(token, l)
}

// read fills m, of which only headers may be set, and returns it.
func (m *Message) read(token string, l Limits) (*Message, error) {
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
	m.signed = token[:last]
	if h := m.headers.find(token[:first]); h != nil {
		m.Header, m.headers = *h, nil
		if err := m.readRest(token[first+1:last], token[last+1:]); err != nil {
			return nil, err
		}
		return m, nil
	}
	header, err := DecodeSegment(token[:first])
	if err != nil {
		return nil, err
	}
	if err := m.readRest(token[first+1:last], token[last+1:]); err != nil {
		return nil, err
	}
	if m.Header, err = signedHeader(header); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Message) readRest(payload, signature string) error {
	m.size = decodedLen(signature)
	if m.size > len(m.short) {
		m.long = make([]byte, m.size)
	}
	if !decodeSegment(m.signature(), signature) {
		return errSegment()
	}
	var ok bool
	if m.payload, ok = decodeText(payload); !ok {
		return errSegment()
	}
	return nil
}

func (m *Message) signature() []byte {
	if m.long != nil {
		return m.long
	}
	return m.short[:m.size]
}

// Verify checks the signature with k and returns the payload. The token must name
// the algorithm that k is bound to.
func (m *Message) Verify(k *Key) ([]byte, error) {
	if err := m.check(k); err != nil {
		return nil, err
	}
	return []byte(m.payload), nil
}

func (m *Message) check(k *Key) error {
	if k == nil {
		return badKey("no key")
	}
	if !k.alg.matches(m.Header.Algorithm) {
		return ErrAlgorithm
	}
	if !k.verify(m.signed, m.signature()) {
		return ErrSignature
	}
	if m.headers != nil {
		m.headers.keep(m.signed[:strings.IndexByte(m.signed, '.')])
	}
	return nil
}

// UnverifiedPayload returns a copy of the payload that nobody has vouched for. It
// serves to show a token to a person or to refuse one early; never to grant.
func (m *Message) UnverifiedPayload() []byte {
	return []byte(m.payload)
}

// UnverifiedText returns the payload that nobody has vouched for without copying
// it. What was read from it may be used once Verify has returned no error.
func (m *Message) UnverifiedText() string { return m.payload }
