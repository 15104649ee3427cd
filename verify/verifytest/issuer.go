package verifytest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

// API is the audience of every credential, unless Audience says otherwise.
const API = "https://api.test"

const (
	jwksPath       = "/.well-known/jwks.json"
	discoveryPath  = "/.well-known/openid-configuration"
	introspectPath = "/oauth/introspect"
	clientID       = "api-under-test"
	lifetime       = 5 * time.Minute
)

// TB is what an issuer needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Option changes how NewIssuer makes an issuer.
type Option func(*Issuer)

// WithAlgorithm makes tokens of this algorithm instead of EdDSA. The keys of an
// HMAC algorithm are not published; Keys has them all the same.
func WithAlgorithm(alg jose.Algorithm) Option {
	return func(i *Issuer) { i.alg = alg }
}

// WithKey makes this the first signing key, and its algorithm the issuer's.
func WithKey(k *jose.Key) Option {
	return func(i *Issuer) { i.alg, i.keys = k.Algorithm(), jose.KeySet{k} }
}

// WithClock makes the issuer, and the verifiers made from it, live by this clock.
func WithClock(now func() time.Time) Option {
	return func(i *Issuer) { i.now = now }
}

// Issuer stands in for Wafer. It is safe for concurrent use.
type Issuer struct {
	t      TB
	web    *httptest.Server
	alg    jose.Algorithm
	now    func() time.Time
	secret string

	mu      sync.Mutex
	keys    jose.KeySet // the last one signs
	handles map[string]handle
	revoked map[string]bool
	log     *ledger // set once; what it holds changes
	down    bool
}

// handle is what stands behind an opaque token or a session cookie.
type handle struct {
	kind   string // token_type of the answer
	claims map[string]any
}

// NewIssuer starts an issuer that stops when the test ends.
func NewIssuer(t TB, options ...Option) *Issuer {
	t.Helper()
	i := &Issuer{
		t: t, alg: jose.EdDSA, now: time.Now, secret: rand.Text(),
		handles: make(map[string]handle), revoked: make(map[string]bool),
	}
	var err error
	if i.log, err = newLedger(); err != nil {
		t.Fatalf("verifytest: make the revocation log: %v", err)
	}
	for _, o := range options {
		o(i)
	}
	if len(i.keys) == 0 {
		i.Rotate()
	}
	i.web = httptest.NewServer(i.routes())
	t.Cleanup(i.web.Close)
	return i
}

// URL is the issuer's identifier.
func (i *Issuer) URL() string { return i.web.URL }

// JWKSURL is where the keys are published.
func (i *Issuer) JWKSURL() string { return i.web.URL + jwksPath }

// Key is the key that signs now.
func (i *Issuer) Key() *jose.Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Keys is a key set of this issuer: a new remote one, or the secrets themselves
// when the algorithm is an HMAC.
func (i *Issuer) Keys() verify.KeySet {
	i.t.Helper()
	if i.alg.Symmetric() {
		return secrets{i}
	}
	set, err := jwks.New(i.JWKSURL(), jwks.Options{Now: i.now})
	if err != nil {
		i.t.Fatalf("verifytest: make the key set: %v", err)
	}
	return set
}

type secrets struct{ issuer *Issuer }

func (s secrets) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	s.issuer.mu.Lock()
	defer s.issuer.mu.Unlock()
	k, ok := s.issuer.keys.Find(kid, alg)
	if !ok {
		return nil, verify.ErrKeyUnknown
	}
	return k, nil
}

// Server asks this issuer.
func (i *Issuer) Server() *verify.Server {
	i.t.Helper()
	s, err := verify.NewServer(verify.ServerConfig{Issuer: i.URL(), ClientID: clientID, ClientSecret: i.secret})
	if err != nil {
		i.t.Fatalf("verifytest: make the server: %v", err)
	}
	return s
}

// Config is the configuration of a verifier for API, ready for verify.New.
func (i *Issuer) Config() verify.Config {
	i.t.Helper()
	return verify.Config{
		Issuer: i.URL(), Audience: API, Algorithms: []jose.Algorithm{i.alg},
		Keys: i.Keys(), Server: i.Server(), Now: i.now,
	}
}

// Verifier is a verifier for API that asks this issuer about every credential,
// so that Revoke is felt at once.
func (i *Issuer) Verifier() *verify.Verifier {
	i.t.Helper()
	v, err := verify.New(i.Config())
	if err != nil {
		i.t.Fatalf("verifytest: make the verifier: %v", err)
	}
	return v
}

// Token makes a JWT access token.
func (i *Issuer) Token(claims ...Claim) string {
	i.t.Helper()
	d := i.draft(claims)
	payload, err := json.Marshal(d.claims)
	if err != nil {
		i.t.Fatalf("verifytest: write the claims: %v", err)
	}
	token, err := jose.Sign(i.Key(), jose.Header{Type: d.typ}, payload)
	if err != nil {
		i.t.Fatalf("verifytest: sign the token: %v", err)
	}
	return token
}

// Opaque makes an access token that only the issuer can read.
func (i *Issuer) Opaque(claims ...Claim) string {
	return i.keep(tokenType(i.draft(claims).claims), claims)
}

// tokenType is what an answer about an access token says of how it is presented.
func tokenType(claims map[string]any) string {
	if cnf, ok := claims["cnf"].(map[string]any); ok && cnf["jkt"] != nil {
		return "DPoP"
	}
	return "Bearer"
}

// Session signs somebody in and gives the value of the cookie verify.CookieName.
func (i *Issuer) Session(claims ...Claim) string { return i.keep("session", claims) }

// Revoke ends every credential with this jti, sid, sub or value.
func (i *Issuer) Revoke(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked[id] = true
	i.log.add(id)
	// A value is nothing that the feed knows of: it names the token in it.
	h, ok := i.handles[id]
	if !ok && strings.Count(id, ".") == 2 {
		h, _ = i.read(id)
	}
	if jti, isText := h.claims["jti"].(string); isText {
		i.log.add(jti)
	}
}

// Rotate makes a new signing key. The old ones stay published and go on verifying.
func (i *Issuer) Rotate() {
	i.t.Helper()
	k, err := jose.Generate(i.alg, rand.Text())
	if err != nil {
		i.t.Fatalf("verifytest: make a key: %v", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys[:len(i.keys):len(i.keys)], k)
}

// RemoveOldKeys leaves only the key that signs now.
func (i *Issuer) RemoveOldKeys() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = jose.KeySet{i.keys[len(i.keys)-1]}
}

// Fail makes the issuer answer everything with 503, until Recover.
func (i *Issuer) Fail() { i.setDown(true) }

// Recover ends Fail.
func (i *Issuer) Recover() { i.setDown(false) }

func (i *Issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
	i.log.wake()
}

func (i *Issuer) draft(changes []Claim) *draft {
	now := i.now()
	d := &draft{now: now, typ: "at+jwt", claims: map[string]any{
		"iss": i.URL(), "aud": API, "sub": "user-1", "client_id": "client-1",
		"jti": rand.Text(), "sid": rand.Text(), "scope": "", "rsn": 1,
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "auth_time": now.Unix(),
	}}
	for _, change := range changes {
		change(d)
	}
	return d
}

func (i *Issuer) keep(kind string, changes []Claim) string {
	value := rand.Text() + rand.Text()
	d := i.draft(changes)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handles[value] = handle{kind: kind, claims: maps.Clone(d.claims)}
	return value
}
