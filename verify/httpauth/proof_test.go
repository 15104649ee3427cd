package httpauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const here = "https://orders.example"

// proofRig is a service that takes bound tokens, and a client with a key.
type proofRig struct {
	t      *testing.T
	issuer *verifytest.Issuer
	key    *jose.Key
	now    time.Time
	h      http.Handler
}

func newProofRig(t *testing.T, change ...func(*httpauth.Options)) *proofRig {
	t.Helper()
	g := &proofRig{t: t, issuer: verifytest.NewIssuer(t), key: proofKey(t), now: time.Now()}
	o := httpauth.Options{Base: here, Logger: quiet, Now: func() time.Time { return g.now }}
	for _, c := range change {
		c(&o)
	}
	g.h = httpauth.New(g.issuer.Verifier(), o).Require("orders:read")(http.HandlerFunc(welcome))
	return g
}

func proofKey(t *testing.T) *jose.Key {
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

func (g *proofRig) token(claims ...verifytest.Claim) string {
	return g.issuer.Token(append([]verifytest.Claim{verifytest.Subject("ada"), verifytest.Scope("orders:read"), verifytest.Bound(g.key)}, claims...)...)
}

func (g *proofRig) proof(token string, change ...func(*dpop.Request)) string {
	g.t.Helper()
	r := dpop.Request{Method: "GET", URL: here + "/", Token: token, Now: g.now}
	for _, c := range change {
		c(&r)
	}
	text, err := dpop.Sign(g.key, r)
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

func (g *proofRig) ask(scheme, token string, proofs ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	return send(g.t, g.h, http.MethodGet, here+"/", http.Header{"Authorization": {scheme + " " + token}, "Dpop": proofs})
}

func (g *proofRig) good(token string) {
	g.t.Helper()
	if w := g.ask("DPoP", token, g.proof(token)); w.Code != http.StatusOK {
		g.t.Fatalf("a right proof: %d %s %v", w.Code, w.Body, w.Header())
	}
}

func (g *proofRig) refused(what string, w *httptest.ResponseRecorder, code string) {
	g.t.Helper()
	challenge := w.Header().Get("WWW-Authenticate")
	if w.Code != http.StatusUnauthorized || !strings.HasPrefix(challenge, "DPoP ") || !strings.Contains(challenge, `error="`+code+`"`) || !strings.Contains(challenge, `algs="ES256 `) {
		g.t.Errorf("%s: %d %s", what, w.Code, challenge)
	}
}

// DPOP-001, DPOP-006, DPOP-008: what is bound needs its key, for this very request.
func TestBoundTokenNeedsTheProofOfItsRequest(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token, plain := g.token(), g.issuer.Token(verifytest.Subject("ada"), verifytest.Scope("orders:read"))
	other := *g
	other.key = proofKey(t)
	g.good(token)
	for what, w := range map[string]*httptest.ResponseRecorder{
		"no proof":                  g.ask("DPoP", token),
		"two proofs":                g.ask("DPoP", token, g.proof(token), g.proof(token)),
		"DPOP-001 another key":      g.ask("DPoP", token, other.proof(token)),
		"for another token":         g.ask("DPoP", token, g.proof(g.token())),
		"for no token":              g.ask("DPoP", token, g.proof("")),
		"for another method":        g.ask("DPoP", token, g.proof(token, func(r *dpop.Request) { r.Method = "POST" })),
		"DPOP-006 for another host": g.ask("DPoP", token, g.proof(token, func(r *dpop.Request) { r.URL = "https://evil.test/" })),
		"for another path":          g.ask("DPoP", token, g.proof(token, func(r *dpop.Request) { r.URL = here + "/other" })),
		"old":                       g.ask("DPoP", token, g.proof(token, func(r *dpop.Request) { r.Now = g.now.Add(-time.Hour) })),
		"an access token as proof":  g.ask("DPoP", token, token),
	} {
		g.refused(what, w, "invalid_dpop_proof")
	}
	g.good(token)
	if w := g.ask("Bearer", token); w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("DPOP-008 a bound token as a bearer token: %d", w.Code)
	}
	if w := g.ask("Bearer", token, g.proof(token)); w.Code != http.StatusUnauthorized {
		t.Errorf("DPOP-008 a bound token as a bearer token with a proof: %d", w.Code)
	}
	g.refused("a bearer token as a bound one", g.ask("DPoP", plain, g.proof(plain)), "invalid_token")
	if w := g.ask("Bearer", plain); w.Code != http.StatusOK {
		t.Errorf("a bearer token: %d", w.Code)
	}
	for _, scheme := range []string{"dpop", "DPOP"} {
		if w := g.ask(scheme, token, g.proof(token)); w.Code != http.StatusOK {
			t.Errorf("%s: %d", scheme, w.Code)
		}
	}
	g.good(token)
}

// DPOP-006: the Host header does not say what a proof is for.
func TestProofForAnotherHostDoesNotCountUnderItsName(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token := g.token()
	elsewhere := g.proof(token, func(r *dpop.Request) { r.URL = "https://evil.test/" })
	w := send(t, g.h, http.MethodGet, "https://evil.test/", http.Header{
		"Authorization": {"DPoP " + token}, "Dpop": {elsewhere}, "X-Forwarded-Host": {"evil.test"},
	})
	g.refused("under the name of another host", w, "invalid_dpop_proof")
	bare := newProofRig(t, func(o *httpauth.Options) { o.Base = "" })
	token = bare.token()
	if w := bare.ask("DPoP", token, bare.proof(token)); w.Code != http.StatusUnauthorized {
		t.Errorf("a service that does not know its address takes a proof: %d", w.Code)
	}
}

// DPOP-004.
func TestProofCountsOnce(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token := g.token()
	proof := g.proof(token)
	var ok, replayed atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			switch w := g.ask("DPoP", token, proof); w.Code {
			case http.StatusOK:
				ok.Add(1)
			case http.StatusUnauthorized:
				replayed.Add(1)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 1 || replayed.Load() != 49 {
		t.Errorf("one proof was taken %d times and refused %d times", ok.Load(), replayed.Load())
	}
	g.good(token)
	g.now = g.now.Add(2 * time.Minute) // forgotten, and too old
	g.refused("after the window", g.ask("DPoP", token, proof), "invalid_dpop_proof")
	g.good(token)
}

type brokenReplays struct{}

func (brokenReplays) First(context.Context, dpop.Proof, time.Time) (bool, error) {
	return false, errors.New("down")
}

func TestProofThatCannotBeLookedUpIsNotTaken(t *testing.T) {
	t.Parallel()
	g := newProofRig(t, func(o *httpauth.Options) { o.Replays = brokenReplays{} })
	token := g.token()
	if w := g.ask("DPoP", token, g.proof(token)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d", w.Code)
	}
}

func TestNonceOfTheService(t *testing.T) {
	t.Parallel()
	g := newProofRig(t, func(o *httpauth.Options) { o.ProofNonces = []byte(strings.Repeat("k", 32)) })
	token := g.token()
	w := g.ask("DPoP", token, g.proof(token))
	g.refused("without a nonce", w, "use_dpop_nonce")
	nonce := w.Header().Get("DPoP-Nonce")
	with := func(n string) string { return g.proof(token, func(r *dpop.Request) { r.Nonce = n }) }
	if w := g.ask("DPoP", token, with(nonce)); w.Code != http.StatusOK {
		t.Errorf("with the nonce: %d %s", w.Code, w.Body)
	}
	g.refused("with one that is made up", g.ask("DPoP", token, with("made up")), "use_dpop_nonce")
	g.now = g.now.Add(5 * time.Minute)
	g.refused("with an old one", g.ask("DPoP", token, with(nonce)), "use_dpop_nonce")
}

// RFC 8705: a token that is bound to a certificate is worth nothing on a connection
// without it.
func TestTokenBoundToACertificate(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	sum := sha256.Sum256(mine.Raw)
	token := g.issuer.Token(verifytest.Scope("orders:read"), verifytest.Set("cnf", map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}))
	ask := func(c *x509.Certificate) int {
		r := httptest.NewRequest(http.MethodGet, here+"/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.TLS = &tls.ConnectionState{}
		if c != nil {
			r.TLS.PeerCertificates = []*x509.Certificate{c}
		}
		w := httptest.NewRecorder()
		g.h.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask(mine); got != http.StatusOK {
		t.Fatalf("with its certificate: %d", got)
	}
	if got := ask(other); got != http.StatusUnauthorized {
		t.Errorf("with another: %d", got)
	}
	if got := ask(nil); got != http.StatusUnauthorized {
		t.Errorf("with none: %d", got)
	}
	r := http.Header{"Authorization": {"Bearer " + token}, "X-Ssl-Client-Cert": {"mine"}, "Client-Cert": {":bWluZQ==:"}}
	if w := send(t, g.h, http.MethodGet, here+"/", r); w.Code != http.StatusUnauthorized {
		t.Errorf("CLIENT-008 a certificate that a header claims: %d", w.Code)
	}
	if got := ask(mine); got != http.StatusOK {
		t.Errorf("with its certificate again: %d", got)
	}
}

// What is not understood of cnf refuses the token, proof or not.
func TestUnknownConfirmationIsRefused(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	for name, cnf := range map[string]any{
		"another member":    map[string]any{"jkt": g.key.Thumbprint(), "jku": "https://evil.test"},
		"empty":             map[string]any{},
		"an empty jkt":      map[string]any{"jkt": ""},
		"no object":         "x",
		"a jkt of a number": map[string]any{"jkt": 1},
	} {
		token := g.token(verifytest.Set("cnf", cnf))
		if w := g.ask("DPoP", token, g.proof(token)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	g.good(g.token())
}

func TestOpaqueBoundTokenNeedsItsProofToo(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token := g.issuer.Opaque(verifytest.Subject("ada"), verifytest.Scope("orders:read"), verifytest.Bound(g.key))
	g.good(token)
	g.refused("without a proof", g.ask("DPoP", token), "invalid_dpop_proof")
	if w := g.ask("Bearer", token); w.Code != http.StatusUnauthorized {
		t.Errorf("as a bearer token: %d", w.Code)
	}
	g.good(token)
}

func TestBoundTokenCountsOnceWhereItShould(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	h := httpauth.New(g.issuer.Verifier(), httpauth.Options{Base: here, Logger: quiet, Now: func() time.Time { return g.now }}).RequireOnce("orders:read")(http.HandlerFunc(welcome))
	token := g.token()
	ask := func(proof string) int {
		return send(t, h, http.MethodGet, here+"/", http.Header{"Authorization": {"DPoP " + token}, "Dpop": {proof}}).Code
	}
	stranger := *g
	stranger.key = proofKey(t)
	if got := ask(stranger.proof(token)); got != http.StatusUnauthorized {
		t.Fatalf("another key: %d", got)
	}
	if got := ask(g.proof(token)); got != http.StatusOK {
		t.Fatalf("the first use, after somebody tried without the key: %d", got)
	}
	if got := ask(g.proof(token)); got != http.StatusUnauthorized {
		t.Errorf("the second use: %d", got)
	}
}

func TestIdentityTellsWhatItIsBoundTo(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	id, err := g.issuer.Verifier().Bound(t.Context(), g.token(), func(verify.Confirmation) error { return nil })
	if err != nil || id.Confirm.JKT != g.key.Thumbprint() {
		t.Errorf("identity is %+v, %v", id, err)
	}
	if _, err := g.issuer.Verifier().Token(t.Context(), g.token()); !errors.Is(err, verify.ErrBinding) {
		t.Errorf("Token takes a bound one: %v", err)
	}
}
