package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

// KeysConfig is what Keys are made of.
type KeysConfig struct {
	Client *http.Client // one that goes only where it may
	Now    func() time.Time
	Log    *slog.Logger
}

// Keys gets and keeps the keys of transmitters: one set for each address, fetched
// when it is needed, at a bounded rate whatever is pushed (see package jwks).
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
func NewKeys(c KeysConfig) *Keys { return &Keys{KeysConfig: c, sets: map[string]kept{}} }

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
