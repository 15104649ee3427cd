package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// A service that answers one request bare, behind httpauth with the feed, and behind
// what others offer: one process, one connection pool, the same headers.

func guardedSuites() []suite {
	var all []suite
	for _, kind := range guardedKinds {
		all = append(all, suite{"guarded " + kind, func(report func(figure)) error { return guarded(kind, report) }})
	}
	return all
}

// guardedRounds are more than of other rows: the budget is near to 1, and what else
// the machine does moves a single ratio by a tenth.
const guardedRounds = 15

// guardedKinds are the credentials, each for an API of its own.
var guardedKinds = []string{"RS256", "ES256", "EdDSA", "HS256", "cookie"}

func audienceOf(kind string) string {
	if kind == "cookie" {
		kind = "EdDSA"
	}
	return "https://" + strings.ToLower(kind) + ".example"
}

const guardClient, guardSecret = "bench-guard", "bench-guard-secret-for-this-run"

func guarded(kind string, report func(figure)) error {
	w, err := startWafer()
	if err != nil {
		return err
	}
	defer w.stop()
	secret, err := hmacSecret(w)
	if err != nil {
		return err
	}
	header, err := w.credential(kind)
	if err != nil {
		return err
	}
	return guardedRow(w, kind, header, secret, report)
}

// credential gives the header of a request that the service takes.
func (p *process) credential(kind string) (string, error) {
	if kind == "cookie" {
		s, err := p.signIn()
		return "Cookie: __Host-Http-wafer=" + s.cookie, err
	}
	token, err := p.serviceToken(audienceOf(kind))
	return "Authorization: Bearer " + token, err
}

func guardedRow(w *process, kind, header, secret string, report func(figure)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "guarded", "127.0.0.1:"+port, w.url, kind)
	cmd.Env = append(os.Environ(), "BENCH_SECRET="+secret)
	p, _, err := start(cmd, "http://127.0.0.1:"+port, "/ready")
	if err != nil {
		return err
	}
	defer p.stop()
	ways := []string{"bare", "httpauth", "golang-jwt", "jwx"}
	if kind == "cookie" {
		ways = []string{"bare", "httpauth", "scs"}
		header, err = withSCS(p.url, header)
		if err != nil {
			return err
		}
	}
	name, value, _ := strings.Cut(header, ": ")
	of := map[string][]float64{}
	for round := range guardedRounds + 1 {
		slices.Reverse(ways) // whoever goes first does so half of the time
		for _, way := range ways {
			got, err := throughput(p, 8, getWith(p.url+"/"+way, name, value))
			if err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
			if round > 0 {
				of[way] = append(of[way], got)
			}
		}
	}
	// The number of reversals is even: bare is the first again.
	if err := proveGuarded(p, ways[1:]); err != nil {
		return err
	}
	report(figure{"guarded " + kind + ", bare", median(of["bare"]), "requests per core-second", "", guardedRounds})
	for _, way := range ways[1:] {
		f := figure{"guarded " + kind + ", " + way, ratio(of[way], of["bare"]), "of bare", "bare net/http, same headers", guardedRounds}
		if way == "httpauth" {
			f = f.atLeast(0.93)
		}
		report(f)
	}
	if kind != guardedKinds[0] {
		return nil
	}
	return background(p, report)
}

func getWith(url, name, value string) load {
	return func(c *http.Client) error {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		r.Header.Set(name, value)
		return finish(c.Do(r))
	}
}

// firstsMost is how often a credential may have been verified whole, among some hundred
// thousand requests: by each connection that brought it before it was remembered, and
// when the keys were fetched anew.
const firstsMost = 32

// proveGuarded makes sure that what was measured is what is said: the guards refuse,
// and ours answered from what it remembers, under a lease.
func proveGuarded(p *process, ways []string) error {
	for _, way := range ways {
		res, err := http.Get(p.url + "/" + way)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("%s without a credential: %s", way, res.Status)
		}
	}
	res, err := http.Get(p.url + "/stats")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var s guardStats
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return err
	}
	if s.Verifier.Remembered != 1 || s.Verifier.First > firstsMost || s.Verifier.Asked > firstsMost || !s.Feed.Fresh || s.Feed.Renewals < 2 {
		return fmt.Errorf("not the cached path under a lease: %+v", s)
	}
	return nil
}

// guardStats is what the process tells of its verifier.
type guardStats struct {
	Verifier verify.Stats
	Feed     revocation.Stats
}

// background is what following the feed costs the service while nothing happens; all
// ways are measured in the same process, and bear it.
func background(p *process, report func(figure)) error {
	const idle = 10 * time.Second
	before, err := p.cpu()
	if err != nil {
		return err
	}
	time.Sleep(idle)
	after, err := p.cpu()
	if err != nil {
		return err
	}
	report(figure{"guarded, the feed by itself", (after - before).Seconds() / idle.Seconds(), "cores", "", 1})
	return nil
}

// withSCS adds a session of scs to the Cookie header, so that all ways get both.
func withSCS(url, header string) (string, error) {
	res, err := http.Get(url + "/scs-new")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "session" {
			return header + "; session=" + c.Value, nil
		}
	}
	return "", errors.New("scs set no cookie")
}

func hmacSecret(w *process) (string, error) {
	binary, err := build()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(binary, "--data", w.data, "api", "secret", "https://hs256.example").Output()
	return strings.TrimSpace(string(out)), err
}

func (p *process) serviceToken(api string) (string, error) {
	return p.clientToken("bench-service", "bench-service-secret-for-this-run", api)
}

func (p *process) clientToken(id, secret, api string) (string, error) {
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret + "&resource=" + api
	res, err := http.Post(p.url+"/oauth/token", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(b), `"access_token":"`)
	token, _, found2 := strings.Cut(rest, `"`)
	if !found || !found2 {
		return "", fmt.Errorf("token: %s %s", res.Status, b)
	}
	return token, nil
}

// serveGuarded is the process: address, issuer and kind are its arguments.
func serveGuarded(address, issuer, kind string) {
	mux, err := guardedMux(issuer, kind)
	if err != nil {
		fail(err)
	}
	fail(http.ListenAndServe(address, mux))
}

func answerGuarded(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}`))
}

func guardedMux(issuer, kind string) (*http.ServeMux, error) {
	quiet := slog.New(slog.DiscardHandler)
	feed, err := revocation.New(revocation.Config{
		Issuer: issuer, ClientID: guardClient, ClientSecret: guardSecret, Name: "bench", Audience: audienceOf(kind), Policy: "strict", Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	go func() { _ = feed.Run(context.Background()) }() // it ends with the process
	alg := jose.EdDSA
	if kind != "cookie" {
		alg = jose.Algorithm(kind)
	}
	remote, err := jwks.New(issuer+"/.well-known/jwks.json", jwks.Options{Logger: quiet})
	if err != nil {
		return nil, err
	}
	var keys verify.KeySet = remote
	if alg == jose.HS256 {
		key, err := jose.NewKey(alg, "", []byte(os.Getenv("BENCH_SECRET")))
		if err != nil {
			return nil, err
		}
		keys = verify.StaticKeys(key)
	}
	server, err := verify.NewServer(verify.ServerConfig{Issuer: issuer, ClientID: guardClient, ClientSecret: guardSecret})
	if err != nil {
		return nil, err
	}
	v, err := verify.New(verify.Config{
		Issuer: issuer, Audience: audienceOf(kind), Algorithms: []jose.Algorithm{alg}, Keys: keys, Server: server, Feed: feed, Stale: verify.Strict, Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	answer := http.HandlerFunc(answerGuarded)
	mux := http.NewServeMux()
	mux.Handle("GET /bare", answer)
	mux.Handle("GET /httpauth", httpauth.New(v, httpauth.Options{Logger: quiet}).Require("a:read")(answer))
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !feed.Fresh(time.Now()) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(guardStats{v.Stats(), feed.Stats()})
	})
	peerSCS(mux, answer)
	at := place{issuer: issuer, audience: audienceOf(kind), alg: alg, keys: keys}
	mux.Handle("GET /golang-jwt", peerJWT(at, answer))
	jwx, err := peerJWX(at, answer)
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /jwx", jwx)
	return mux, nil
}
