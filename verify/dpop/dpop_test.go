package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The proofs of RFC 9449 section 4.1 (figure 1) and section 7.1 (figure 12).
const (
	rfcKey   = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	rfcProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC" +
		"RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRt" +
		"IjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUv" +
		"wnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcBound = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC" +
		"RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtI" +
		"joiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTN" +
		"Fc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)

func TestProofOfRFC9449(t *testing.T) {
	t.Parallel()
	made := time.Unix(1562262616, 0)
	p, err := dpop.Check(rfcProof, dpop.Want{Method: "POST", URL: "https://server.example.com/token", Now: made.Add(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if p.JKT != rfcKey || p.ID != "-BwC3ESc6acc2lTc" || !p.IssuedAt.Equal(made) || p.Algorithm != jose.ES256 {
		t.Errorf("proof is %+v", p)
	}
	made = time.Unix(1562262618, 0)
	const token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	bound := dpop.Want{Method: "GET", URL: "https://resource.example.org/protectedresource", Token: token, JKT: rfcKey, Now: made}
	if _, err := dpop.Check(rfcBound, bound); err != nil {
		t.Errorf("section 7.1: %v", err)
	}
	bound.Token += "x"
	if _, err := dpop.Check(rfcBound, bound); !errors.Is(err, dpop.ErrToken) {
		t.Errorf("section 7.1 with another token: %v", err)
	}
	if got := dpop.Hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"); got != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Errorf("ath is %s", got)
	}
}

const here = "https://api.example/orders"

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB) *jose.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.NewKey(jose.ES256, "", private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *jose.Key, r dpop.Request) string {
	t.Helper()
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.URL == "" {
		r.URL = here
	}
	if r.Now.IsZero() {
		r.Now = now
	}
	text, err := dpop.Sign(k, r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func want(edit ...func(*dpop.Want)) dpop.Want {
	w := dpop.Want{Method: "GET", URL: here, Now: now}
	for _, e := range edit {
		e(&w)
	}
	return w
}

func good(t *testing.T, proof string, w dpop.Want) dpop.Proof {
	t.Helper()
	p, err := dpop.Check(proof, w)
	if err != nil {
		t.Fatalf("a right proof: %v", err)
	}
	return p
}

func TestCheckComparesWithTheRequest(t *testing.T) {
	t.Parallel()
	k, other := newKey(t), newKey(t)
	bound := func(w *dpop.Want) { w.Token, w.JKT = "token", k.Thumbprint() }
	right := sign(t, k, dpop.Request{Token: "token"})
	good(t, right, want(bound))
	for _, c := range []struct {
		name  string
		proof string
		want  error
	}{
		{"DPOP-001 another key", sign(t, other, dpop.Request{Token: "token"}), dpop.ErrKey},
		{"another method", sign(t, k, dpop.Request{Method: "POST", Token: "token"}), dpop.ErrMethod},
		{"the method in lower case", sign(t, k, dpop.Request{Method: "get", Token: "token"}), dpop.ErrMethod},
		{"another path", sign(t, k, dpop.Request{URL: here + "/1", Token: "token"}), dpop.ErrURL},
		{"another token", sign(t, k, dpop.Request{Token: "tokem"}), dpop.ErrToken},
		{"no token", sign(t, k, dpop.Request{}), dpop.ErrToken},
		{"too old", sign(t, k, dpop.Request{Token: "token", Now: now.Add(-dpop.DefaultWindow - dpop.DefaultSkew - time.Second)}), dpop.ErrTime},
		{"from the future", sign(t, k, dpop.Request{Token: "token", Now: now.Add(dpop.DefaultSkew + 2*time.Second)}), dpop.ErrTime},
	} {
		_, err := dpop.Check(c.proof, want(bound))
		if !errors.Is(err, c.want) || !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	for _, apart := range []time.Duration{-10 * time.Second, 10 * time.Second} { // CONTROL-003
		good(t, sign(t, k, dpop.Request{Token: "token", Now: now.Add(apart)}), want(bound))
	}
	good(t, right, want(bound))
}

// DPOP-006.
func TestAddressesAreComparedAsRFC3986SaysAndNoFurther(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, alike := range []string{
		"https://api.example/orders?q=1", "https://api.example/orders#top", "HTTPS://API.EXAMPLE/orders", "https://api.example:443/orders",
		"https://api.example/%6Frders", "https://api.example/o%72ders",
	} {
		body, err := json.Marshal(map[string]any{"jti": "1", "htm": "GET", "htu": alike, "iat": now.Unix()})
		if err != nil {
			t.Fatal(err)
		}
		good(t, raw(t, k, "", string(body)), want())
	}
	for _, other := range []string{
		"http://api.example/orders", "https://api.example:8443/orders", "https://api.example/Orders", "https://api.example/orders/", "https://api.example//orders",
		"https://api.example/x/../orders", "https://api.example/./orders", "https://api.example/%2e/orders", "https://api.example/%2Forders", "https://api.example/orders%2F",
		"https://api.example.evil.test/orders", "https://user@api.example/orders", "//api.example/orders", "/orders", "orders", "", "https://api.example/orders%zz",
	} {
		text := other
		if text == "" {
			text = " "
		}
		if _, err := dpop.Check(sign(t, k, dpop.Request{URL: text}), want()); !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%q is taken for %s: %v", other, here, err)
		}
	}
	slash := want(func(w *dpop.Want) { w.URL = "https://api.example" })
	good(t, sign(t, k, dpop.Request{URL: "https://api.example/"}), slash)
}

// raw signs whatever header and claims.
func raw(t *testing.T, k *jose.Key, header, body string) string {
	t.Helper()
	// A header that is put there makes the signature wrong: it must be refused before
	// that is looked at.
	private, err := k.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.ParseKeyFor(jose.ES256, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.SignProof(signer, dpop.Type, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if header == "" {
		return text
	}
	_, rest, _ := strings.Cut(text, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

func TestHostileProofs(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	body := func(edit func(map[string]any)) string {
		c := map[string]any{"jti": "1", "htm": "GET", "htu": here, "iat": now.Unix()}
		edit(c)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	private, err := k.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	right := body(func(map[string]any) {})
	good(t, raw(t, k, "", right), want())
	for name, proof := range map[string]string{
		"empty": "", "dots": "..", "not a JWT": "proof", "a long one": strings.Repeat("a", 9000),
		"another typ":              raw(t, k, `{"alg":"ES256","typ":"JWT","jwk":{}}`, right),
		"no typ":                   raw(t, k, `{"alg":"ES256","jwk":{}}`, right),
		"no key":                   raw(t, k, `{"alg":"ES256","typ":"dpop+jwt"}`, right),
		"a private key":            raw(t, k, `{"alg":"ES256","typ":"dpop+jwt","jwk":`+string(private)+`}`, right),
		"a symmetric key":          raw(t, k, `{"alg":"HS256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}`, right),
		"no algorithm":             raw(t, k, `{"alg":"none","typ":"dpop+jwt","jwk":{}}`, right),
		"a key that is no key":     raw(t, k, `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, right),
		"two keys":                 raw(t, k, `{"alg":"ES256","typ":"dpop+jwt","jwk":{},"jwk":{}}`, right),
		"crit":                     raw(t, k, `{"alg":"ES256","typ":"dpop+jwt","crit":["x"],"jwk":{}}`, right),
		"without jti":              raw(t, k, "", body(func(c map[string]any) { delete(c, "jti") })),
		"an empty jti":             raw(t, k, "", body(func(c map[string]any) { c["jti"] = "" })),
		"DPOP-005 a long jti":      raw(t, k, "", body(func(c map[string]any) { c["jti"] = strings.Repeat("j", 257) })),
		"DPOP-005 a jti of 64 KiB": raw(t, k, "", body(func(c map[string]any) { c["jti"] = strings.Repeat("j", 64<<10) })),
		"a null nonce":             raw(t, k, "", body(func(c map[string]any) { c["nonce"] = nil })),
		"a null ath":               raw(t, k, "", body(func(c map[string]any) { c["ath"] = nil })),
		"iat twice":                raw(t, k, "", strings.Replace(right, `"iat":`, `"iat":1,"iat":`, 1)),
		"a jti that is no text":    raw(t, k, "", body(func(c map[string]any) { c["jti"] = 1 })),
		"without iat":              raw(t, k, "", body(func(c map[string]any) { delete(c, "iat") })),
		"iat as text":              raw(t, k, "", body(func(c map[string]any) { c["iat"] = "now" })),
		"iat far away":             raw(t, k, "", body(func(c map[string]any) { c["iat"] = 1e300 })),
		"without htm":              raw(t, k, "", body(func(c map[string]any) { delete(c, "htm") })),
		"without htu":              raw(t, k, "", body(func(c map[string]any) { delete(c, "htu") })),
		"htm as a list":            raw(t, k, "", body(func(c map[string]any) { c["htm"] = []string{"GET"} })),
		"jti twice":                raw(t, k, "", strings.Replace(right, `"jti":"1"`, `"jti":"1","jti":"2"`, 1)),
		"not an object":            raw(t, k, "", `["x"]`),
		"a changed signature":      raw(t, k, "", right)[:len(raw(t, k, "", right))-2] + "AA",
		"one more byte":            raw(t, k, "", right) + "A",
		"an access token's header": raw(t, k, `{"alg":"ES256","typ":"at+jwt"}`, right),
	} {
		if _, err := dpop.Check(proof, want()); !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%s: %v", name, err)
		} else if errors.Is(err, dpop.ErrSignature) != (name == "a changed signature" || name == "one more byte") {
			t.Errorf("%s is refused for %v", name, err) // the headers that were put there have no right signature anyway
		}
	}
	good(t, raw(t, k, "", right), want())
	only := want(func(w *dpop.Want) { w.Algorithms = []jose.Algorithm{jose.EdDSA} })
	if _, err := dpop.Check(raw(t, k, "", right), only); !errors.Is(err, dpop.ErrAlgorithm) {
		t.Errorf("an algorithm that is not taken: %v", err)
	}
}

// DPOP-004: of any number of copies one is the first.
func TestSeenTakesOneOfManyCopies(t *testing.T) {
	t.Parallel()
	seen := &dpop.Seen{Now: func() time.Time { return now }}
	p := dpop.Proof{JKT: "key", ID: "1"}
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if ok, _ := seen.First(t.Context(), p, now.Add(time.Minute)); ok {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d copies of one proof were the first", firsts.Load())
	}
	// DPOP-005: the same id by another key is another proof.
	if ok, _ := seen.First(t.Context(), dpop.Proof{JKT: "other", ID: "1"}, now.Add(time.Minute)); !ok {
		t.Error("another key's proof counts as a copy")
	}
}

func TestSeenIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	clock := now
	seen := &dpop.Seen{Most: 8, Now: func() time.Time { return clock }}
	first := func(key, id string) bool {
		t.Helper()
		ok, err := seen.First(t.Context(), dpop.Proof{JKT: key, ID: id}, clock.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	// DPOP-005: one key has a quarter of the room, and its flood refuses nobody else.
	if !first("flood", "1") || !first("flood", "2") || first("flood", "3") || !first("honest", "3") {
		t.Fatal("two of one key fit, and a third does not")
	}
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		if !first(key, "1") {
			t.Fatalf("there is no room for %s", key)
		}
	}
	if first("f", "1") {
		t.Error("a ninth fits where there is room for eight")
	}
	if first("flood", "1") || first("honest", "3") {
		t.Error("a flood made it forget")
	}
	clock = clock.Add(2 * time.Minute)
	for _, id := range []string{"3", "4"} {
		if !first("flood", id) || first("flood", id) {
			t.Error("what can be shown no more still takes room")
		}
	}
}

// DPOP-004: a process that starts anew cannot know what the one before it has seen.
func TestSeenRefusesWhatWasMadeBeforeItsTime(t *testing.T) {
	t.Parallel()
	started := now.Add(700 * time.Millisecond)
	seen := &dpop.Seen{Since: started, Now: func() time.Time { return started }}
	for _, c := range []struct {
		made time.Time
		want bool
	}{{now, true}, {now.Add(-time.Second), false}, {now.Add(-time.Minute), false}, {now.Add(time.Second), true}} {
		ok, err := seen.First(t.Context(), dpop.Proof{JKT: "key", ID: c.made.String(), IssuedAt: c.made}, started.Add(time.Minute))
		if err != nil || ok != c.want {
			t.Errorf("made %s from its start: %v, %v", c.made.Sub(started), ok, err)
		}
	}
}

// DPOP-005: what separates a key and an id in memory must not be found in an id.
func TestSeenTellsKeysAndIdsApart(t *testing.T) {
	t.Parallel()
	seen := &dpop.Seen{Now: func() time.Time { return now }}
	for _, p := range []dpop.Proof{{JKT: "a", ID: "b"}, {JKT: "b", ID: "a"}, {JKT: "a", ID: "b\x00"}, {JKT: "a", ID: "\x00b"}, {JKT: "a", ID: "b\x01a"}, {JKT: "a", ID: "b:a"}} {
		for _, want := range []bool{true, false} {
			if ok, _ := seen.First(t.Context(), p, now.Add(time.Minute)); ok != want {
				t.Errorf("%q of %q: %v, want %v", p.ID, p.JKT, ok, want)
			}
		}
	}
}

// The proof of a request: query and fragment are nobody else's business.
func TestSignLeavesQueryAndFragmentOut(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, address := range []string{here, here + "?code=secret", here + "#top", here + "?a=1#b"} {
		proof := sign(t, k, dpop.Request{URL: address})
		good(t, proof, want())
		body, err := base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[1])
		if err != nil || !strings.Contains(string(body), `"htu":"`+here+`"`) {
			t.Errorf("%s: %s, %v", address, body, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	k := newKey(f)
	f.Add(rfcProof)
	f.Add(sign(f, k, dpop.Request{}))
	f.Add("..")
	f.Fuzz(func(t *testing.T, proof string) {
		p, err := dpop.Check(proof, want())
		if err == nil && (p.JKT == "" || p.ID == "") {
			t.Errorf("%q is taken without a key or an id", proof)
		}
		if err != nil && !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%q: %v", proof, err)
		}
	})
}
