package split_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/split"
)

// A house is one truth, homes by their URLs, and a clock: what several nodes share.
type house struct {
	t     *testing.T
	truth *truth
	mu    sync.Mutex
	now   time.Time
	homes map[string]session.Home
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return &house{
		t: t, truth: &truth{Truth: memory.New()}, now: at(0), homes: map[string]session.Home{},
	}
}

func at(d time.Duration) time.Time {
	return time.Date(2026, 8, 1, 12, 0, 0, 123_456_000, time.UTC).Add(d)
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) forward(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// home is what a URL leads to: the same from every node.
func (h *house) home(url string) *flaky {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.homes[url] == nil {
		h.homes[url] = &flaky{Home: memory.NewHome()}
	}
	return h.homes[url].(*flaky)
}

var errDown = errors.New("connection to redis://u:hunter2@r refused")

func (h *house) config(url string) split.Config {
	root, err := opaque.NewRoot(bytes.Repeat([]byte{1}, opaque.RootSize))
	if err != nil {
		h.t.Fatal(err)
	}
	return split.Config{
		Truth: h.truth, Sessions: url, Seal: root.Derive("layout"), Now: h.clock, Longest: 24 * time.Hour,
		Open: func(_ context.Context, url string) (session.Home, error) {
			one := h.home(url)
			if one.down() {
				return nil, errDown
			}
			return unclosed{one}, nil
		},
	}
}

func (h *house) open(url string) *split.Store {
	h.t.Helper()
	s, err := split.Open(h.t.Context(), h.config(url))
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// unclosed is a home that another node goes on using.
type unclosed struct{ session.Home }

func (unclosed) Close() error { return nil }

// step names a call and what is to become of it.
type step struct {
	before bool // fails before it does anything, else afterwards
	at     int  // the call that fails, counted from 1; 0: none
	deaf   bool // everything fails after that: the process is dead
}

// calls counts calls and lets one of them fail.
type calls struct {
	mu   sync.Mutex
	n    int
	plan step
	dead bool
}

var errCrash = errors.New("crash")

func (c *calls) set(p step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.plan, c.dead = 0, p, false
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// do makes a call, or fails it as planned.
func (c *calls) do(call func() error) error {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return errCrash
	}
	c.n++
	hit := c.plan.at > 0 && c.n == c.plan.at
	c.dead = hit && c.plan.deaf
	before := c.plan.before
	c.mu.Unlock()
	if hit && before {
		return errCrash
	}
	if err := call(); err != nil {
		return err
	}
	if hit {
		return errCrash
	}
	return nil
}

// flaky is a home that fails when it is told to.
type flaky struct {
	session.Home
	mu     sync.Mutex
	broken error
	stuck  bool              // cannot end anything
	hook   func(call string) // runs before each change, if set
	calls  *calls
}

func (f *flaky) down() bool { return f.fails("open") != nil }

func (f *flaky) set(broken error, hook func(string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.hook = broken, hook
}

func (f *flaky) failEnd(stuck bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stuck = stuck
}

func (f *flaky) fails(call string) error {
	f.mu.Lock()
	broken, hook := f.broken, f.hook
	f.mu.Unlock()
	if broken == nil && hook != nil {
		hook(call)
	}
	return broken
}

func (f *flaky) do(call string, do func() error) error {
	if err := f.fails(call); err != nil {
		return err
	}
	if f.calls != nil {
		return f.calls.do(do)
	}
	return do()
}

func (f *flaky) Add(ctx context.Context, r session.Record) error {
	return f.do("add", func() error { return f.Home.Add(ctx, r) })
}

func (f *flaky) BySecret(ctx context.Context, d opaque.Digest) (r session.Record, found bool, err error) {
	if err = f.fails("read"); err == nil {
		r, found, err = f.Home.BySecret(ctx, d)
	}
	return r, found, err
}

func (f *flaky) ByID(ctx context.Context, id string) (r session.Record, found bool, err error) {
	if err = f.fails("read"); err == nil {
		r, found, err = f.Home.ByID(ctx, id)
	}
	return r, found, err
}

func (f *flaky) Of(ctx context.Context, owner revoke.Ref) (out []session.Record, err error) {
	if err = f.fails("read"); err == nil {
		out, err = f.Home.Of(ctx, owner)
	}
	return out, err
}

func (f *flaky) Renew(ctx context.Context, old opaque.Digest, next session.Session) (ok bool, err error) {
	err = f.do("renew", func() error { ok, err = f.Home.Renew(ctx, old, next); return err })
	return ok, err
}

func (f *flaky) End(ctx context.Context, ref revoke.Ref, seq int64) (ids []string, err error) {
	f.mu.Lock()
	stuck := f.stuck
	f.mu.Unlock()
	if stuck {
		return nil, errDown
	}
	err = f.do("end", func() error { ids, err = f.Home.End(ctx, ref, seq); return err })
	return ids, err
}

func (f *flaky) Page(ctx context.Context, cursor string, limit int) (some []session.Record, next string, err error) {
	err = f.do("page", func() error { some, next, err = f.Home.Page(ctx, cursor, limit); return err })
	return some, next, err
}

func (f *flaky) Count(ctx context.Context) (n int64, err error) {
	err = f.do("count", func() error { n, err = f.Home.Count(ctx); return err })
	return n, err
}

func (f *flaky) Leave(ctx context.Context, id string) (r session.Record, found bool, err error) {
	err = f.do("leave", func() error { r, found, err = f.Home.Leave(ctx, id); return err })
	return r, found, err
}

func (f *flaky) Ping(ctx context.Context) error {
	return f.do("ping", func() error { return f.Home.Ping(ctx) })
}

// truth is a truth whose settings and log fail when they are told to.
type truth struct {
	store.Truth
	calls *calls
	mu    sync.Mutex
	fail  error             // what reading a setting, and writing the log, fail with
	hook  func(call string) // runs before some calls, if set
}

func (u *truth) set(fail error, hook func(string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fail, u.hook = fail, hook
}

func (u *truth) fails(call string) error {
	u.mu.Lock()
	fail, hook := u.fail, u.hook
	u.mu.Unlock()
	if hook != nil {
		hook(call)
	}
	return fail
}

func (u *truth) Sessions() session.Home {
	return &flaky{Home: u.Truth.Sessions(), calls: u.calls}
}

func (u *truth) Standing(ctx context.Context, rsn int64, refs []revoke.Ref) (int64, bool, error) {
	if err := u.fails("standing"); err != nil {
		return 0, false, err
	}
	return u.Truth.Standing(ctx, rsn, refs)
}

func (u *truth) ChangeGrantApart(
	ctx context.Context, id string, s *session.Session, also revoke.Guard, decide func(grant.State) grant.Change,
) error {
	if err := u.fails("change grant"); err != nil {
		return err
	}
	return u.Truth.ChangeGrantApart(ctx, id, s, also, decide)
}

func (u *truth) Setting(ctx context.Context, name string) (string, error) {
	if err := u.fails("setting"); err != nil {
		return "", err
	}
	return u.Truth.Setting(ctx, name)
}

func (u *truth) Record(ctx context.Context, fx revoke.Effects) (int64, error) {
	if err := u.fails("record"); err != nil {
		return 0, err
	}
	return u.Truth.Record(ctx, fx)
}

func (u *truth) ChangeSetting(ctx context.Context, name, old, next string) (ok bool, err error) {
	if u.calls == nil {
		return u.Truth.ChangeSetting(ctx, name, old, next)
	}
	err = u.calls.do(func() error { ok, err = u.Truth.ChangeSetting(ctx, name, old, next); return err })
	return ok, err
}

func newSession(id, userID string) session.Session {
	return session.Session{
		ID: id, Secret: opaque.Hash("secret of " + id), UserID: userID, ClientID: "web", CreatedAt: at(0), AuthTime: at(0),
		AMR: []string{"pwd"}, SeenAt: at(0), IdleUntil: at(12 * time.Hour), ExpiresAt: at(24 * time.Hour),
	}
}

func ends(kind revoke.Kind, key string) revoke.Effects {
	return revoke.Effects{Revoke: []revoke.Entry{{Kind: kind, Key: key, At: at(0), KeepUntil: at(time.Minute), Reason: "test"}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantSecret fails unless the cookie whose value hashes to Hash(secret) finds the
// session, or finds none.
func wantSecret(t *testing.T, s store.Store, secret string, want bool) {
	t.Helper()
	one, _, found, err := s.SessionBySecret(t.Context(), opaque.Hash(secret))
	if err != nil || found != want {
		t.Fatalf("%q: found %v (%s), %v; want %v", secret, found, one.ID, err, want)
	}
}

func start(t *testing.T, s store.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		must(t, s.StartSession(t.Context(), newSession(id, "ada"), revoke.Effects{}))
	}
}

func count(t *testing.T, h session.Home) int64 {
	t.Helper()
	n, err := h.Count(t.Context())
	must(t, err)
	return n
}

// finish moves until the move is done.
func (h *house) finish(s *split.Store) split.Progress {
	h.t.Helper()
	for range 100 {
		h.forward(3 * time.Second)
		p, err := s.Move(h.t.Context())
		if err != nil {
			h.t.Fatalf("%+v: %v", p, err)
		}
		if p.Stage == "settled" {
			return p
		}
	}
	h.t.Fatal("the move does not end")
	return split.Progress{}
}

// once is a hook that does something before the first call of a name.
func once(call string, do func()) func(string) {
	var done atomic.Bool // what it does may come here again
	return func(name string) {
		if name == call && done.CompareAndSwap(false, true) {
			do()
		}
	}
}

// move takes sessions to a URL.
func (h *house) move(s *split.Store, url string) {
	h.t.Helper()
	must(h.t, s.StartMove(h.t.Context(), url))
	h.finish(s)
}

// begin takes a move to the stage in which records are moving, and moves none.
func (h *house) begin(s *split.Store, url string) {
	h.t.Helper()
	must(h.t, s.StartMove(h.t.Context(), url))
	h.forward(time.Minute)
	p, err := s.Move(h.t.Context())
	if err != nil || p.Stage != "moving" {
		h.t.Fatalf("%+v, %v; want moving", p, err)
	}
}

func names(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}
