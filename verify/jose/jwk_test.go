package jose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// members returns a key's public JWK for a test to spoil.
func members(t *testing.T, k *jose.Key) map[string]any {
	t.Helper()
	text, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseKeyRefusesUnfitJWKs(t *testing.T) {
	t.Parallel()
	ec, rsa, ed := signingKey(t, jose.ES256), signingKey(t, jose.RS256), signingKey(t, jose.EdDSA)
	for _, c := range []struct {
		name   string
		key    *jose.Key
		member string
		value  any // nil deletes the member
		want   error
	}{
		{"no kty", ec, "kty", nil, jose.ErrKey},
		{"unknown kty", ec, "kty", "AKP", jose.ErrKey},
		{"kty in lower case", rsa, "kty", "rsa", jose.ErrKey},
		{"kty of another type", ec, "kty", "RSA", jose.ErrKey},
		{"kty not a string", ec, "kty", 1, jose.ErrKey},
		{"no alg", ec, "alg", nil, jose.ErrAlgorithm},
		{"alg none", ec, "alg", "none", jose.ErrAlgorithm},
		{"alg for encryption", ec, "alg", "ECDH-ES", jose.ErrAlgorithm},
		{"alg of another family", ec, "alg", "HS256", jose.ErrKey},
		{"alg of another curve", ec, "alg", "ES384", jose.ErrKey},
		{"alg empty", ec, "alg", "", jose.ErrKey},
		{"alg not a string", ec, "alg", []string{"ES256"}, jose.ErrKey},
		{"use enc", ec, "use", "enc", jose.ErrKey},
		{"use not a string", ec, "use", true, jose.ErrKey},
		{"key_ops for encryption", ec, "key_ops", []string{"deriveKey"}, jose.ErrKey},
		{"key_ops empty", ec, "key_ops", []string{}, jose.ErrKey},
		{"key_ops not an array", ec, "key_ops", "verify", jose.ErrKey},
		{"kid not a string", ec, "kid", 7, jose.ErrKey},
		{"kid with a line break", ec, "kid", "a\nb", jose.ErrKey},
		{"no crv", ec, "crv", nil, jose.ErrKey},
		{"unknown crv", ec, "crv", "secp256k1", jose.ErrKey},
		{"no x", ec, "x", nil, jose.ErrKey},
		{"no y", ec, "y", nil, jose.ErrKey},
		{"x null", ec, "x", json.RawMessage("null"), jose.ErrKey},
		{"x short", ec, "x", b64(make([]byte, 31)), jose.ErrKey},
		{"x padded", ec, "x", b64(make([]byte, 33)), jose.ErrKey},
		{"point off the curve", ec, "x", b64(make([]byte, 32)), jose.ErrKey},
		{"x not base64url", ec, "x", "====", jose.ErrKey},
		{"d of another key", ec, "d", b64(append(make([]byte, 31), 7)), jose.ErrKey},
		{"d zero", ec, "d", b64(make([]byte, 32)), jose.ErrKey},
		{"d short", ec, "d", "AQ", jose.ErrKey},
		{"no n", rsa, "n", nil, jose.ErrKey},
		{"n short", rsa, "n", b64(append([]byte{0x80}, make([]byte, 127)...)), jose.ErrKey},
		{"n with a leading zero", rsa, "n", "AA" + members(t, rsa)["n"].(string), jose.ErrKey},
		{"n empty", rsa, "n", "", jose.ErrKey},
		{"e missing", rsa, "e", nil, jose.ErrKey},
		{"e 3", rsa, "e", "Aw", jose.ErrKey},
		{"e even", rsa, "e", b64([]byte{1, 0, 2}), jose.ErrKey},
		{"e of 5 bytes", rsa, "e", b64([]byte{1, 0, 0, 0, 1}), jose.ErrKey},
		{"e as a number", rsa, "e", 65537, jose.ErrKey},
		{"RSA d without primes", rsa, "d", "AQAB", jose.ErrKey},
		{"Ed25519 with crv X25519", ed, "crv", "X25519", jose.ErrKey},
		{"Ed448", ed, "crv", "Ed448", jose.ErrKey},
		{"Ed25519 x short", ed, "x", b64(make([]byte, 31)), jose.ErrKey},
		{"Ed25519 x of order 4", ed, "x", b64(make([]byte, 32)), jose.ErrKey},
		{"Ed25519 d of another key", ed, "d", b64(make([]byte, 32)), jose.ErrKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := members(t, c.key)
			if _, err := jose.ParseKey(encode(t, m)); err != nil {
				t.Fatalf("the good key: %v", err)
			}
			if c.value == nil {
				delete(m, c.member)
			} else {
				m[c.member] = c.value
			}
			if _, err := jose.ParseKey(encode(t, m)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseKeyRefusesBrokenJSON(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, `[]`, `null`, `{"kty":"EC","kty":"EC"}`, `{"kty":"EC"}x`} {
		if _, err := jose.ParseKey([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", in, err)
		}
	}
	if _, err := jose.ParseKey(make([]byte, 65<<10)); !errors.Is(err, jose.ErrTooLarge) {
		t.Errorf("65 KiB: got %v, want ErrTooLarge", err)
	}
}

func TestParseKeyForBindsTheAlgorithm(t *testing.T) {
	t.Parallel()
	k := signingKey(t, jose.RS256)
	m := members(t, k)
	if _, err := jose.ParseKeyFor(jose.RS512, encode(t, m)); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("RS256 key for RS512: got %v, want ErrAlgorithm", err)
	}
	if _, err := jose.ParseKeyFor("none", encode(t, m)); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("for none: got %v, want ErrAlgorithm", err)
	}
	delete(m, "alg")
	bound, err := jose.ParseKeyFor(jose.RS512, encode(t, m))
	if err != nil || bound.Algorithm() != jose.RS512 {
		t.Fatalf("without alg: %v", err)
	}
	if _, _, err := jose.Verify(mustSign(t, k), bound); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("RS256 token: got %v, want ErrAlgorithm", err)
	}
}

func TestKeyOpsLimitTheKey(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.HS256, jose.ES256} {
		k := signingKey(t, alg)
		text, err := k.PrivateJWK()
		if err != nil {
			t.Fatal(err)
		}
		with := func(ops string) []byte { return []byte(strings.Replace(string(text), "{", `{"key_ops":`+ops+`,`, 1)) }
		limited, err := jose.ParseKey(with(`["verify"]`))
		if err != nil || limited.CanSign() {
			t.Fatalf("%s: %v, or it can sign", alg, err)
		}
		accept(t, limited, mustSign(t, k))
		if _, err := jose.Sign(limited, jose.Header{}, []byte(claims)); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", alg, err)
		}
		full, err := jose.ParseKey(with(`["verify","sign"]`))
		if err != nil || !full.CanSign() {
			t.Fatalf("%s: %v, or it cannot sign", alg, err)
		}
	}
}

func TestKeySetKeepsWhatItCanUse(t *testing.T) {
	t.Parallel()
	ec, rsa := signingKey(t, jose.ES256), signingKey(t, jose.RS256)
	private, err := ec.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hmacKey(t).PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	noAlg := members(t, rsa)
	delete(noAlg, "alg")
	enc := members(t, rsa)
	enc["use"] = "enc"
	enc["kid"] = "e"
	text := fmt.Sprintf(`{"x":1,"keys":[%s,%s,%s,%s,%s,{},{"kty":"AKP","alg":"ML-DSA-44"},{"kty":"RSA","alg":"RS256","n":"AQ","e":"AQAB"}]}`,
		private, encode(t, rsa), secret, encode(t, noAlg), encode(t, enc))
	set, err := jose.ParseKeySet([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(set) != 2 || set[0].CanSign() || set[0].ID() != ec.ID() || set[1].ID() != rsa.ID() {
		t.Fatalf("kept %d keys, want the EC and the RSA key, both public", len(set))
	}
	accept(t, set[0], mustSign(t, ec))
	accept(t, set[1], mustSign(t, rsa))

	published, err := json.Marshal(append(jose.KeySet{hmacKey(t), ec}, rsa))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"keys":[%s,%s]}`, encode(t, ec), encode(t, rsa)); string(published) != want {
		t.Errorf("published %s, want %s", published, want)
	}
	if empty, err := json.Marshal(jose.KeySet{}); err != nil || string(empty) != `{"keys":[]}` {
		t.Errorf("empty set: %s, %v", empty, err)
	}
}

func TestKeySetRefusesBrokenSets(t *testing.T) {
	t.Parallel()
	ed := signingKey(t, jose.EdDSA)
	twin := members(t, ed)
	twin["alg"] = "Ed25519"
	for name, in := range map[string]string{
		"empty": ``, "no object": `[]`, "no keys": `{}`, "keys no array": `{"keys":{}}`, "keys null": `{"keys":null}`, "element no object": `{"keys":["a"]}`,
		"element an array": `{"keys":[[]]}`, "duplicate keys": `{"keys":[],"keys":[]}`, "duplicate in a key": `{"keys":[{"a":1,"a":2}]}`, "trailing": `{"keys":[]}}`,
		"one kid twice":            fmt.Sprintf(`{"keys":[%s,%s]}`, encode(t, ed), encode(t, ed)),
		"one kid under both names": fmt.Sprintf(`{"keys":[%s,%s]}`, encode(t, ed), encode(t, twin)),
	} {
		if set, err := jose.ParseKeySet([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: got %d keys, %v; want ErrMalformed", name, len(set), err)
		}
	}
	for name, in := range map[string]string{
		"257 KiB": `{"keys":[]` + strings.Repeat(" ", 256<<10) + `}`, "129 keys": `{"keys":[{}` + strings.Repeat(`,{}`, 128) + `]}`,
	} {
		if _, err := jose.ParseKeySet([]byte(in)); !errors.Is(err, jose.ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
	if set, err := jose.ParseKeySet([]byte(`{"keys":[]}`)); err != nil || len(set) != 0 {
		t.Errorf("an empty set is a set: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	a, b := mustGenerate(t, jose.ES256).WithID("a"), mustGenerate(t, jose.ES256).WithID("b")
	c := signingKey(t, jose.EdDSA).WithID("a")
	set := jose.KeySet{a, b, c}
	for _, test := range []struct {
		kid  string
		alg  jose.Algorithm
		want *jose.Key
	}{
		{"a", jose.ES256, a}, {"b", jose.ES256, b}, {"a", jose.EdDSA, c}, {"a", jose.Ed25519, c}, {"", jose.EdDSA, c},
		{"", jose.ES256, nil}, {"b", jose.EdDSA, nil}, {"A", jose.ES256, nil}, {"c", jose.ES256, nil}, {"", jose.RS256, nil}, {"a", "none", nil}, {"", "", nil},
	} {
		if got, found := set.Find(test.kid, test.alg); got != test.want || found != (test.want != nil) {
			t.Errorf("%q %s: got %v, %v", test.kid, test.alg, got, found)
		}
	}
}
