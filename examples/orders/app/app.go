package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Config is what the service must know.
type Config struct {
	Issuer       string // Wafer's URL, exactly as it stands in iss
	Audience     string // the API's identifier: https://orders.example
	Algorithm    string // of its access tokens: RS256
	ClientID     string // the service's own, to ask Wafer with
	ClientSecret string
	Stale        string // strict, degrade or open; "" is degrade

	// Inventory is the URL of a second service to ask for the stock, "" for none,
	// and InventoryAudience its API's identifier.
	Inventory         string
	InventoryAudience string

	// Base is the URL at which clients reach this service: http://localhost:8081. Tokens
	// that are bound to a key are taken only with it: a proof names the address. "" for none.
	Base string

	// Feed tells what was taken back. Its Run must be called. nil: Wafer is asked
	// about every credential.
	Feed *revocation.Feed

	Logger *slog.Logger // nil: slog.Default()
}

// NewFeed makes the feed for a configuration.
func NewFeed(c Config) (*revocation.Feed, error) {
	return revocation.New(revocation.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Audience: c.Audience, Policy: cmp.Or(c.Stale, verify.Degrade.String()),
		Name: "orders", Logger: c.Logger,
	})
}

// New returns the service, or everything that is wrong with the configuration.
func New(c Config) (http.Handler, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	v, err := verifier(c)
	if err := errors.Join(err, checkBase(c.Base)); err != nil {
		return nil, err
	}
	s := &service{log: c.Logger}
	if c.Inventory != "" {
		s.stock = newStock(c)
	}
	o := httpauth.Options{Realm: "orders", Base: c.Base, Logger: c.Logger}
	mux := http.NewServeMux()
	if r, ok := c.resource(); ok {
		mux.Handle(httpauth.ResourceMetadata(r))
		o.Metadata = r.MetadataURL()
	}
	auth := httpauth.New(v, o)
	mux.Handle("GET /orders", auth.Require("orders:read")(http.HandlerFunc(s.orders)))
	mux.Handle("GET /orders/live", auth.Require("orders:read")(live(auth)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux, nil
}

// verifier is all that a service needs to accept both credentials: the public
// keys for JWTs, a way to ask Wafer about cookies it has not seen before, and the
// feed of what was revoked.
func verifier(c Config) (*verify.Verifier, error) {
	stale, err := policy(c.Stale)
	if err != nil {
		return nil, err
	}
	keys, err := jwks.New(c.Issuer+"/.well-known/jwks.json", jwks.Options{Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	server, err := verify.NewServer(verify.ServerConfig{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret})
	if err != nil {
		return nil, err
	}
	return verify.New(verify.Config{
		Issuer: c.Issuer, Audience: c.Audience, Algorithms: []jose.Algorithm{jose.Algorithm(c.Algorithm)},
		Keys: keys, Server: server, Feed: c.Feed, Stale: stale, Logger: c.Logger,
	})
}

// resource describes the service to clients that were never told of it. Its identifier
// must lie at the address they call, for they compare the two (RFC 9728 section 3.3):
// with another audience nothing is described.
func (c Config) resource() (httpauth.Resource, bool) {
	if c.Base == "" || !strings.HasPrefix(c.Audience+"/", strings.TrimRight(c.Base, "/")+"/") || strings.ContainsAny(c.Audience, "?#") {
		return httpauth.Resource{}, false
	}
	return httpauth.Resource{URL: c.Audience, Issuer: c.Issuer, Scopes: []string{"orders:read"}, Name: "Orders", DPoP: true}, true
}

// checkBase wants what httpauth wants, as an error.
func checkBase(base string) error {
	u, err := url.Parse(base)
	if err == nil && (base == "" || u.Host != "" && u.User == nil && !strings.ContainsAny(base, "?#") && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))) {
		return nil
	}
	return errors.New("base must be an absolute URL over https, or http on loopback, without user, query and fragment")
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
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

type service struct {
	stock *stock
	log   *slog.Logger
}

// Order is one row of the answer.
type Order struct {
	ID      string `json:"id"`
	Item    string `json:"item"`
	Count   int    `json:"count"`
	InStock *int   `json:"in_stock,omitempty"` // as inventory says; absent when it was not asked or does not say
}

// Answer is what GET /orders says.
type Answer struct {
	User   string  `json:"user"` // whose orders: the sub
	By     string  `json:"by"`   // what was accepted: token, session or opaque
	Orders []Order `json:"orders"`
	Note   string  `json:"note,omitempty"` // what could not be found out
}

// orders runs only for callers whose credential is good and holds orders:read.
func (s *service) orders(w http.ResponseWriter, r *http.Request) {
	id, ok := httpauth.From(r.Context())
	if !ok {
		panic("orders is not behind Require")
	}
	out := Answer{User: id.Subject, By: id.Kind.String(), Orders: []Order{
		{ID: "1001", Item: "vanilla wafers", Count: 3}, {ID: "1002", Item: "sealing wax, red", Count: 1},
	}}
	out.Note = s.fillStock(r.Context(), out.Orders)
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		s.log.DebugContext(r.Context(), "caller has left", "cause", err)
	}
}

// fillStock adds what inventory says. Without it the orders are still good to know,
// with a note.
func (s *service) fillStock(ctx context.Context, orders []Order) (note string) {
	if s.stock == nil {
		return ""
	}
	counts, err := s.stock.counts(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "inventory cannot be asked", "cause", err)
		return "Inventory cannot be asked now."
	}
	for i := range orders {
		if n, ok := counts[orders[i].Item]; ok {
			orders[i].InStock = &n
		}
	}
	return ""
}
