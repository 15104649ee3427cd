package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

// signer is a raw key of the standard library: the floor that Token is measured against.
type signer struct {
	alg      jose.Algorithm
	material any
	check    func(signed, signature []byte) bool
}

func signers(tb testing.TB) []signer {
	tb.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	edPublic := ed.Public().(ed25519.PublicKey)
	return []signer{
		{jose.HS256, secret, func(signed, signature []byte) bool {
			m := hmac.New(sha256.New, secret)
			m.Write(signed)
			return hmac.Equal(m.Sum(nil), signature)
		}},
		{jose.RS256, r, func(signed, signature []byte) bool {
			sum := sha256.Sum256(signed)
			return rsa.VerifyPKCS1v15(&r.PublicKey, crypto.SHA256, sum[:], signature) == nil
		}},
		{jose.ES256, e, func(signed, signature []byte) bool {
			sum := sha256.Sum256(signed)
			return ecdsa.VerifyASN1(&e.PublicKey, sum[:], signature)
		}},
		{jose.EdDSA, ed, func(signed, signature []byte) bool {
			return ed25519.Verify(edPublic, signed, signature)
		}},
	}
}

// BenchmarkFirstSight measures Token on a token never seen before (nothing of it is
// kept but its header, which other tokens of the key share) against the bare
// signature check of the same bytes.
func BenchmarkFirstSight(b *testing.B) {
	for _, s := range signers(b) {
		key, err := jose.NewKey(s.alg, "key-1", s.material)
		if err != nil {
			b.Fatal(err)
		}
		token := sign(b, key, goodClaims(time.Now()))
		v := newVerifier(b, key)
		signed, signature := split(b, s.alg, token)
		b.Run(string(s.alg)+"/token", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Token(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(s.alg)+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !s.check(signed, signature) {
					b.Fatal("signature refused")
				}
			}
		})
	}
}

// BenchmarkFirstSightRatio runs both in turns, in batches short enough to escape
// most interruptions, and reports the medians: this is what the budgets name.
func BenchmarkFirstSightRatio(b *testing.B) {
	for _, s := range signers(b) {
		key, err := jose.NewKey(s.alg, "key-1", s.material)
		if err != nil {
			b.Fatal(err)
		}
		token := sign(b, key, goodClaims(time.Now()))
		v := newVerifier(b, key)
		signed, signature := split(b, s.alg, token)
		b.Run(string(s.alg), func(b *testing.B) {
			const batch = 20
			var tokens, bares []time.Duration
			for b.Loop() {
				tokens = append(tokens, timed(batch, func() bool { _, err := v.Token(b.Context(), token); return err == nil }))
				bares = append(bares, timed(batch, func() bool { return s.check(signed, signature) }))
			}
			slices.Sort(tokens)
			slices.Sort(bares)
			ours, floor := tokens[len(tokens)/2], bares[len(bares)/2]
			b.ReportMetric(float64(ours.Nanoseconds())/batch, "ns/token")
			b.ReportMetric(float64(floor.Nanoseconds())/batch, "ns/bare")
			b.ReportMetric(float64(ours)/float64(floor), "of-bare")
		})
	}
}

func timed(n int, f func() bool) time.Duration {
	start := time.Now()
	for range n {
		if !f() {
			panic("a good token was refused")
		}
	}
	return time.Since(start)
}

func split(tb testing.TB, alg jose.Algorithm, token string) (signed, signature []byte) {
	tb.Helper()
	last := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil {
		tb.Fatal(err)
	}
	if alg == jose.ES256 {
		signature, err = asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]),
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return []byte(token[:last]), signature
}

func newVerifier(tb testing.TB, key *jose.Key) *verify.Verifier {
	tb.Helper()
	v, err := verify.New(verify.Config{
		Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{key.Algorithm()},
		Keys: verify.StaticKeys(key), Stale: verify.Open, CacheSize: -1, // every token is seen for the first time
	})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
