package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

// KeysConfig is what Keys are made of.
type KeysConfig struct {
	Issuer string // ours: one on loopback may get keys from loopback
	Client *http.Client
	Now    func() time.Time
	Log    *slog.Logger
}

// Keys gets and keeps the keys of transmitters: one set for each address, fetched
// when it is needed, at a bounded rate whatever is pushed (see package jwks). Without
// a Client of its own it speaks to public addresses only.
type Keys struct {
	KeysConfig
	mu   sync.Mutex
	sets map[string]kept // by transmitter
}

type kept struct {
	uri string
	set *jwks.Set
}

// NewKeys returns keys that are fetched when they are asked for.
func NewKeys(c KeysConfig) (*Keys, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read issuer: %w", err)
	}
	if c.Client == nil {
		r := public
		if config.IsLoopback(u.Hostname()) {
			r = publicOrLoopback
		}
		c.Client = careful(r)
	}
	return &Keys{KeysConfig: c, sets: map[string]kept{}}, nil
}

// Find is receiver.Config.Keys.
func (k *Keys) Find(ctx context.Context, t receiver.Transmitter, kid string, alg jose.Algorithm) (*jose.Key, error) {
	set, err := k.set(t)
	if err != nil {
		return nil, err
	}
	key, err := set.Key(ctx, kid, alg)
	if errors.Is(err, verify.ErrKeyUnknown) {
		return nil, receiver.ErrNoKey
	}
	return key, err
}

// set is replaced when the transmitter's address is: what was trusted at the old one
// is trusted no more.
func (k *Keys) set(t receiver.Transmitter) (*jwks.Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one := k.sets[t.ID]; one.set != nil && one.uri == t.JWKSURI {
		return one.set, nil
	}
	set, err := jwks.New(t.JWKSURI, jwks.Options{Client: k.Client, Now: k.Now, Logger: k.Log})
	if err != nil {
		return nil, err
	}
	k.sets[t.ID] = kept{t.JWKSURI, set}
	return set, nil
}
