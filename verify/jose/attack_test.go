package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Each test is named after an attack on token verifiers, and shows the matching
// good token accepted before and after the bad one is refused.

// JWT-001: "alg":"none" and its spellings (RFC 8725 section 3.1).
func TestAttackAlgNone(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", " none", "none "} {
		input := b64([]byte(`{"alg":"`+alg+`"}`)) + "." + b64([]byte(claims))
		refuse(t, k, good, input+".", jose.ErrMalformed)
		refuse(t, k, good, input+".AA", jose.ErrAlgorithm)
	}
}

// JWT-002: the header says none, the old signature stays.
func TestAttackAlgNoneWithOldSignature(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	bad := b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{"sub":"u2"}`)) + "." + segments(good)[2]
	refuse(t, k, good, bad, jose.ErrAlgorithm)
}

// JWT-003, JWT-004: HS256 with the public key, in any spelling, as the secret.
func TestAttackPublicKeyAsHMACSecret(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		k := signingKey(t, alg)
		good := mustSign(t, k)
		for name, spelling := range spellings(t, k) {
			bad := forge(spelling, `{"alg":"HS256"}`, `{"sub":"u2"}`)
			t.Run(string(alg)+" "+name, func(t *testing.T) {
				refuse(t, k.Public(), good, bad, jose.ErrAlgorithm)
				if strings.Contains(name, "raw") {
					return // any bytes of that length could be an honest secret
				}
				if _, err := jose.NewKey(jose.HS256, "", spelling); !errors.Is(err, jose.ErrKey) {
					t.Errorf("NewKey took the %s as a secret: %v", name, err)
				}
			})
		}
	}
}

// spellings returns the ways in which a public key is written down.
func spellings(t *testing.T, k *jose.Key) map[string][]byte {
	t.Helper()
	der, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{"JWK": jwk}
	var raw any
	switch p := private.(type) {
	case *ecdsa.PrivateKey:
		point, err := p.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out["raw point"], out["raw X||Y"] = point, point[1:]
		out["raw compressed"] = elliptic.MarshalCompressed(p.Curve, p.X, p.Y)
		raw = &p.PublicKey
	case ed25519.PrivateKey:
		out["raw key"] = p.Public().(ed25519.PublicKey)
		raw = p.Public()
	case *rsa.PrivateKey:
		raw = &p.PublicKey
	}
	spki, err := x509.MarshalPKIXPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	out["DER"], out["PEM"] = spki, text
	out["PEM after a space"] = append([]byte(" "), text...)
	out["PEM without the last line break"] = text[:len(text)-1]
	return out
}

// JWT-005: the key decides, even between algorithms that share its kind.
func TestAttackHeaderChoosesAlgorithm(t *testing.T) {
	t.Parallel()
	k := signingKey(t, jose.RS256)
	der, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []jose.Algorithm{jose.RS384, jose.RS512, jose.PS256} {
		same, err := jose.ParsePrivate(other, k.ID(), der)
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, k.Public(), mustSign(t, k), mustSign(t, same), jose.ErrAlgorithm)
	}
}

// JWT-007: alg missing, of another type, or in another case.
func TestAttackAlgMissingOrMisspelled(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for header, want := range map[string]error{
		`{}`: jose.ErrAlgorithm, `{"ALG":"HS256"}`: jose.ErrAlgorithm, `{"alg":""}`: jose.ErrAlgorithm,
		`{"alg":"hs256"}`: jose.ErrAlgorithm, `{"alg":"HS256 "}`: jose.ErrAlgorithm, `{"alg":"HS256\u0000"}`: jose.ErrAlgorithm,
		`{"alg":null}`: jose.ErrMalformed, `{"alg":5}`: jose.ErrMalformed, `{"alg":["HS256"]}`: jose.ErrMalformed,
		`{"alg":{}}`: jose.ErrMalformed, `{"alg":true}`: jose.ErrMalformed,
	} {
		t.Run(header, func(t *testing.T) { refuse(t, k, good, forge(testSecret, header, claims), want) })
	}
	// The control: an escaped spelling is the same JSON string.
	accept(t, k, forge(testSecret, `{"\u0061lg":"HS\u003256"}`, claims))
}

// JWT-008: empty, nil and short HMAC secrets.
func TestAttackEmptyHMACSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range [][]byte{nil, {}, make([]byte, 31)} {
		if _, err := jose.NewKey(jose.HS256, "", secret); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%d bytes: got %v, want ErrKey", len(secret), err)
		}
	}
	k := hmacKey(t)
	for _, secret := range [][]byte{nil, {}} {
		refuse(t, k, mustSign(t, k), forge(secret, `{"alg":"HS256"}`, claims), jose.ErrSignature)
	}
	if _, err := jose.ParseKey([]byte(`{"kty":"oct","alg":"HS256","k":""}`)); !errors.Is(err, jose.ErrKey) {
		t.Errorf("empty k: got %v, want ErrKey", err)
	}
	m, err := jose.Parse(mustSign(t, k), jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Verify(nil); !errors.Is(err, jose.ErrKey) {
		t.Errorf("nil key: got %v, want ErrKey", err)
	}
}

// JWT-010 and its relatives: the token brings its own key.
func TestAttackEmbeddedKey(t *testing.T) {
	t.Parallel()
	k, thief := signingKey(t, jose.EdDSA), mustGenerate(t, jose.EdDSA)
	good := mustSign(t, k)
	jwk, err := thief.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{
		`"jwk":` + string(jwk), `"jku":"http://127.0.0.1:1/keys"`, `"x5u":"http://127.0.0.1:1/cert"`,
		`"x5c":["AAAA"]`, `"x5t":"AAAA"`,
	} {
		header := `{"alg":"EdDSA",` + member + `}`
		refuse(t, k, good, forgeEd(t, thief, header), jose.ErrSignature)
		// The control: the member says nothing either way.
		accept(t, k, forgeEd(t, k, header))
	}
}

func mustGenerate(t *testing.T, alg jose.Algorithm) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg, "other")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forgeEd signs any header with an Ed25519 key, by hand.
func forgeEd(t *testing.T, k *jose.Key, header string) string {
	t.Helper()
	der, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	return input + "." + b64(ed25519.Sign(private.(ed25519.PrivateKey), []byte(input)))
}

// JWT-013: the key id as a path. Ids are compared, never looked up elsewhere.
func TestAttackKeyIDPathTraversal(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, kid := range []string{"../../../../dev/null", "/proc/self/environ", `..\\..\\keys`} {
		bad := forge(nil, `{"alg":"HS256","kid":"`+kid+`"}`, claims)
		refuse(t, k, good, bad, jose.ErrSignature)
		m, err := jose.Parse(bad, jose.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, found := (jose.KeySet{k}).Find(m.Header.KeyID, jose.HS256); found {
			t.Errorf("kid %q found a key", kid)
		}
	}
}

// JWT-014: the key id as an injection, as another type, or huge.
func TestAttackKeyIDInjection(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for kid, want := range map[string]error{
		`"k1\r\nX: 1"`: jose.ErrMalformed, `"k1\u0000"`: jose.ErrMalformed, `"k1\u0085"`: jose.ErrMalformed,
		`5`: jose.ErrMalformed, `["k1"]`: jose.ErrMalformed, `{"k1":1}`: jose.ErrMalformed, `null`: jose.ErrMalformed, `""`: jose.ErrMalformed,
		`"` + strings.Repeat("k", 257) + `"`:  jose.ErrMalformed,
		`"` + strings.Repeat("k", 4000) + `"`: jose.ErrTooLarge, `"` + strings.Repeat("k", 1<<20) + `"`: jose.ErrTooLarge,
	} {
		refuse(t, k, good, forge(testSecret, `{"alg":"HS256","kid":`+kid+`}`, claims), want)
	}
	for _, kid := range []string{`x' UNION SELECT 'AAAA'--`, `$(id)`} {
		m, err := jose.Parse(forge(testSecret, `{"alg":"HS256","kid":"`+kid+`"}`, claims), jose.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, found := (jose.KeySet{k}).Find(m.Header.KeyID, jose.HS256); found {
			t.Errorf("kid %q found a key", kid)
		}
	}
}

// JWT-019, JWT-020: a crit header, known, unknown or malformed (RFC 7515 section 4.1.11).
func TestAttackCriticalHeader(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, member := range []string{
		`"crit":["exp"],"exp":1`, `"crit":["x"]`, `"crit":[]`, `"crit":"exp"`, `"crit":["alg"]`,
		`"crit":["b64","b64"]`, `"crit":null`, `"crit":{}`, `"crit":["http://example.com/x"],"http://example.com/x":true`,
		`"\u0063rit":["exp"]`,
	} {
		refuse(t, k, good, forge(testSecret, `{"alg":"HS256",`+member+`}`, claims), jose.ErrCritical)
	}
}

// JWT-021: the unencoded payload of RFC 7797.
func TestAttackUnencodedPayload(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, member := range []string{`"b64":false,"crit":["b64"]`, `"b64":false`, `"b64":true`} {
		header := `{"alg":"HS256",` + member + `}`
		refuse(t, k, good, forge(testSecret, header, claims), jose.ErrCritical)
		input := b64([]byte(header)) + "." + `{"sub":"u1"}`
		refuse(t, k, good, input+"."+b64(mac(testSecret, input)), jose.ErrMalformed)
	}
}

// JWT-024: duplicate members, in the header and in what Members reads.
func TestAttackDuplicateMembers(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, header := range []string{
		`{"alg":"HS256","alg":"HS256"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","\u0061lg":"none"}`,
		`{"alg":"HS256","x":{"a":1,"a":2}}`, `{"alg":"HS256","x":[{"a":1,"b":[{"c":1,"c":1}]}]}`,
	} {
		refuse(t, k, good, forge(testSecret, header, claims), jose.ErrMalformed)
	}
	for _, payload := range []string{
		`{"sub":"a","sub":"b"}`, `{"exp":1,"exp":9999999999}`, `{"aud":"a","aud":["b"]}`,
		`{"sub":"a","s\u0075b":"b"}`, `{"act":{"sub":"a","sub":"b"}}`,
	} {
		if _, err := jose.Members([]byte(payload)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", payload, err)
		}
	}
	// Another case is another name (encoding/json would merge them).
	members, err := jose.Members([]byte(`{"sub":"a","SUB":"b","ſub":"c"}`))
	if err != nil || len(members) != 3 || members[0].Name != "sub" || members[1].Name != "SUB" {
		t.Errorf("got %v, %v; want three members", members, err)
	}
}

// JWT-025: ECDSA with R or S outside [1, n-1] (CVE-2022-21449), or not at full width.
func TestAttackECDSARange(t *testing.T) {
	t.Parallel()
	for alg, curve := range map[jose.Algorithm]elliptic.Curve{
		jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
	} {
		k := signingKey(t, alg)
		good := mustSign(t, k)
		input := good[:strings.LastIndexByte(good, '.')+1]
		old, err := base64.RawURLEncoding.DecodeString(segments(good)[2])
		if err != nil {
			t.Fatal(err)
		}
		size := len(old) / 2
		n := curve.Params().N.FillBytes(make([]byte, size))
		zero, one, high := make([]byte, size), make([]byte, size), make([]byte, size)
		one[size-1] = 1
		for i := range high {
			high[i] = 0xff
		}
		for _, r := range [][]byte{zero, one, n, high, old[:size]} {
			for _, s := range [][]byte{zero, n, high} {
				refuse(t, k, good, input+b64(append(append([]byte{}, r...), s...)), jose.ErrSignature)
			}
		}
		der, err := asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(old[:size]), new(big.Int).SetBytes(old[size:]),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, signature := range [][]byte{der, old[:len(old)-1], append(old, 0), append([]byte{0}, old...)} {
			refuse(t, k, good, input+b64(signature), jose.ErrSignature)
		}
	}
}

// JWT-026: Ed25519 with S + L, the other spelling of the same signature.
func TestAttackEd25519Malleability(t *testing.T) {
	t.Parallel()
	k := signingKey(t, jose.Ed25519)
	good := mustSign(t, k)
	raw, err := base64.RawURLEncoding.DecodeString(segments(good)[2])
	if err != nil {
		t.Fatal(err)
	}
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).Add(new(big.Int).SetBytes(reversed(raw[32:])), l)
	copy(raw[32:], reversed(s.FillBytes(make([]byte, 32))))
	refuse(t, k, good, good[:strings.LastIndexByte(good, '.')+1]+b64(raw), jose.ErrSignature)
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i]
	}
	return out
}
