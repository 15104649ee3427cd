package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/web/courier"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify/jose"
)

// newKeys makes what has the keys of other parties at hand.
func (a *App) newKeys(from *courier.Courier) *peerkeys.Keys {
	return peerkeys.New(peerkeys.Config{Now: a.now, Log: a.log, Fetch: func(ctx context.Context, uri string, bytes int64) (peerkeys.Document, error) {
		got, err := from.Fetch(ctx, uri, bytes)
		return peerkeys.Document{Body: got.Body, MaxAge: got.MaxAge}, err
	}})
}

// transmitterKey finds the key of a transmitter that has a JWKSURI.
func (a *App) transmitterKey(ctx context.Context, t receiver.Transmitter, kid string, alg jose.Algorithm) (*jose.Key, error) {
	found, err := a.outward.keys.Find(ctx, peerkeys.Source{URI: t.JWKSURI}, kid, alg)
	if errors.Is(err, peerkeys.ErrNoKey) {
		return nil, receiver.ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// clientKeys finds the keys of clients for their request objects.
type clientKeys struct{ in *peerkeys.Keys }

// Candidates is authorize.Keys.
func (k clientKeys) Candidates(ctx context.Context, c client.Client, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	found, err := k.in.Find(ctx, peerkeys.Source{JWKS: c.OAuth.JWKS, URI: c.OAuth.JWKSURI}, kid, alg)
	switch {
	case errors.Is(err, peerkeys.ErrNoKey):
		return nil, nil
	case errors.Is(err, peerkeys.ErrUnavailable):
		return nil, fault.Wrap(err, fault.Unavailable, "The keys of the client are not at hand. Try again.").Retry(10 * time.Second)
	case err != nil:
		return nil, fmt.Errorf("find the client's keys: %w", err)
	}
	return found, nil
}

// certificates reads those of clients, nil when nobody is asked for one.
func (a *App) certificates() (*middleware.Certificates, error) {
	if a.config.MTLS == "" {
		return nil, nil
	}
	roots, err := a.config.ClientRoots()
	if err != nil {
		return nil, err
	}
	return &middleware.Certificates{Proxies: a.config.TrustedProxies, Header: a.config.ClientCertHeader, Roots: roots, Now: a.now}, nil
}
