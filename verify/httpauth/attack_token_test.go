package httpauth_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// JWT-024
func TestAttackDuplicateClaims(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	add := func(members string) string {
		return g.sign(g.header(), strings.TrimSuffix(text(t, g.claims()), "}")+","+members+"}")
	}
	g.attack(t, map[string]string{
		"sub":         add(`"sub":"admin"`),
		"exp":         add(`"exp":1`),
		"aud":         add(`"aud":"https://other.test"`),
		"escaped sub": add(`"\u0073ub":"admin"`),
		"deep":        add(`"x":{"y":[{"a":1,"a":2}]}`),
	})
	// Another spelling of the name is another claim, and none that we read.
	g.accepts(t, add(`"SUB":"admin","ſub":"admin"`))
}

// JWT-030
func TestAttackJSONSerialisation(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	p := strings.Split(g.sign(g.header(), g.claims()), ".")
	one := object{"protected": p[0], "signature": p[2]}
	g.attack(t, map[string]string{
		"flattened":         text(t, object{"payload": p[1], "protected": p[0], "signature": p[2]}),
		"general":           text(t, object{"payload": p[1], "signatures": []object{one}}),
		"one good, one not": text(t, object{"payload": p[1], "signatures": []object{one, {"protected": p[0], "signature": "AA"}}}),
	})
}

// JWT-031
func TestAttackEncryptedUnsignedToken(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.NewDecryptionKey(jose.ECDHES, "enc-1", private)
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, jose.EdDSA, func(c *verify.Config) { c.Decrypt = []*jose.DecryptionKey{key} })
	encrypt := func(inner string) string {
		t.Helper()
		outer, err := jose.Encrypt(key.Recipient(), jose.Header{}, inner)
		if err != nil {
			t.Fatal(err)
		}
		return outer
	}
	signed := g.sign(g.header(), g.claims())
	mallory := newSigner(t, jose.EdDSA)
	other, err := jose.GenerateDecryptionKey(jose.ECDHES, "enc-1")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := jose.Encrypt(other.Recipient(), jose.Header{}, signed)
	if err != nil {
		t.Fatal(err)
	}
	g.accepts(t, encrypt(signed))
	for name, token := range map[string]string{
		"signed by the sender":   encrypt(mallory.token(t, g.header(), g.claims())),
		"signed only":            signed,
		"for another recipient":  elsewhere,
		"bit flipped in the tag": flip(encrypt(signed)),
		"typ of an ID token":     encrypt(g.sign(g.header().with("typ", "JWT"), g.claims())),
	} {
		t.Run(name, func(t *testing.T) {
			g.accepts(t, encrypt(signed))
			g.refuses(t, token)
			g.accepts(t, encrypt(signed))
		})
	}
	g.refuses(t, signed)
	g.reason(t, "encryption_mismatch")
	g.accepts(t, encrypt(signed))
	plain := newRig(t, jose.EdDSA)
	plain.attack(t, map[string]string{"encrypted where signed is expected": encrypt(plain.sign(plain.header(), plain.claims()))})
	plain.reason(t, "encryption_mismatch")
}

func flip(token string) string {
	b := []byte(token)
	if at := len(b) - 8; b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

// JWT-032, JWT-033, JWT-034
func TestAttackEncryptionBombs(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateDecryptionKey(jose.ECDHES, "enc-1")
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := jose.GenerateDecryptionKey(jose.RSAOAEP256, "enc-2")
	if err != nil {
		t.Fatal(err)
	}
	jwe := func(header object, wrapped string) string {
		return segment(text(t, header)) + "." + segment(wrapped) + "." + segment("123456789012") + "." + segment("ciphertext") + "." + segment("1234567890123456")
	}
	ecdhes := object{"alg": "ECDH-ES", "enc": "A256GCM", "kid": "enc-1"}
	bombs := map[string]string{
		"p2c":              jwe(object{"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2147483647, "p2s": "AAAA"}, "x"),
		"zip":              jwe(ecdhes.with("zip", "DEF").with("epk", object{}), ""),
		"empty key":        jwe(object{"alg": "A128KW", "enc": "A256GCM"}, ""),
		"short key":        jwe(object{"alg": "RSA-OAEP-256", "enc": "A256GCM"}, "x"),
		"no epk":           jwe(ecdhes, ""),
		"null epk":         jwe(ecdhes.with("epk", nil), ""),
		"epk without y":    jwe(ecdhes.with("epk", object{"kty": "EC", "crv": "P-256", "x": "AAAA"}), ""),
		"epk off curve":    jwe(ecdhes.with("epk", object{"kty": "EC", "crv": "P-256", "x": segment(strings.Repeat("\x01", 32)), "y": segment(strings.Repeat("\x01", 32))}), ""),
		"dir":              jwe(object{"alg": "dir", "enc": "A256GCM"}, ""),
		"RSA1_5":           jwe(object{"alg": "RSA1_5", "enc": "A256GCM"}, strings.Repeat("x", 256)),
		"CBC":              jwe(ecdhes.with("enc", "A128CBC-HS256"), ""),
		"five empty parts": "....",
	}
	decrypting := newRig(t, jose.EdDSA, func(c *verify.Config) { c.Decrypt = []*jose.DecryptionKey{key, rsaKey} })
	plain := newRig(t, jose.EdDSA)
	good := func() string {
		t.Helper()
		outer, err := jose.Encrypt(rsaKey.Recipient(), jose.Header{}, decrypting.sign(decrypting.header(), decrypting.claims()))
		if err != nil {
			t.Fatal(err)
		}
		return outer
	}
	plain.attack(t, bombs)
	for name, token := range bombs {
		decrypting.accepts(t, good())
		start := time.Now()
		decrypting.refuses(t, token)
		if took := time.Since(start); took > 50*time.Millisecond {
			t.Errorf("%s: took %s, want under 50 ms", name, took)
		}
		decrypting.accepts(t, good())
	}
}

// JWT-035, JWT-036
func TestAttackSegmentCount(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	good := g.sign(g.header(), g.claims())
	p := strings.Split(good, ".")
	g.attack(t, map[string]string{
		"one": p[0], "two": p[0] + "." + p[1], "four": good + ".AA", "six": good + ".AA.AA.AA", "trailing dot": good + ".", "leading dot": "." + good,
		"no header": "." + p[1] + "." + p[2], "no payload": p[0] + ".." + p[2], "no signature": p[0] + "." + p[1] + ".",
		"two dots": "..", "dots only": strings.Repeat(".", 8000), "dots inside": p[0] + strings.Repeat(".", 7000) + p[1],
	})
}

// JWT-037, JWT-038
func TestAttackNonCanonicalBase64(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	good := g.sign(g.header(), g.claims())
	p := strings.Split(good, ".")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// 256 bytes of signature leave four unused bits in the last character.
	last := strings.IndexByte(letters, good[len(good)-1])
	variants := map[string]string{
		"padding": good + "==", "one pad": p[0] + "." + p[1] + "=." + p[2],
		"trailing bits":      good[:len(good)-1] + string(letters[last|1]),
		"newline inside":     p[0] + "." + p[1][:8] + "\n" + p[1][8:] + "." + p[2],
		"carriage return":    p[0] + "." + p[1] + "\r." + p[2],
		"space inside":       p[0] + "." + p[1] + " ." + p[2],
		"space behind":       good + " ",
		"tab behind":         good + "\t",
		"NUL behind":         good + "\x00",
		"standard alphabet":  p[0] + "." + p[1] + "." + "+/" + p[2][2:],
		"percent":            strings.Replace(good, ".", "%2E", 1),
		"quoted":             `"` + good + `"`,
		"comma joined":       good + ", Bearer " + good,
		"token twice":        good + " " + good,
		"truncated":          good[:len(good)-4],
		"signature appended": good + "AAAA",
	}
	if variants["trailing bits"] == good {
		t.Fatal("the variant is the original")
	}
	g.attack(t, variants)
}

// JWT-039
func TestAttackOversizedToken(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	pad := func(size int) string {
		claims := g.claims()
		token := g.sign(g.header(), claims.with("pad", ""))
		return g.sign(g.header(), claims.with("pad", strings.Repeat("x", (size-len(token))*3/4-8)))
	}
	fits := pad(8 << 10)
	if len(fits) > 8<<10 || len(fits) < 8<<10-32 {
		t.Fatalf("the control is %d bytes", len(fits))
	}
	for _, size := range []int{8<<10 + 64, 64 << 10, 1 << 20, 16 << 20} {
		g.accepts(t, fits)
		token := pad(size)
		g.refuses(t, token)
		g.reason(t, "token_too_large")
		g.accepts(t, fits)
	}
}

// JWT-040
func TestAttackDeepNesting(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA, func(c *verify.Config) { c.MaxTokenBytes = 1 << 20 })
	deep := func(in object, n int) string {
		return strings.TrimSuffix(text(t, in), "}") + `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	start := time.Now()
	g.attack(t, map[string]string{
		"claim":  g.sign(g.header(), deep(g.claims(), 100_000)),
		"header": g.sign(deep(g.header(), 500), g.claims()),
		"open":   g.sign(g.header(), strings.Repeat(`{"a":`, 50_000)),
	})
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %s", took)
	}
	g.accepts(t, g.sign(deep(g.header(), 8), deep(g.claims(), 8)))
}

// JWT-041 class: what is no strict JSON must not be read by guessing.
func TestAttackLooseJSON(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	claims := text(t, g.claims())
	g.attack(t, map[string]string{
		"garbage behind":  g.sign(g.header(), claims+"x"),
		"two objects":     g.sign(g.header(), claims+claims),
		"array":           g.sign(g.header(), "["+claims+"]"),
		"string":          g.sign(g.header(), `"claims"`),
		"null":            g.sign(g.header(), "null"),
		"trailing comma":  g.sign(g.header(), strings.TrimSuffix(claims, "}")+",}"),
		"comment":         g.sign(g.header(), claims+"/**/"),
		"BOM":             g.sign(g.header(), "\ufeff"+claims),
		"invalid UTF-8":   g.sign(g.header(), strings.Replace(claims, goodSubject, "a\xff", 1)),
		"lone surrogate":  g.sign(g.header(), strings.Replace(claims, goodSubject, `\ud800`, 1)),
		"nested JWT":      g.sign(g.header(), g.sign(g.header(), g.claims())),
		"garbage, header": g.sign(text(t, g.header())+"x", g.claims()),
	})
}

// JWT-058: nothing is remembered by a part of a token.
func TestAttackForgedTwinOfAVerifiedToken(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	claims := g.claims()
	good := g.sign(g.header(), claims)
	p := strings.Split(good, ".")
	g.accepts(t, good)
	twin := p[0] + "." + segment(text(t, claims.with("sub", "admin"))) + "." + p[2]
	g.refuses(t, twin)
	g.refuses(t, flip(good))
	g.accepts(t, good)
	g.clock.set(g.clock.t.Add(time.Hour))
	g.refuses(t, good)
	g.reason(t, "token_expired")
	g.acceptsGood(t)
}

func TestTokenOutsideTheHeaderIsIgnored(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	good := g.issuer.Token(verifytest.Subject(goodSubject), verifytest.Scope("orders:read"))
	g.accepts(t, good)
	none := want{http.StatusUnauthorized, `Bearer realm="wafer", scope="orders:read"`, "credential_required"}
	for _, h := range []http.Header{
		{}, {"X-Access-Token": {good}}, {"Proxy-Authorization": {"Bearer " + good}}, {"Cookie": {"access_token=" + good}},
	} {
		g.refusesRequest(t, h, none)
	}
	g.accepts(t, good)
}
