package jwks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

func is(err, want error) bool { return errors.Is(err, want) }

func TestNothingIsFetchedBeforeTheFirstKey(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	if got := web.count(); got != 0 {
		t.Fatalf("got %d fetches before use, want none", got)
	}
	for range 100 {
		has(t, s, "a")
	}
	if got := web.count(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
}

// keyfunc's default limiter is spent by one bogus id, and the new key fails.
func TestNewKeyIsFoundDuringAttack(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	web, c := newServer(t, a), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	for range 300 {
		lacks(t, s, randomID(), verify.ErrKeyUnknown)
	}
	web.publish(a, b)
	lacks(t, s, "b", verify.ErrKeyUnknown) // the attack has emptied the bucket
	c.forward(10 * time.Second)
	has(t, s, "b") // not remembered as missing, since nobody looked
	has(t, s, "a")
}

func TestNewKeyIsFoundAtOnceAfterRotation(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	web, c := newServer(t, a), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	lacks(t, s, "x", verify.ErrKeyUnknown)
	web.publish(a, b)
	has(t, s, "b")
	has(t, s, "a")
}

func TestMissingKeyIDIsNotLookedForAgainTooSoon(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	web, c := newServer(t, a), newClock()
	s := newSet(t, web.web.URL, c)
	lacks(t, s, "b", verify.ErrKeyUnknown)
	web.publish(a, b)
	fetched := web.count()
	c.forward(29 * time.Second)
	lacks(t, s, "b", verify.ErrKeyUnknown)
	if got := web.count(); got != fetched {
		t.Fatalf("got %d fetches, want %d", got, fetched)
	}
	c.forward(time.Second)
	has(t, s, "b")
}

// CVE-2025-22149: a refresh that only adds keys trusts removed ones forever.
func TestAttackRemovedKeyIsNotTrustedAfterRefresh(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	web, c := newServer(t, a, b), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	has(t, s, "b")
	web.publish(b)
	c.forward(300 * time.Second) // max-age is over: the refresh is waited for
	lacks(t, s, "a", verify.ErrKeyUnknown)
	has(t, s, "b")
	web.publish(a, b)
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, s, "a")
	web.publish()
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	lacks(t, s, "a", verify.ErrKeyUnknown)
	lacks(t, s, "b", verify.ErrKeyUnknown)
}

func TestReplacedKeyOfTheSameIDIsNotTrusted(t *testing.T) {
	t.Parallel()
	old, next := newKey(t, "a"), newKey(t, "a")
	web, c := newServer(t, old), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	web.publish(next)
	c.forward(300 * time.Second)
	k, err := s.Key(t.Context(), "a", jose.EdDSA)
	if err != nil || k.Thumbprint() != next.Thumbprint() {
		t.Errorf("got %v, %v, want the new key", k, err)
	}
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	release := make(chan struct{})
	web.change(func() { web.before = func() { <-release } })
	var all, started sync.WaitGroup
	for range 50 {
		started.Add(1)
		all.Go(func() {
			started.Done()
			has(t, s, "a")
		})
	}
	started.Wait()
	close(release)
	all.Wait()
	if got := web.count(); got != 1 {
		t.Errorf("got %d fetches for 50 callers, want 1", got)
	}
}

func TestRefreshIsDueBetweenHalfAndNineTenthsOfMaxAge(t *testing.T) {
	t.Parallel()
	for range 20 {
		web, c := newServer(t, newKey(t, "a")), newClock()
		fetched := make(chan struct{}, 10)
		web.before = func() { fetched <- struct{}{} }
		s := newSet(t, web.web.URL, c)
		has(t, s, "a")
		<-fetched
		c.forward(149 * time.Second)
		has(t, s, "a")
		if got := web.count(); got != 1 {
			t.Fatalf("got %d fetches before half of max-age, want 1", got)
		}
		c.forward(122 * time.Second)
		has(t, s, "a") // does not wait, but starts the refresh
		select {
		case <-fetched:
		case <-time.After(5 * time.Second):
			t.Fatal("no refresh after nine tenths of max-age")
		}
	}
}

func TestMaxAgeIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, cache   string
		fresh, expiry time.Duration
	}{
		{"absent", "", 149 * time.Second, 300 * time.Second},
		{"zero", "max-age=0", 14 * time.Second, 30 * time.Second},
		{"no-store", "no-store", 149 * time.Second, 300 * time.Second},
		{"a year", "public, max-age=31536000", 29 * time.Minute, time.Hour},
		{"nonsense", "max-age=soon", 149 * time.Second, 300 * time.Second},
		{"negative", "max-age=-1", 149 * time.Second, 300 * time.Second},
		{"capitals", "Public, Max-Age=100", 49 * time.Second, 100 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web, c := newServer(t, newKey(t, "a")), newClock()
			web.cache = tt.cache
			s := newSet(t, web.web.URL, c)
			has(t, s, "a")
			c.forward(tt.fresh)
			has(t, s, "a")
			if got := web.count(); got != 1 {
				t.Errorf("got %d fetches after %s, want 1", got, tt.fresh)
			}
			web.publish()
			c.forward(tt.expiry - tt.fresh)
			lacks(t, s, "a", verify.ErrKeyUnknown)
		})
	}
}

func TestStaleIfError(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	web.change(func() { web.status = http.StatusInternalServerError })
	for range 23 {
		c.forward(time.Hour)
		has(t, s, "a")
	}
	if got := web.count(); got < 20 {
		t.Errorf("got %d fetches: the refresh was not tried again", got)
	}
	c.forward(time.Hour)
	lacks(t, s, "a", verify.ErrUnavailable)
	web.change(func() { web.status = http.StatusOK })
	c.forward(time.Minute)
	has(t, s, "a")
}

func TestFailingServerIsNotHammered(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	web.status = http.StatusServiceUnavailable
	s := newSet(t, web.web.URL, c)
	for range 100 {
		lacks(t, s, "a", verify.ErrUnavailable)
	}
	if got := web.count(); got != 1 {
		t.Errorf("got %d fetches within one moment, want 1", got)
	}
	c.forward(time.Second) // the first back-off is over
	web.change(func() { web.status = http.StatusOK })
	has(t, s, "a")
}

func TestUnchangedSetIsConfirmedByETag(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	web.etag = `"v1"`
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	for i := range 3 {
		c.forward(300 * time.Second)
		has(t, s, "a")
		web.change(func() {
			if web.unmodified != i+1 {
				t.Errorf("got %d answers 304, want %d", web.unmodified, i+1)
			}
		})
	}
	b := newKey(t, "b")
	web.change(func() { web.etag, web.keys = `"v2"`, jose.KeySet{b} })
	c.forward(300 * time.Second)
	has(t, s, "b")
	lacks(t, s, "a", verify.ErrKeyUnknown)
}

func TestNotModifiedThatNobodyAskedForIsAnError(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	web.status = http.StatusNotModified
	lacks(t, newSet(t, web.web.URL, c), "a", verify.ErrUnavailable)
}

func TestKeyWithoutIDMustBeTheOnlyOne(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	web, c := newServer(t, a), newClock()
	s := newSet(t, web.web.URL, c)
	if k, err := s.Key(t.Context(), "", jose.EdDSA); err != nil || k.ID() != "a" {
		t.Fatalf("got %v, %v, want key a", k, err)
	}
	if k, err := s.Key(t.Context(), "", jose.Ed25519); err != nil || k.ID() != "a" {
		t.Fatalf("by its other name: got %v, %v, want key a", k, err)
	}
	web.publish(a, b)
	c.forward(300 * time.Second)
	lacks(t, s, "", verify.ErrKeyUnknown)
	if got := web.count(); got != 2 {
		t.Errorf("got %d fetches, want 2: an absent kid is no sign of a new key", got)
	}
}

func TestAttackKeyAskedForByAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256, jose.ES256, "none", ""} {
		if k, err := s.Key(t.Context(), "a", alg); k != nil || !is(err, verify.ErrKeyUnknown) {
			t.Errorf("%q: got %v, %v, want ErrKeyUnknown", alg, k, err)
		}
	}
	if got := web.count(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
	has(t, s, "a")
}

// transport answers without a network, so that time can be the bubble's.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSlowServerBlocksNobodyOnceThereAreKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body, err := json.Marshal(jose.KeySet{newKey(t, "a")})
		if err != nil {
			t.Fatal(err)
		}
		var slow time.Duration
		answer := transport(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		s, err := jwks.New("https://id.test/keys", jwks.Options{Client: &http.Client{Transport: answer}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		slow = 3 * time.Second
		if d := took(func() { has(t, s, "a") }); d != slow {
			t.Errorf("first keys: waited %s, want %s", d, slow)
		}
		slow = time.Minute
		if d := took(func() { lacks(t, s, "b", verify.ErrUnavailable) }); d != 100*time.Millisecond {
			t.Errorf("unknown key: waited %s, want 100 ms", d)
		}
		time.Sleep(280 * time.Second) // the bubble's clock: a refresh is due
		if d := took(func() { has(t, s, "a") }); d != 0 {
			t.Errorf("refresh due: waited %s, want none", d)
		}
		time.Sleep(time.Hour)
		if d := took(func() { has(t, s, "a") }); d > 100*time.Millisecond {
			t.Errorf("max-age over: waited %s, want at most 100 ms", d)
		}
		time.Sleep(24 * time.Hour)
		if d := took(func() { lacks(t, s, "a", verify.ErrUnavailable) }); d != 5*time.Second {
			t.Errorf("nothing to trust: waited %s, want the timeout of 5 s", d)
		}
		synctest.Wait()
	})
}

func TestCallerWhoGoesAwayDoesNotStopTheFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newKey(t, "a")
		body, err := json.Marshal(jose.KeySet{a})
		if err != nil {
			t.Fatal(err)
		}
		answer := transport(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		s, err := jwks.New("https://id.test/keys", jwks.Options{Client: &http.Client{Transport: answer}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := contextWithTimeout(t, 500*time.Millisecond)
		defer cancel()
		if _, err := s.Key(gone, "a", jose.EdDSA); !is(err, verify.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		start := time.Now()
		has(t, s, "a")
		if d := time.Since(start); d != 500*time.Millisecond {
			t.Errorf("the second caller waited %s, want the rest of the same fetch", d)
		}
	})
}

func TestFailureIsLoggedOnceAndSoIsTheEnd(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	var log strings.Builder
	s, err := jwks.New(web.web.URL, jwks.Options{Now: c.now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	web.status = http.StatusInternalServerError
	for range 3 {
		_ = s.Refresh(t.Context())
	}
	web.change(func() { web.status = http.StatusOK })
	for range 2 {
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(log.String(), "level=WARN") != 1 || strings.Count(log.String(), "level=INFO") != 1 {
		t.Errorf("got log:\n%s", log.String())
	}
}

func TestNewRefusesOpenWires(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://id.test/keys": true, "http://localhost:8080/keys": true, "http://127.0.0.1/keys": true, "http://[::1]:1/keys": true,
		"http://id.test/keys": false, "http://localhost.evil.test/keys": false, "ftp://id.test/keys": false, "file:///keys": false, "": false,
		"https://user:pass@id.test/keys": false, "//id.test/keys": false, "http://127.0.0.1.evil.test/": false, "https://": false, ":": false,
	} {
		if _, err := jwks.New(url, jwks.Options{}); (err == nil) != good {
			t.Errorf("%q: got %v, want it accepted: %v", url, err, good)
		}
	}
	if _, err := jwks.New("https://id.test", jwks.Options{Timeout: -1}); err == nil {
		t.Error("a negative timeout was accepted")
	}
}
