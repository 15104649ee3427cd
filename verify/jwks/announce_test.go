package jwks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

// direct answers in this process: a bubble waits for no network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// announced runs a test in virtual time, with a set that holds the key "a" after one fetch.
func announced(t *testing.T, test func(t *testing.T, web *server, s *jwks.Set)) {
	t.Helper()
	key := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		web := &server{keys: jose.KeySet{key}, status: http.StatusOK, cache: "max-age=3600"}
		s, err := jwks.New("https://id.example/jwks.json", jwks.Options{Client: &http.Client{Transport: direct{web}}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		has(t, s, "a")
		test(t, web, s)
	})
}

// version names what a server publishes.
func (s *server) version(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(s.keys); err != nil {
		tb.Fatal(err)
	}
	return jwks.DocumentVersion(b.Bytes())
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// tell announces, and lets what comes of it come.
func tell(s *jwks.Set, version string) {
	s.Announced(version)
	synctest.Wait()
}

func fetched(tb testing.TB, web *server, want int, after string) {
	tb.Helper()
	if got := web.count(); got != want {
		tb.Fatalf("got %d fetches after %s, want %d", got, after, want)
	}
}

func TestAnnouncedKeyIsThereBeforeAToken(t *testing.T) {
	t.Parallel()
	b := newKey(t, "b")
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		before := s.Version(time.Now())
		tell(s, web.version(t))
		fetched(t, web, 1, "what is held was announced")
		web.publish(web.keys[0], b)
		tell(s, web.version(t))
		fetched(t, web, 2, "another set was announced")
		if s.Version(time.Now()) == before {
			t.Error("the set is the same version")
		}
		has(t, s, "b")
		for range 100 {
			tell(s, web.version(t))
		}
		fetched(t, web, 2, "it was announced again, and a token came")
	})
}

func TestAnnouncementFetchesNothingBeforeTheFirstUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		web := &server{status: http.StatusOK}
		s, err := jwks.New("https://id.example/jwks.json", jwks.Options{Client: &http.Client{Transport: direct{web}}, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		tell(s, "whatever")
		fetched(t, web, 0, "an announcement to a set that nobody uses")
	})
}

// Behind one address are a node that has rotated and one that has not heard of it.
func TestNodesThatAnnounceDifferentSetsCauseOneFetch(t *testing.T) {
	t.Parallel()
	b := newKey(t, "b")
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		old := web.version(t)
		web.publish(web.keys[0], b)
		for range 50 {
			tell(s, old)
			tell(s, web.version(t))
			pass(10 * time.Second)
		}
		fetched(t, web, 2, "two nodes announced what each has")
		has(t, s, "b")
	})
}

// The fetch that an announcement causes may reach a node that lags.
func TestAnnouncedAgainAfterALaggingNodeAnswered(t *testing.T) {
	t.Parallel()
	b := newKey(t, "b")
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		a := web.keys[0]
		web.publish(a, b)
		next := web.version(t)
		web.publish(a)
		tell(s, next)
		fetched(t, web, 2, "the lagging node answered")
		web.publish(a, b)
		pass(250 * time.Millisecond)
		tell(s, next)
		fetched(t, web, 2, "it was announced a moment later")
		pass(time.Second)
		tell(s, next)
		fetched(t, web, 3, "it was announced a second later")
		has(t, s, "b")
		fetched(t, web, 3, "a token came")
	})
}

func TestAttackAnnouncementOfWhatNeverComesIsFetchedTwice(t *testing.T) {
	t.Parallel()
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		for range 3000 { // ten minutes of leases
			tell(s, "never")
			pass(200 * time.Millisecond)
		}
		fetched(t, web, 1+2, "one version that does not exist")
		tell(s, strings.Repeat("v", 65))
		tell(s, "")
		fetched(t, web, 1+2, "versions out of form")
	})
}

// K3: whoever announces, and whatever strangers send, fetches stay below the bucket's rate.
func TestAttackEverNewAnnouncementsCauseNoStorm(t *testing.T) {
	t.Parallel()
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		for i := range 400 { // 100 s of leases, each with another version
			tell(s, fmt.Sprint("lie ", i))
			lacks(t, s, randomID(), verify.ErrKeyUnknown)
			synctest.Wait()
			pass(250 * time.Millisecond)
		}
		if got := web.count(); got < 1+6+8 || got > 1+6+10 {
			t.Errorf("got %d fetches in 100 s, want the first, a burst of 6 and one for each 10 s", got)
		}
		// Every one of them brought the keys: the attack hides no new one.
		b := newKey(t, "b")
		web.publish(web.keys[0], b)
		pass(10 * time.Second)
		tell(s, "lie")
		has(t, s, "b")
	})
}

func TestAttackRandomKeyIDsLeaveATokenForAnnouncements(t *testing.T) {
	t.Parallel()
	b := newKey(t, "b")
	announced(t, func(t *testing.T, web *server, s *jwks.Set) {
		for range 300 {
			lacks(t, s, randomID(), verify.ErrKeyUnknown)
		}
		fetched(t, web, 1+5, "300 made-up key ids")
		web.publish(web.keys[0], b)
		lacks(t, s, randomID(), verify.ErrKeyUnknown)
		fetched(t, web, 1+5, "one more")
		tell(s, web.version(t))
		fetched(t, web, 1+6, "an announcement")
		has(t, s, "b")
		// What comes back is for announcements first.
		pass(10 * time.Second)
		lacks(t, s, randomID(), verify.ErrKeyUnknown)
		fetched(t, web, 1+6, "10 s, and a made-up key id")
	})
}
