package jose_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Payloads, signed bytes and signatures of every length, past every buffer of a
// fixed size.

func TestPayloadsOfEveryLength(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	for n := 1; n <= 1200; n++ {
		payload := randomBytes(n)
		token, err := jose.Sign(k, jose.Header{}, payload)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := jose.Verify(token, k)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes came back as %x, %v", n, got, err)
		}
	}
}

func TestAttackStrayCharacterAnywhereInAPayload(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	for _, n := range []int{100, 239, 240, 241, 480, 482} {
		good, err := jose.Sign(k, jose.Header{}, randomBytes(n))
		if err != nil {
			t.Fatal(err)
		}
		accept(t, k, good)
		p := segments(good)
		for i := range p[1] {
			for _, c := range "=+/\n\r \x00\x80" {
				bad := p[0] + "." + p[1][:i] + string([]byte{byte(c)}) + p[1][i+1:] + "." + p[2]
				if _, err := jose.Parse(bad, jose.Limits{}); !errors.Is(err, jose.ErrMalformed) {
					t.Fatalf("byte %q at %d of %d: got %v, want ErrMalformed", c, i, len(p[1]), err)
				}
			}
		}
		accept(t, k, good)
	}
}

func TestLongTokensOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		k := signingKey(t, alg)
		for _, n := range []int{300, 700, 760, 800, 4000} {
			good, err := jose.Sign(k, jose.Header{}, bytes.Repeat([]byte{'x'}, n))
			if err != nil {
				t.Fatal(err)
			}
			p := segments(good)
			for _, at := range []int{0, len(p[1]) / 2, len(p[1]) - 4} {
				changed := p[1][:at] + flip(p[1][at]) + p[1][at+1:]
				refuse(t, k, good, p[0]+"."+changed+"."+p[2], jose.ErrSignature)
			}
		}
	}
}

// flip gives another character of the alphabet.
func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestLongSignatures(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewKey(jose.RS256, "k1", private)
	if err != nil {
		t.Fatal(err)
	}
	good := mustSign(t, k)
	p := segments(good)
	for _, n := range []int{1, 64, 255, 256, 257, 383, 384, 385, 2048} {
		refuse(t, k, good, p[0]+"."+p[1]+"."+b64(randomBytes(n)), jose.ErrSignature)
	}
	for _, at := range []int{0, 100, 341, 342, 343, len(p[2]) - 2} {
		refuse(t, k, good, p[0]+"."+p[1]+"."+p[2][:at]+flip(p[2][at])+p[2][at+1:], jose.ErrSignature)
		refuse(t, k, good, p[0]+"."+p[1]+"."+p[2][:at]+"="+p[2][at+1:], jose.ErrMalformed)
	}
	refuse(t, k, good, p[0]+"."+p[1]+"."+p[2]+strings.Repeat("A", 4), jose.ErrSignature)
}
