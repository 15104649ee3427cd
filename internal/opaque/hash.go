package opaque

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Digest is what is stored of a secret: its SHA-256, or a keyed code of it.
type Digest [32]byte

// Hash returns the SHA-256 of a secret that has at least 128 random bits. A
// secret that a person chose goes through Root.MAC or a password hash instead.
func Hash(secret string) Digest {
	return sha256.Sum256([]byte(secret))
}

// Equal compares in constant time.
func (d Digest) Equal(other Digest) bool {
	return subtle.ConstantTimeCompare(d[:], other[:]) == 1
}

// IsZero reports whether nothing is stored.
func (d Digest) IsZero() bool { return d == Digest{} }

// Root is the installation's master key. Every other symmetric key is derived
// from it, one for each purpose, so that a code made for one purpose says
// nothing for another.
type Root struct{ key []byte }

// RootSize is the length of a master key in bytes.
const RootSize = 32

// NewRoot takes a master key of exactly RootSize bytes.
func NewRoot(key []byte) (*Root, error) {
	if len(key) != RootSize {
		return nil, fmt.Errorf("master key is %d bytes long, not %d", len(key), RootSize)
	}
	return &Root{key: append([]byte(nil), key...)}, nil
}

// Derive returns the key of a purpose (HKDF-SHA256, RFC 5869).
func (r *Root) Derive(purpose string) *Key {
	k, err := hkdf.Key(sha256.New, r.key, nil, "wafer/"+purpose, 32)
	if err != nil {
		panic(err) // 32 bytes are always within HKDF's limit
	}
	return &Key{key: k}
}

// Key is the key of one purpose. It is safe for concurrent use.
type Key struct{ key []byte }

// MAC returns the HMAC-SHA256 over the parts. Each part is preceded by its
// length, so that ("ab","c") and ("a","bc") differ.
func (k *Key) MAC(parts ...string) Digest {
	h := hmac.New(sha256.New, k.key)
	var n [8]byte
	for _, p := range parts {
		putLength(&n, len(p))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var d Digest
	h.Sum(d[:0])
	return d
}

func putLength(n *[8]byte, length int) {
	for i := range n {
		n[7-i] = byte(length >> (8 * i))
	}
}
