package interop_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"
)

// ecdsaPair turns an agreement key into the form that the other libraries take.
func ecdsaPair(t *testing.T, private *ecdh.PrivateKey) (any, any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	k := parsed.(*ecdsa.PrivateKey)
	return k, &k.PublicKey
}

func hmacSHA256(t *testing.T, p pair, input string) []byte {
	t.Helper()
	secret, err := p.key.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return h.Sum(nil)
}

// refusesMore names what another library refuses in members that jose does not
// look at (keys and certificates carried in the header, which are never trusted).
func refusesMore(name string, err error) bool {
	for _, member := range []string{"jwk", "x5c", "x5t", "x5u", "jku", "nonce"} {
		if strings.Contains(err.Error(), member) {
			return true
		}
	}
	return false
}
