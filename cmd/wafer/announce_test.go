package main

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// counting counts requests.
type counting struct{ n atomic.Int64 }

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// A key that the administrator makes is at a service behind a relay before any token
// shows it.
func TestNewKeyIsAnnouncedBehindARelay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := strings.Replace(setupFor(t, 1), "{management: [sessions:check], https://inventory", "{management: [sessions:check, feed:read], https://inventory", 1)
	r := serveOn(t, filepath.Join(dir, "data"), freePort(t), "--apply", write(t, dir, "setup.yaml", text))
	relay, _ := relayed(t, r.url)
	quiet, fetches := slog.New(slog.DiscardHandler), &counting{}
	set, err := jwks.New(r.url+"/.well-known/jwks.json", jwks.Options{Client: &http.Client{Transport: fetches}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := revocation.New(revocation.Config{
		Issuer: r.url, URL: relay + "/feed", ClientID: "orders-api", ClientSecret: clientSecrets, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{
		Issuer: r.url, Audience: ordersAPI, Algorithms: []jose.Algorithm{jose.RS256}, Keys: set, Feed: feed, Stale: verify.Strict,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = feed.Run(ctx) // nil: it runs once
	}()
	t.Cleanup(func() { cancel(); <-done })
	<-feed.Ready()
	if err := set.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := set.Version(time.Now())
	eventually(t, "told of the key set that is held: the service", func() bool { return feed.KeySet() != "" })
	if n := fetches.n.Load(); n != 1 {
		t.Fatalf("%d fetches of the key set before anything changed", n)
	}
	mustWafer(t, "", "--data", r.data, "key", "rotate", "--api", ordersAPI, "--now")
	eventually(t, "holding the new key: the service", func() bool { return set.Version(time.Now()) != before })
	known := fetches.n.Load()
	if _, err := v.Token(t.Context(), r.visit(person(0)).access); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if n := fetches.n.Load(); n != known {
		t.Errorf("the token caused %d fetches", n-known)
	}
}
