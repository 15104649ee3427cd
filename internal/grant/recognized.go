package grant

import (
	"crypto/sha256"
	"sync"

	"github.com/wafer-auth/wafer/verify/jose"
)

// recognized remembers what tokens say whose signatures were checked: a service asks
// about the same token with every request it gets. Whether a token is still good is
// never remembered.
type recognized struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]checked
}

// checked is a token, and the key that its signature was checked with.
type checked struct {
	held held
	key  *jose.Key
}

// recognizedMost is how many tokens are remembered before all are forgotten.
const recognizedMost = 2048

func (r *recognized) take(digest [sha256.Size]byte) (checked, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.known[digest]
	return c, ok
}

func (r *recognized) put(digest [sha256.Size]byte, c checked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= recognizedMost {
		r.known = map[[sha256.Size]byte]checked{}
	}
	r.known[digest] = c
}
