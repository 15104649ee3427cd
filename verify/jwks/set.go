package jwks

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/internal/wire"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	patience       = 100 * time.Millisecond
	defaultTimeout = 5 * time.Second
	staleIfError   = 24 * time.Hour
	maxKeyID       = 256
)

// Options changes what New does by default. The zero value is good.
type Options struct {
	// Client makes the calls; its redirect policy is replaced by a narrower one.
	Client *http.Client
	// Timeout bounds one fetch: 5 s.
	Timeout time.Duration
	// Now is the clock: time.Now.
	Now func() time.Time
	// Logger hears when fetching begins to fail and when it works again: slog.Default().
	Logger *slog.Logger
}

// Set is a remote key set. It is a verify.KeySet and safe for concurrent use.
type Set struct {
	url     string
	client  *http.Client
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger

	current atomic.Pointer[snapshot]

	mu       sync.Mutex // everything below
	flight   *flight
	failures int
	retryAt  time.Time
	extra    bucket
	missing  negatives
	heard    announcements
}

var (
	_ verify.VersionedKeySet = (*Set)(nil)
	_ verify.AnnouncedKeySet = (*Set)(nil)
)

// flight is the one fetch under way. err may be read when done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// New makes a key set of the document at url. It fetches nothing yet; it fails
// only when the URL could not be trusted to bring keys.
func New(url string, o Options) (*Set, error) {
	if err := wire.CheckURL(url); err != nil {
		return nil, fmt.Errorf("key set URL %q: %w", url, err)
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("timeout %s is negative", o.Timeout)
	}
	s := &Set{url: url, client: fetchingClient(o.Client), timeout: o.Timeout, now: o.Now, log: o.Logger}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s, nil
}

// Key gives the key of this id bound to this algorithm; with an empty id, the
// only key of that algorithm. The error matches verify.ErrKeyUnknown when there
// is none, verify.ErrUnavailable when nobody can tell.
func (s *Set) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	if alg.Symmetric() || len(kid) > maxKeyID {
		return nil, verify.ErrKeyUnknown
	}
	snap, err := s.usable(ctx)
	if err != nil {
		return nil, err
	}
	if k, ok := snap.find(kid, alg); ok {
		return k, nil
	}
	// A token without a kid, or one that names a key of another algorithm, is no sign of a new key.
	if kid == "" || snap.has(kid) {
		return nil, verify.ErrKeyUnknown
	}
	return s.seek(ctx, snap, kid, alg)
}

// Version implements verify.VersionedKeySet. It starts the fetch that keeps the set
// fresh when one is due, and does not wait for it.
func (s *Set) Version(now time.Time) uint64 {
	snap := s.current.Load()
	if !snap.trusted(now) {
		return 0
	}
	if !now.Before(snap.refreshAt) {
		s.due(snap, now)
	}
	return snap.version
}

// Refresh fetches the set now, or waits for the fetch under way: to be ready
// before the first request, or because a key is known to have changed.
func (s *Set) Refresh(ctx context.Context) error {
	s.mu.Lock()
	f := s.flight
	if f == nil {
		f = s.launch()
	}
	s.mu.Unlock()
	return await(ctx, f)
}

// usable gives keys that may be trusted, refreshing them when they are due.
func (s *Set) usable(ctx context.Context) (*snapshot, error) {
	now := s.now()
	snap := s.current.Load()
	switch {
	case !snap.trusted(now):
		return s.first(ctx, snap, now)
	case now.Before(snap.refreshAt):
		return snap, nil
	case now.Before(snap.expires):
		s.due(snap, now)
		return snap, nil
	}
	if f := s.due(snap, now); f != nil {
		// Whatever comes of it, the keys at hand still serve: stale-if-error.
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = await(ctx, f)
	}
	return s.current.Load(), nil
}

// first waits for keys when there are none.
func (s *Set) first(ctx context.Context, snap *snapshot, now time.Time) (*snapshot, error) {
	cause := errBackingOff
	if f := s.due(snap, now); f != nil {
		cause = await(ctx, f)
	}
	if snap = s.current.Load(); snap.trusted(now) {
		return snap, nil
	}
	return nil, unavailable(cause)
}

// due gives the flight that will replace snap, starting it when nothing speaks
// against it; nil when snap is already replaced or the last failure is too recent.
func (s *Set) due(snap *snapshot, now time.Time) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.flight != nil:
		return s.flight
	case s.current.Load() != snap, now.Before(s.retryAt):
		return nil
	}
	return s.launch()
}

// seek looks for a key that snap does not have. A flight that was already under
// way may have read the set before the key was there, so it proves nothing.
func (s *Set) seek(ctx context.Context, snap *snapshot, kid string, alg jose.Algorithm) (*jose.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for range 3 {
		f, mine := s.search(snap, kid)
		if f == nil && !mine {
			return nil, verify.ErrKeyUnknown
		}
		if f != nil {
			if err := await(ctx, f); err != nil {
				return nil, unavailable(err)
			}
		}
		snap = s.current.Load()
		if k, ok := snap.find(kid, alg); ok {
			return k, nil
		}
		if f != nil && mine {
			s.mu.Lock()
			s.missing.add(kid, s.now())
			s.mu.Unlock()
			return nil, verify.ErrKeyUnknown
		}
	}
	return nil, verify.ErrKeyUnknown
}

// search gives the flight to wait for and whether it is ours; no flight but
// "ours" when the set has changed meanwhile and is worth another look.
func (s *Set) search(snap *snapshot, kid string) (f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case s.missing.has(kid, now):
		return nil, false
	case s.flight != nil:
		return s.flight, false
	case s.current.Load() != snap:
		return nil, true
	case !s.extra.take(now, bucketBurst):
		return nil, false
	}
	return s.launch(), true
}

// launch starts the fetch. It outlives the request that caused it: others wait for it too.
// The caller holds mu.
func (s *Set) launch() *flight {
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go s.fly(f)
	return f
}

func (s *Set) fly(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	next, err := s.fetch(ctx, s.current.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.current.Store(next)
	}
	s.settle(ctx, err)
	s.flight = nil
	if err == nil {
		s.heard.had(next.document)
	}
	f.err = err
	close(f.done)
}

// settle keeps count of failures, and logs the first and the end of a row of them.
func (s *Set) settle(ctx context.Context, err error) {
	if err == nil {
		if s.failures > 0 {
			s.log.InfoContext(ctx, "key set can be fetched again", "url", s.url)
		}
		s.failures, s.retryAt = 0, time.Time{}
		return
	}
	if s.failures == 0 {
		s.log.WarnContext(ctx, "key set cannot be fetched", "url", s.url, "cause", err)
	}
	s.failures++
	s.retryAt = s.now().Add(backoff(s.failures))
}

// backoff doubles from one second to half a minute, spread so that a fleet does
// not come back in step.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(failures-1, 5), 30*time.Second)
	return d/2 + rand.N(d/2)
}

func await(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the key set: %w", ctx.Err())
	}
}

func unavailable(cause error) error {
	if cause == nil {
		cause = errBackingOff
	}
	return fmt.Errorf("%w: fetch the key set: %w", verify.ErrUnavailable, cause)
}
