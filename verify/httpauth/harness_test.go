package httpauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const (
	goodSubject  = "user-of-the-matching-success"
	invalidToken = `Bearer realm="wafer", error="invalid_token"`
	kid          = "key-1"
)

type object map[string]any

// with gives a copy with one member changed.
func (o object) with(name string, value any) object {
	o = maps.Clone(o)
	o[name] = value
	return o
}

func (o object) without(name string) object {
	o = maps.Clone(o)
	delete(o, name)
	return o
}

// signer is a raw key: attacks need headers that package jose refuses to write.
type signer struct {
	alg      string
	material any
}

func newSigner(tb testing.TB, alg jose.Algorithm) signer {
	tb.Helper()
	s := signer{alg: string(alg)}
	var err error
	switch alg {
	case jose.HS256:
		s.material = []byte(rand.Text() + rand.Text())
	case jose.RS256:
		s.material, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		s.material, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, s.material, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s signer) key(tb testing.TB) *jose.Key {
	tb.Helper()
	k, err := jose.NewKey(jose.Algorithm(s.alg), kid, s.material)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// sign signs exactly these bytes.
func (s signer) sign(tb testing.TB, signed string) []byte {
	tb.Helper()
	sum := sha256.Sum256([]byte(signed))
	var out []byte
	var err error
	switch k := s.material.(type) {
	case []byte:
		return mac(k, signed)
	case *rsa.PrivateKey:
		out, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, v, signErr := ecdsa.Sign(rand.Reader, k, sum[:])
		if err = signErr; err == nil {
			out = make([]byte, 64)
			r.FillBytes(out[:32])
			v.FillBytes(out[32:])
		}
	case ed25519.PrivateKey:
		out = ed25519.Sign(k, []byte(signed))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func mac(secret []byte, signed string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return m.Sum(nil)
}

func segment[T string | []byte](b T) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }

// text gives JSON of anything but a string, which is JSON already.
func text(tb testing.TB, v any) string {
	tb.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// token signs any header and payload: objects, or strings taken as they are.
func (s signer) token(tb testing.TB, header, payload any) string {
	tb.Helper()
	signed := segment(text(tb, header)) + "." + segment(text(tb, payload))
	return signed + "." + segment(s.sign(tb, signed))
}

// rig is an API behind the middleware, with the key its tokens are signed by.
type rig struct {
	tb      testing.TB
	signer  signer
	issuer  *verifytest.Issuer
	clock   *clock
	log     *strings.Builder
	handler http.Handler
	ran     int
	last    *verify.Identity
}

// clock is read by the key set's own goroutine too.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// newRig makes the API of the cases: one scope, one algorithm, JWTs checked here.
func newRig(tb testing.TB, alg jose.Algorithm, changes ...func(*verify.Config)) *rig {
	tb.Helper()
	g := &rig{tb: tb, signer: newSigner(tb, alg), clock: &clock{t: time.Now().Truncate(time.Second)}, log: &strings.Builder{}}
	g.issuer = verifytest.NewIssuer(tb, verifytest.WithKey(g.signer.key(tb)), verifytest.WithClock(g.clock.now))
	c := g.issuer.Config()
	c.Stale, c.Server = verify.Open, nil
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, change := range changes {
		change(&c)
	}
	v, err := verify.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	auth := httpauth.New(v, httpauth.Options{Logger: slog.New(slog.NewTextHandler(g.log, nil))})
	g.handler = auth.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.ran++
		g.last, _ = httpauth.From(r.Context())
		w.WriteHeader(http.StatusOK)
	}))
	return g
}

func (g *rig) header() object { return object{"alg": g.signer.alg, "typ": "at+jwt", "kid": kid} }

func (g *rig) claims() object {
	now := g.clock.now().Unix()
	return object{
		"iss": g.issuer.URL(), "aud": verifytest.API, "sub": goodSubject, "client_id": "shop",
		"jti": rand.Text(), "sid": rand.Text(), "scope": "orders:read", "iat": now, "exp": now + 300, "rsn": 7,
	}
}

func (g *rig) sign(header, payload any) string { return g.signer.token(g.tb, header, payload) }

// forged gives the claims an attacker would want, under this header and signature.
func (g *rig) forged(header any, signature []byte) string {
	return segment(text(g.tb, header)) + "." + segment(text(g.tb, g.claims().with("sub", "admin"))) + "." + segment(signature)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func (g *rig) do(method string, h http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(g.tb.Context(), method, "/orders", nil)
	maps.Copy(r.Header, h)
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w
}

// accepts is the matching success: 200, the handler ran once, for the right user.
func (g *rig) accepts(t *testing.T, token string) {
	t.Helper()
	before := g.ran
	g.last = nil
	w := g.do(http.MethodGet, bearer(token))
	if w.Code != http.StatusOK || g.ran != before+1 {
		t.Fatalf("good token: got status %d, handler ran %d times, want 200 and once; log: %s", w.Code, g.ran-before, g.log)
	}
	if g.last == nil || g.last.Subject != goodSubject {
		t.Fatalf("good token: got identity %+v, want subject %q", g.last, goodSubject)
	}
}

func (g *rig) acceptsGood(t *testing.T) {
	t.Helper()
	g.accepts(t, g.sign(g.header(), g.claims()))
}

// refuses sends the token and wants the bland 401: the whole answer is compared,
// so that nothing of the token can be in it.
func (g *rig) refuses(t *testing.T, token string) {
	t.Helper()
	g.refusesAs(t, token, want{http.StatusUnauthorized, invalidToken, "invalid_token"})
}

type want struct {
	status    int
	challenge string
	code      string
}

func (g *rig) refusesAs(t *testing.T, token string, want want) {
	t.Helper()
	g.refusesRequest(t, bearer(token), want)
	if len(token) > 40 && strings.Contains(g.log.String(), token) {
		t.Error("the token stands in the log")
	}
}

func (g *rig) refusesRequest(t *testing.T, h http.Header, want want) {
	t.Helper()
	before := g.ran
	w := g.do(http.MethodGet, h)
	g.checkRefusal(t, w, want)
	if g.ran != before {
		t.Error("the handler ran")
	}
}

func (g *rig) checkRefusal(t *testing.T, w *httptest.ResponseRecorder, want want) {
	t.Helper()
	if w.Code != want.status {
		t.Errorf("got status %d, want %d; log: %s", w.Code, want.status, lastLine(g.log.String()))
	}
	if got := w.Header().Get("WWW-Authenticate"); got != want.challenge {
		t.Errorf("got WWW-Authenticate %q, want %q", got, want.challenge)
	}
	if got, want := w.Body.String(), `{"error":"`+want.code+"\"}\n"; got != want {
		t.Errorf("got body %q, want %q", got, want)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
	allowed := []string{"Www-Authenticate", "Cache-Control", "Content-Type", "X-Content-Type-Options", "Retry-After"}
	for name := range w.Header() {
		if !strings.Contains(strings.Join(allowed, " "), name) {
			t.Errorf("answer has header %s", name)
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// reason wants this code in the last log line.
func (g *rig) reason(t *testing.T, code string) {
	t.Helper()
	if line := lastLine(g.log.String()); !strings.Contains(line, "reason="+code+" ") {
		t.Errorf("got log line %q, want reason %s", line, code)
	}
}

// attack runs each variant between two matching successes.
func (g *rig) attack(t *testing.T, variants map[string]string) {
	t.Helper()
	g.acceptsGood(t)
	for name, token := range variants {
		t.Run(name, func(t *testing.T) {
			g.acceptsGood(t)
			g.refuses(t, token)
			g.acceptsGood(t)
		})
	}
}
