package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// publisher is an issuer's log that names the key set, and the key set.
type publisher struct {
	*ledger
	mu      sync.Mutex
	body    []byte
	lie     func() string // what is named instead
	fetches int
}

func (p *publisher) publish(t *testing.T, keys ...*jose.Key) {
	t.Helper()
	body, err := json.Marshal(jose.KeySet(keys))
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = body
}

func (p *publisher) RoundTrip(*http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetches++
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "max-age=3600")
	_, err := bytes.NewReader(p.body).WriteTo(w)
	return w.Result(), err
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *publisher) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	sealed, err := p.ledger.Renew(ctx, ticket, ask)
	if err != nil {
		return "", err
	}
	a, err := revocation.OpenLease(sealed, p.lease)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.KeySet = jwks.DocumentVersion(p.body); p.lie != nil {
		a.KeySet = p.lie()
	}
	return revocation.SealLease(a, p.lease)
}

// K4: who has a key set and a feed has a new key a renewal after it was published.
func TestFeedAnnouncesKeys(t *testing.T) {
	t.Parallel()
	log, a, b := newLedger(t), edKey(t, "a"), edKey(t, "b")
	synctest.Test(t, func(t *testing.T) {
		log.grown = make(chan struct{}) // of the bubble
		p := &publisher{ledger: log}
		p.publish(t, a)
		set, err := jwks.New("https://id.example/jwks.json", jwks.Options{Client: &http.Client{Transport: p}})
		if err != nil {
			t.Fatal(err)
		}
		feed, err := revocation.New(revocation.Config{Issuer: testIssuer, Hub: p})
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.New(verify.Config{
			Issuer: testIssuer, Audience: "api", Algorithms: []jose.Algorithm{jose.EdDSA}, Keys: set, Feed: feed, Stale: verify.Open,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = feed.Run(ctx) })
		defer running.Wait()
		defer stop()
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		if _, err := set.Key(t.Context(), "a", jose.EdDSA); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if got := p.count(); got != 1 {
			t.Fatalf("%d fetches while nothing changes", got)
		}
		p.publish(t, a, b)
		pass(300 * time.Millisecond)
		if got := p.count(); got != 2 {
			t.Errorf("%d fetches after a key was announced", got)
		}
		if _, err := set.Key(t.Context(), "b", jose.EdDSA); err != nil || p.count() != 2 {
			t.Errorf("the new key: %v, %d fetches", err, p.count())
		}
		lies := 0
		p.mu.Lock()
		p.lie = func() string { lies++; return fmt.Sprint(lies) }
		p.mu.Unlock()
		pass(10 * time.Minute)
		if got := p.count(); got > 2+6+60 {
			t.Errorf("%d fetches in 10 minutes because of a hub that lies", got)
		}
	})
}

func edKey(t *testing.T, kid string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(jose.EdDSA, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
