package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Config is what the service must know.
type Config struct {
	Issuer     string // Wafer's URL, exactly as it stands in iss
	Audience   string // the API's identifier: https://inventory.example
	HMACSecret string // the text that `wafer api secret` printed, as it is

	// ClientID and ClientSecret are the service's own, to ask Wafer about
	// revocations with. Without them only Stale "open" is possible.
	ClientID     string
	ClientSecret string
	Stale        string // strict, degrade or open; "" is degrade

	Logger *slog.Logger // nil: slog.Default()
}

// New returns the service, or everything that is wrong with the configuration.
func New(c Config) (http.Handler, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	v, err := verifier(c)
	if err != nil {
		return nil, err
	}
	auth := httpauth.New(v, httpauth.Options{Realm: "inventory", Logger: c.Logger})
	mux := http.NewServeMux()
	mux.Handle("GET /inventory", auth.Require("inventory:read")(http.HandlerFunc(inventory)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux, nil
}

func verifier(c Config) (*verify.Verifier, error) {
	stale, err := policy(c.Stale)
	if err != nil {
		return nil, err
	}
	// The key is the text's own bytes: nothing is decoded. Its id is Wafer's
	// business, so the token's kid is not compared.
	key, err := jose.NewKey(jose.HS256, "", []byte(c.HMACSecret))
	if err != nil {
		return nil, fmt.Errorf("HMAC secret: %w", err)
	}
	cfg := verify.Config{
		Issuer: c.Issuer, Audience: c.Audience, Algorithms: []jose.Algorithm{jose.HS256},
		Keys: onlyKey{key}, Stale: stale, Logger: c.Logger,
	}
	if c.ClientID != "" {
		cfg.Server, err = verify.NewServer(verify.ServerConfig{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret})
		if err != nil {
			return nil, err
		}
	}
	return verify.New(cfg)
}

// onlyKey is a key set of one shared secret.
type onlyKey struct{ key *jose.Key }

func (k onlyKey) Key(_ context.Context, _ string, alg jose.Algorithm) (*jose.Key, error) {
	if k.key.Algorithm() != alg {
		return nil, verify.ErrKeyUnknown
	}
	return k.key, nil
}

func policy(name string) (verify.Policy, error) {
	for _, p := range []verify.Policy{verify.Strict, verify.Degrade, verify.Open} {
		if p.String() == name {
			return p, nil
		}
	}
	if name == "" {
		return verify.Degrade, nil
	}
	return 0, errors.New("stale must be strict, degrade or open")
}

// Answer is what GET /inventory says.
type Answer struct {
	AskedBy string         `json:"asked_by"` // the client that asks
	Stock   map[string]int `json:"stock"`
}

func inventory(w http.ResponseWriter, r *http.Request) {
	id, ok := httpauth.From(r.Context())
	if !ok {
		panic("inventory is not behind Require")
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Answer{AskedBy: id.ClientID, Stock: map[string]int{ // the caller may have left
		"vanilla wafers": 128, "sealing wax, red": 12,
	}})
}
