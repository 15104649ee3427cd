package jose_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/verify/jose"
)

func FuzzDecodeSegment(f *testing.F) {
	for _, s := range []string{"", "AA", "QR", "AQID", "_-8", "A", "AA==", "A\nA", "+/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := jose.DecodeSegment(s)
		if err == nil && jose.EncodeSegment(b) != s {
			t.Fatalf("%q is not the one spelling of %x", s, b)
		}
		back, err := jose.DecodeSegment(jose.EncodeSegment([]byte(s)))
		if err != nil || string(back) != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
	})
}

func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"sub":"a","exp":1.5e9,"aud":["x"],"act":{"sub":"b"}}`, `{"a":"\ud83d\ude00\n"}`, `{"\u0061":1,"a":2}`, `{"a":{"b":[{"c":null}]}}`,
		`{"a":-0.1E+2,"b":true,"c":false}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}`, ` { } `, `{"SUB":1,"sub":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		members, err := jose.Members(in)
		if err != nil {
			return
		}
		// What we accept the standard library accepts, with the same members.
		var other map[string]json.RawMessage
		if err := json.Unmarshal(in, &other); err != nil || !utf8.Valid(in) {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(other) != len(members) {
			t.Fatalf("%d members, encoding/json has %d", len(members), len(other))
		}
		var out bytes.Buffer
		for i, m := range members {
			if !bytes.Equal(other[m.Name], m.Value) {
				t.Fatalf("%q: %s, encoding/json has %s", m.Name, m.Value, other[m.Name])
			}
			if s, err := jose.String(m.Value); err == nil {
				var same string
				if json.Unmarshal(m.Value, &same) != nil || same != s {
					t.Fatalf("%s reads as %q, encoding/json has %q", m.Value, s, same)
				}
			}
			name, err := json.Marshal(m.Name)
			if err != nil {
				t.Fatal(err)
			}
			if out.WriteByte("{,"[min(i, 1)]); err == nil {
				out.Write(append(append(name, ':'), m.Value...))
			}
		}
		if len(members) == 0 {
			out.WriteByte('{')
		}
		out.WriteByte('}')
		again, err := jose.Members(out.Bytes())
		if err != nil || len(again) != len(members) || len(again) > 0 && !reflect.DeepEqual(again, members) {
			t.Fatalf("written out again as %s: %v", &out, err)
		}
	})
}

func FuzzNumericDate(f *testing.F) {
	for _, s := range []string{"0", "-1", "1700000000.123", "1.7e9", "17e-1", "1e400", "-0.5", "253402300800", "0.0000000001", "1E+11", "00", "9e-999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := jose.NumericDate([]byte(s))
		if err != nil {
			return
		}
		if strings.ContainsAny(s, "eE") && len(s[strings.IndexAny(s, "eE"):]) > 5 {
			return // too costly for the exact arithmetic below
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok || !json.Valid([]byte(s)) {
			t.Fatalf("%q is no number", s)
		}
		nanos := new(big.Rat).Mul(exact, big.NewRat(1e9, 1))
		want := new(big.Int).Quo(nanos.Num(), nanos.Denom()) // truncated towards zero
		have := new(big.Int).Add(new(big.Int).Mul(big.NewInt(got.Unix()), big.NewInt(1e9)), big.NewInt(int64(got.Nanosecond())))
		if have.Cmp(want) != 0 {
			t.Fatalf("%s: %v ns, want %v", s, have, want)
		}
	})
}

func FuzzVerify(f *testing.F) {
	k := hmacKey(f)
	f.Add(mustSign(f, k))
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","kid":"\u0000"}`, `{"alg":"EdDSA"}`, `{"alg":"HS256","alg":"HS256"}`} {
		f.Add(forge(testSecret, header, claims))
	}
	for _, s := range []string{"", "..", "a.b.c", "e30.e30.e30", "....."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		m, err := jose.Parse(token, jose.Limits{})
		if err != nil {
			return
		}
		p := segments(token)
		if len(p) != 3 || b64(m.UnverifiedPayload()) != p[1] || len(token) > jose.DefaultTokenLimit || !m.Header.Algorithm.Valid() {
			t.Fatalf("parsed what is no token: %q", token)
		}
		payload, err := m.Verify(k)
		// The oracle: it verifies if and only if it names HS256 and carries its MAC.
		right := m.Header.Algorithm == jose.HS256 && p[2] == b64(mac(testSecret, p[0]+"."+p[1]))
		if (err == nil) != right || err == nil && b64(payload) != p[1] {
			t.Fatalf("verified: %v, should: %v", err, right)
		}
		if err == nil {
			h := m.Header
			h.KeyID = "" // the forged ones name none
			again, err := jose.Sign(k, h, payload)
			if err != nil {
				t.Fatalf("cannot sign what it read: %v", err)
			}
			if _, same, err := jose.Verify(again, k); err != nil || !bytes.Equal(same, payload) {
				t.Fatalf("signed again: %v", err)
			}
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.ES256, jose.ES512, jose.EdDSA} {
		jwk, err := signingKey(f, alg).PrivateJWK()
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"keys":[` + string(jwk) + `]}`))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB","d":"AQ"},{},{"kty":"EC","crv":"P-256","alg":"ES256","x":null}]}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		set, err := jose.ParseKeySet(in)
		if err != nil {
			return
		}
		out, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.ParseKeySet(out)
		if err != nil || len(again) != len(set) {
			t.Fatalf("%s: %d keys, then %d, %v", out, len(set), len(again), err)
		}
		for i, k := range set {
			if k.CanSign() || k.Algorithm().Symmetric() || again[i].Thumbprint() != k.Thumbprint() || again[i].ID() != k.ID() {
				t.Fatalf("key %d is private or changed", i)
			}
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	var keys []*jose.DecryptionKey
	for _, jwk := range []string{
		`{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08","d":"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"}`,                                                 // RFC 8037 A.6
		`{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`, // RFC 7518 C
	} {
		for _, alg := range []string{jose.ECDHES, jose.ECDHESA256KW} {
			k, err := jose.ParseDecryptionKey(alg, "", []byte(jwk))
			if err != nil {
				f.Fatal(err)
			}
			keys = append(keys, k)
		}
	}
	signer := hmacKey(f)
	for _, k := range keys {
		token, err := jose.Encrypt(k.Recipient(), jose.Header{}, mustSign(f, signer))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add("....")
	f.Fuzz(func(t *testing.T, token string) {
		for _, k := range keys {
			inner, h, err := jose.Decrypt(token, k)
			if err != nil {
				if inner != "" {
					t.Fatal("an error came with content")
				}
				continue
			}
			if _, err := jose.Parse(inner, jose.Limits{}); err != nil || !jose.IsEncrypted(token) || h.Encryption != jose.A256GCM {
				t.Fatalf("opened what holds no signed token: %v", err)
			}
			again, err := jose.Encrypt(k.Recipient(), jose.Header{}, inner)
			if err != nil {
				t.Fatal(err)
			}
			if same, _, err := jose.Decrypt(again, k); err != nil || same != inner {
				t.Fatalf("encrypted again: %v", err)
			}
		}
	})
}
