package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestFigureSaysWhetherItsBudgetWasMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		got  figure
		want string
	}{
		{"below the most", figure{Value: 49, Floor: "raw"}.atMost(50), "raw; budget <= 50: met"},
		{"at the most", figure{Value: 50}.atMost(50), "budget <= 50: met"},
		{"above the most", figure{Value: 51}.atMost(50), "budget <= 50: MISSED"},
		{"at the least", figure{Value: 0.93}.atLeast(0.93), "budget >= 0.93: met"},
		{"below the least", figure{Value: 0.92}.atLeast(0.93), "budget >= 0.93: MISSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.got.Floor != c.want {
				t.Errorf("floor %q, want %q", c.got.Floor, c.want)
			}
		})
	}
}

func TestRatioComparesNeighborsInTime(t *testing.T) {
	t.Parallel()
	// The machine is ten times as slow for one round: the medians of the two would not
	// be of the same one.
	if got := ratio([]float64{2, 20, 4}, []float64{1, 10, 4}); got != 2 {
		t.Errorf("ratio %v, want 2", got)
	}
}

func TestSuitesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range suites() {
		if seen[s.name] || s.run == nil {
			t.Errorf("suite %q is there twice or does nothing", s.name)
		}
		seen[s.name] = true
	}
}

// A peer that accepted anything would be fast.
func TestPeersServeGoodTokensAlone(t *testing.T) {
	const secret = "a secret of the bench, thirty-two bytes or more"
	t.Setenv("BENCH_SECRET", secret)
	key, err := jose.NewKey(jose.HS256, "k", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	at := place{issuer: "https://id.example", audience: "https://hs256.example", alg: jose.HS256, keys: verify.StaticKeys(key)}
	served := http.HandlerFunc(answerGuarded)
	jwx, err := peerJWX(at, served)
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, key, at.audience, time.Now().Add(time.Minute))
	for name, peer := range map[string]http.Handler{"golang-jwt": peerJWT(at, served), "jwx": jwx} {
		for _, c := range []struct {
			name, token string
			want        int
		}{
			{"good", good, http.StatusOK},
			{"of another key", good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 43), http.StatusUnauthorized},
			{"for another API", token(t, key, "https://other.example", time.Now().Add(time.Minute)), http.StatusUnauthorized},
			{"expired", token(t, key, at.audience, time.Now().Add(-time.Hour)), http.StatusUnauthorized},
			{"good again", good, http.StatusOK},
		} {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+c.token)
			w := httptest.NewRecorder()
			peer.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s, %s: %d, want %d", name, c.name, w.Code, c.want)
			}
		}
	}
}

func token(t *testing.T, key *jose.Key, audience string, expires time.Time) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"iss": "https://id.example", "aud": audience, "sub": "u", "client_id": "c", "jti": "t", "scope": "a:read",
		"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": expires.Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSetsOfTheBenchCoverWhatTheySay(t *testing.T) {
	t.Parallel()
	s, live, revoked := filled(1000)
	for i := range live {
		if s.Covers(&live[i], 0) || !s.Covers(&revoked[i], 0) {
			t.Fatalf("credential %d", i)
		}
	}
	stop := writer(s)
	stop()
	if s.Len() != 1000 {
		t.Errorf("%d entries are left after the writer, want 1000", s.Len())
	}
}
