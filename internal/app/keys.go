package app

import (
	"context"
	"errors"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/keyring"
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

// makeIssuerKeys makes the keys by which the issuer signs for the clients that are
// registered, and no others. What a client that comes later needs is made when it is
// needed, see issuerKey.
func (a *App) makeIssuerKeys(ctx context.Context) error {
	needed := map[jose.Algorithm]bool{}
	err := each(ctx, a.store.Clients, func(c client.Client) string { return c.ID }, func(c client.Client) bool {
		for _, alg := range signedFor(c) {
			needed[alg] = true
		}
		return len(needed) < len(keyring.IssuerAlgs)
	})
	if err != nil {
		return err
	}
	var lacking []api.API
	for _, alg := range keyring.IssuerAlgs {
		name := keyring.ForIssuer(alg)
		if _, there := a.ring.Signer(name); needed[alg] && !there {
			lacking = append(lacking, keyring.BuiltIn(name))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return a.ring.Ensure(ctx, lacking...)
}

// signedFor lists the algorithms of what the issuer will sign for a client.
func signedFor(c client.Client) []jose.Algorithm {
	if c.Disabled {
		return nil
	}
	var algs []jose.Algorithm
	if c.MayUse(client.AuthorizationCode) || c.MayUse(client.DeviceCode) {
		algs = append(algs, c.IDTokenAlg())
	}
	if c.BackchannelLogoutURI != "" {
		algs = append(algs, jose.RS256) // eventsKey
	}
	for _, alg := range []jose.Algorithm{c.OAuth.UserinfoAlg, c.OAuth.IntrospectionAlg} {
		if alg != "" {
			algs = append(algs, alg)
		}
	}
	return algs
}
