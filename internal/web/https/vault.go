package https

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// Vault is where nodes share what belongs to an ACME account: its key, the
// certificates, challenges under way, and who of them is ordering. Keys are
// words with slashes between them; values are sealed before they come here.
type Vault interface {
	// Load finds a value and when it was stored.
	Load(ctx context.Context, key string) (value []byte, stored time.Time, found bool, err error)
	// Store writes a value, over what was there. It is durable afterwards, and
	// nobody ever reads half of it.
	Store(ctx context.Context, key string, value []byte, now time.Time) error
	// Delete removes a key and everything below it: key/... . None there is no
	// error.
	Delete(ctx context.Context, key string) error
	// List returns every key below a prefix, prefix/..., sorted; "" is all.
	List(ctx context.Context, prefix string) ([]string, error)
	// Lock takes or prolongs a lease in one step, unless another holder has it
	// for longer than now. A lease whose holder died ends by itself.
	Lock(ctx context.Context, name, holder string, now, until time.Time) (taken bool, err error)
	// Unlock ends a lease that is the holder's. Another's is left alone.
	Unlock(ctx context.Context, name, holder string) error
}

const (
	leaseLife = time.Minute
	leasePoll = 500 * time.Millisecond
)

// storage is a Vault as certmagic wants one.
type storage struct {
	vault Vault
	seal  *opaque.Key
	now   func() time.Time
	log   *slog.Logger

	mu   sync.Mutex
	held map[string]holding
}

// holding is a lease of ours and what ends its being prolonged.
type holding struct {
	holder string
	stop   context.CancelFunc
}

var _ certmagic.Storage = (*storage)(nil)

func newStorage(o Options) *storage {
	return &storage{vault: o.Vault, seal: o.Seal, now: o.Now, log: o.Log, held: map[string]holding{}}
}

// place binds a sealed value to its key.
func place(key string) string { return "tls vault " + key }

// Store seals and writes a value.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.vault.Store(ctx, key, s.seal.Seal(value, place(key)), s.now())
}

// Load reads a value; one that is not there is fs.ErrNotExist.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.load(ctx, key)
	return value, err
}

func (s *storage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	sealed, stored, found, err := s.vault.Load(ctx, key)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("load %s: %w", key, err)
	}
	if !found {
		return nil, time.Time{}, fmt.Errorf("load %s: %w", key, fs.ErrNotExist)
	}
	value, err := s.seal.Open(sealed, place(key))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("load %s: %w", key, err)
	}
	return value, stored, nil
}

// Delete removes a key and what is below it.
func (s *storage) Delete(ctx context.Context, key string) error { return s.vault.Delete(ctx, key) }

// Exists reports whether there is a key, or one below it. A vault that does not
// answer is logged: certmagic looks again before it orders.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.ErrorContext(ctx, "certificate vault", "error", err)
	}
	return err == nil
}

// Stat tells about a key; a folder is one that has others below it.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, modified, err := s.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: modified, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	below, listErr := s.vault.List(ctx, key)
	if listErr != nil {
		return certmagic.KeyInfo{}, listErr
	}
	if len(below) == 0 {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key}, nil
}

// List returns the keys right below a prefix, folders among them; recursive is
// every key and folder.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	all, err := s.vault.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("list %s: %w", prefix, fs.ErrNotExist)
	}
	start := 0
	if prefix != "" {
		start = len(prefix) + 1
	}
	var keys []string
	for _, key := range all {
		for i := start; i < len(key); i++ {
			if key[i] != '/' {
				continue
			}
			keys = append(keys, key[:i])
			if !recursive {
				break
			}
		}
		if recursive || !strings.Contains(key[start:], "/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// Lock waits for a lease and prolongs it until Unlock.
func (s *storage) Lock(ctx context.Context, name string) error {
	holder := opaque.Text(12)
	for {
		taken, err := s.lock(ctx, name, holder)
		if err != nil {
			return fmt.Errorf("lock %s: %w", name, err)
		}
		if taken {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leasePoll):
		}
	}
	// Whoever locks may be given up on before the work is: only Unlock ends it.
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.held[name] = holding{holder, stop}
	s.mu.Unlock()
	go s.prolong(alive, name, holder)
	return nil
}

func (s *storage) lock(ctx context.Context, name, holder string) (taken bool, err error) {
	now := s.now()
	return s.vault.Lock(ctx, name, holder, now, now.Add(leaseLife))
}

func (s *storage) prolong(ctx context.Context, name, holder string) {
	tick := time.NewTicker(leaseLife / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		taken, err := s.lock(ctx, name, holder)
		if ctx.Err() == nil && (err != nil || !taken) {
			s.log.ErrorContext(ctx, "the lease on a certificate is not prolonged; another node may order it too", "lease", name, "error", err)
		}
	}
}

// Unlock gives a lease back, even when ctx has ended: others wait for it.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h, ok := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("unlock %s: it is not locked", name)
	}
	h.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.vault.Unlock(ctx, name, h.holder)
}
