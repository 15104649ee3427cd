package peerkeys_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/verify/jose"
)

const uri = "https://app.example/jwks"

// web is an address with a key set, a clock, and the count of fetches.
type web struct {
	mu    sync.Mutex
	now   time.Time
	body  string
	age   time.Duration
	err   error
	count int
	wait  chan struct{} // when not nil: fetches wait for it
}

func (w *web) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *web) forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *web) serve(body string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.body, w.err = body, err
}

func (w *web) fetched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func (w *web) fetch(context.Context, string, int64) (peerkeys.Document, error) {
	w.mu.Lock()
	w.count++
	wait := w.wait
	w.mu.Unlock()
	if wait != nil {
		<-wait
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return peerkeys.Document{Body: []byte(w.body), MaxAge: w.age}, w.err
}

func newKeys(body string) (*web, *peerkeys.Keys) {
	w := &web{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), body: body}
	return w, peerkeys.New(peerkeys.Config{Fetch: w.fetch, Now: w.clock, Log: slog.New(slog.DiscardHandler)})
}

func generate(t *testing.T, alg jose.Algorithm, kid string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// setOf writes a set of public keys, changed member by member.
func setOf(t *testing.T, change func(jwk map[string]any), keys ...*jose.Key) string {
	t.Helper()
	all := []map[string]any{}
	for _, k := range keys {
		raw, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		var jwk map[string]any
		if err := json.Unmarshal(raw, &jwk); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(jwk)
		}
		all = append(all, jwk)
	}
	body, err := json.Marshal(map[string]any{"keys": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func wantKey(t *testing.T, k *peerkeys.Keys, kid string, alg jose.Algorithm, want *jose.Key) {
	t.Helper()
	got, err := k.Find(t.Context(), peerkeys.Source{URI: uri}, kid, alg)
	if err != nil || len(got) != 1 || got[0].Thumbprint() != want.Thumbprint() || got[0].CanSign() {
		t.Errorf("%s %s: got %v, %v", kid, alg, got, err)
	}
}

// A token without a key id has a few tries, whatever the size of the set.
func TestFewKeysAreTried(t *testing.T) {
	t.Parallel()
	var many []*jose.Key
	for range 20 {
		many = append(many, generate(t, jose.ES256, opaque.Text(4)))
	}
	_, keys := newKeys("")
	got, err := keys.Find(t.Context(), peerkeys.Source{JWKS: json.RawMessage(setOf(t, nil, many...))}, "", jose.ES256)
	if err != nil || len(got) != 4 {
		t.Errorf("%d keys, %v", len(got), err)
	}
}

func wantNone(t *testing.T, k *peerkeys.Keys, kid string, want error) {
	t.Helper()
	if got, err := k.Find(t.Context(), peerkeys.Source{URI: uri}, kid, jose.ES256); !errors.Is(err, want) || len(got) > 0 {
		t.Errorf("%s: got %v, %v, want %v", kid, got, err, want)
	}
}

func TestKeysWithoutAnAlgorithmServeForThoseTheyFit(t *testing.T) {
	t.Parallel()
	ec, rsa := generate(t, jose.ES256, "ec"), generate(t, jose.PS256, "rsa")
	ed := generate(t, jose.Ed25519, "ed")
	inline := peerkeys.Source{JWKS: json.RawMessage(setOf(t, func(jwk map[string]any) { delete(jwk, "alg") }, ec, rsa, ed))}
	w, keys := newKeys("")
	for _, tt := range []struct {
		kid  string
		alg  jose.Algorithm
		want *jose.Key
	}{
		{"ec", jose.ES256, ec}, {"rsa", jose.PS256, rsa}, {"rsa", jose.RS256, rsa}, {"ed", jose.EdDSA, ed}, {"ed", jose.Ed25519, ed},
		{"", jose.ES256, ec}, {"ec", jose.ES384, nil}, {"ec", jose.RS256, nil}, {"rsa", jose.ES256, nil}, {"ec", jose.HS256, nil}, {"other", jose.ES256, nil},
	} {
		got, err := keys.Find(t.Context(), inline, tt.kid, tt.alg)
		if tt.want == nil {
			if !errors.Is(err, peerkeys.ErrNoKey) {
				t.Errorf("%s %s: got %v, %v", tt.kid, tt.alg, got, err)
			}
			continue
		}
		if err != nil || got[0].Thumbprint() != tt.want.Thumbprint() || got[0].Algorithm() != tt.alg && tt.kid != "ed" {
			t.Errorf("%s %s: got %v, %v", tt.kid, tt.alg, got, err)
		}
	}
	nameless := peerkeys.Source{JWKS: json.RawMessage(setOf(t, func(jwk map[string]any) { delete(jwk, "kid") }, ec))}
	if got, err := keys.Find(t.Context(), nameless, "any", jose.ES256); err != nil || got[0].Thumbprint() != ec.Thumbprint() {
		t.Errorf("a key without an id: got %v, %v", got, err)
	}
	if w.fetched() != 0 {
		t.Error("an inline set was fetched")
	}
}

func TestKeysOfOtherUsesAndSecretsAreNotThere(t *testing.T) {
	t.Parallel()
	ec := generate(t, jose.ES256, "ec")
	private, err := ec.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"for encryption":     setOf(t, func(jwk map[string]any) { jwk["use"] = "enc" }, ec),
		"for other work":     setOf(t, func(jwk map[string]any) { jwk["key_ops"] = []string{"deriveKey"} }, ec),
		"another algorithm":  setOf(t, func(jwk map[string]any) { jwk["alg"] = "ES384" }, ec),
		"private, published": `{"keys":[` + string(private) + `]}`,
		"symmetric":          `{"keys":[{"kty":"oct","alg":"HS256","kid":"ec","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`,
		"none":               `{"keys":[]}`, "no set": `[]`, "broken": `{"keys":[}`, "empty": ` `,
	} {
		_, keys := newKeys("")
		if got, err := keys.Find(t.Context(), peerkeys.Source{JWKS: json.RawMessage(body)}, "ec", jose.ES256); !errors.Is(err, peerkeys.ErrNoKey) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	_, keys := newKeys("")
	good := peerkeys.Source{JWKS: json.RawMessage(setOf(t, nil, ec))}
	if _, err := keys.Find(t.Context(), good, "ec", jose.ES256); err != nil {
		t.Errorf("the key as it should be: %v", err)
	}
	if _, err := keys.Find(t.Context(), peerkeys.Source{}, "ec", jose.ES256); !errors.Is(err, peerkeys.ErrNoKey) {
		t.Errorf("no source: %v", err)
	}
}

// CLIENT-011: assertions with made-up key ids are no way to have the server fetch.
func TestRandomKeyIDsCauseOneFetchForEachCoolDown(t *testing.T) {
	t.Parallel()
	key := generate(t, jose.ES256, "a")
	w, keys := newKeys(setOf(t, nil, key))
	w.age = time.Hour
	wantKey(t, keys, "a", jose.ES256, key)
	w.forward(peerkeys.CoolDown)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { wantNone(t, keys, opaque.Text(8), peerkeys.ErrNoKey) })
	}
	all.Wait()
	wantKey(t, keys, "a", jose.ES256, key)
	if got := w.fetched(); got != 2 {
		t.Fatalf("%d fetches, want the first and one more", got)
	}
	for range 10 {
		w.forward(peerkeys.CoolDown / 2)
		wantNone(t, keys, opaque.Text(8), peerkeys.ErrNoKey)
	}
	if got := w.fetched(); got != 2+5 {
		t.Errorf("%d fetches after five cool-downs, want 7", got)
	}
}

func TestANewKeyIsFoundAndAnOldOneForgotten(t *testing.T) {
	t.Parallel()
	a, b := generate(t, jose.ES256, "a"), generate(t, jose.ES256, "b")
	w, keys := newKeys(setOf(t, nil, a))
	wantKey(t, keys, "a", jose.ES256, a)
	w.serve(setOf(t, nil, b), nil)
	wantNone(t, keys, "b", peerkeys.ErrNoKey) // too soon
	w.forward(peerkeys.CoolDown)
	wantKey(t, keys, "b", jose.ES256, b)
	wantNone(t, keys, "a", peerkeys.ErrNoKey)
}

func TestASetServesWhileItsAddressDoesNotAnswer(t *testing.T) {
	t.Parallel()
	a := generate(t, jose.ES256, "a")
	w, keys := newKeys(setOf(t, nil, a))
	w.serve("", errors.New("down"))
	wantNone(t, keys, "a", peerkeys.ErrUnavailable)
	w.serve(setOf(t, nil, a), nil)
	wantNone(t, keys, "a", peerkeys.ErrUnavailable) // in the cool-down
	w.forward(peerkeys.CoolDown)
	w.age = 24 * time.Hour // more than is believed
	wantKey(t, keys, "a", jose.ES256, a)
	for _, bad := range []string{"", "<html>", `{"keys":[]}` + strings.Repeat(" ", 64<<10)} {
		w.serve(bad, nil)
		w.forward(peerkeys.FreshMost / 3)
		wantKey(t, keys, "a", jose.ES256, a)
	}
	before := w.fetched()
	w.forward(peerkeys.FreshMost / 2)
	wantKey(t, keys, "a", jose.ES256, a)
	if w.fetched() == before {
		t.Error("a day was believed")
	}
	w.forward(peerkeys.StaleFor)
	wantNone(t, keys, "a", peerkeys.ErrUnavailable)
	w.serve(setOf(t, nil, a), nil)
	w.forward(peerkeys.CoolDown)
	wantKey(t, keys, "a", jose.ES256, a)
}

func TestOneFetchForAllWhoWait(t *testing.T) {
	t.Parallel()
	a := generate(t, jose.ES256, "a")
	w, keys := newKeys(setOf(t, nil, a))
	w.wait = make(chan struct{})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := keys.Find(gone, peerkeys.Source{URI: uri}, "a", jose.ES256); !errors.Is(err, context.Canceled) {
		t.Fatalf("whoever left got %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { wantKey(t, keys, "a", jose.ES256, a) })
	}
	close(w.wait)
	all.Wait()
	if w.fetched() != 1 {
		t.Errorf("%d fetches", w.fetched())
	}
}

func TestCertificatesAreFoundByThemselvesAndByTheirKey(t *testing.T) {
	t.Parallel()
	mine, other := certificate(t), certificate(t)
	jwk, err := jose.NewKey(jose.ES256, "m", mine.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	_, keys := newKeys("")
	for name, body := range map[string]string{
		"by key": setOf(t, nil, jwk),
		"by x5c": setOf(t, func(m map[string]any) { m["x5c"] = []string{base64.StdEncoding.EncodeToString(mine.Raw)} }, jwk),
	} {
		src := peerkeys.Source{JWKS: json.RawMessage(body)}
		if err := keys.Certified(t.Context(), src, mine); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := keys.Certified(t.Context(), src, other); !errors.Is(err, peerkeys.ErrNoKey) {
			t.Errorf("%s: another certificate: %v", name, err)
		}
	}
}

func certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "same name"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}
