package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// benchClaims has the size of a real access token's.
const benchClaims = `{"iss":"https://login.example.com","sub":"usr_0123456789abcdef","aud":"https://orders.example.com","client_id":"shop",` +
	`"exp":1900000000,"iat":1899999700,"jti":"0123456789abcdef0123456789abcdef","scope":"orders:read orders:write","sid":"ses_0123456789abcdef","rsn":42}`

// Each algorithm has two rows: jose is the whole of Verify, raw is only the
// primitive over bytes that are decoded already. The difference is our cost.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.HS512, jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA} {
		k := signingKey(b, alg)
		token, err := jose.Sign(k, jose.Header{Type: "at+jwt"}, []byte(benchClaims))
		if err != nil {
			b.Fatal(err)
		}
		verifier := k
		if !alg.Symmetric() {
			verifier = k.Public()
		}
		b.Run(string(alg)+"/jose", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := jose.Verify(token, verifier); err != nil {
					b.Fatal(err)
				}
			}
		})
		check := rawVerify(b, k, token)
		b.Run(string(alg)+"/raw", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !check() {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA} {
		k := signingKey(b, alg)
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jose.Sign(k, jose.Header{Type: "at+jwt"}, []byte(benchClaims)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMembers(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Members([]byte(benchClaims)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	inner := mustSign(b, signingKey(b, jose.EdDSA))
	for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES, jose.ECDHESA256KW} {
		k, err := jose.GenerateDecryptionKey(alg, "")
		if err != nil {
			b.Fatal(err)
		}
		token, err := jose.Encrypt(k.Recipient(), jose.Header{}, inner)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := jose.Decrypt(token, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// rawVerify returns the standard library's own check of token's signature,
// including the hash.
func rawVerify(b *testing.B, k *jose.Key, token string) func() bool {
	b.Helper()
	dot := strings.LastIndexByte(token, '.')
	input := []byte(token[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	material, err := k.MarshalPrivate()
	if err != nil {
		b.Fatal(err)
	}
	var sum func() []byte
	var h crypto.Hash
	switch alg := string(k.Algorithm()); {
	case strings.HasSuffix(alg, "256"):
		h, sum = crypto.SHA256, func() []byte { s := sha256.Sum256(input); return s[:] }
	case strings.HasSuffix(alg, "384"):
		h, sum = crypto.SHA384, func() []byte { s := sha512.Sum384(input); return s[:] }
	default:
		h, sum = crypto.SHA512, func() []byte { s := sha512.Sum512(input); return s[:] }
	}
	if k.Algorithm().Symmetric() {
		return func() bool {
			m := hmac.New(h.New, material)
			m.Write(input)
			return hmac.Equal(m.Sum(nil), signature)
		}
	}
	private, err := x509.ParsePKCS8PrivateKey(material)
	if err != nil {
		b.Fatal(err)
	}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(string(k.Algorithm()), "PS") {
			opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return func() bool { return rsa.VerifyPSS(&p.PublicKey, h, sum(), signature, opts) == nil }
		}
		return func() bool { return rsa.VerifyPKCS1v15(&p.PublicKey, h, sum(), signature) == nil }
	case *ecdsa.PrivateKey:
		der := derSignature(b, signature)
		return func() bool { return ecdsa.VerifyASN1(&p.PublicKey, sum(), der) }
	}
	public := private.(ed25519.PrivateKey).Public().(ed25519.PublicKey)
	return func() bool { return ed25519.Verify(public, input, signature) }
}

func derSignature(b *testing.B, signature []byte) []byte {
	b.Helper()
	n := len(signature) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]),
	})
	if err != nil {
		b.Fatal(err)
	}
	return der
}
