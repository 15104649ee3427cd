package opaque

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// ErrSealed means that a sealed box cannot be opened: it was changed, moved to
// another place, or sealed under another master key.
var ErrSealed = errors.New("sealed box cannot be opened with this master key")

// Seal encrypts with AES-256-GCM under a fresh nonce. place (purpose and row)
// is authenticated, so that a box cannot be moved to another row or purpose.
// A key may seal 2^32 boxes.
func (k *Key) Seal(plain []byte, place string) []byte {
	aead := k.aead()
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(place))
}

// Open undoes Seal. Every failure is ErrSealed.
func (k *Key) Open(box []byte, place string) ([]byte, error) {
	aead := k.aead()
	if len(box) < aead.NonceSize() {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], []byte(place))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

func (k *Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k.key)
	if err != nil {
		panic(err) // the key is always 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
