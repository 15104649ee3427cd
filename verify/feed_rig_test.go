package verify_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

var errDown = errors.New("down")

// ledger is an issuer's log and the one hub of it, in this process.
type ledger struct {
	key    *jose.Key
	secret revocation.Secret
	lease  []byte

	mu     sync.Mutex
	events []revocation.Event
	grown  chan struct{}
	down   bool
	ticket string
	uses   []revocation.Use
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA, "feed-1")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("lease"))
	return &ledger{key: key, secret: revocation.Secret{1, 2, 3}, lease: sum[:], grown: make(chan struct{}), ticket: "t"}
}

// revoke appends an entry and returns its position.
func (l *ledger) revoke(kind revocation.Kind, id string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, revocation.Event{Kind: kind, Key: l.secret.Key(kind, id), KeepUntil: 1 << 40})
	close(l.grown)
	l.grown = make(chan struct{})
	return int64(len(l.events))
}

func (l *ledger) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	close(l.grown)
	l.grown = make(chan struct{})
}

// rekey is what a change of the master key does to the feed.
func (l *ledger) rekey() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secret, l.ticket, l.events = revocation.Secret{9}, "t2", nil
	close(l.grown)
	l.grown = make(chan struct{})
}

// admits reports whether a ticket is of the feed as it is now.
func (l *ledger) admits(ticket string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ticket != l.ticket {
		return revocation.ErrRefused
	}
	return nil
}

// used lists the sessions whose use was told.
func (l *ledger) used() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sids []string
	for _, u := range l.uses {
		sids = append(sids, u.SessionID)
	}
	return sids
}

// since gives the frame of everything after a position, "" for nothing.
func (l *ledger) since(after int64) (frame string, grown chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return "", l.grown, errDown
	}
	if after >= int64(len(l.events)) {
		return "", l.grown, nil
	}
	f := revocation.Frame{Issuer: testIssuer, Epoch: 1, From: after + 1, To: int64(len(l.events)), Events: l.events[after:]}
	frame, err = f.Sign(l.key)
	return frame, l.grown, err
}

func (l *ledger) Keys(context.Context) (jose.KeySet, error) { return jose.KeySet{l.key.Public()}, nil }

func (l *ledger) Register(context.Context, revocation.Registration) (revocation.Registered, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return revocation.Registered{}, errDown
	}
	return revocation.Registered{Verifier: "ver_1", Ticket: l.ticket, LeaseKey: l.lease, Secret: l.secret[:], Epoch: 1, RenewMS: 250, LeaseMS: 2000}, nil
}

func (l *ledger) Renew(_ context.Context, ticket string, ask revocation.Ask) (string, error) {
	if err := l.admits(ticket); err != nil {
		return "", err
	}
	frame, _, err := l.since(ask.Applied)
	if err != nil {
		return "", err
	}
	a := revocation.Answer{Verifier: "ver_1", Nonce: ask.Nonce, Epoch: 1, RenewMS: 250, LeaseMS: 2000}
	l.mu.Lock()
	a.Head = int64(len(l.events))
	l.uses = append(l.uses, ask.Uses...)
	l.mu.Unlock()
	if frame != "" {
		a.Frames = []string{frame}
	}
	return revocation.SealLease(a, l.lease)
}

func (l *ledger) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(string, bool) error) error {
	for at := after.Seq; ; {
		if err := l.admits(ticket); err != nil {
			return err
		}
		frame, grown, err := l.since(at)
		if err != nil {
			return err
		}
		if frame != "" {
			if err := deliver(frame, false); err != nil {
				return err
			}
			f, err := revocation.ParseFrame(frame, testIssuer, func(string) (*jose.Key, error) { return l.key.Public(), nil })
			if err != nil {
				return err
			}
			at = f.To
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *ledger) Snapshot(context.Context, string, revocation.Position) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errDown
	}
	var all []revocation.Entry
	seen := map[uint64]bool{}
	for i, e := range l.events {
		if !seen[e.Key] {
			all = append(all, revocation.Entry{Kind: e.Kind, Key: e.Key, Seq: int64(i + 1), KeepUntil: e.KeepUntil})
		}
		seen[e.Key] = true
	}
	return revocation.EncodeSnapshot(testIssuer, revocation.Position{Epoch: 1, Seq: int64(len(l.events))}, all, l.key)
}

func (l *ledger) Leave(context.Context, string) error { return nil }

// house is a service in a bubble: a log, a server that answers about cookies, and a
// verifier that follows the log.
type house struct {
	*testing.T
	log   *ledger
	key   *jose.Key
	keys  *changing
	v     *verify.Verifier
	feed  *revocation.Feed
	mu    sync.Mutex
	body  string // what the server answers; "" for not at all
	asked int

	stop    func()
	running sync.WaitGroup
}

// changing is a key set that can lose its key.
type changing struct {
	mu      sync.Mutex
	key     *jose.Key
	version uint64
}

func (c *changing) Key(context.Context, string, jose.Algorithm) (*jose.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == nil {
		return nil, verify.ErrKeyUnknown
	}
	return c.key, nil
}

func (c *changing) Version(time.Time) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

func (c *changing) remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.version = nil, c.version+1
}

// RoundTrip is the server.
func (h *house) RoundTrip(*http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.body == "" {
		return nil, errDown
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(h.body)), Header: http.Header{}}, nil
}

func (h *house) answers(body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.body = body
}

func (h *house) questions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// inHouse runs a test in a bubble with a verifier that has its first lease.
func inHouse(t *testing.T, stale verify.Policy, test func(*house)) {
	t.Helper()
	inEmptyHouse(t, stale, func(h *house) {
		h.opens()
		test(h)
	})
}

// inEmptyHouse is inHouse where the feed does not run until the house opens.
func inEmptyHouse(t *testing.T, stale verify.Policy, test func(*house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{T: t, log: newLedger(t), stop: func() {}}
		quiet := slog.New(slog.DiscardHandler)
		var err error
		h.key, err = jose.Generate(jose.EdDSA, "key-1")
		h.must(err)
		h.keys = &changing{key: h.key.Public(), version: 1}
		h.feed, err = revocation.New(revocation.Config{Issuer: testIssuer, Hub: h.log, Logger: quiet})
		h.must(err)
		server, err := verify.NewServer(verify.ServerConfig{
			IntrospectURL: testIssuer + "/oauth/introspect", ClientID: "orders-api", ClientSecret: "s", Client: &http.Client{Transport: h},
		})
		h.must(err)
		h.v, err = verify.New(verify.Config{
			Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.EdDSA}, Keys: h.keys, Server: server,
			Feed: h.feed, Stale: stale, Logger: quiet,
		})
		h.must(err)
		test(h)
		h.stop()
		h.running.Wait()
	})
}

// opens waits for the first lease.
func (h *house) opens() {
	ctx, stop := context.WithCancel(h.Context())
	h.stop = stop
	h.running.Go(func() { _ = h.feed.Run(ctx) }) // it runs once
	<-h.feed.Ready()
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// wants looks whether a credential is refused for a reason, nil for not at all.
func (h *house) wants(what string, err, want error) {
	h.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		h.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func (h *house) token(change object) string {
	claims := goodClaims(time.Now())
	claims["grant_id"], claims["rsn"] = "g_1", 0
	for name, value := range change {
		claims[name] = value
	}
	return sign(h, h.key, claims)
}

func (h *house) check(token string) error {
	_, err := h.v.Token(h.Context(), token)
	return err
}

func (h *house) cookie() error {
	_, err := h.v.Session(h.Context(), "cookie")
	return err
}

// wait lets time pass in a bubble.
func wait(d time.Duration) { <-time.After(d) }
