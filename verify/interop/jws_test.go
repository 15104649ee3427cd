package interop_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/wafer-auth/wafer/verify/jose"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ours(tb testing.TB, k *jose.Key) string {
	tb.Helper()
	token, err := jose.Sign(k, jose.Header{Type: "at+jwt"}, []byte(claims))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestSignaturesBothWays(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		for _, o := range oracles() {
			if !o.knows(alg) {
				continue
			}
			t.Run(string(alg)+" "+o.name, func(t *testing.T) {
				t.Parallel()
				p := keyPair(t, alg)
				payload, err := o.verify(p.material, alg, ours(t, p.key))
				if err != nil || string(payload) != claims {
					t.Errorf("ours read by them: %s, %v", payload, err)
				}
				token, err := o.sign(p.material, alg)
				if err != nil {
					t.Fatal(err)
				}
				h, payload, err := jose.Verify(token, p.verifier())
				if err != nil || !sameJSON(payload, []byte(claims)) {
					t.Fatalf("theirs read by us: %s, %v", payload, err)
				}
				if h.Algorithm != alg || h.KeyID != p.kid || h.Type != "at+jwt" {
					t.Errorf("header %+v", h)
				}
			})
		}
	}
}

func TestKeysAndThumbprintsAgree(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			p := keyPair(t, alg)
			text, err := p.key.PrivateJWK()
			if err != nil {
				t.Fatal(err)
			}
			var other gojose.JSONWebKey
			if err := json.Unmarshal(text, &other); err != nil {
				t.Fatal(err)
			}
			third := jwxKey(t, text)
			others := map[string]func(crypto.Hash) ([]byte, error){"jwx": third.Thumbprint}
			if !alg.Symmetric() { // go-jose has none for a secret
				others["go-jose"] = other.Thumbprint
			}
			for name, thumbprint := range others {
				got, err := thumbprint(crypto.SHA256)
				if err != nil || b64(got) != p.key.Thumbprint() {
					t.Errorf("%s: thumbprint %s, %v; ours is %s", name, b64(got), err, p.key.Thumbprint())
				}
			}
			// And back: the JWKs that they write.
			for name, v := range map[string]any{"go-jose": other, "jwx": third} {
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				k, err := jose.ParseKey(text)
				if err != nil || k.Thumbprint() != p.key.Thumbprint() || !k.CanSign() || k.ID() != p.kid {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestKeySetsAgree(t *testing.T) {
	t.Parallel()
	var set jose.KeySet
	for _, alg := range jose.Algorithms() {
		set = append(set, keyPair(t, alg).key)
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var other gojose.JSONWebKeySet
	if err := json.Unmarshal(text, &other); err != nil {
		t.Fatal(err)
	}
	third, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	public := len(jose.Algorithms()) - 3 // all but HMAC
	if len(other.Keys) != public || third.Len() != public {
		t.Errorf("go-jose reads %d keys, jwx %d, want %d", len(other.Keys), third.Len(), public)
	}
	for name, v := range map[string]any{"go-jose": other, "jwx": third} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := jose.ParseKeySet(text)
		if err != nil || len(back) != public {
			t.Errorf("%s: %d keys, %v", name, len(back), err)
		}
	}
}

// compare gives one token to everybody: if jose accepts it, the others must, with
// the same payload. It reports whether jose did.
func compare(t *testing.T, p pair, alg jose.Algorithm, token string) bool {
	t.Helper()
	_, payload, err := jose.Verify(token, p.verifier())
	if err != nil {
		return false
	}
	for _, o := range oracles() {
		if !o.knows(alg) {
			continue
		}
		other, err := o.verify(p.material, alg, token)
		if err != nil || string(other) != string(payload) {
			t.Errorf("jose accepts what %s does not: %q: %v", o.name, token, err)
		}
	}
	return true
}

func TestTamperedTokens(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			p := keyPair(t, alg)
			good := ours(t, p.key)
			if !compare(t, p, alg, good) {
				t.Fatal("the good token is refused")
			}
			random := rand.New(rand.NewPCG(1, 2))
			accepted := 0
			for i := range len(good) {
				if (alg == jose.ES512 || alg == jose.ES384) && i%8 != 0 {
					continue // their arithmetic is slow
				}
				for _, bad := range []string{
					good[:i] + string(alphabet[random.IntN(64)]) + good[i+1:],
					good[:i] + string(rune(random.IntN(128))) + good[i+1:],
					good[:i] + good[i+1:],
					good[:i] + string(alphabet[random.IntN(64)]) + good[i:],
				} {
					if bad != good && compare(t, p, alg, bad) {
						accepted++
						t.Errorf("jose accepts another spelling: %q", bad)
					}
				}
			}
			if accepted > 0 {
				t.Errorf("%d changed tokens were accepted", accepted)
			}
		})
	}
}

func TestSwappedHeaders(t *testing.T) {
	t.Parallel()
	headers := []string{
		`{}`, `{"alg":null}`, `{"alg":"none"}`, `{"alg":["HS256"]}`, `{"typ":"JWT"}`, `[]`, `null`,
	}
	for _, alg := range append(jose.Algorithms(), "hs256", "RS1", "ES256K", "RSA-OAEP", "dir", "none") {
		for _, more := range []string{``, `,"kid":"x"`, `,"crit":["exp"],"exp":1`, `,"b64":false,"crit":["b64"]`, `,"alg":"none"`, `,"jwk":{}`, `,"zip":"DEF"`} {
			headers = append(headers, `{"alg":"`+string(alg)+`"`+more+`}`)
		}
	}
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			p := keyPair(t, alg)
			parts := strings.Split(ours(t, p.key), ".")
			for _, h := range headers {
				for _, signature := range []string{parts[2], "AA", b64(make([]byte, 64))} {
					if compare(t, p, alg, b64([]byte(h))+"."+parts[1]+"."+signature) {
						t.Errorf("a swapped header was accepted: %s", h)
					}
				}
			}
		})
	}
}

// FuzzAgainstOracles lets the fuzzer write the signed part itself: header and
// payload are any bytes under a right MAC, which is where parsers differ.
func FuzzAgainstOracles(f *testing.F) {
	p := keyPair(f, jose.HS256)
	for _, h := range []string{
		`{"alg":"HS256"}`, `{"alg":"HS256","typ":"JWT","kid":"a"}`, `{"alg":"HS256","alg":"none"}`, `{"alg":"HS256","x":[{"a":"\ud83d\ude00"}]}`,
		` { "alg" : "HS256" } `, `{"ALG":"none","alg":"HS256"}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","typ":null}`,
	} {
		f.Add([]byte(h), []byte(claims))
	}
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		token, err := jose.Sign(p.key, jose.Header{}, append(payload, ' '))
		if err != nil {
			return
		}
		parts := strings.Split(token, ".")
		input := b64(header) + "." + parts[1]
		token = input + "." + b64(hmacSHA256(t, p, input))
		_, got, err := jose.Verify(token, p.key)
		if err != nil {
			return
		}
		for _, o := range oracles() {
			if o.name == "golang-jwt" && json.Unmarshal(payload, &map[string]any{}) != nil {
				continue // it wants claims, we return any payload
			}
			if o.name == "jwx" && !bytes.Equal(bytes.TrimSpace(header), header) {
				continue // it checks the MAC over a header whose outer space it has dropped
			}
			other, err := o.verify(p.material, jose.HS256, token)
			if err != nil && refusesMore(o.name, err) {
				continue
			}
			if err != nil || string(other) != string(got) {
				t.Fatalf("jose accepts what %s does not: %s: %v", o.name, header, err)
			}
		}
	})
}
