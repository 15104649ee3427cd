package peerkeys

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// The rules of fetching.
const (
	CoolDown   = 30 * time.Second // between two fetches of one address
	FreshLeast = time.Minute
	FreshMost  = time.Hour
	StaleFor   = time.Hour // longer, when the address does not answer
	timeout    = 3 * time.Second
)

// How much is remembered. Beyond it something is forgotten, and fetched or parsed
// again.
const (
	mostInline = 1024
	mostRemote = 4096
)

// ErrNoKey means that the party has no key of that id and algorithm.
var ErrNoKey = errors.New("no such key")

// ErrUnavailable means that nobody can tell now: the keys are not at hand.
var ErrUnavailable = errors.New("keys are not at hand")

// Source is where the keys of a party are: in a set, or at an address. The zero value
// has none.
type Source struct {
	JWKS json.RawMessage
	URI  string // when there is no JWKS
}

// Document is what an address answered.
type Document struct {
	Body   []byte
	MaxAge time.Duration // as its Cache-Control says; 0: it does not say
}

// Config is what Keys are made of. All fields are needed.
type Config struct {
	// Fetch gets a document from an address that somebody registered. It goes nowhere
	// that it must not reach, follows no redirect, and reads no more than the bytes.
	Fetch func(ctx context.Context, uri string, bytes int64) (Document, error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Keys finds keys. It is safe for concurrent use.
type Keys struct {
	Config
	mu     sync.Mutex
	inline map[[sha256.Size]byte]set
	remote map[string]*remote
}

// New returns Keys that know nothing yet.
func New(c Config) *Keys {
	return &Keys{Config: c, inline: map[[sha256.Size]byte]set{}, remote: map[string]*remote{}}
}

// Find returns the keys with which a signature that names kid and alg may be checked:
// at least one, several when kid does not tell which. ErrNoKey: there is none. ErrUnavailable: the
// set is not at hand.
func (k *Keys) Find(ctx context.Context, src Source, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	var found []*jose.Key
	err := k.look(ctx, src, func(s set) bool {
		found = s.find(kid, alg)
		return len(found) > 0
	})
	return found, err
}

// Certified returns nil when a certificate, or its public key, is in the set of a
// party (RFC 8705 section 2.2). The errors are those of Find.
func (k *Keys) Certified(ctx context.Context, src Source, leaf *x509.Certificate) error {
	return k.look(ctx, src, func(s set) bool { return s.certified(leaf) })
}

// look asks the set of a source, and once more when a newer one could be had.
func (k *Keys) look(ctx context.Context, src Source, has func(set) bool) error {
	if len(src.JWKS) > 0 {
		if !has(k.parsed(src.JWKS)) {
			return ErrNoKey
		}
		return nil
	}
	if src.URI == "" {
		return ErrNoKey
	}
	r := k.at(src.URI)
	now := k.Now()
	s, fresh := r.state(now)
	if fresh && has(s) {
		return nil
	}
	s, ok, err := r.renewed(ctx, k, now)
	switch {
	case err != nil:
		return err
	case !ok:
		return ErrUnavailable
	case !has(s):
		return ErrNoKey
	}
	return nil
}

// parsed reads a set that came with a registration, where it was checked: one that
// cannot be read is empty.
func (k *Keys) parsed(body []byte) set {
	sum := sha256.Sum256(body)
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.inline[sum]; ok {
		return s
	}
	s, err := parse(body)
	if err != nil {
		k.Log.Warn("a registered key set cannot be read", "error", err)
	}
	if len(k.inline) >= mostInline {
		clear(k.inline)
	}
	k.inline[sum] = s
	return s
}

// at returns what is known of an address. When there are too many, the one that was
// asked for longest ago is forgotten.
func (k *Keys) at(uri string) *remote {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Now()
	r, ok := k.remote[uri]
	if !ok {
		if len(k.remote) >= mostRemote {
			k.forget()
		}
		r = &remote{uri: uri}
		k.remote[uri] = r
	}
	r.used = now
	return r
}

func (k *Keys) forget() {
	oldest := ""
	for uri, r := range k.remote {
		if oldest == "" || r.used.Before(k.remote[oldest].used) {
			oldest = uri
		}
	}
	delete(k.remote, oldest)
}

// remote is the set of one address.
type remote struct {
	uri  string
	used time.Time // guarded by Keys.mu

	mu         sync.Mutex
	set        set
	has        bool // a fetch has worked
	freshUntil time.Time
	tried      time.Time
	flight     chan struct{} // closed when the fetch under way is over; nil: none is
}

func (r *remote) state(now time.Time) (s set, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.has && now.Before(r.freshUntil)
}

// renewed waits for a fetch, if one is under way or may be started, and returns the
// best set there is. ok is false when there is none that may be trusted.
func (r *remote) renewed(ctx context.Context, k *Keys, now time.Time) (s set, ok bool, err error) {
	r.mu.Lock()
	if r.flight == nil && (r.tried.IsZero() || now.Sub(r.tried) >= CoolDown) {
		r.tried, r.flight = now, make(chan struct{})
		go r.fetch(context.WithoutCancel(ctx), k) // whoever asked first may leave; others wait for it
	}
	flight := r.flight
	r.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.has && now.Before(r.freshUntil.Add(StaleFor)), nil
}

func (r *remote) fetch(ctx context.Context, k *Keys) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, age, err := get(ctx, k, r.uri)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.flight)
	r.flight = nil
	if err != nil {
		bare, _, _ := strings.Cut(r.uri, "?")
		k.Log.WarnContext(ctx, "fetch of another party's keys failed", "address", bare, "error", err)
		return
	}
	r.set, r.has, r.freshUntil = s, true, k.Now().Add(age)
}

func get(ctx context.Context, k *Keys, uri string) (set, time.Duration, error) {
	doc, err := k.Fetch(ctx, uri, mostBytes)
	if err != nil {
		return nil, 0, err
	}
	s, err := parse(doc.Body)
	if err != nil {
		return nil, 0, err
	}
	return s, min(max(doc.MaxAge, FreshLeast), FreshMost), nil
}
