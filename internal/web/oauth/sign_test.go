package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// rawSign signs as RFC 7518 section 3 says, whatever the header: package jose writes
// headers of tokens only, and those bring no key along.
func rawSign(t *testing.T, key *jose.Key, input string) []byte {
	t.Helper()
	der, err := key.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	small := sha256.Sum256([]byte(input))
	var signature []byte
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		digest, size := small[:], (k.Params().BitSize+7)/8
		if key.Algorithm() == jose.ES384 {
			large := sha512.Sum384([]byte(input))
			digest = large[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(input))
	case *rsa.PrivateKey:
		if key.Algorithm() == jose.RS256 {
			signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, small[:])
		} else {
			signature, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, small[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}
