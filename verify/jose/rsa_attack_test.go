package jose_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// JWT-028: what the lax decoders of Bleichenbacher's 2006 attack let through. The
// blocks are made with the private key, so only the padding is wrong.
func TestAttackRSAPadding(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewKey(jose.RS256, "k", private)
	if err != nil {
		t.Fatal(err)
	}
	good := mustSign(t, k)
	input := good[:strings.LastIndexByte(good, '.')]
	sum := sha256.Sum256([]byte(input))
	info, err := hex.DecodeString("3031300d060960864801650304020105000420") // DigestInfo of SHA-256, RFC 8017 9.2
	if err != nil {
		t.Fatal(err)
	}
	sign := func(block []byte) string {
		s := new(big.Int).Exp(new(big.Int).SetBytes(block), private.D, private.N)
		return input + "." + b64(s.FillBytes(make([]byte, 256)))
	}
	tail := append(append([]byte{0}, info...), sum[:]...)
	block := func(first, second, filler byte, end []byte) []byte {
		return append([]byte{first, second}, append(bytes.Repeat([]byte{filler}, 256-2-len(end)), end...)...)
	}
	accept(t, k, sign(block(0, 1, 0xff, tail)))

	noNull, _ := hex.DecodeString("302f300b0609608648016503040201" + "0420")
	garbage := append(append([]byte{0}, info...), sum[:]...)
	short := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, 8)...)
	short = append(append(short, garbage...), make([]byte, 256-len(short)-len(garbage))...)
	trailing := bytes.Clone(short)
	copy(trailing[10+len(garbage):], randomBytes(256-10-len(garbage)))
	sha1Info, _ := hex.DecodeString("3021300906052b0e03021a05000414")
	for name, b := range map[string][]byte{
		"block type 0":                   block(0, 0, 0, tail),
		"block type 2":                   block(0, 2, 0xff, tail),
		"filler not ff":                  block(0, 1, 0xfe, tail),
		"no separator":                   block(0, 1, 0xff, tail[1:]),
		"zeros after a short filler":     short,
		"garbage after a short filler":   trailing,
		"no NULL in the algorithm":       block(0, 1, 0xff, append(append([]byte{0}, noNull...), sum[:]...)),
		"no DigestInfo":                  block(0, 1, 0xff, append([]byte{0}, sum[:]...)),
		"DigestInfo of SHA-1":            block(0, 1, 0xff, append(append([]byte{0}, sha1Info...), sum[:20]...)),
		"wrong length in the DigestInfo": block(0, 1, 0xff, append(append([]byte{0}, append(bytes.Clone(info[:18]), 0x1f)...), sum[:]...)),
		"digest of something else":       block(0, 1, 0xff, append(append([]byte{0}, info...), make([]byte, 32)...)),
		"one":                            append(make([]byte, 255), 1),
		"zero":                           make([]byte, 256),
	} {
		t.Run(name, func(t *testing.T) { refuse(t, k, good, sign(b), jose.ErrSignature) })
	}
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	larger := new(big.Int).Add(new(big.Int).SetBytes(signature), private.N)
	for name, s := range map[string][]byte{
		"plus N":     larger.Bytes(),
		"zero ahead": append([]byte{0}, signature...),
		"cut":        signature[1:],
		"N":          private.N.Bytes(),
	} {
		t.Run(name, func(t *testing.T) { refuse(t, k, good, input+"."+b64(s), jose.ErrSignature) })
	}
}

// PSS with any salt length but the hash's is refused (RFC 7518 section 3.5), and so
// is a signature of the other RSA scheme.
func TestAttackPSSSaltLength(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewKey(jose.PS256, "k", private)
	if err != nil {
		t.Fatal(err)
	}
	good := mustSign(t, k)
	input := good[:strings.LastIndexByte(good, '.')]
	sum := sha256.Sum256([]byte(input))
	for _, salt := range []int{rsa.PSSSaltLengthAuto, 20, 31, 33, 64} { // Auto signs with the longest
		s, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, k, good, input+"."+b64(s), jose.ErrSignature)
	}
	s, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, k, good, input+"."+b64(s), jose.ErrSignature)
}

// JWT-030: the JSON serializations, honest and with a forged signature among good ones.
func TestAttackJSONSerialization(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	p := segments(good)
	signature := map[string]string{"protected": p[0], "signature": p[2]}
	forged := map[string]string{"protected": p[0], "signature": b64(make([]byte, 32))}
	for _, form := range []any{
		map[string]string{"payload": p[1], "protected": p[0], "signature": p[2]},
		map[string]any{"payload": p[1], "signatures": []any{signature}},
		map[string]any{"payload": p[1], "signatures": []any{forged, signature}},
		map[string]any{"payload": p[1], "signatures": []any{signature, forged}},
		map[string]any{"payload": p[1], "protected": p[0], "signature": p[2], "x": ".."},
	} {
		b, err := json.Marshal(form)
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, k, good, string(b), jose.ErrMalformed)
	}
}
