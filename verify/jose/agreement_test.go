package jose_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// partyInfo is what a sender's header says, as JSON, and what it derived from.
type partyInfo struct {
	apu, apv         string
	usedApu, usedApv string
}

// Party information is part of the derivation (RFC 7518 section 4.6.1): a token that
// carries it opens, and one whose information was changed, or is no base64url, not.
func TestPartyInformationIsDerivedFrom(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewDecryptionKey(jose.ECDHES, "", private)
	if err != nil {
		t.Fatal(err)
	}
	inner := mustSign(t, hmacKey(t))
	for _, c := range []struct {
		name string
		partyInfo
		opens bool
	}{
		{"both", partyInfo{`"QWxpY2U"`, `"Qm9i"`, "Alice", "Bob"}, true},
		{"apu only", partyInfo{`"QWxpY2U"`, ``, "Alice", ""}, true},
		{"apv only", partyInfo{``, `"Qm9i"`, "", "Bob"}, true},
		{"empty", partyInfo{`""`, `""`, "", ""}, true},
		{"swapped", partyInfo{`"Qm9i"`, `"QWxpY2U"`, "Alice", "Bob"}, false},
		{"left out", partyInfo{``, ``, "Alice", "Bob"}, false},
		{"added", partyInfo{`"QWxpY2U"`, `"Qm9i"`, "", ""}, false},
		{"not base64url", partyInfo{`"QWxpY2V="`, `"Qm9i"`, "Alice", "Bob"}, false},
		{"not canonical", partyInfo{`"QWxpY2V"`, `"Qm9i"`, "Alice", "Bob"}, false},
		{"not a string", partyInfo{`1`, `"Qm9i"`, "", "Bob"}, false},
		{"null", partyInfo{`null`, `null`, "", ""}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sealAgreed(t, private.PublicKey(), inner, c.partyInfo)
			got, _, err := jose.Decrypt(token, k)
			if c.opens && (err != nil || got != inner) {
				t.Errorf("got %q, %v", got, err)
			}
			if !c.opens && !errors.Is(err, jose.ErrDecrypt) {
				t.Errorf("got %v, want ErrDecrypt", err)
			}
		})
	}
}

// sealAgreed is a sender of ECDH-ES by hand.
func sealAgreed(t *testing.T, to *ecdh.PublicKey, inner string, info partyInfo) string {
	t.Helper()
	ephemeral, err := to.Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := ephemeral.PublicKey().Bytes()
	header := map[string]any{
		"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT",
		"epk": map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}
	if info.apu != "" {
		header["apu"] = json.RawMessage(info.apu)
	}
	if info.apv != "" {
		header["apv"] = json.RawMessage(info.apv)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := ephemeral.ECDH(to)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(jose.ConcatKDF(shared, []byte(info.usedApu), []byte(info.usedApv), "A256GCM", 32))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := randomBytes(12)
	sealed := gcm.Seal(nil, nonce, []byte(inner), []byte(b64(text)))
	return strings.Join([]string{b64(text), "", b64(nonce), b64(sealed[:len(inner)]), b64(sealed[len(inner):])}, ".")
}
