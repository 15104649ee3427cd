package httpauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// JWT-001
func TestAttackAlgNone(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	variants := map[string]string{}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", " none"} {
		variants["empty signature "+alg] = g.forged(g.header().with("alg", alg), nil)
		variants["some signature "+alg] = g.forged(g.header().with("alg", alg), []byte("x"))
	}
	g.attack(t, variants)
}

// JWT-002
func TestAttackAlgNoneKeepingTheSignature(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	good := g.sign(g.header(), g.claims())
	old := good[strings.LastIndexByte(good, '.')+1:]
	unsigned := g.forged(g.header().with("alg", "none"), nil)
	edited := g.forged(g.header(), nil)
	g.attack(t, map[string]string{
		"none":             unsigned + old,
		"payload replaced": edited + old,
	})
}

// JWT-003
func TestAttackRSAPublicKeyAsHMACSecret(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256, func(c *verify.Config) {
		// The worst case: the API does accept HS256, from another key.
		c.Algorithms = append(c.Algorithms, jose.HS256)
	})
	public := &g.signer.material.(*rsa.PrivateKey).PublicKey
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	pkcs1 := x509.MarshalPKCS1PublicKey(public)
	jwk, err := json.Marshal(g.signer.key(t))
	if err != nil {
		t.Fatal(err)
	}
	g.confuse(t, map[string][]byte{
		"PEM": text, "PEM without last newline": []byte(strings.TrimSpace(string(text))), "PEM after a space": []byte(" " + string(text)),
		"PKCS1 PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"SPKI DER":  spki, "PKCS1 DER": pkcs1, "JWK": jwk, "modulus": public.N.Bytes(),
	})
}

// JWT-004
func TestAttackCurveKeyAsHMACSecret(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.ES256, func(c *verify.Config) { c.Algorithms = append(c.Algorithms, jose.HS256) })
	point, err := g.signer.material.(*ecdsa.PrivateKey).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	g.confuse(t, map[string][]byte{
		"uncompressed": point, "X and Y": point[1:], "compressed": append([]byte{2 + point[64]&1}, point[1:33]...),
	})
	g = newRig(t, jose.EdDSA, func(c *verify.Config) { c.Algorithms = append(c.Algorithms, jose.HS256) })
	g.confuse(t, map[string][]byte{"Ed25519": g.signer.material.(ed25519.PrivateKey).Public().(ed25519.PublicKey)})
}

func (g *rig) confuse(t *testing.T, secrets map[string][]byte) {
	t.Helper()
	variants := map[string]string{}
	for name, secret := range secrets {
		s := signer{alg: "HS256", material: secret}
		variants[name] = s.token(t, g.header().with("alg", "HS256"), g.claims())
		variants[name+" without kid"] = s.token(t, g.header().with("alg", "HS256").without("kid"), g.claims())
	}
	g.attack(t, variants)
}

// JWT-005
func TestAttackJWKWithoutAlgLetsTheHeaderChoose(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	jwk, err := json.Marshal(g.signer.key(t))
	if err != nil {
		t.Fatal(err)
	}
	bare := object{}
	if err := json.Unmarshal(jwk, &bare); err != nil {
		t.Fatal(err)
	}
	serve := func(key object) *rig {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(object{"keys": []object{key}})
		}))
		t.Cleanup(web.Close)
		keys, err := jwks.New(web.URL, jwks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		other := newRig(t, jose.RS256, func(c *verify.Config) {
			c.Keys, c.Issuer = keys, g.issuer.URL()
			c.Algorithms = []jose.Algorithm{jose.RS256, jose.PS256}
		})
		other.signer, other.issuer = g.signer, g.issuer
		return other
	}
	serve(bare).acceptsGood(t)
	without := serve(bare.without("alg"))
	without.refuses(t, g.sign(g.header(), g.claims()))
	without.reason(t, "key_unknown")
	serve(bare).acceptsGood(t)
}

// JWT-007
func TestAttackAlgMissingOrMisspelt(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	g.attack(t, map[string]string{
		"absent":     g.sign(g.header().without("alg"), g.claims()),
		"null":       g.sign(g.header().with("alg", nil), g.claims()),
		"number":     g.sign(g.header().with("alg", 5), g.claims()),
		"array":      g.sign(g.header().with("alg", []string{"RS256"}), g.claims()),
		"object":     g.sign(g.header().with("alg", object{}), g.claims()),
		"lower case": g.sign(g.header().with("alg", "rs256"), g.claims()),
		"space":      g.sign(g.header().with("alg", "RS256 "), g.claims()),
		"not listed": g.sign(g.header().with("alg", "RS384"), g.claims()),
		"twice":      g.sign(`{"alg":"RS256","alg":"RS256","typ":"at+jwt","kid":"key-1"}`, g.claims()),
	})
}

// JWT-008
func TestAttackEmptyHMACKey(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.HS256)
	empty := signer{alg: "HS256", material: []byte{}}
	zeros := signer{alg: "HS256", material: make([]byte, 32)}
	g.attack(t, map[string]string{
		"empty key, unknown kid": empty.token(t, g.header().with("kid", "nobody"), g.claims()),
		"empty key, known kid":   empty.token(t, g.header(), g.claims()),
		"empty key, no kid":      empty.token(t, g.header().without("kid"), g.claims()),
		"zero key":               zeros.token(t, g.header(), g.claims()),
	})
}

// JWT-010
func TestAttackKeyBroughtAlongInTheHeader(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	own := newSigner(t, jose.RS256)
	jwk, err := json.Marshal(own.key(t))
	if err != nil {
		t.Fatal(err)
	}
	fetched := false
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched = true
		_ = json.NewEncoder(w).Encode(object{"keys": []json.RawMessage{jwk}})
	}))
	t.Cleanup(evil.Close)
	g.attack(t, map[string]string{
		"jwk":             own.token(t, g.header().with("jwk", json.RawMessage(jwk)), g.claims()),
		"jwk without kid": own.token(t, g.header().without("kid").with("jwk", json.RawMessage(jwk)), g.claims()),
		"jku":             own.token(t, g.header().with("jku", evil.URL), g.claims()),
		"x5u":             own.token(t, g.header().with("x5u", evil.URL), g.claims()),
		"x5c":             own.token(t, g.header().with("x5c", []string{"MIIB"}), g.claims()),
		"kid is a URL":    own.token(t, g.header().with("kid", evil.URL), g.claims()),
	})
	if fetched {
		t.Error("the attacker's key set was fetched")
	}
}

// JWT-013, JWT-014
func TestAttackKeyID(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256} {
		g := newRig(t, alg)
		empty := signer{alg: "HS256", material: []byte{}}
		variants := map[string]string{}
		for _, id := range []any{
			"../../../../dev/null", "/proc/self/environ", `..\..\keys`, "x' UNION SELECT 'AAAA'--", "$(id)",
			"key-1\r\nX: 1", "key-1\x00", "KEY-1", "key-1 ", 1, []string{kid}, object{"kid": kid}, nil, strings.Repeat("k", 6<<10),
		} {
			name := string(alg) + " " + text(t, object{"kid": id})
			name = name[:min(len(name), 40)]
			variants[name+" empty key"] = empty.token(t, g.header().with("alg", "HS256").with("kid", id), g.claims())
			variants[name] = g.sign(g.header().with("kid", id), g.claims())
		}
		start := time.Now()
		g.attack(t, variants)
		if took := time.Since(start) / time.Duration(len(variants)); took > 50*time.Millisecond {
			t.Errorf("took %s each, want under 50 ms", took)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(g.log.String()), "\n") {
			if !strings.HasPrefix(line, "time=") {
				t.Errorf("a log line was split: %q", line)
			}
		}
	}
}

// JWT-016
func TestAttackRetiredKeyStillVerifies(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	old := g.sign(g.header(), g.claims())
	g.accepts(t, old)
	g.issuer.Rotate()
	fresh := g.issuer.Token(verifytest.Subject(goodSubject), verifytest.Scope("orders:read"))
	g.accepts(t, fresh)
	g.accepts(t, old)
	g.issuer.RemoveOldKeys()
	g.clock.set(g.clock.t.Add(time.Hour + time.Second)) // past any max-age
	g.refuses(t, g.sign(g.header(), g.claims()))
	g.reason(t, "key_unknown")
	g.accepts(t, g.issuer.Token(verifytest.Subject(goodSubject), verifytest.Scope("orders:read")))
}

// JWT-017
func TestAttackKeyOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	g, other := newRig(t, jose.EdDSA), newRig(t, jose.EdDSA) // both call their key key-1
	other.issuer.Rotate()
	foreign := verifytest.Set("iss", g.issuer.URL())
	g.attack(t, map[string]string{
		"same kid":         other.sign(g.header(), g.claims()),
		"its own kid":      other.issuer.Token(foreign, verifytest.Scope("orders:read")),
		"its own iss":      other.sign(other.header(), other.claims()),
		"its iss, our key": g.sign(g.header(), g.claims().with("iss", other.issuer.URL())),
	})
	other.acceptsGood(t)
}

// JWT-019, JWT-020, JWT-021
func TestAttackCriticalHeaders(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.RS256)
	crit := func(c any) string { return g.sign(g.header().with("crit", c).with("b64", true), g.claims()) }
	raw := segment(text(t, g.header().with("crit", []string{"b64"}).with("b64", false))) + "." + text(t, g.claims())
	g.attack(t, map[string]string{
		"unknown": crit([]string{"https://example/ext"}), "empty": crit([]string{}), "string": crit("exp"),
		"registered": crit([]string{"alg"}), "twice": crit([]string{"b64", "b64"}), "absent": crit([]string{"nothere"}), "null": crit(nil),
		"b64 false":            g.sign(g.header().with("crit", []string{"b64"}).with("b64", false), g.claims()),
		"b64 false, no crit":   g.sign(g.header().with("b64", false), g.claims()),
		"unencoded payload":    raw + "." + segment(g.signer.sign(t, raw)),
		"duplicate header typ": g.sign(`{"alg":"RS256","typ":"at+jwt","typ":"at+jwt","kid":"key-1"}`, g.claims()),
	})
}

// JWT-052, JWT-053
func TestAttackOtherJWTAsAccessToken(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	variants := map[string]string{}
	for _, typ := range []any{
		"JWT", "jwt", "", "logout+jwt", "client-authentication+jwt", "dpop+jwt", "token-introspection+jwt", "secevent+jwt",
		"oauth-authz-req+jwt", "txntoken+jwt", "refresh+jwt", "application/application/at+jwt", "text/at+jwt", "at+jwt ", "xat+jwt",
		5, []string{"at+jwt"}, nil,
	} {
		variants[text(t, object{"typ": typ})] = g.sign(g.header().with("typ", typ), g.claims())
	}
	variants["no typ"] = g.sign(g.header().without("typ"), g.claims())
	idToken := g.claims().with("aud", "shop").with("nonce", "n").without("client_id").without("jti")
	variants["ID token"] = g.sign(g.header().with("typ", "JWT"), idToken)
	g.attack(t, variants)
}

// JWT-060
func TestControlValidSpellingsPass(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	tokens := map[string]string{
		"aud array":           g.sign(g.header(), g.claims().with("aud", []string{"https://other.test", verifytest.API})),
		"typ with prefix":     g.sign(g.header().with("typ", "application/at+jwt"), g.claims()),
		"typ in capitals":     g.sign(g.header().with("typ", "AT+JWT"), g.claims()),
		"unknown claims":      g.sign(g.header(), g.claims().with("https://example/x", object{"deep": []any{1, nil, "ü"}})),
		"unknown headers":     g.sign(g.header().with("https://example/x", object{"deep": []any{1, nil}}), g.claims()),
		"fractional exp":      g.sign(g.header(), g.claims().with("exp", float64(g.clock.t.Unix())+60.5)),
		"exponent exp":        g.sign(g.header(), g.claims().with("exp", json.RawMessage("1.9e9")).with("iat", 1.9e9-60)),
		"kid absent":          g.sign(g.header().without("kid"), g.claims()),
		"alg by its new name": g.sign(g.header().with("alg", "Ed25519"), g.claims()),
		"escaped claim name":  g.sign(g.header(), strings.Replace(text(t, g.claims()), `"sub"`, `"\u0073ub"`, 1)),
		"escaped issuer":      g.sign(g.header(), strings.Replace(text(t, g.claims()), `"http://`, `"http:\/\/`, 1)),
		"space around":        g.sign(g.header(), " "+strings.ReplaceAll(text(t, g.claims()), ",", " ,\n ")+" "),
		"more scopes":         g.sign(g.header(), g.claims().with("scope", "a b orders:read")),
		"nbf now":             g.sign(g.header(), g.claims().with("nbf", g.clock.t.Unix())),
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			if name == "exponent exp" {
				defer func(was time.Time) { g.clock.set(was) }(g.clock.t)
				g.clock.set(time.Unix(1.9e9-30, 0))
			}
			g.accepts(t, token)
		})
	}
	good := g.sign(g.header(), g.claims())
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "bEaReR   "} {
		if w := g.do(http.MethodGet, http.Header{"Authorization": {scheme + good}}); w.Code != http.StatusOK {
			t.Errorf("scheme %q: got status %d, want 200", scheme, w.Code)
		}
	}
}
