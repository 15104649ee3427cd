package jose_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

const claims = `{"sub":"u1","aud":"orders"}`

// b64 is the tests' own encoder: the standard library's, not the one under test.
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

var generated sync.Map // jose.Algorithm -> *jose.Key

// signingKey returns one key per algorithm and test run: RSA generation is slow.
func signingKey(tb testing.TB, alg jose.Algorithm) *jose.Key {
	tb.Helper()
	if k, ok := generated.Load(alg); ok {
		return k.(*jose.Key)
	}
	k, err := jose.Generate(alg, "key-"+string(alg))
	if err != nil {
		tb.Fatalf("generate %s: %v", alg, err)
	}
	actual, _ := generated.LoadOrStore(alg, k)
	return actual.(*jose.Key)
}

var testSecret = []byte("0123456789abcdef0123456789abcdef")

func hmacKey(tb testing.TB) *jose.Key {
	tb.Helper()
	k, err := jose.NewKey(jose.HS256, "k1", testSecret)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// forge signs any header and payload text with HS256, as an attacker's own code
// would, without a check.
func forge(secret []byte, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(mac(secret, input))
}

func mac(secret []byte, input string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return h.Sum(nil)
}

func mustSign(tb testing.TB, k *jose.Key) string {
	tb.Helper()
	token, err := jose.Sign(k, jose.Header{Type: "at+jwt"}, []byte(claims))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// accept checks that k takes token.
func accept(tb testing.TB, k *jose.Key, token string) {
	tb.Helper()
	if _, _, err := jose.Verify(token, k); err != nil {
		tb.Fatalf("a good token was refused: %v", err)
	}
}

// refuse checks that k refuses token with want, and takes good before and after.
func refuse(tb testing.TB, k *jose.Key, good, bad string, want error) {
	tb.Helper()
	accept(tb, k, good)
	_, payload, err := jose.Verify(bad, k)
	if !errors.Is(err, want) {
		tb.Fatalf("got %v, want %v", err, want)
	}
	if payload != nil {
		tb.Fatal("a refused token gave a payload")
	}
	accept(tb, k, good)
}

func segments(token string) []string { return strings.Split(token, ".") }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return b
}
