package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

func TestEveryAlgorithmSignsAndVerifies(t *testing.T) {
	t.Parallel()
	if got := len(jose.Algorithms()); got != 14 {
		t.Fatalf("%d algorithms, want 14", got)
	}
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := signingKey(t, alg)
			token, err := jose.Sign(k, jose.Header{Type: "at+jwt", ContentType: `a"b\`}, []byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			verifier := k
			if !alg.Symmetric() {
				verifier = k.Public()
				if verifier.CanSign() {
					t.Error("a public key can sign")
				}
				if _, err := jose.Sign(verifier, jose.Header{}, []byte(claims)); !errors.Is(err, jose.ErrKey) {
					t.Errorf("sign with a public key: got %v, want ErrKey", err)
				}
			}
			h, payload, err := jose.Verify(token, verifier)
			if err != nil || string(payload) != claims {
				t.Fatalf("got %s, %v", payload, err)
			}
			if want := (jose.Header{Algorithm: alg, Type: "at+jwt", ContentType: `a"b\`, KeyID: k.ID()}); h != want {
				t.Errorf("header %+v, want %+v", h, want)
			}
			other := mustGenerate(t, alg)
			if _, _, err := jose.Verify(token, other); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("another key: got %v, want ErrSignature", err)
			}
			if !alg.Valid() || jose.IsEncrypted(token) {
				t.Error("not a valid algorithm, or counted as encrypted")
			}
		})
	}
}

func TestBothNamesOfEd25519(t *testing.T) {
	t.Parallel()
	a := signingKey(t, jose.EdDSA)
	der, err := a.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.ParsePrivate(jose.Ed25519, "b", der)
	if err != nil {
		t.Fatal(err)
	}
	for _, signer := range []*jose.Key{a, b} {
		token := mustSign(t, signer)
		for _, verifier := range []*jose.Key{a.Public(), b.Public()} {
			h, _, err := jose.Verify(token, verifier)
			if err != nil || h.Algorithm != signer.Algorithm() {
				t.Errorf("%s by %s: %v, header %s", signer.Algorithm(), verifier.Algorithm(), err, h.Algorithm)
			}
		}
	}
	if k, found := (jose.KeySet{b}).Find("b", jose.EdDSA); !found || k != b {
		t.Error("a key bound to Ed25519 is not found for EdDSA")
	}
}

func TestKeysSurviveEveryEncoding(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := signingKey(t, alg)
			der, err := k.MarshalPrivate()
			if err != nil {
				t.Fatal(err)
			}
			fromDER, err := jose.ParsePrivate(alg, k.ID(), der)
			if err != nil {
				t.Fatal(err)
			}
			text, err := k.PrivateJWK()
			if err != nil {
				t.Fatal(err)
			}
			fromJWK, err := jose.ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, same := range []*jose.Key{fromDER, fromJWK} {
				if same.ID() != k.ID() || same.Thumbprint() != k.Thumbprint() || same.Algorithm() != alg || !same.CanSign() {
					t.Error("the key changed on the way")
				}
				accept(t, k, mustSign(t, same))
			}
			if alg.Symmetric() {
				if k.Public() != nil {
					t.Error("an HMAC key has a public half")
				}
				if b, err := json.Marshal(k); !errors.Is(err, jose.ErrKey) {
					t.Errorf("an HMAC key was published: %s", b)
				}
				return
			}
			text, err = json.Marshal(k)
			if err != nil {
				t.Fatal(err)
			}
			for _, private := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`} {
				if strings.Contains(string(text), private) {
					t.Errorf("the public JWK has %s", private)
				}
			}
			public, err := jose.ParseKey(text)
			if err != nil || public.CanSign() || public.Thumbprint() != k.Thumbprint() {
				t.Fatalf("public JWK: %v", err)
			}
			if again, _ := json.Marshal(public); string(again) != string(text) {
				t.Errorf("got %s, want %s", again, text)
			}
			if _, err := public.PrivateJWK(); !errors.Is(err, jose.ErrKey) {
				t.Errorf("PrivateJWK of a public key: got %v, want ErrKey", err)
			}
			if _, err := public.MarshalPrivate(); !errors.Is(err, jose.ErrKey) {
				t.Errorf("MarshalPrivate of a public key: got %v, want ErrKey", err)
			}
			if named := k.WithID("x"); named.ID() != "x" || k.ID() == "x" || named.Thumbprint() != k.Thumbprint() {
				t.Error("WithID must name a copy")
			}
		})
	}
}

// unfit is key material that must be refused for alg.
type unfit struct {
	name     string
	alg      jose.Algorithm
	material any
}

func refuseMaterial(t *testing.T, cases []unfit) {
	t.Helper()
	for _, c := range cases {
		if _, err := jose.NewKey(c.alg, "k", c.material); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", c.name, err)
		}
	}
}

func TestNewKeyRefusesUnfitSecrets(t *testing.T) {
	t.Parallel()
	refuseMaterial(t, []unfit{
		{"nothing", jose.HS256, nil},
		{"a string", jose.HS256, "0123456789abcdef0123456789abcdef"},
		{"short for HS256", jose.HS256, make([]byte, 31)},
		{"short for HS384", jose.HS384, make([]byte, 47)},
		{"short for HS512", jose.HS512, make([]byte, 63)},
		{"a secret for RS256", jose.RS256, make([]byte, 64)},
		{"a secret for EdDSA", jose.EdDSA, make([]byte, 32)},
	})
	for _, alg := range []jose.Algorithm{"", "none", "hs256", "RSA-OAEP-256", "A256GCM", "ES256K"} {
		if _, err := jose.NewKey(alg, "k", testSecret); !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("%q: got %v, want ErrAlgorithm", alg, err)
		}
		if _, err := jose.Generate(alg, "k"); !errors.Is(err, jose.ErrAlgorithm) || alg.Valid() {
			t.Errorf("generate %q: got %v, want ErrAlgorithm", alg, err)
		}
		if _, err := jose.ParsePrivate(alg, "k", nil); err == nil {
			t.Errorf("parse for %q was taken", alg)
		}
	}
	for _, kid := range []string{"a\nb", "\x00", "\xff", strings.Repeat("k", 257)} {
		if _, err := jose.NewKey(jose.HS256, kid, testSecret); !errors.Is(err, jose.ErrKey) {
			t.Errorf("kid %q: got %v, want ErrKey", kid, err)
		}
	}
}

func TestNewKeyRefusesUnfitRSAKeys(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	fit, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	exponent := func(e int) *rsa.PublicKey { return &rsa.PublicKey{N: fit.N, E: e} }
	huge := new(big.Int).SetBit(new(big.Int).SetBit(new(big.Int), 16384, 1), 0, 1)
	if _, err := jose.NewKey(jose.RS256, "k", fit); err != nil {
		t.Fatalf("the fit key: %v", err)
	}
	refuseMaterial(t, []unfit{
		{"for HS256", jose.HS256, fit},
		{"for ES256", jose.ES256, fit},
		{"1024 bits", jose.RS256, weak},
		{"public of 1024 bits", jose.PS256, &weak.PublicKey},
		{"16385 bits", jose.RS256, &rsa.PublicKey{N: huge, E: 65537}},
		{"nil", jose.RS256, (*rsa.PrivateKey)(nil)},
		{"nil public", jose.RS256, (*rsa.PublicKey)(nil)},
		{"empty", jose.RS256, &rsa.PublicKey{}},
		{"empty private", jose.RS256, &rsa.PrivateKey{}},
		{"exponent 1", jose.RS256, exponent(1)},
		{"exponent 3", jose.RS256, exponent(3)},
		{"exponent even", jose.RS256, exponent(65538)},
		{"exponent negative", jose.RS256, exponent(-65537)},
		{"modulus even", jose.RS256, &rsa.PublicKey{N: new(big.Int).Lsh(fit.N, 1), E: 65537}},
		{"modulus negative", jose.RS256, &rsa.PublicKey{N: new(big.Int).Neg(fit.N), E: 65537}},
		{"private without primes", jose.RS256, &rsa.PrivateKey{PublicKey: fit.PublicKey, D: fit.D}},
		{"private of another key", jose.RS256, &rsa.PrivateKey{PublicKey: fit.PublicKey, D: weak.D, Primes: weak.Primes}},
	})
}

func TestNewKeyRefusesUnfitCurveKeys(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	swapped := append(append(ed25519.PrivateKey{}, edPrivate[:32]...), make([]byte, 32)...)
	point := func(x, y int64) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(x), Y: big.NewInt(y)}
	}
	refuseMaterial(t, []unfit{
		{"P-256 for ES384", jose.ES384, p256},
		{"P-256 for ES512", jose.ES512, &p256.PublicKey},
		{"P-224", jose.ES256, p224},
		{"P-256 for EdDSA", jose.EdDSA, p256},
		{"nil EC", jose.ES256, (*ecdsa.PrivateKey)(nil)},
		{"nil public EC", jose.ES256, (*ecdsa.PublicKey)(nil)},
		{"empty EC", jose.ES256, &ecdsa.PublicKey{}},
		{"EC point off the curve", jose.ES256, point(1, 1)},
		{"EC point at infinity", jose.ES256, point(0, 0)},
		{"EC private of another key", jose.ES256, &ecdsa.PrivateKey{PublicKey: p256.PublicKey, D: big.NewInt(7)}},
		{"Ed25519 for ES256", jose.ES256, edPublic},
		{"Ed25519 for HS256", jose.HS256, edPublic},
		{"short Ed25519", jose.EdDSA, edPublic[:31]},
		{"short private Ed25519", jose.EdDSA, edPrivate[:63]},
		{"empty Ed25519", jose.EdDSA, ed25519.PublicKey{}},
		{"Ed25519 with another public half", jose.EdDSA, swapped},
		{"Ed25519 identity", jose.EdDSA, lowOrder(1)},
		{"Ed25519 order 4", jose.EdDSA, lowOrder(0)},
		{"Ed25519 not a point", jose.EdDSA, lowOrder(2)},
	})
}

// lowOrder is the encoding of y, little end first: 0 is of order 4, 1 the identity
// and 2 no point at all.
func lowOrder(y byte) ed25519.PublicKey {
	b := make([]byte, 32)
	b[0] = y
	return b
}

// The four points of order 8: two values of y, one the negative of the other, and
// either sign of x.
func TestNewKeyRefusesEd25519PointsOfOrderEight(t *testing.T) {
	t.Parallel()
	for _, y := range []string{
		"2707385501144840649318225287225658788936804267575313519463743609750303402022",
		"55188659117513257062467267217118295137698188065244968500265048394206261417927",
	} {
		n, ok := new(big.Int).SetString(y, 10)
		if !ok {
			t.Fatal("bad number")
		}
		b := reversed(n.FillBytes(make([]byte, 32)))
		for _, sign := range []byte{0, 0x80} {
			b[31] = b[31]&0x7f | sign
			if _, err := jose.NewKey(jose.EdDSA, "", ed25519.PublicKey(b)); !errors.Is(err, jose.ErrKey) {
				t.Errorf("%x: got %v, want ErrKey", b, err)
			}
		}
	}
}

func TestKeyIsACopy(t *testing.T) {
	t.Parallel()
	secret := append([]byte{}, testSecret...)
	k, err := jose.NewKey(jose.HS256, "k1", secret)
	if err != nil {
		t.Fatal(err)
	}
	good := mustSign(t, k)
	clear(secret)
	accept(t, k, good)
	accept(t, hmacKey(t), good)

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := jose.NewKey(jose.EdDSA, "", private)
	if err != nil {
		t.Fatal(err)
	}
	clear(private)
	clear(public)
	accept(t, ed.Public(), mustSign(t, ed))
}

func TestKeyIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA} {
		k := signingKey(t, alg)
		good := mustSign(t, k)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if _, _, err := jose.Verify(good, k); err != nil {
						t.Error(err)
					}
					if _, err := jose.Sign(k, jose.Header{}, []byte(claims)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestSignRefusesContradictions(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	for _, c := range []struct {
		name string
		h    jose.Header
		want error
	}{
		{"another algorithm", jose.Header{Algorithm: jose.HS512}, jose.ErrAlgorithm},
		{"another key id", jose.Header{KeyID: "k2"}, jose.ErrKey},
		{"line break in typ", jose.Header{Type: "a\nb"}, jose.ErrMalformed},
		{"invalid UTF-8 in cty", jose.Header{ContentType: "\xff"}, jose.ErrMalformed},
		{"enc", jose.Header{Encryption: "A256GCM"}, jose.ErrMalformed},
	} {
		if _, err := jose.Sign(k, c.h, []byte(claims)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := jose.Sign(k, jose.Header{}, nil); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("empty payload: got %v", err)
	}
	if _, err := jose.Sign(nil, jose.Header{}, []byte(claims)); !errors.Is(err, jose.ErrKey) {
		t.Errorf("nil key: got %v", err)
	}
	if _, err := jose.Sign(k, jose.Header{Algorithm: jose.HS256, KeyID: "k1"}, []byte(claims)); err != nil {
		t.Errorf("its own algorithm and id: %v", err)
	}
}
