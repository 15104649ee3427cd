package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// A token that a service has never seen, with everything that is checked of it, and
// the feed of a real server, against the bare signature check of the same bytes; and
// the same token when it is shown again.

func firstSightSuites() []suite {
	return []suite{{"first sight", firstSight}}
}

// firstSightBudgets are parts of the raw cryptography; that of HS256 is so little that
// its budget is a time.
var firstSightBudgets = map[jose.Algorithm]float64{jose.RS256: 1.06, jose.ES256: 1.04, jose.EdDSA: 1.04, jose.HS256: 2.0}

const (
	firstSightTokens = 4096
	firstSightRounds = 21
	firstSightAPI    = "https://orders.example"
	firstSightRSN    = 18_734 // as of a server that has run for a while
)

func firstSight(report func(figure)) error {
	w, err := startWafer()
	if err != nil {
		return err
	}
	defer w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	feed, err := liveFeed(ctx, w)
	if err != nil {
		return err
	}
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA, jose.HS256} {
		s, err := newSight(alg, feed)
		if err != nil {
			return err
		}
		if err := s.race(report); err != nil {
			return fmt.Errorf("%s: %w", alg, err)
		}
		if err := s.again(report); err != nil {
			return fmt.Errorf("%s again: %w", alg, err)
		}
	}
	return nil
}

// liveFeed follows a server and has its first lease.
func liveFeed(ctx context.Context, w *process) (*revocation.Feed, error) {
	feed, err := revocation.New(revocation.Config{
		Issuer: w.url, ClientID: guardClient, ClientSecret: guardSecret, Name: "bench", Audience: firstSightAPI, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	go func() { _ = feed.Run(ctx) }() // until the rows are done
	select {
	case <-feed.Ready():
		return feed, nil
	case <-time.After(10 * time.Second):
		return nil, errors.New("the feed has no lease")
	}
}

// sight is one algorithm with tokens that differ, and its key in the house's and in
// the standard library's form.
type sight struct {
	alg    jose.Algorithm
	raw    raw
	key    *jose.Key
	feed   *revocation.Feed
	tokens []string
	inputs [][]byte
	sigs   [][]byte
}

func newSight(alg jose.Algorithm, feed *revocation.Feed) (*sight, error) {
	r, err := newRaw(alg)
	if err != nil {
		return nil, err
	}
	key, err := jose.NewKey(alg, "bench-key", r.material)
	if err != nil {
		return nil, err
	}
	s := &sight{alg: alg, raw: r, key: key, feed: feed}
	if p := key.Public(); p != nil {
		s.key = p
	}
	for range firstSightTokens {
		now := time.Now()
		body, err := json.Marshal(map[string]any{
			"iss": feed.Issuer(), "sub": opaque.ID(opaque.UserID, now), "aud": firstSightAPI, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
			"jti": opaque.ID(opaque.TokenID, now), "client_id": "shop-web", "scope": "orders:read orders:write", "sid": opaque.ID(opaque.SessionID, now), "rsn": firstSightRSN,
			"amr": []string{"pwd"},
		})
		if err != nil {
			return nil, err
		}
		text, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, body)
		if err != nil {
			return nil, err
		}
		input, sig, err := split(text)
		if err != nil {
			return nil, err
		}
		s.tokens, s.inputs, s.sigs = append(s.tokens, text), append(s.inputs, input), append(s.sigs, sig)
	}
	return s, nil
}

// verifier makes one that remembers so many tokens; a negative number: none.
func (s *sight) verifier(size int) (*verify.Verifier, error) {
	return verify.New(verify.Config{
		Issuer: s.feed.Issuer(), Audience: firstSightAPI, Algorithms: []jose.Algorithm{s.alg}, Keys: verify.StaticKeys(s.key),
		Feed: s.feed, Stale: verify.Open, CacheSize: size, Logger: slog.New(slog.DiscardHandler),
	})
}

// turns gives a counter of its own to each contender.
func (s *sight) turns(do func(i int) error) func() error {
	i := -1
	return func() error {
		i = (i + 1) % len(s.tokens)
		return do(i)
	}
}

// first verifies each token once with one verifier, which remembers it, and then goes
// on with a new one. That is what a service pays in all; others remember nothing.
func (s *sight) first() func() error {
	var v *verify.Verifier
	return s.turns(func(i int) error {
		if i == 0 {
			if v != nil && v.Stats().First != int64(len(s.tokens)) {
				return fmt.Errorf("%d of %d tokens were seen for the first time", v.Stats().First, len(s.tokens))
			}
			var err error
			if v, err = s.verifier(firstSightTokens); err != nil {
				return err
			}
		}
		_, err := v.Token(context.Background(), s.tokens[i])
		return err
	})
}

func (s *sight) race(report func(figure)) error {
	at := place{issuer: s.feed.Issuer(), audience: firstSightAPI, alg: s.alg}
	public := publicOf(s.raw.material)
	parser := golangJWT(at)
	alg, ok := jwa.LookupSignatureAlgorithm(string(s.alg))
	if !ok {
		return errors.New("jwx does not know it")
	}
	options := jwxOptions(at, jwxjwt.WithKey(alg, public))
	forgetful, err := s.verifier(-1)
	if err != nil {
		return err
	}
	times, err := laps(firstSightRounds, []contender{
		{"raw", s.turns(func(i int) error { return truth(s.raw.verify(s.inputs[i], s.sigs[i])) })},
		{"wafer", s.turns(func(i int) error { _, err := forgetful.Token(context.Background(), s.tokens[i]); return err })},
		{"wafer, and remembered", s.first()},
		{"golang-jwt", s.turns(func(i int) error {
			_, err := parser.ParseWithClaims(s.tokens[i], jwt.MapClaims{}, func(*jwt.Token) (any, error) { return public, nil })
			return err
		})},
		{"jwx", s.turns(func(i int) error {
			_, err := jwxjwt.Parse([]byte(s.tokens[i]), options...)
			return err
		})},
	})
	if err != nil {
		return err
	}
	row := "first sight " + string(s.alg) + ", "
	report(figure{row + "raw crypto", median(times["raw"]) / 1000, "us CPU", "", firstSightRounds})
	for _, who := range []string{"wafer", "wafer, and remembered", "golang-jwt", "jwx"} {
		ours := strings.HasPrefix(who, "wafer")
		took := figure{row + who, median(times[who]) / 1000, "us CPU", "", firstSightRounds}
		part := figure{row + who, ratio(times[who], times["raw"]), "x raw crypto", "raw crypto", firstSightRounds}
		if ours && s.alg == jose.HS256 {
			took = took.atMost(firstSightBudgets[s.alg])
		} else if ours {
			part = part.atMost(firstSightBudgets[s.alg])
		}
		report(took)
		report(part)
	}
	return nil
}

// nowhere is an answer that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// again shows one token again and again: to Token, and to a handler behind httpauth.
func (s *sight) again(report func(figure)) error {
	v, err := s.verifier(1)
	if err != nil {
		return err
	}
	served := 0
	handler := httpauth.New(v, httpauth.Options{}).Require("orders:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+s.tokens[0])
	w := nowhere{http.Header{}}
	times, err := laps(rounds, []contender{
		{"token", func() error { _, err := v.Token(context.Background(), s.tokens[0]); return err }},
		{"request", func() error { handler.ServeHTTP(w, r); return nil }},
	})
	if err != nil {
		return err
	}
	const calls = 100_000
	served = 0
	before := mallocs()
	for range calls {
		handler.ServeHTTP(w, r)
	}
	each := float64(mallocs()-before) / calls
	if served != calls || v.Stats().First != 1 {
		return fmt.Errorf("%d of %d requests served, %d tokens verified whole", served, calls, v.Stats().First)
	}
	row := "seen before " + string(s.alg) + ", "
	report(figure{row + "Token", median(times["token"]), "ns CPU", "", rounds})
	report(figure{row + "httpauth", median(times["request"]), "ns CPU", "", rounds})
	// The feed renews its lease meanwhile: its allocations are less than a hundredth of one each.
	report(figure{row + "httpauth", each, "allocations", "", calls}.atMost(2.01))
	return nil
}

// mallocs is how often this process has allocated.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
