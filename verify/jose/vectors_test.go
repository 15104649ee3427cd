package jose_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

type vectorFile struct {
	Source string
	Cases  []struct {
		Section, Token, Payload, Want string
		Alg                           jose.Algorithm
		Key                           json.RawMessage
	}
}

func readVectors(t *testing.T, name string) (f vectorFile) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatal("no vectors")
	}
	return f
}

var wants = map[string]error{
	"ok": nil, "malformed": jose.ErrMalformed, "critical": jose.ErrCritical, "algorithm": jose.ErrAlgorithm,
}

func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"rfc7515.json", "rfc7520_jws.json", "rfc7797.json", "rfc8037.json"} {
		f := readVectors(t, file)
		for _, c := range f.Cases {
			t.Run(f.Source+" "+c.Section, func(t *testing.T) {
				t.Parallel()
				k, err := jose.ParseKeyFor(c.Alg, c.Key)
				if err != nil {
					t.Fatal(err)
				}
				_, payload, err := jose.Verify(c.Token, k)
				if want, known := wants[c.Want]; !known || !errors.Is(err, want) {
					t.Fatalf("got %v, want %s", err, c.Want)
				}
				if string(payload) != c.Payload {
					t.Fatalf("got payload %q, want %q", payload, c.Payload)
				}
				if c.Want == "ok" {
					againstEveryFlip(t, c.Token, k)
				}
			})
		}
	}
}

// againstEveryFlip changes one bit in each segment: the vector must stop verifying.
func againstEveryFlip(t *testing.T, token string, k *jose.Key) {
	t.Helper()
	parts := segments(token)
	for i := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		changed := append([]string{}, parts...)
		changed[i] = b64(raw)
		if _, _, err := jose.Verify(changed[0]+"."+changed[1]+"."+changed[2], k); err == nil {
			t.Fatalf("verified with a bit flipped in segment %d", i)
		}
	}
}

// The published encryption examples all use algorithms that are refused here:
// RSA-OAEP with SHA-1, RSA1_5, PBES2, AES key wrap, CBC, 128-bit keys, compression.
func TestPublishedEncryptionsOutsideOurSetAreRefused(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES, jose.ECDHESA256KW} {
		k, err := jose.GenerateDecryptionKey(alg, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"rfc7516.json", "rfc7520_jwe.json"} {
			f := readVectors(t, file)
			for _, c := range f.Cases {
				_, _, err := jose.Decrypt(c.Token, k)
				if want := wants[c.Want]; want == nil || !errors.Is(err, want) {
					t.Errorf("%s %s with %s: got %v, want %s", f.Source, c.Section, alg, err, c.Want)
				}
			}
		}
	}
}

// RFC 7517 appendices A and B.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/vectors/rfc7517.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		A1 json.RawMessage `json:"A.1"`
		A2 json.RawMessage `json:"A.2"`
		A3 struct{ Keys []json.RawMessage }
		B  json.RawMessage
	}
	if err := json.Unmarshal(bytes.ReplaceAll(b, []byte(`"A.3"`), []byte(`"A3"`)), &f); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]json.RawMessage{"A.1": f.A1, "A.2": f.A2} {
		keys, err := jose.ParseKeySet(set)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// The EC key has use "enc" and is none of ours.
		if len(keys) != 1 || keys[0].ID() != "2011-04-29" || keys[0].CanSign() {
			t.Fatalf("%s: got %d keys, want the RSA key, public", name, len(keys))
		}
		// RFC 7638 section 3.1 is about this key.
		if got, want := keys[0].Thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"; got != want {
			t.Errorf("%s: thumbprint %s, want %s", name, got, want)
		}
	}
	var private struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(f.A2, &private); err != nil {
		t.Fatal(err)
	}
	k, err := jose.ParseKey(private.Keys[1])
	if err != nil || !k.CanSign() {
		t.Fatalf("A.2 RSA: %v, want a signing key", err)
	}
	accept(t, k.Public(), mustSign(t, k))
	for _, alg := range []string{jose.ECDHES, jose.ECDHESA256KW} {
		if _, err := jose.ParseDecryptionKey(alg, "", private.Keys[0]); err != nil {
			t.Errorf("A.2 EC for %s: %v", alg, err)
		}
	}
	if _, err := jose.ParseKeyFor(jose.HS256, f.A3.Keys[0]); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("A.3 A128KW key for HS256: got %v, want ErrAlgorithm", err)
	}
	if _, err := jose.ParseKeyFor(jose.HS256, f.A3.Keys[1]); err != nil {
		t.Errorf("A.3 HMAC key: %v", err)
	}
	if _, err := jose.ParseKeyFor(jose.RS256, f.B); err != nil {
		t.Errorf("B, a key with x5c: %v", err)
	}
}

// RFC 8037 appendices A.2 and A.3.
func TestPublishedEd25519Key(t *testing.T) {
	t.Parallel()
	k, err := jose.ParseKeyFor(jose.EdDSA, readVectors(t, "rfc8037.json").Cases[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; got != want {
		t.Errorf("thumbprint %s, want %s", got, want)
	}
	got, err := jose.Sign(k, jose.Header{}, []byte("Example of Ed25519 signing"))
	if err != nil {
		t.Fatal(err)
	}
	if want := readVectors(t, "rfc8037.json").Cases[0].Token; got != want {
		t.Errorf("Ed25519 is deterministic: got %s, want %s", got, want)
	}
}

// RFC 7518 appendix C: the agreement of Alice and Bob, by hand from its parts.
func TestPublishedKeyAgreement(t *testing.T) {
	t.Parallel()
	private := func(d string) *ecdh.PrivateKey {
		raw, err := base64.RawURLEncoding.DecodeString(d)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ecdh.P256().NewPrivateKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	alice := private("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")
	bob := private("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")
	shared, err := alice.ECDH(bob.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	got := b64(jose.ConcatKDF(shared, []byte("Alice"), []byte("Bob"), "A128GCM", 16))
	if want := "VqqN6vgjbSBcIijNcacQGg"; got != want {
		t.Errorf("derived %s, want %s", got, want)
	}
}

// RFC 8037 appendix A.6: Bob's key pair.
func TestPublishedX25519Key(t *testing.T) {
	t.Parallel()
	const pair = `{"kty":"OKP","crv":"X25519","kid":"Bob",
		"x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08","d":"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"}`
	bob, err := jose.ParseDecryptionKey(jose.ECDHES, "", []byte(pair))
	if err != nil {
		t.Fatal(err)
	}
	if bob.ID() != "Bob" {
		t.Errorf("kid %q, want Bob", bob.ID())
	}
	mismatched := strings.Replace(pair, "3p7bfXt9", "4p7bfXt9", 1)
	if _, err := jose.ParseDecryptionKey(jose.ECDHES, "", []byte(mismatched)); !errors.Is(err, jose.ErrKey) {
		t.Errorf("halves of two pairs: got %v, want ErrKey", err)
	}
}

// RFC 3394 section 4.6: 256 bits of key under a 256-bit key.
func TestPublishedKeyWrap(t *testing.T) {
	t.Parallel()
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	kek := raw("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	key := raw("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
	want := raw("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21")
	got, err := jose.WrapKey(kek, key)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("wrap: %x %v, want %x", got, err, want)
	}
	back, ok := jose.UnwrapKey(kek, got)
	if !ok || !bytes.Equal(back, key) {
		t.Fatal("unwrap does not undo wrap")
	}
	for i := range got {
		bad := bytes.Clone(got)
		bad[i] ^= 0x80
		if _, ok := jose.UnwrapKey(kek, bad); ok {
			t.Fatalf("unwrapped with byte %d changed", i)
		}
	}
}
