package app

import (
	"context"
	"errors"

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
