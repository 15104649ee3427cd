package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	issuer = "https://auth.example"
	lease  = 2 * time.Second
	// longest is how long a lease can last by any clock: L(1+3rho).
	longest = lease + 3*lease/1000
)

// now is the time inside a bubble.
func now() time.Time { return <-time.After(0) }

// wait lets time pass inside a bubble.
func wait(d time.Duration) { <-time.After(d) }

// store is a memory.Store that can be cut off, or lose what was written last.
type store struct {
	*memory.Store
	mu   sync.Mutex
	cut  error // what every call fails with
	lost int64 // positions at the end of the log that are gone
	rose int

	noted int // verifiers, at most in one change
}

var errCut = errors.New("the store cannot be reached")

func (s *store) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = err
}

func (s *store) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

func (s *store) FeedHead(ctx context.Context) (feed.Head, error) {
	if err := s.broken(); err != nil {
		return feed.Head{}, err
	}
	h, err := s.Store.FeedHead(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Seq -= s.lost
	return h, err
}

func (s *store) RaiseEpoch(ctx context.Context, from, least int64) (bool, error) {
	if err := s.broken(); err != nil {
		return false, err
	}
	done, err := s.Store.RaiseEpoch(ctx, from, least)
	s.mu.Lock()
	defer s.mu.Unlock()
	if done {
		s.rose++
		s.lost = 0 // what is given from now on lies above
	}
	return done, err
}

func (s *store) Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error) {
	if err := s.broken(); err != nil {
		return nil, err
	}
	return s.Store.Revocations(ctx, after, limit)
}

func (s *store) NoteVerifiers(ctx context.Context, notes []feed.Note) error {
	if err := s.broken(); err != nil {
		return err
	}
	s.mu.Lock()
	s.noted = max(s.noted, len(notes))
	s.mu.Unlock()
	return s.Store.NoteVerifiers(ctx, notes)
}

func (s *store) Verifiers(ctx context.Context) ([]feed.Verifier, error) {
	if err := s.broken(); err != nil {
		return nil, err
	}
	return s.Store.Verifiers(ctx)
}

// rig is an installation: a store, and what its hubs have in common.
type rig struct {
	*testing.T
	store *store
	key   *jose.Key

	mu      sync.Mutex
	allowed map[string]bool
	used    []revocation.Use
	usedBy  string
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(g *rig)) {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA, "feed-1")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := &rig{T: t, store: &store{Store: memory.New()}, key: key, allowed: map[string]bool{"orders": true, "relay": true}}
		test(g)
	})
}

// leaseKey is what a verifier's answers are sealed with.
func leaseKey(verifier string) []byte {
	key := make([]byte, revocation.LeaseKeySize)
	copy(key, "lease"+verifier)
	return key
}

// hub starts a hub until stop is called, or the test ends.
func (g *rig) hub(node string, change ...func(*feed.Config)) (h *feed.Hub, stop func()) {
	g.Helper()
	c := feed.Config{
		Store: g.store, Covered: g.store.Covered, Issuer: issuer, Node: node, Now: now, Lease: lease,
		Signer:   func() (*jose.Key, bool) { return g.signer(), true },
		Keys:     func() jose.KeySet { return jose.KeySet{g.signer().Public()} },
		Secret:   revocation.Secret{1, 2, 3},
		LeaseKey: leaseKey,
		Authenticate: func(ctx context.Context, c feed.Credentials) (string, error) {
			if c.Secret != "secret" {
				return "", fault.New(fault.Unauthenticated, "Client authentication failed.")
			}
			return c.ID, g.allow(ctx, c.ID)
		},
		Allowed: g.allow,
		Used: func(clientID string, uses []revocation.Use, _ time.Time) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.used, g.usedBy = append(g.used, uses...), clientID
		},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	h, err := feed.New(c)
	g.must(err)
	return h, g.run(h.Run)
}

func (g *rig) signer() *jose.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.key
}

func (g *rig) allow(_ context.Context, clientID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.allowed[clientID] {
		return fault.New(fault.Forbidden, "This needs the scope feed:read.")
	}
	return nil
}

// run runs something in the background until stop is called, or the test ends.
func (g *rig) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	g.Cleanup(stop)
	return stop
}

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// verifier starts a verifier that follows a hub, and waits for its first lease.
func (g *rig) verifier(h revocation.Hub, name string) (f *revocation.Feed, stop func()) {
	g.Helper()
	f, err := revocation.New(revocation.Config{Issuer: issuer, Hub: h, Name: name, Now: now, Logger: slog.New(slog.DiscardHandler)})
	g.must(err)
	stop = g.run(f.Run)
	select {
	case <-f.Ready():
	case <-time.After(5 * time.Second):
		g.Fatalf("verifier %s has no lease: %+v", name, f.Stats())
	}
	return f, stop
}

// end takes a session back, and returns the position.
func (g *rig) end(sid string) int64 {
	g.Helper()
	seq, err := g.store.Record(context.WithoutCancel(g.Context()), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Session, sid, "logout", now())}})
	g.must(err)
	return seq
}

// endMany takes sessions back in one change.
func (g *rig) endMany(sids ...string) int64 {
	g.Helper()
	var fx revoke.Effects
	for _, sid := range sids {
		fx.Revoke = append(fx.Revoke, revoke.New(revoke.Session, sid, "logout", now()))
	}
	seq, err := g.store.Record(g.Context(), fx)
	g.must(err)
	return seq
}

func verdict(f *revocation.Feed, of revocation.Subject) revocation.Verdict {
	k := f.Keys(of)
	return f.Check(&k, 0)
}

func session(sid string) revocation.Subject { return revocation.Subject{SessionID: sid} }

// line is a hub that a test can cut off, slow down, or listen to.
type line struct {
	revocation.Hub
	mu      sync.Mutex
	cut     bool
	broken  chan struct{} // closed when the line is cut
	follows []revocation.Position
	stream  bool // only the stream is cut
}

func newLine(h revocation.Hub) *line { return &line{Hub: h, broken: make(chan struct{})} }

var errLine = errors.New("the line is cut")

func (l *line) sever() {
	l.mu.Lock()
	l.cut = true
	close(l.broken)
	l.mu.Unlock()
	synctest.Wait() // for the stream to end
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.broken = false, make(chan struct{})
}

func (l *line) state() (bool, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut, l.broken
}

func (l *line) Register(ctx context.Context, r revocation.Registration) (revocation.Registered, error) {
	if cut, _ := l.state(); cut {
		return revocation.Registered{}, errLine
	}
	return l.Hub.Register(ctx, r)
}

func (l *line) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	if cut, _ := l.state(); cut && !l.stream {
		return "", errLine
	}
	return l.Hub.Renew(ctx, ticket, ask)
}

func (l *line) Snapshot(ctx context.Context, ticket string, least revocation.Position) ([]byte, error) {
	if cut, _ := l.state(); cut && !l.stream {
		return nil, errLine
	}
	return l.Hub.Snapshot(ctx, ticket, least)
}

func (l *line) Leave(ctx context.Context, ticket string) error {
	if cut, _ := l.state(); cut {
		return errLine
	}
	return l.Hub.Leave(ctx, ticket)
}

func (l *line) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(string, bool) error) error {
	cut, broken := l.state()
	if cut {
		return errLine
	}
	l.mu.Lock()
	l.follows = append(l.follows, after)
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	return l.Hub.Follow(ctx, ticket, after, deliver)
}
