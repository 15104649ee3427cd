package app

import (
	"context"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

// lazyHasher measures what a hash costs beside the start of the server, not
// before it: the first login waits for it, the first request does not.
type lazyHasher struct {
	get func() (*password.Hasher, error)
}

func newLazyHasher(workers int, now func() time.Time) *lazyHasher {
	return &lazyHasher{get: sync.OnceValues(func() (*password.Hasher, error) {
		return password.New(password.Config{Workers: workers, Now: now})
	})}
}

// Hash hashes a new password.
func (l *lazyHasher) Hash(ctx context.Context, plain string) (string, error) {
	h, err := l.get()
	if err != nil {
		return "", err
	}
	return h.Hash(ctx, plain)
}

// Rehash hashes a password again, if the gate has nothing better to do.
func (l *lazyHasher) Rehash(ctx context.Context, plain string) (string, error) {
	h, err := l.get()
	if err != nil {
		return "", err
	}
	return h.Rehash(ctx, plain)
}

// Verify checks a password against a stored hash.
func (l *lazyHasher) Verify(ctx context.Context, a password.Attempt) (password.Result, error) {
	h, err := l.get()
	if err != nil {
		return password.Result{}, err
	}
	return h.Verify(ctx, a)
}
