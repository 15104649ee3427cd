package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// newHub makes this node's hub. Its secrets are derived from the master key: they
// are the same at every node and after every restart.
func (a *App) newHub() (*feed.Hub, error) {
	digest := a.root.Derive("feed hashes").MAC("secret")
	leases := a.root.Derive("feed leases")
	hub, err := feed.New(feed.Config{
		Store: a.store, Covered: a.store.Covered, Issuer: a.config.Issuer, Node: nodeName(), Now: a.now, Log: a.log,
		Authenticate: func(ctx context.Context, c feed.Credentials) (string, error) {
			return a.grants.Follower(ctx, grant.Credentials{ID: c.ID, Secret: c.Secret, Basic: true})
		},
		Allowed: a.grants.MayFollow,
		Signer:  func() (*jose.Key, bool) { return a.ring.Signer(keyring.ForFeed) },
		Keys:    func() jose.KeySet { return a.ring.Published(keyring.ForFeed) },
		Secret:  revocation.Secret(digest[:len(revocation.Secret{})]),
		LeaseKey: func(verifier string) []byte {
			key := leases.MAC("lease", verifier)
			return key[:]
		},
		KeySet: func(ctx context.Context) (string, error) {
			if err := a.ring.Load(ctx); err != nil { // another node may have changed them
				return "", err
			}
			body, _ := a.ring.JWKS()
			return jwks.DocumentVersion(body), nil
		},
		Used: a.sessionsUsed,
	})
	if err != nil {
		return nil, fmt.Errorf("make the hub of the revocation feed: %w", err)
	}
	return hub, nil
}

// sessionsUsed notes uses of sessions that a verifier saw. The session's own limits
// decide what comes of it.
func (a *App) sessionsUsed(clientID string, uses []revocation.Use, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if ok, err := a.grants.MayTell(ctx, clientID); err != nil || !ok {
		return // a session may end early for it, never late
	}
	for _, u := range uses {
		a.sessions.TouchByID(u.SessionID, now.Add(-time.Duration(max(u.AgoMS, 0))*time.Millisecond))
	}
}

// nodeName is how the list of verifiers names this process.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// builtIn are the keys that sign what is for no API: the feed's, and those for other
// parties once they were needed.
func (a *App) builtIn() []api.API {
	all := []api.API{keyring.BuiltIn(keyring.ForFeed)}
	for _, alg := range keyring.IssuerAlgs {
		if _, ok := a.ring.Signer(keyring.ForIssuer(alg)); ok {
			all = append(all, keyring.BuiltIn(keyring.ForIssuer(alg)))
		}
	}
	return all
}

// eventsKey returns the key that signs logout tokens and security events.
func (a *App) eventsKey() (*jose.Key, bool) { return a.issuerKey(jose.RS256) }

// issuerKey returns the key that signs what other parties read. One that was not made
// at the start (see makeIssuerKeys) is made when it is first needed.
func (a *App) issuerKey(alg jose.Algorithm) (*jose.Key, bool) {
	name := keyring.ForIssuer(alg)
	if key, ok := a.ring.Signer(name); ok {
		return key, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.ring.Ensure(ctx, keyring.BuiltIn(name)); err != nil {
		a.log.Error("make the key for other parties", "alg", alg, "error", err)
		return nil, false
	}
	return a.ring.Signer(name)
}
