package jwks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

// JWT-015: go-oidc's remote key set fetches once for each of these.
func TestAttackRandomKeyIDsCauseNoStorm(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	has(t, s, "a")
	for range 300 {
		lacks(t, s, randomID(), verify.ErrKeyUnknown)
		has(t, s, "a")
	}
	if got := web.count(); got != 1+5 {
		t.Fatalf("got %d fetches for 300 made-up key ids, want the first and a burst of 5", got)
	}
	for range 10 { // one more for every ten seconds
		c.forward(10 * time.Second)
		for range 30 {
			lacks(t, s, randomID(), verify.ErrKeyUnknown)
		}
	}
	if got := web.count(); got < 1+5+9 || got > 1+5+10 {
		t.Errorf("got %d fetches after 100 s of attack, want one for each 10 s", got)
	}
}

func TestAttackRandomKeyIDsAtOnceCauseNoStorm(t *testing.T) {
	t.Parallel()
	web, c := newServer(t, newKey(t, "a")), newClock()
	s := newSet(t, web.web.URL, c)
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() { lacks(t, s, randomID(), verify.ErrKeyUnknown) })
	}
	all.Wait()
	if got := web.count(); got > 1+5 {
		t.Errorf("got %d fetches, want at most 6", got)
	}
	has(t, s, "a")
}

func TestAttackSecretsInAPublicSet(t *testing.T) {
	t.Parallel()
	secret, err := jose.NewKey(jose.HS256, "h", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	hmac, err := secret.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	private, err := newKey(t, "a").PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []json.RawMessage{hmac, private}})
	}))
	t.Cleanup(web.Close)
	s := newSet(t, web.URL, newClock())
	if k, err := s.Key(t.Context(), "h", jose.HS256); k != nil || !is(err, verify.ErrKeyUnknown) {
		t.Errorf("HMAC: got %v, %v, want ErrKeyUnknown", k, err)
	}
	if k, err := s.Key(t.Context(), "a", jose.EdDSA); err == nil && k.CanSign() {
		t.Error("the set hands out a private key")
	}
}

func TestAttackBadDocuments(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(jose.KeySet{newKey(t, "a")})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"oversized": string(good) + strings.Repeat(" ", 256<<10), "endless": strings.Repeat("x", 5<<20), "empty": "", "not JSON": "<html>", "array": "[]",
		"no keys": "{}", "keys twice": `{"keys":[],"keys":[]}`, "garbage behind": string(good) + "x", "truncated": string(good[:len(good)-2]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bodies := make(chan string, 3)
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, <-bodies)
			}))
			t.Cleanup(web.Close)
			c := newClock()
			s := newSet(t, web.URL, c)
			bodies <- string(good)
			has(t, s, "a")
			bodies <- body
			c.forward(time.Hour)
			has(t, s, "a") // the bad document changes nothing
			bodies <- body
			other := newSet(t, web.URL, c)
			lacks(t, other, "a", verify.ErrUnavailable)
			bodies <- string(good)
			c.forward(time.Minute)
			has(t, other, "a")
		})
	}
}

func TestAttackRedirects(t *testing.T) {
	t.Parallel()
	evil := newServer(t, newKey(t, "evil"))
	good := newServer(t, newKey(t, "a"))
	for name, tt := range map[string]struct {
		to   string
		want error
	}{
		"another port": {evil.web.URL, verify.ErrUnavailable},
		"another name": {strings.Replace(evil.web.URL, "127.0.0.1", "localhost", 1), verify.ErrUnavailable},
		"a loop":       {"/loop", verify.ErrUnavailable},
		"a file":       {"file:///etc/passwd", verify.ErrUnavailable},
		"same place":   {"/keys", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					good.ServeHTTP(w, r)
					return
				}
				http.Redirect(w, r, tt.to, http.StatusFound)
			}))
			t.Cleanup(web.Close)
			s := newSet(t, web.URL+"/start", newClock())
			if tt.want != nil {
				lacks(t, s, "evil", tt.want)
				return
			}
			has(t, s, "a")
		})
	}
	if got := evil.count(); got != 0 {
		t.Errorf("the other host was asked %d times", got)
	}
}
