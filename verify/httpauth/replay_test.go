package httpauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// node makes a further node of the rig's service, or the same one after a restart.
func (g *proofRig) node(change func(*httpauth.Options)) *proofRig {
	other := *g
	o := httpauth.Options{Base: here, Logger: quiet, Now: func() time.Time { return g.now }}
	if change != nil {
		change(&o)
	}
	other.h = httpauth.New(g.issuer.Verifier(), o).Require("orders:read")(http.HandlerFunc(welcome))
	return &other
}

// DPOP-004, across nodes.
func TestProofCountsOnceOnAllNodesThatShareTheirMemory(t *testing.T) {
	t.Parallel()
	shared := &dpop.Seen{}
	share := func(o *httpauth.Options) { o.Replays = shared }
	first := newProofRig(t, share)
	second := first.node(share)
	token := first.token()
	proof := first.proof(token)
	first.good(token)
	second.good(token)
	if w := first.ask("DPoP", token, proof); w.Code != http.StatusOK {
		t.Fatalf("a new proof: %d", w.Code)
	}
	second.refused("at the other node", second.ask("DPoP", token, proof), "invalid_dpop_proof")
	first.refused("at the same node", first.ask("DPoP", token, proof), "invalid_dpop_proof")
	first.good(token)
	second.good(token)
}

// DPOP-004, after a restart.
func TestProofDoesNotCountAgainAfterARestart(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token := g.token()
	proof := g.proof(token)
	if w := g.ask("DPoP", token, proof); w.Code != http.StatusOK {
		t.Fatalf("a new proof: %d", w.Code)
	}
	g.now = g.now.Add(2 * time.Second)
	again := g.node(nil)
	again.refused("after a restart", again.ask("DPoP", token, proof), "invalid_dpop_proof")
	again.good(token)
}

// DPOP-004, at the edges: a proof of a client whose clock is fast is good for longest, and
// must be remembered as long as that.
func TestProofCountsOnceForAsLongAsItIsInTime(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{-dpop.DefaultSkew, 0, dpop.DefaultSkew} {
		g := newProofRig(t)
		g.now = g.now.Add(time.Minute) // long after the start
		token := g.token(verifytest.ExpiresIn(time.Hour))
		proof := g.proof(token, func(r *dpop.Request) { r.Now = r.Now.Add(apart) })
		if w := g.ask("DPoP", token, proof); w.Code != http.StatusOK {
			t.Fatalf("%s apart: %d %s", apart, w.Code, w.Body)
		}
		for range 240 { // in halves of a second, past the end of its time
			g.now = g.now.Add(500 * time.Millisecond)
			if w := g.ask("DPoP", token, proof); w.Code != http.StatusUnauthorized {
				t.Fatalf("%s apart: taken again", apart)
			}
		}
		g.good(token)
	}
}

// DPOP-005: ids are of a key. That another client has used one is nothing to this one.
func TestIdsOfProofsAreOfTheirKey(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	other := *g
	other.key = proofKey(t)
	show := func(g *proofRig, id string) int {
		t.Helper()
		token := g.token()
		body, err := json.Marshal(map[string]any{"jti": id, "htm": "GET", "htu": here + "/", "iat": g.now.Unix(), "ath": dpop.Hash(token)})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := jose.SignProof(g.key, dpop.Type, body)
		if err != nil {
			t.Fatal(err)
		}
		return g.ask("DPoP", token, proof).Code
	}
	for _, id := range []string{"1", g.key.Thumbprint(), "a|b", "a\x00b", "a,b;c", strings.Repeat("j", 256)} {
		if got := show(g, id); got != http.StatusOK {
			t.Errorf("%.20q: %d", id, got)
		}
		if got := show(&other, id); got != http.StatusOK {
			t.Errorf("%.20q of another key: %d", id, got)
		}
		if got := show(g, id); got != http.StatusUnauthorized {
			t.Errorf("%.20q again, with another token: %d", id, got)
		}
	}
	if got := show(g, strings.Repeat("j", 64<<10)); got != http.StatusUnauthorized {
		t.Errorf("an id of 64 KiB: %d", got)
	}
	g.good(g.token())
}

// DPOP-008: the challenge to a downgrade says what would be let in.
func TestChallengeToADowngradeNamesDPoP(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	token := g.token()
	g.good(token)
	challenges := g.ask("Bearer", token).Header()["Www-Authenticate"]
	if len(challenges) != 2 || !strings.HasPrefix(challenges[1], "DPoP ") || !strings.Contains(challenges[1], `error="invalid_token"`) || !strings.Contains(challenges[1], ` algs="ES256 `) {
		t.Errorf("challenges are %q", challenges)
	}
	g.good(token)
	without := g.issuer.Token(verifytest.Scope("orders:write"), verifytest.Bound(g.key))
	w := g.ask("DPoP", without, g.proof(without))
	if c := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusForbidden || !strings.HasPrefix(c, "DPoP ") || !strings.Contains(c, `error="insufficient_scope", scope="orders:read"`) {
		t.Errorf("a bound token without the scope: %d %s", w.Code, c)
	}
}

// A bound token that is remembered needs its proof all the same.
func TestRememberedTokenNeedsItsProofEachTime(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	c := g.issuer.Config()
	c.Stale, c.Server = verify.Open, nil
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g.h = httpauth.New(v, httpauth.Options{Base: here, Logger: quiet, Now: func() time.Time { return g.now }}).Require("orders:read")(http.HandlerFunc(welcome))
	if _, err := v.Token(t.Context(), g.issuer.Token()); err != nil { // has the keys fetched
		t.Fatal(err)
	}
	before := v.Stats()
	token := g.token()
	for range 3 {
		g.good(token)
		g.refused("no proof", g.ask("DPoP", token), "invalid_dpop_proof")
		if w := g.ask("Bearer", token); w.Code != http.StatusUnauthorized {
			t.Errorf("DPOP-008 as a bearer token: %d", w.Code)
		}
	}
	if s := v.Stats(); s.First != before.First+1 || s.Remembered != before.Remembered+1 {
		t.Errorf("it was verified whole %d times, and %d are remembered", s.First-before.First, s.Remembered-before.Remembered)
	}
}

func TestNonceOfAnotherNodeWhoseClockIsFast(t *testing.T) {
	t.Parallel()
	nonces := func(o *httpauth.Options) { o.ProofNonces = []byte(strings.Repeat("k", 32)) }
	g := newProofRig(t, nonces)
	g.now = time.Unix(g.now.Unix()/120*120+115, 0) // five seconds before the next period
	fast := *g
	fast.now = g.now.Add(8 * time.Second)
	fast.h = httpauth.New(g.issuer.Verifier(), httpauth.Options{
		Base: here, Logger: quiet, Now: func() time.Time { return fast.now }, ProofNonces: []byte(strings.Repeat("k", 32)),
	}).Require("orders:read")(http.HandlerFunc(welcome))
	token := g.token()
	with := func(g *proofRig, nonce string) *httptest.ResponseRecorder {
		return g.ask("DPoP", token, g.proof(token, func(r *dpop.Request) { r.Nonce = nonce }))
	}
	ahead := fast.ask("DPoP", token, fast.proof(token)).Header().Get("DPoP-Nonce")
	behind := g.ask("DPoP", token, g.proof(token)).Header().Get("DPoP-Nonce")
	if ahead == behind || ahead == "" {
		t.Fatalf("nonces are %q and %q", ahead, behind)
	}
	for _, nonce := range []string{ahead, behind} {
		for name, node := range map[string]*proofRig{"slow": g, "fast": &fast} {
			w := with(node, nonce)
			if w.Code != http.StatusOK || w.Header().Get("DPoP-Nonce") == "" {
				t.Errorf("the %s node: %d, the next nonce is %q", name, w.Code, w.Header().Get("DPoP-Nonce"))
			}
		}
	}
	g.refused("one of another key", with(g, strings.Repeat("A", len(ahead))), "use_dpop_nonce")
}

// RFC 8705 behind a proxy: only what the option says counts.
func TestCertificateOfAProxy(t *testing.T) {
	t.Parallel()
	mine, proxy := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("the proxy's own")}
	var said *x509.Certificate
	g := newProofRig(t, func(o *httpauth.Options) {
		o.Certificate = func(*http.Request) *x509.Certificate { return said }
	})
	ask := func(token string) int {
		r := httptest.NewRequest(http.MethodGet, here+"/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{proxy}}
		w := httptest.NewRecorder()
		g.h.ServeHTTP(w, r)
		return w.Code
	}
	scope := verifytest.Scope("orders:read")
	token := g.issuer.Token(scope, verifytest.BoundToCertificate(mine))
	for _, c := range []struct {
		said  *x509.Certificate
		token string
		want  int
	}{
		{mine, token, 200}, {nil, token, 401}, {proxy, token, 401}, {mine, g.issuer.Token(scope, verifytest.BoundToCertificate(proxy)), 401},
		{nil, g.issuer.Token(scope), 200}, {mine, g.issuer.Token(scope), 200}, {mine, token, 200},
	} {
		said = c.said
		if got := ask(c.token); got != c.want {
			t.Errorf("the proxy says %v: %d, want %d", c.said, got, c.want)
		}
	}
}

// RFC 8705 over a real connection: the handshake has proved the key of the certificate.
func TestCertificateOfARealConnection(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	server := httptest.NewUnstartedServer(g.h)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert} // self-signed ones are as good: cnf names it
	server.StartTLS()
	t.Cleanup(server.Close)
	mine, other := clientCertificate(t), clientCertificate(t)
	token := g.issuer.Token(verifytest.Scope("orders:read"), verifytest.BoundToCertificate(mine.Leaf))
	for _, c := range []struct {
		name string
		with []tls.Certificate
		want int
	}{{"its own", []tls.Certificate{mine}, 200}, {"another", []tls.Certificate{other}, 401}, {"none", nil, 401}, {"its own again", []tls.Certificate{mine}, 200}} {
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: c.with}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.name, res.StatusCode, c.want)
		}
	}
}

func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// A token may be bound to both.
func TestTokenBoundToAKeyAndACertificateNeedsBoth(t *testing.T) {
	t.Parallel()
	var said *x509.Certificate
	g := newProofRig(t, func(o *httpauth.Options) {
		o.Certificate = func(*http.Request) *x509.Certificate { return said }
	})
	mine := &x509.Certificate{Raw: []byte("mine")}
	both := func(certificate string) string {
		// Hash is the same encoding of the same hash.
		return g.token(verifytest.Set("cnf", map[string]any{"jkt": g.key.Thumbprint(), "x5t#S256": dpop.Hash(certificate)}))
	}
	token := both("mine")
	g.refused("no certificate", g.ask("DPoP", token, g.proof(token)), "invalid_token")
	said = &x509.Certificate{Raw: []byte("other")}
	g.refused("another certificate", g.ask("DPoP", token, g.proof(token)), "invalid_token")
	said = mine
	if w := g.ask("Bearer", token); w.Code != http.StatusUnauthorized {
		t.Errorf("without the key: %d", w.Code)
	}
	g.good(token)
}
