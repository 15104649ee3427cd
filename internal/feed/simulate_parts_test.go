package feed_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// parted is something that is out of reach until a time.
type parted struct {
	mu    sync.Mutex
	until time.Time
}

func (p *parted) part(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = now().Add(d)
}

func (p *parted) isParted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now().Before(p.until)
}

// dice is a source of luck that goroutines share.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.Float64() < p
}

func (d *dice) within(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rnd.Int64N(int64(most)))
}

// rest lets time pass unless ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view is the store as one hub sees it: late, sometimes very late or not at all, and
// with doorbells that ring for nobody.
type view struct {
	*store
	parted
	w   *world
	rnd *rand.Rand
	d   *dice
	one sync.Once
}

func (v *view) isHealed() bool { return v.w.healed.Load() }

func (v *view) reach(ctx context.Context) error {
	v.one.Do(func() { v.d = &dice{rnd: v.rnd} })
	late := v.d.within(3 * time.Millisecond)
	if !v.isHealed() && v.d.chance(0.001) {
		late = v.d.within(3 * time.Second)
	}
	if err := rest(ctx, late); err != nil {
		return err
	}
	if v.isParted() {
		return errCut
	}
	return nil
}

// FeedHead is late on its way back: what it tells is as old as the question.
func (v *view) FeedHead(ctx context.Context) (feed.Head, error) {
	if err := v.reach(ctx); err != nil {
		return feed.Head{}, err
	}
	h, err := v.store.FeedHead(ctx)
	if err != nil {
		return h, err
	}
	return h, v.reach(ctx)
}

func (v *view) Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error) {
	if err := v.reach(ctx); err != nil {
		return nil, err
	}
	return v.store.Revocations(ctx, after, limit)
}

func (v *view) AddVerifier(ctx context.Context, one feed.Verifier) error {
	if err := v.reach(ctx); err != nil {
		return err
	}
	return v.store.AddVerifier(ctx, one)
}

func (v *view) NoteVerifiers(ctx context.Context, notes []feed.Note) error {
	if err := v.reach(ctx); err != nil {
		return err
	}
	return v.store.NoteVerifiers(ctx, notes)
}

func (v *view) Verifiers(ctx context.Context) ([]feed.Verifier, error) {
	if err := v.reach(ctx); err != nil {
		return nil, err
	}
	return v.store.Verifiers(ctx)
}

// AwaitRevocations loses what rings: whoever committed died before.
func (v *view) AwaitRevocations(ctx context.Context, after int64) error {
	if v.reach(ctx) != nil || !v.isHealed() && v.d.chance(0.15) {
		<-ctx.Done()
		return ctx.Err()
	}
	return v.store.AwaitRevocations(ctx, after)
}

// doorway is where a hub or relay is reached, while it is there.
type doorway struct {
	name, starts int // of a relay
	mu           sync.Mutex
	open         func(feed.Credentials) revocation.Hub
	restart      func() // of a relay that runs
}

func (d *doorway) set(open func(feed.Credentials) revocation.Hub, restart func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open, d.restart = open, restart
}

func (d *doorway) again() func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.restart
}

func (d *doorway) enter(c feed.Credentials) (revocation.Hub, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		return nil, errSimulated
	}
	return d.open(c), nil
}

// simHub is a hub that can be killed.
type simHub struct {
	w    *world
	node string
	view *view
	door *doorway
	hub  *feed.Hub
	stop func()
}

func (h *simHub) start() {
	h.hub, h.stop = h.w.hub(h.node, func(c *feed.Config) { c.Store = h.view })
	hub := h.hub
	h.door.set(func(c feed.Credentials) revocation.Hub {
		in, err := doorOf(hub)(c)
		h.w.must(err)
		return in
	}, nil)
}

func (h *simHub) restart() {
	h.door.set(nil, nil)
	h.stop()
	h.start()
}

// simClock is the two clocks of a machine: off, running fast or slow, set by hand, and
// one of them stopping while the machine is suspended.
type simClock struct {
	mu      sync.Mutex
	born    time.Time
	offset  time.Duration
	drift   float64
	lost    time.Duration // of suspensions that are over
	since   time.Time     // when the present one began
	wakes   time.Time
	stepped time.Duration
	steady  time.Time // until then the two clocks are not both made wrong
}

// bothClocks is how long what one clock missed has to be seen by the other: a machine
// that is suspended and has its wall clock set back within one lease has nothing to
// tell the time by, and a lease cannot help it.
const bothClocks = 3 * lease

func (c *simClock) ran(at time.Time) time.Duration {
	d := at.Sub(c.born)
	return d + time.Duration(float64(d)*c.drift)
}

func (c *simClock) settle(at time.Time) {
	if !c.wakes.IsZero() && !at.Before(c.wakes) {
		c.lost += c.wakes.Sub(c.since)
		c.wakes = time.Time{}
	}
}

func (c *simClock) now() time.Time {
	at := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(0, c.born.Add(c.offset+c.stepped+c.ran(at)).UnixNano())
}

func (c *simClock) elapsed() time.Duration {
	at := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(at)
	d := at
	if !c.wakes.IsZero() {
		d = c.since
	}
	return time.Hour + c.ran(d) - c.lost
}

func (c *simClock) pause(d time.Duration) {
	at := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(at)
	if c.wakes.IsZero() {
		if d == 0 || at.Before(c.steady) {
			return
		}
		c.since = at
	}
	c.wakes = at.Add(d)
	c.steady = c.wakes.Add(bothClocks)
}

func (c *simClock) paused() bool {
	at := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(at)
	return !c.wakes.IsZero()
}

// step sets the wall clock, while the machine runs: a suspended one has nobody to.
func (c *simClock) step(d time.Duration) {
	if c.paused() {
		return
	}
	at := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if d < 0 {
		if at.Before(c.steady) {
			return
		}
		c.steady = at.Add(bothClocks)
	}
	c.stepped += d
}

// awake returns when the machine is not suspended.
func (c *simClock) awake(ctx context.Context) error {
	for c.paused() {
		if err := rest(ctx, simStep); err != nil {
			return err
		}
	}
	return nil
}

// simVerifier is a service, and the cache in front of its feed.
type simVerifier struct {
	w      *world
	name   string
	index  int
	starts uint64
	feed   *revocation.Feed
	stop   func()
	wire   *wire
	clock  *simClock
	live   map[*credential]uint64 // the version at which it was found live
	felt   map[*cut]bool
}

func (v *simVerifier) start() {
	v.starts++
	luck := rand.New(rand.NewPCG(v.w.seed, uint64(1000*v.index)+v.starts))
	v.clock = &simClock{
		born: now(), offset: time.Duration(luck.Int64N(int64(500*time.Millisecond))) - 250*time.Millisecond, drift: (luck.Float64()*2 - 1) / 1000,
	}
	v.wire = &wire{w: v.w, door: v.w.doors[v.index%len(v.w.doors)], as: good, rnd: luck, clock: v.clock}
	v.live, v.felt = map[*credential]uint64{}, map[*cut]bool{}
	var err error
	v.feed, err = revocation.New(revocation.Config{
		Issuer: issuer, Hub: v.wire, Name: v.name, Now: v.clock.now, Elapsed: v.clock.elapsed, Logger: slog.New(slog.DiscardHandler),
	})
	v.w.must(err)
	v.stop = v.w.run(v.feed.Run)
}

// restart kills the process, and starts it anew at once.
func (v *simVerifier) restart() {
	v.wire.die()
	v.stop()
	v.start()
}

// accepts decides as a service under strict does: fresh first, then the version at
// which it was found live, then the set.
func (v *simVerifier) accepts(c *credential) (bool, revocation.Verdict) {
	if !v.feed.Fresh(v.clock.now()) {
		return false, revocation.Unknown
	}
	version := v.feed.Version()
	if at, there := v.live[c]; there && at == version {
		return true, revocation.Live
	}
	keys := v.feed.Keys(revocation.Subject{Subject: c.of.id})
	said := v.feed.Check(&keys, c.rsn)
	if said == revocation.Live {
		v.live[c] = version
	}
	return said == revocation.Live, said
}
