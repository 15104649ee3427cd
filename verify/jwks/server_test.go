package jwks_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newKey(tb testing.TB, kid string) *jose.Key {
	tb.Helper()
	k, err := jose.Generate(jose.EdDSA, kid)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// server publishes keys and counts who asks.
type server struct {
	web *httptest.Server

	mu          sync.Mutex
	keys        jose.KeySet
	fetches     int
	unmodified  int
	status      int
	cache, etag string
	before      func() // runs in the request, before the keys are read
}

func newServer(tb testing.TB, keys ...*jose.Key) *server {
	tb.Helper()
	s := &server{keys: keys, status: http.StatusOK, cache: "max-age=300"}
	s.web = httptest.NewServer(s)
	tb.Cleanup(s.web.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.fetches++
	before := s.before
	s.mu.Unlock()
	if before != nil {
		before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Cache-Control", s.cache)
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
		if r.Header.Get("If-None-Match") == s.etag {
			s.unmodified++
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(s.status)
	_ = json.NewEncoder(w).Encode(s.keys)
}

func (s *server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) publish(keys ...*jose.Key) { s.change(func() { s.keys = keys }) }

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// clock moves only when told.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_900_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newSet(tb testing.TB, url string, c *clock) *jwks.Set {
	tb.Helper()
	s, err := jwks.New(url, jwks.Options{Now: c.now, Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func has(tb testing.TB, s *jwks.Set, kid string) {
	tb.Helper()
	k, err := s.Key(tb.Context(), kid, jose.EdDSA)
	if err != nil || k.ID() != kid {
		tb.Fatalf("key %q: got %v, %v", kid, k, err)
	}
}

func lacks(tb testing.TB, s *jwks.Set, kid string, want error) {
	tb.Helper()
	k, err := s.Key(tb.Context(), kid, jose.EdDSA)
	if k != nil || !is(err, want) {
		tb.Fatalf("key %q: got %v, %v, want error %v", kid, k, err, want)
	}
}

func randomID() string { return rand.Text() }
