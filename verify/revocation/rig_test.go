package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	leaseFor   = 2 * time.Second
	renewEvery = 250 * time.Millisecond
)

var errAway = errors.New("the hub cannot be reached")

// fakeHub is a hub that does as a test says. What it answers is well made unless the
// test changes it.
type fakeHub struct {
	t      *testing.T
	key    *jose.Key
	secret revocation.Secret

	mu        sync.Mutex
	epoch     int64
	head      int64
	frames    []string // what every answer carries, and every stream brings
	streams   map[chan string]bool
	age       time.Duration
	late      time.Duration // of an answer, on its way back
	away      error         // what Renew fails with
	snapshot  []byte        // nil: an empty one at the head
	change    func(*revocation.Answer)
	reseal    func(revocation.Answer) string
	asked     time.Time // when the last question came
	asks      []revocation.Ask
	names     []string // of those who registered
	ticket    string   // the one that is good
	left      int
	keyCalls  int
	registers func(*revocation.Registered)
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	return &fakeHub{t: t, key: feedKey(t, "f1"), secret: revocation.Secret{7}, epoch: 1, streams: map[chan string]bool{}}
}

// set changes the hub.
func (h *fakeHub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *fakeHub) leaseKey() []byte {
	key := make([]byte, revocation.LeaseKeySize)
	copy(key, "lease of one")
	return key
}

// frame signs one that takes back users from a position on.
func (h *fakeHub) frame(epoch, from int64, users ...string) string {
	h.t.Helper()
	f := revocation.Frame{Issuer: issuer, Epoch: epoch, From: from, To: from + int64(len(users)) - 1}
	for _, u := range users {
		f.Events = append(f.Events, revocation.Event{Kind: revocation.User, Key: h.secret.Key(revocation.User, u), KeepUntil: forever})
	}
	signed, err := f.Sign(h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	return signed
}

// shot signs a snapshot with users in it, each at its position.
func (h *fakeHub) shot(at revocation.Position, users map[string]int64) []byte {
	h.t.Helper()
	var entries []revocation.Entry
	for u, seq := range users {
		entries = append(entries, revocation.Entry{Kind: revocation.User, Key: h.secret.Key(revocation.User, u), Seq: seq, KeepUntil: forever})
	}
	b, err := revocation.EncodeSnapshot(issuer, at, entries, h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// push sends something to everybody who follows.
func (h *fakeHub) push(frame string) {
	h.mu.Lock()
	for s := range h.streams {
		s <- frame
	}
	h.mu.Unlock()
	synctest.Wait()
}

func (h *fakeHub) Keys(context.Context) (jose.KeySet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keyCalls++
	return jose.KeySet{h.key.Public()}, nil
}

func (h *fakeHub) Register(_ context.Context, r revocation.Registration) (revocation.Registered, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = append(h.names, r.Name)
	n := len(h.names)
	h.ticket = fmt.Sprint("ticket ", n)
	out := revocation.Registered{
		Verifier: fmt.Sprint("ver_", n), Ticket: h.ticket, LeaseKey: h.leaseKey(), Secret: append([]byte(nil), h.secret[:]...), Epoch: h.epoch, Head: h.head,
		RenewMS: renewEvery.Milliseconds(), LeaseMS: leaseFor.Milliseconds(),
	}
	if h.registers != nil {
		h.registers(&out)
	}
	return out, nil
}

func (h *fakeHub) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asks = append(h.asks, ask)
	if h.away != nil {
		return "", h.away
	}
	if ticket != h.ticket {
		return "", revocation.ErrRefused
	}
	h.asked = time.Now()
	a := revocation.Answer{
		Verifier: fmt.Sprint("ver_", len(h.names)), Nonce: ask.Nonce, Epoch: h.epoch, Head: h.head, AgeMS: h.age.Milliseconds(), Frames: h.frames,
		Resync: ask.Epoch != h.epoch, RenewMS: renewEvery.Milliseconds(), LeaseMS: leaseFor.Milliseconds(),
	}
	if h.change != nil {
		h.change(&a)
	}
	if h.reseal != nil {
		return h.reseal(a), nil
	}
	sealed, err := revocation.SealLease(a, h.leaseKey())
	late := h.late
	h.mu.Unlock()
	if late > 0 {
		select {
		case <-time.After(late):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	h.mu.Lock()
	return sealed, err
}

func (h *fakeHub) Follow(ctx context.Context, _ string, _ revocation.Position, deliver func(string, bool) error) error {
	in := make(chan string, 1000)
	h.mu.Lock()
	h.streams[in] = true
	h.mu.Unlock()
	defer h.set(func() { delete(h.streams, in) })
	for {
		select {
		case frame := <-in:
			if err := deliver(frame, false); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *fakeHub) Snapshot(context.Context, string, revocation.Position) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.snapshot != nil {
		return h.snapshot, nil
	}
	return h.shot(revocation.Position{Epoch: h.epoch, Seq: h.head}, nil), nil
}

func (h *fakeHub) Leave(context.Context, string) error {
	h.set(func() { h.left++ })
	return nil
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, test func(t *testing.T, h *fakeHub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newFakeHub(t)) })
}

// pass lets virtual time pass, and everybody do what is due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// start runs a feed until stop is called, or the test ends.
func start(t *testing.T, h revocation.Hub, change ...func(*revocation.Config)) (f *revocation.Feed, stop func()) {
	t.Helper()
	c := revocation.Config{Issuer: issuer, Hub: h, Name: "v", Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	f, err := revocation.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	synctest.Wait()
	return f, stop
}

func isReady(f *revocation.Feed) bool {
	select {
	case <-f.Ready():
		return true
	default:
		return false
	}
}

// says is what a feed knows of a user's credential that was minted at rsn.
func says(f *revocation.Feed, user string, rsn int64) revocation.Verdict {
	k := f.Keys(revocation.Subject{Subject: user})
	return f.Check(&k, rsn)
}

// machine is the two clocks of a computer that a test sets and suspends.
type machine struct {
	mu        sync.Mutex
	booted    time.Time
	stepped   time.Duration // of the wall clock
	suspended time.Duration // what the other one has missed
}

func newMachine() *machine { return &machine{booted: time.Now()} }

func (m *machine) clocks(c *revocation.Config) { c.Now, c.Elapsed = m.now, m.ran }

func (m *machine) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.stepped).Round(0)
}

func (m *machine) ran() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Hour + time.Since(m.booted) - m.suspended
}

func (m *machine) change(stepped, suspended time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stepped += stepped
	m.suspended += suspended
}
