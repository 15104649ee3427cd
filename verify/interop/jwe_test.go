package interop_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"

	"github.com/wafer-auth/wafer/verify/jose"
)

// recipient is one private key, as ours and as the JWK the others read.
type recipient struct {
	name, alg string
	ours      *jose.DecryptionKey
	goJose    bool // go-jose has no X25519
	private   any  // what go-jose and jwx take
	public    any
}

func recipients(t *testing.T) []recipient {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewDecryptionKey(jose.RSAOAEP256, "r1", r)
	if err != nil {
		t.Fatal(err)
	}
	list := []recipient{{"RSA", jose.RSAOAEP256, k, true, r, &r.PublicKey}}
	for name, curve := range map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521(), "X25519": ecdh.X25519()} {
		for _, alg := range []string{jose.ECDHES, jose.ECDHESA256KW} {
			private, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			k, err := jose.NewDecryptionKey(alg, "r1", private)
			if err != nil {
				t.Fatal(err)
			}
			x := recipient{alg + " " + name, alg, k, name != "X25519", private, private.PublicKey()}
			if x.goJose {
				x.private, x.public = ecdsaPair(t, private)
			}
			list = append(list, x)
		}
	}
	return list
}

func TestEncryptionBothWays(t *testing.T) {
	t.Parallel()
	signer := keyPair(t, jose.EdDSA)
	inner := ours(t, signer.key)
	for _, r := range recipients(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			token, err := jose.Encrypt(r.ours.Recipient(), jose.Header{Type: "at+jwt"}, inner)
			if err != nil {
				t.Fatal(err)
			}
			for name, open := range r.readers() {
				got, err := open(token)
				if err != nil || got != inner {
					t.Errorf("ours read by %s: %q, %v", name, got, err)
				}
			}
			for name, seal := range r.writers() {
				token, err := seal(inner)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, h, err := jose.Decrypt(token, r.ours)
				if err != nil || got != inner {
					t.Errorf("%s read by us: %q, %v", name, got, err)
				}
				if h.KeyID != "r1" || h.ContentType != "JWT" {
					t.Errorf("%s: header %+v", name, h)
				}
			}
			r.tamper(t, token)
		})
	}
}

// tamper changes a byte in many places: whatever jose opens the others must open.
func (r recipient) tamper(t *testing.T, token string) {
	t.Helper()
	for i := 0; i < len(token); i += 7 {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		for _, bad := range []string{token[:i] + string(c) + token[i+1:], token[:i] + token[i+1:], token[:i] + "." + token[i:]} {
			got, _, err := jose.Decrypt(bad, r.ours)
			if err != nil {
				continue
			}
			t.Errorf("opened after a change at %d", i)
			for name, open := range r.readers() {
				if other, err := open(bad); err != nil || other != got {
					t.Errorf("jose opens what %s does not: %v", name, err)
				}
			}
		}
	}
	// Headers of other algorithms in front of the same content.
	parts := strings.SplitN(token, ".", 2)
	for _, alg := range []string{"RSA-OAEP", "RSA1_5", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "dir", "A256KW", "PBES2-HS256+A128KW", "none"} {
		for _, enc := range []string{"A256GCM", "A128GCM", "A256CBC-HS512"} {
			header := `{"alg":"` + alg + `","enc":"` + enc + `","cty":"JWT"}`
			if _, _, err := jose.Decrypt(b64([]byte(header))+"."+parts[1], r.ours); err == nil {
				t.Errorf("opened under the header %s", header)
			}
		}
	}
}

func (r recipient) readers() map[string]func(string) (string, error) {
	out := map[string]func(string) (string, error){"jwx": func(token string) (string, error) {
		alg, ok := jwa.LookupKeyEncryptionAlgorithm(r.alg)
		if !ok {
			return "", errors.New("unknown algorithm")
		}
		b, err := jwe.Decrypt([]byte(token), jwe.WithKey(alg, r.private))
		return string(b), err
	}}
	if r.goJose {
		out["go-jose"] = func(token string) (string, error) {
			parsed, err := gojose.ParseEncryptedCompact(token, []gojose.KeyAlgorithm{gojose.KeyAlgorithm(r.alg)}, []gojose.ContentEncryption{gojose.A256GCM})
			if err != nil {
				return "", err
			}
			b, err := parsed.Decrypt(r.private)
			return string(b), err
		}
	}
	return out
}

func (r recipient) writers() map[string]func(string) (string, error) {
	out := map[string]func(string) (string, error){"jwx": func(inner string) (string, error) {
		alg, ok := jwa.LookupKeyEncryptionAlgorithm(r.alg)
		if !ok {
			return "", errors.New("unknown algorithm")
		}
		h := jwe.NewHeaders()
		if err := errors.Join(h.Set("cty", "JWT"), h.Set("kid", "r1")); err != nil {
			return "", err
		}
		b, err := jwe.Encrypt([]byte(inner), jwe.WithKey(alg, r.public), jwe.WithContentEncryption(jwa.A256GCM()), jwe.WithProtectedHeaders(h))
		return string(b), err
	}}
	if r.goJose {
		out["go-jose"] = func(inner string) (string, error) {
			opts := (&gojose.EncrypterOptions{}).WithContentType("JWT")
			to := gojose.Recipient{Algorithm: gojose.KeyAlgorithm(r.alg), Key: r.public, KeyID: "r1"}
			encrypter, err := gojose.NewEncrypter(gojose.A256GCM, to, opts)
			if err != nil {
				return "", err
			}
			sealed, err := encrypter.Encrypt([]byte(inner))
			if err != nil {
				return "", err
			}
			return sealed.CompactSerialize()
		}
	}
	return out
}

func TestRecipientKeysAgree(t *testing.T) {
	t.Parallel()
	for _, r := range recipients(t) {
		text, err := json.Marshal(r.ours.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		jwxKey(t, text)
		if !r.goJose {
			continue
		}
		var other gojose.JSONWebKey
		if err := json.Unmarshal(text, &other); err != nil {
			t.Fatalf("%s: go-jose does not read %s: %v", r.name, text, err)
		}
		back, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		same, err := jose.ParseRecipientKey(r.alg, back)
		if err != nil || same.Thumbprint() != r.ours.Recipient().Thumbprint() {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}
