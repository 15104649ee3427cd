package revocation

import (
	"context"
	"fmt"
	"sync"

	"github.com/wafer-auth/wafer/verify/jose"
)

// keyCache keeps the keys that sign frames. It looks for one that it does not know
// at most once in keysPause, and looks now and then whether one has gone.
type keyCache struct {
	fetch func(context.Context) (jose.KeySet, error)
	now   func() instant

	mu      sync.Mutex
	keys    jose.KeySet
	fetched instant
	tried   instant
	any     bool // tried at all
}

func (c *keyCache) find(kid string) (*jose.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.keys.Find(kid, jose.EdDSA); ok {
		return k, nil
	}
	if c.any && c.now().since(c.tried) < keysPause {
		return nil, fmt.Errorf("%w: signed by key %.40q, which is not published", ErrWire, kid)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	if k, ok := c.keys.Find(kid, jose.EdDSA); ok {
		return k, nil
	}
	return nil, fmt.Errorf("%w: signed by key %.40q, which is not published", ErrWire, kid)
}

// load fetches the keys. The caller holds mu.
func (c *keyCache) load(ctx context.Context) error {
	c.any, c.tried = true, c.now()
	keys, err := c.fetch(ctx)
	if err != nil {
		return fmt.Errorf("fetch the feed's keys: %w", err)
	}
	c.keys, c.fetched = keys, c.tried
	return nil
}

// refresh forgets keys that are no longer published. Keys stay when nobody can
// tell.
func (c *keyCache) refresh(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.since(c.fetched) < keysEvery || now.since(c.tried) < keysPause {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_ = c.load(ctx)
}
