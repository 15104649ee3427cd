package jose_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// recipients returns one key for every algorithm and curve.
func recipients(t *testing.T) map[string]*jose.DecryptionKey {
	t.Helper()
	out := map[string]*jose.DecryptionKey{}
	add := func(name, alg string, private any) {
		k, err := jose.NewDecryptionKey(alg, "r-"+name, private)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = k
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	add("RSA", jose.RSAOAEP256, r)
	for _, alg := range []string{jose.ECDHES, jose.ECDHESA256KW} {
		for name, curve := range map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521(), "X25519": ecdh.X25519()} {
			k, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			add(alg+" "+name, alg, k)
		}
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		add(alg+" ecdsa P-256", alg, k)
	}
	return out
}

func TestEncryptedTokensOpenForTheirRecipientOnly(t *testing.T) {
	t.Parallel()
	signer := signingKey(t, jose.EdDSA)
	inner := mustSign(t, signer)
	all := recipients(t)
	for name, k := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(k.Recipient())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), `"d"`) {
				t.Fatalf("private member in %s", text)
			}
			recipient, err := jose.ParseRecipientKey(k.Algorithm(), text)
			if err != nil || recipient.ID() != k.ID() || recipient.Algorithm() != k.Algorithm() || recipient.Thumbprint() != k.Recipient().Thumbprint() {
				t.Fatalf("the recipient changed on the way: %v", err)
			}
			der, err := k.MarshalPrivate()
			if err != nil {
				t.Fatal(err)
			}
			opener, err := jose.ParseDecryptionKey(k.Algorithm(), k.ID(), der)
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.Encrypt(recipient, jose.Header{Type: "at+jwt"}, inner)
			if err != nil {
				t.Fatal(err)
			}
			if !jose.IsEncrypted(token) {
				t.Error("not seen as encrypted")
			}
			got, h, err := jose.Decrypt(token, opener)
			if err != nil || got != inner {
				t.Fatalf("got %q, %v", got, err)
			}
			want := jose.Header{Algorithm: jose.Algorithm(k.Algorithm()), Type: "at+jwt", ContentType: "JWT", KeyID: k.ID(), Encryption: "A256GCM"}
			if h != want {
				t.Errorf("header %+v, want %+v", h, want)
			}
			accept(t, signer.Public(), got)
			for other, wrong := range all {
				if other == name {
					continue
				}
				if _, _, err := jose.Decrypt(token, wrong); !errors.Is(err, jose.ErrDecrypt) && !errors.Is(err, jose.ErrAlgorithm) {
					t.Errorf("opened by %s: %v", other, err)
				}
			}
			again, err := jose.Encrypt(recipient, jose.Header{}, inner)
			if err != nil || again == token {
				t.Error("two encryptions are alike")
			}
			refuseEveryChange(t, token, opener)
		})
	}
}

// refuseEveryChange flips one bit at the start, middle and end of each segment.
func refuseEveryChange(t *testing.T, token string, k *jose.DecryptionKey) {
	t.Helper()
	parts := segments(token)
	for i, part := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(raw) / 2, len(raw) - 1} {
			if len(raw) == 0 {
				continue
			}
			raw[at] ^= 1
			changed := append([]string{}, parts...)
			changed[i] = b64(raw)
			raw[at] ^= 1
			if _, _, err := jose.Decrypt(strings.Join(changed, "."), k); err == nil {
				t.Errorf("opened with segment %d changed at %d", i, at)
			} else if i > 0 && !errors.Is(err, jose.ErrDecrypt) {
				t.Errorf("segment %d: got %v, want the uniform ErrDecrypt", i, err)
			}
		}
	}
	if got, _, err := jose.Decrypt(token, k); err != nil || got == "" {
		t.Fatalf("the good token afterwards: %v", err)
	}
}

func TestEncryptTakesOnlySignedTokens(t *testing.T) {
	t.Parallel()
	k, err := jose.GenerateDecryptionKey(jose.ECDHES, "r")
	if err != nil {
		t.Fatal(err)
	}
	nested, err := jose.Encrypt(k.Recipient(), jose.Header{}, mustSign(t, hmacKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	for name, inner := range map[string]string{
		"nothing": "", "claims": claims, "a token of none": b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(claims)) + ".", "an encrypted token": nested,
	} {
		if _, err := jose.Encrypt(k.Recipient(), jose.Header{}, inner); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
	for _, h := range []jose.Header{
		{Algorithm: "RSA-OAEP"}, {Encryption: "A128GCM"}, {KeyID: "x"}, {ContentType: "text/plain"}, {Type: "a\nb"},
	} {
		if _, err := jose.Encrypt(k.Recipient(), h, mustSign(t, hmacKey(t))); err == nil {
			t.Errorf("%+v was taken", h)
		}
	}
	if _, err := jose.Encrypt(nil, jose.Header{}, mustSign(t, hmacKey(t))); !errors.Is(err, jose.ErrKey) {
		t.Errorf("nil recipient: got %v", err)
	}
	if _, _, err := jose.Decrypt(nested, nil); !errors.Is(err, jose.ErrKey) {
		t.Errorf("nil key: got %v", err)
	}
}

// sealer builds any JWE for an RSA recipient by hand.
type sealer struct {
	t   *testing.T
	rsa *rsa.PrivateKey
	key *jose.DecryptionKey
}

func newSealer(t *testing.T) sealer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewDecryptionKey(jose.RSAOAEP256, "r", private)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{t, private, k}
}

const oaepHeader = `{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`

// seal wraps a content key with OAEP under h and encrypts plaintext with it.
func (s sealer) seal(header string, h hash.Hash, cek []byte, plaintext string) string {
	s.t.Helper()
	wrapped, err := rsa.EncryptOAEP(h, rand.Reader, &s.rsa.PublicKey, cek, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		s.t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		s.t.Fatal(err)
	}
	nonce := randomBytes(12)
	sealed := gcm.Seal(nil, nonce, []byte(plaintext), []byte(b64([]byte(header))))
	n := len(plaintext)
	return strings.Join([]string{b64([]byte(header)), b64(wrapped), b64(nonce), b64(sealed[:n]), b64(sealed[n:])}, ".")
}

func (s sealer) refuse(good, bad string, want error) {
	s.t.Helper()
	for _, token := range []string{good, bad, good} {
		inner, _, err := jose.Decrypt(token, s.key)
		if token == good && err != nil {
			s.t.Fatalf("a good token was refused: %v", err)
		}
		if token == bad && (!errors.Is(err, want) || inner != "") {
			s.t.Fatalf("got %q, %v; want %v", inner, err, want)
		}
	}
}

// JWT-031: an unsigned token inside an encrypted one (CVE-2026-29000).
func TestAttackEncryptedUnsignedToken(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	good := s.seal(oaepHeader, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t)))
	plain := b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(claims)) + "."
	for _, inner := range []string{plain, plain + "AA", claims, "x", good} {
		s.refuse(good, s.seal(oaepHeader, sha256.New(), randomBytes(32), inner), jose.ErrDecrypt)
	}
	// What comes out is still to be verified: anyone can encrypt a forged signature.
	forged, _, err := jose.Decrypt(s.seal(oaepHeader, sha256.New(), randomBytes(32), forge(randomBytes(32), `{"alg":"HS256"}`, claims)), s.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := jose.Verify(forged, hmacKey(t)); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
	// An encrypted token is no signed one, and the other way round.
	if _, err := jose.Parse(good, jose.Limits{}); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("Parse of a JWE: got %v, want ErrMalformed", err)
	}
	s.refuse(good, mustSign(t, hmacKey(t)), jose.ErrMalformed)
}

// JWT-032: PBES2 with billions of rounds: refused by name, nothing is derived.
func TestAttackPBES2Rounds(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	good := s.seal(oaepHeader, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t)))
	for _, alg := range []string{"PBES2-HS256+A128KW", "PBES2-HS512+A256KW"} {
		header := `{"alg":"` + alg + `","enc":"A256GCM","cty":"JWT","p2s":"AAAAAAAAAAA","p2c":2147483647}`
		s.refuse(good, s.seal(header, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t))), jose.ErrAlgorithm)
	}
}

// JWT-033: compression, in any spelling.
func TestAttackCompressedContent(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	good := s.seal(oaepHeader, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t)))
	for _, zip := range []string{`"DEF"`, `"none"`, `null`, `""`} {
		header := `{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","zip":` + zip + `}`
		s.refuse(good, s.seal(header, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t))), jose.ErrAlgorithm)
	}
}

// Algorithms outside the set, missing members, extensions, and content that does not
// say it is a token.
func TestAttackEncryptionHeaders(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	inner := mustSign(t, hmacKey(t))
	good := s.seal(oaepHeader, sha256.New(), randomBytes(32), inner)
	for header, want := range map[string]error{
		`{"alg":"RSA1_5","enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm, `{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm,
		`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm, `{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm,
		`{"alg":"none","enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm, `{"enc":"A256GCM","cty":"JWT"}`: jose.ErrAlgorithm,
		`{"alg":"RSA-OAEP-256","cty":"JWT"}`: jose.ErrAlgorithm, `{"alg":"RSA-OAEP-256","enc":"A128GCM","cty":"JWT"}`: jose.ErrAlgorithm,
		`{"alg":"RSA-OAEP-256","enc":"A256CBC-HS512","cty":"JWT"}`: jose.ErrAlgorithm, `{"alg":"RSA-OAEP-256","enc":null,"cty":"JWT"}`: jose.ErrMalformed,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`: jose.ErrMalformed, `{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"text/plain"}`: jose.ErrMalformed,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","crit":["x"]}`:    jose.ErrCritical,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","enc":"A256GCM"}`: jose.ErrMalformed,
	} {
		t.Run(header, func(t *testing.T) { s.refuse(good, s.seal(header, sha256.New(), randomBytes(32), inner), want) })
	}
	// OAEP with SHA-1 under the name of SHA-256, and content keys of other sizes.
	s.refuse(good, s.seal(oaepHeader, sha1.New(), randomBytes(32), inner), jose.ErrDecrypt)
	s.refuse(good, s.seal(oaepHeader, sha256.New(), randomBytes(16), inner), jose.ErrDecrypt)
	// The control: media types ignore case, members nobody knows are ignored.
	s.refuse(s.seal(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"jwt","x":{"a":[1]}}`, sha256.New(), randomBytes(32), inner), "x", jose.ErrMalformed)
}

// JWT-034: segments of the wrong size, missing and null parameters: no panic.
func TestAttackMalformedEncryption(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	good := s.seal(oaepHeader, sha256.New(), randomBytes(32), mustSign(t, hmacKey(t)))
	p := segments(good)
	for _, size := range []int{0, 1, 8, 255, 257} {
		s.refuse(good, strings.Join([]string{p[0], b64(make([]byte, size)), p[2], p[3], p[4]}, "."), jose.ErrDecrypt)
	}
	for _, size := range []int{0, 1, 11, 13, 16} {
		s.refuse(good, strings.Join([]string{p[0], p[1], b64(make([]byte, size)), p[3], p[4]}, "."), jose.ErrMalformed)
	}
	// A short tag is a guess among few (CVE-2016-9121 class).
	tag, _ := base64.RawURLEncoding.DecodeString(p[4])
	for _, cut := range [][]byte{nil, tag[:1], tag[:4], tag[:12], append(tag, 0)} {
		s.refuse(good, strings.Join([]string{p[0], p[1], p[2], p[3], b64(cut)}, "."), jose.ErrMalformed)
	}
	s.refuse(good, strings.Join([]string{p[0], p[1], p[2], "", p[4]}, "."), jose.ErrMalformed)
	for _, bad := range []string{"....", "a.b.c.d.e", "." + strings.Join(p[1:], "."), good + ".", good + "=", good + "\n"} {
		s.refuse(good, bad, jose.ErrMalformed)
	}
	s.refuse(good, good+strings.Repeat("A", 16<<10), jose.ErrTooLarge)
	s.refuse(good, b64(make([]byte, 2<<10))+"."+strings.Join(p[1:], "."), jose.ErrTooLarge)

	k, err := jose.GenerateDecryptionKey(jose.ECDHESA256KW, "")
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Encrypt(k.Recipient(), jose.Header{}, mustSign(t, hmacKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	q := segments(token)
	for _, size := range []int{0, 1, 7, 8, 16, 24, 32, 39, 41, 48, 400} {
		bad := strings.Join([]string{q[0], b64(make([]byte, size)), q[2], q[3], q[4]}, ".")
		if _, _, err := jose.Decrypt(bad, k); !errors.Is(err, jose.ErrDecrypt) {
			t.Errorf("wrapped key of %d bytes: got %v, want ErrDecrypt", size, err)
		}
	}
}

// JWT-029, JWT-034: ephemeral keys that are missing, no points, on another curve, or
// of small order (RFC 8037 section 3.2.1).
func TestAttackEphemeralKey(t *testing.T) {
	t.Parallel()
	inner := mustSign(t, hmacKey(t))
	x, y := b64(append(make([]byte, 31), 1)), b64(append(make([]byte, 31), 2))
	p384, err := jose.GenerateDecryptionKey(jose.ECDHES, "")
	if err != nil {
		t.Fatal(err)
	}
	otherP256, err := json.Marshal(p384.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	epks := []string{
		`null`, `1`, `"x"`, `[]`, `{}`, `{"kty":"EC"}`, `{"kty":"EC","crv":"P-256"}`, `{"kty":"EC","crv":"P-256","x":null,"y":null}`,
		`{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`, `{"kty":"EC","crv":"P-256","x":"` + x + `"}`,
		`{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`, `{"kty":"EC","crv":"P-384","x":"` + b64(make([]byte, 48)) + `","y":"` + b64(make([]byte, 48)) + `"}`,
		`{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`, `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`,
		`{"kty":"OKP","crv":"X25519","x":"` + b64(append([]byte{1}, make([]byte, 31)...)) + `"}`, `{"kty":"OKP","crv":"X25519","x":"AQ"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, `{"kty":"oct","k":"` + x + `"}`, `{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
		string(otherP256), `{"kty":"EC","kty":"EC"}`,
	}
	for name, k := range recipients(t) {
		if k.Algorithm() == jose.RSAOAEP256 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, err := jose.Encrypt(k.Recipient(), jose.Header{}, inner)
			if err != nil {
				t.Fatal(err)
			}
			p := segments(good)
			for _, epk := range append(epks, "") {
				header := `{"alg":"` + k.Algorithm() + `","enc":"A256GCM","cty":"JWT"`
				if epk != "" {
					header += `,"epk":` + epk
				}
				bad := b64([]byte(header+`}`)) + "." + strings.Join(p[1:], ".")
				want := jose.ErrDecrypt
				if strings.Count(epk, `"kty":"EC"`) > 1 {
					want = jose.ErrMalformed
				}
				if _, _, err := jose.Decrypt(bad, k); !errors.Is(err, want) {
					t.Errorf("epk %s: got %v, want %v", epk, err, want)
				}
			}
			if _, _, err := jose.Decrypt(good, k); err != nil {
				t.Errorf("the good token: %v", err)
			}
		})
	}
}

func TestEncryptionKeysRefuseUnfitMaterial(t *testing.T) {
	t.Parallel()
	s := newSealer(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		alg     string
		private any
		want    error
	}{
		{"RSA1_5", "RSA1_5", s.rsa, jose.ErrAlgorithm}, {"dir", "dir", s.rsa, jose.ErrAlgorithm}, {"RS256", "RS256", s.rsa, jose.ErrAlgorithm},
		{"weak RSA", jose.RSAOAEP256, weak, jose.ErrKey}, {"RSA for ECDH", jose.ECDHES, s.rsa, jose.ErrKey}, {"P-224", jose.ECDHES, p224, jose.ErrKey},
		{"nothing", jose.ECDHES, nil, jose.ErrKey}, {"bytes", jose.ECDHES, make([]byte, 32), jose.ErrKey}, {"nil RSA", jose.RSAOAEP256, (*rsa.PrivateKey)(nil), jose.ErrKey},
		{"nil ECDH", jose.ECDHES, (*ecdh.PrivateKey)(nil), jose.ErrKey}, {"empty EC", jose.ECDHES, &ecdsa.PrivateKey{}, jose.ErrKey}, {"empty RSA", jose.RSAOAEP256, &rsa.PrivateKey{}, jose.ErrKey},
	} {
		if _, err := jose.NewDecryptionKey(c.alg, "", c.private); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	for _, public := range []any{nil, (*rsa.PublicKey)(nil), (*ecdsa.PublicKey)(nil), (*ecdh.PublicKey)(nil), &ecdh.PublicKey{}, &ecdsa.PublicKey{}} {
		for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES} {
			if _, err := jose.NewRecipientKey(alg, "", public); !errors.Is(err, jose.ErrKey) {
				t.Errorf("%T for %s: got %v, want ErrKey", public, alg, err)
			}
		}
	}
	private, err := signingKey(t, jose.ES256).PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.ParseRecipientKey(jose.ECDHES, private); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("a key bound to ES256: got %v, want ErrAlgorithm", err)
	}
	unbound := strings.Replace(string(private), `"alg":"ES256",`, "", 1)
	if _, err := jose.ParseRecipientKey(jose.ECDHES, []byte(unbound)); !errors.Is(err, jose.ErrKey) {
		t.Errorf("use sig: got %v, want ErrKey", err)
	}
	unbound = strings.Replace(unbound, `"use":"sig",`, "", 1)
	if _, err := jose.ParseRecipientKey(jose.ECDHES, []byte(unbound)); !errors.Is(err, jose.ErrKey) {
		t.Errorf("private members: got %v, want ErrKey", err)
	}
	if k, err := jose.ParseDecryptionKey(jose.ECDHES, "mine", []byte("\n"+unbound)); err != nil || k.ID() != "mine" {
		t.Errorf("the same as a decryption key: %v", err)
	}
	if _, err := jose.ParseDecryptionKey(jose.ECDHES, "", []byte("junk")); !errors.Is(err, jose.ErrKey) {
		t.Errorf("junk: got %v, want ErrKey", err)
	}
}
