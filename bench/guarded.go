package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// A service that answers one request bare, behind httpauth with the feed, and behind
// what others offer: one process, one connection pool, the same headers.

func guardedSuites() []suite {
	return []suite{{"guarded handler", guarded}}
}

// guardedKinds are the credentials, each for an API of its own.
var guardedKinds = []string{"RS256", "ES256", "EdDSA", "HS256", "cookie"}

func audienceOf(kind string) string {
	if kind == "cookie" {
		kind = "EdDSA"
	}
	return "https://" + strings.ToLower(kind) + ".example"
}

const guardClient, guardSecret = "bench-guard", "bench-guard-secret-for-this-run"

func guarded(report func(figure)) error {
	w, err := startWafer()
	if err != nil {
		return err
	}
	defer w.stop()
	secret, err := hmacSecret(w)
	if err != nil {
		return err
	}
	s, err := w.signIn()
	if err != nil {
		return err
	}
	for _, kind := range guardedKinds {
		header := "Cookie: __Host-Http-wafer=" + s.cookie
		if kind != "cookie" {
			token, err := w.serviceToken(audienceOf(kind))
			if err != nil {
				return err
			}
			header = "Authorization: Bearer " + token
		}
		if err := guardedRow(w, kind, header, secret, report); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
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
	ways := []string{"bare", "httpauth", "golang-jwt"}
	if kind == "cookie" {
		ways = []string{"bare", "httpauth", "scs"}
		header, err = withSCS(p.url, header)
		if err != nil {
			return err
		}
	}
	name, value, _ := strings.Cut(header, ": ")
	of := map[string][]float64{}
	for round := range rounds + 1 {
		for _, way := range ways {
			got, err := throughput(p, 8, func(c *http.Client) error {
				r, err := http.NewRequest(http.MethodGet, p.url+"/"+way, nil)
				if err != nil {
					return err
				}
				r.Header.Set(name, value)
				return finish(c.Do(r))
			})
			if err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
			if round > 0 {
				of[way] = append(of[way], got)
			}
		}
	}
	report(figure{"guarded " + kind + ", bare", median(of["bare"]), "requests per core-second", "", rounds})
	for _, way := range ways[1:] {
		var ratios []float64 // of neighbors in time
		for i, got := range of[way] {
			ratios = append(ratios, got/of["bare"][i])
		}
		report(figure{"guarded " + kind + ", " + way, median(ratios), "of bare", "bare net/http, same headers", rounds})
	}
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
		keys = sharedKey{key}
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
	peerSCS(mux, answer)
	mux.Handle("GET /golang-jwt", peerJWT(keys, alg, issuer, audienceOf(kind), answer))
	return mux, nil
}

// sharedKey is a key set of one secret.
type sharedKey struct{ key *jose.Key }

// Key implements verify.KeySet.
func (s sharedKey) Key(context.Context, string, jose.Algorithm) (*jose.Key, error) { return s.key, nil }

// material keeps public keys as the standard library knows them, by id.
type material struct{ byID sync.Map }

func (m *material) of(k *jose.Key) (any, error) {
	if there, ok := m.byID.Load(k.ID()); ok {
		return there, nil
	}
	b, err := k.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var read gojose.JSONWebKey
	if err := read.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	m.byID.Store(k.ID(), read.Key)
	return read.Key, nil
}

// peerJWT is what its users write: parse, verify, check issuer and audience, for each
// request; nothing of it asks whether the token was revoked.
func peerJWT(keys verify.KeySet, alg jose.Algorithm, issuer, audience string, next http.Handler) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{string(alg)}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	known := &material{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := parser.ParseWithClaims(text, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			key, err := keys.Key(r.Context(), kid, alg)
			if err != nil {
				return nil, err
			}
			if alg == jose.HS256 {
				return []byte(os.Getenv("BENCH_SECRET")), nil
			}
			return known.of(key)
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		claims, _ := token.Claims.(jwt.MapClaims)
		scope, _ := claims["scope"].(string)
		if !slices.Contains(strings.Fields(scope), "a:read") {
			http.Error(w, "scope", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// peerSCS keeps sessions in memory of the one process.
func peerSCS(mux *http.ServeMux, next http.Handler) {
	m := scs.New()
	mux.Handle("GET /scs-new", m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "user", "usr_1")
		m.Put(r.Context(), "scope", "a:read")
	})))
	mux.Handle("GET /scs", m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.GetString(r.Context(), "user") == "" || m.GetString(r.Context(), "scope") != "a:read" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})))
}
