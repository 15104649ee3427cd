package jose

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// EncryptedLimit caps an encrypted token, in bytes: a signed token at its default
// limit, encoded once more, with room for the wrapped key.
const EncryptedLimit = 16 << 10

const (
	contentKeySize = 32
	nonceSize      = 12
	tagSize        = 16
)

// IsEncrypted reports whether token has the five segments of a compact JWE. It
// reads nothing else.
func IsEncrypted(token string) bool {
	for range 4 {
		i := strings.IndexByte(token, '.')
		if i < 0 {
			return false
		}
		token = token[i+1:]
	}
	return strings.IndexByte(token, '.') < 0
}

// Encrypt encrypts inner for k as a compact JWE. inner must be a compact JWS
// (sign, then encrypt), or it is ErrMalformed. Algorithms, key id and the content
// type "JWT" are set here; h may add Type.
func Encrypt(k *RecipientKey, h Header, inner string) (string, error) {
	if k == nil {
		return "", badKey("no key")
	}
	if _, err := Parse(inner, Limits{}); err != nil {
		return "", err
	}
	if err := h.claim(Algorithm(k.alg), k.id); err != nil {
		return "", err
	}
	if h.Encryption != "" && h.Encryption != A256GCM {
		return "", ErrAlgorithm
	}
	if h.ContentType != "" && !isNested(h.ContentType) {
		return "", malformed("the content of an encrypted token is a JWT")
	}
	h.Algorithm, h.KeyID, h.Encryption, h.ContentType = Algorithm(k.alg), k.id, A256GCM, nestedContent

	header := h.appendTo([]byte{'{'})
	cek, wrapped, epk, err := k.contentKey()
	if err != nil {
		return "", err
	}
	if epk != nil {
		header = append(append(header, `,"epk":`...), epk.bare()...)
	}
	header = append(header, '}')

	enc := base64.RawURLEncoding
	aad := enc.AppendEncode(nil, header)
	nonce := make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	gcm, err := newGCM(cek)
	if err != nil {
		return "", err
	}
	sealed := gcm.Seal(nil, nonce, []byte(inner), aad)
	token := bytes.Clone(aad)
	for _, part := range [][]byte{wrapped, nonce, sealed[:len(inner)], sealed[len(inner):]} {
		token = enc.AppendEncode(append(token, '.'), part)
	}
	if len(token) > EncryptedLimit {
		return "", ErrTooLarge
	}
	return string(token), nil
}

// Decrypt opens a compact JWE with k and returns the compact JWS in it, not yet
// verified: anyone can encrypt. A token of the wrong shape is ErrMalformed, one
// that names another algorithm ErrAlgorithm; every failure behind that, down to
// content that is no compact JWS, is the one ErrDecrypt.
func Decrypt(token string, k *DecryptionKey) (inner string, h Header, err error) {
	if k == nil {
		return "", Header{}, badKey("no key")
	}
	p, err := parseEncrypted(token)
	if err != nil {
		return "", Header{}, err
	}
	if string(p.header.Algorithm) != k.recipient.alg {
		return "", Header{}, ErrAlgorithm
	}
	if !isNested(p.header.ContentType) {
		return "", Header{}, malformed("encrypted content is not a JWT")
	}
	inner, ok := p.open(k)
	if !ok {
		return "", Header{}, ErrDecrypt
	}
	if _, err := Parse(inner, Limits{}); err != nil {
		return "", Header{}, ErrDecrypt
	}
	return inner, p.header.Header, nil
}

// isNested reports whether cty is "JWT", which RFC 7519 section 5.2 wants for
// nested tokens; media types ignore case.
func isNested(cty string) bool { return strings.EqualFold(cty, nestedContent) }

// encrypted is a compact JWE that has been read.
type encrypted struct {
	header                          rawHeader
	aad                             []byte
	wrapped, nonce, ciphertext, tag []byte
}

func parseEncrypted(token string) (*encrypted, error) {
	if len(token) > EncryptedLimit {
		return nil, ErrTooLarge
	}
	if !IsEncrypted(token) {
		return nil, malformed("not five segments")
	}
	segments := strings.Split(token, ".")
	if len(segments[0]) > DefaultHeaderLimit {
		return nil, ErrTooLarge
	}
	var parts [5][]byte
	var h rawHeader
	for i, segment := range segments {
		var err error
		if parts[i], err = DecodeSegment(segment); err != nil {
			return nil, err
		}
		if i > 0 {
			continue
		}
		if h, err = parseHeader(parts[0]); err != nil {
			return nil, err
		}
		if !isKeyManagement(string(h.Algorithm)) || h.Encryption != A256GCM {
			return nil, ErrAlgorithm
		}
	}
	// crypto/cipher panics on a nonce of another size. A tag of any other size is cut
	// off somewhere in the ciphertext, which must stay one spelling.
	if len(parts[2]) != nonceSize || len(parts[3]) == 0 || len(parts[4]) != tagSize {
		return nil, malformed("segment of the wrong size")
	}
	return &encrypted{
		header: h, aad: []byte(segments[0]),
		wrapped: parts[1], nonce: parts[2], ciphertext: parts[3], tag: parts[4],
	}, nil
}

// open returns the plaintext. A content key that cannot be had is replaced by a
// random one (RFC 7516 section 11.5), so that a bad key and a bad tag look alike.
func (p *encrypted) open(k *DecryptionKey) (string, bool) {
	cek := make([]byte, contentKeySize)
	if _, err := rand.Read(cek); err != nil {
		return "", false
	}
	if got, ok := p.contentKey(k); ok {
		cek = got
	}
	gcm, err := newGCM(cek)
	if err != nil {
		return "", false
	}
	plain, err := gcm.Open(nil, p.nonce, append(p.ciphertext, p.tag...), p.aad)
	return string(plain), err == nil
}

// contentKey returns a content key for k, the form in which it travels, and the
// ephemeral public key of an agreement.
func (k *RecipientKey) contentKey() (cek, wrapped []byte, epk keyMembers, err error) {
	cek = make([]byte, contentKeySize)
	if _, err = rand.Read(cek); err != nil {
		return nil, nil, nil, err
	}
	if k.alg == RSAOAEP256 {
		wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, k.rsa, cek, nil)
		return cek, wrapped, nil, err
	}
	ephemeral, err := k.ecdh.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	shared, err := ephemeral.ECDH(k.ecdh)
	if err != nil {
		return nil, nil, nil, badKey("key agreement failed")
	}
	epk = agreementMembers(ephemeral.PublicKey())
	if k.alg == ECDHES {
		return agreement{shared: shared, alg: A256GCM}.derive(contentKeySize), nil, epk, nil
	}
	kek := agreement{shared: shared, alg: k.alg}.derive(contentKeySize)
	wrapped, err = wrapKey(kek, cek)
	return cek, wrapped, epk, err
}

// contentKey recovers the content key of p.
func (p *encrypted) contentKey(k *DecryptionKey) ([]byte, bool) {
	if k.recipient.alg == RSAOAEP256 {
		cek, err := rsa.DecryptOAEP(sha256.New(), nil, k.rsa, p.wrapped, nil)
		return cek, err == nil && len(cek) == contentKeySize
	}
	epk, ok := p.ephemeral(k.ecdh.Curve())
	if !ok {
		return nil, false
	}
	// ECDH refuses the all-zero X25519 output by itself (RFC 8037 section 3.2.1).
	shared, err := k.ecdh.ECDH(epk)
	if err != nil {
		return nil, false
	}
	a := agreement{shared: shared, alg: k.recipient.alg}
	if a.apu, ok = partyInfo(p.header.apu); !ok {
		return nil, false
	}
	if a.apv, ok = partyInfo(p.header.apv); !ok {
		return nil, false
	}
	if k.recipient.alg == ECDHES {
		a.alg = A256GCM
		return a.derive(contentKeySize), len(p.wrapped) == 0
	}
	return unwrapKey(a.derive(contentKeySize), p.wrapped)
}

// ephemeral reads the sender's key, which must be a public point on our curve.
func (p *encrypted) ephemeral(curve ecdh.Curve) (*ecdh.PublicKey, bool) {
	j, err := parseJWK(p.header.epk)
	if err != nil || j.private() {
		return nil, false
	}
	material, err := j.material()
	if err != nil {
		return nil, false
	}
	var epk *ecdh.PublicKey
	switch m := material.(type) {
	case *ecdh.PublicKey:
		epk = m
	case *ecdsa.PublicKey:
		if epk, err = m.ECDH(); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	return epk, epk.Curve() == curve
}

// partyInfo decodes apu or apv, which may be absent.
func partyInfo(raw []byte) ([]byte, bool) {
	if raw == nil {
		return nil, true
	}
	encoded, err := stringBytes(raw)
	if err != nil {
		return nil, false
	}
	b, err := DecodeSegment(string(encoded))
	return b, err == nil
}

func newGCM(cek []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
