package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Feed is a service's own copy of what was taken back. What requests ask of it
// takes no lock and allocates nothing. It is safe for concurrent use.
type Feed struct {
	c   Config
	hub Hub

	// What requests read. A writer changes the set first, then the version, then
	// the lease: who sees a lease sees all that it vouches for.
	known   atomic.Pointer[knowledge]
	version atomic.Uint64
	lease   atomic.Pointer[lease]

	ready     chan struct{}
	readyOnce sync.Once
	running   atomic.Bool

	mu      sync.Mutex // the writer's state, below
	session *session
	at      Position
	proof   string // the last frame applied
	taps    []func(frame string, from, to int64)
	keySet  string // as the last answer named it
	onKeys  []func(version string)

	keys    keyCache
	uses    uses
	watches watches
	counts  counts
	kicked  chan struct{} // renew at once
	lost    atomic.Bool   // and it was logged
}

// knowledge is a set and the secret that its keys were made with.
type knowledge struct {
	secret     Secret
	generation uint32
	set        *Set
	complete   atomic.Bool // a snapshot has been taken over
}

// session is one registration.
type session struct {
	Registered
	since instant // when the registration had returned
	max   time.Duration
}

// New makes a feed that knows nothing until Run, or tells everything that is wrong
// with the configuration at once.
func New(c Config) (*Feed, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	f := &Feed{c: c, hub: c.Hub, ready: make(chan struct{}), kicked: make(chan struct{}, 1)}
	if f.hub == nil {
		f.hub = newRemote(c)
	}
	f.keys.fetch = f.hub.Keys
	f.keys.now = f.instant
	return f, nil
}

// Issuer is the one whose revocations these are.
func (f *Feed) Issuer() string { return f.c.Issuer }

// Ready is closed at the first lease.
func (f *Feed) Ready() <-chan struct{} { return f.ready }

// Version grows with every change of what is known. What was found live at one
// version is live at the same one. Ask Fresh first, and then Version.
func (f *Feed) Version() uint64 { return f.version.Load() }

// Verdict is what a feed knows of a credential.
type Verdict int

// The verdicts.
const (
	Unknown Verdict = iota // nothing: before the first snapshot, or the keys are of another secret
	Live                   // nothing covers it, as far as the feed has come
	Revoked                // something covers it
)

// Keys hashes what a credential hangs from, for Check. They are of no use once the
// issuer has changed its secret: then Check says Unknown.
func (f *Feed) Keys(of Subject) Keys {
	known := f.known.Load()
	if known == nil {
		return Keys{}
	}
	k := known.secret.Keys(of)
	k.generation = known.generation
	return k
}

// Check tells whether something covers a credential that was minted at rsn. How
// fresh the answer is, Fresh tells.
func (f *Feed) Check(k *Keys, rsn int64) Verdict {
	known := f.known.Load()
	if known == nil || known.generation != k.generation || !known.complete.Load() {
		if known != nil && known.generation == k.generation && off(RuleFirstLease) {
			return Live
		}
		return Unknown
	}
	if known.set.Covers(k, rsn) {
		return Revoked
	}
	return Live
}

// Tap calls hear with every frame that is applied from now on, as it was signed,
// in order. It must not block. For relays.
func (f *Feed) Tap(hear func(frame string, from, to int64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taps = append(f.taps, hear)
}

// OnKeySet calls hear with the version of the issuer's key set, as each answer of the
// hub names it: again and again, and what a hub says may be old or untrue. It must
// not block.
func (f *Feed) OnKeySet(hear func(version string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onKeys = append(f.onKeys, hear)
}

// KeySet is the version of the issuer's key set as the hub named it last; "" when it
// did not.
func (f *Feed) KeySet() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keySet
}

// At is the position up to which the set is complete.
func (f *Feed) At() Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// Run follows the hub until ctx ends, and then tells it so. It is called once. It
// returns an error only for a second call.
func (f *Feed) Run(ctx context.Context) error {
	if !f.running.CompareAndSwap(false, true) {
		return errors.New("revocation: the feed runs already")
	}
	var sentinel sync.WaitGroup
	sentinel.Go(func() { f.watches.guard(ctx, f) })
	defer sentinel.Wait()
	pause := pauses{}
	for ctx.Err() == nil {
		began := f.instant()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		f.notice(err)
		// Only a session that lasted: hubs of which one registers and another refuses
		// would be registered at without end, and each time is a row that is kept.
		if errors.Is(err, errNewSession) && f.instant().since(began) > longestPause {
			pause.reset()
		}
		pause.wait(ctx)
	}
	return nil
}

// errNewSession means that a registration had worked and has ended.
var errNewSession = errors.New("the hub wants another registration")

// follow registers, and stays with that until the hub wants another registration.
func (f *Feed) follow(ctx context.Context) error {
	s, err := f.register(ctx)
	if err != nil {
		return err
	}
	defer f.leave(ctx, s)
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	if !f.continues(s) {
		if err := f.resync(ctx, s); err != nil {
			return err
		}
	}
	all.Go(func() { f.stream(ctx, s) })
	return f.renewals(ctx, s)
}

func (f *Feed) register(ctx context.Context) (*session, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := f.hub.Register(call, Registration{
		Name: f.c.Name, Audience: f.c.Audience, Policy: f.c.Policy, Version: Version, Relay: f.c.Relay,
	})
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	s := &session{Registered: r, since: f.instant()}
	secret, err := ParseSecret(r.Secret)
	if err != nil {
		return nil, err
	}
	if len(r.LeaseKey) != LeaseKeySize || !isTime(r.LeaseMS) || !isTime(r.RenewMS) || r.Verifier == "" {
		return nil, fmt.Errorf("%w: registration that lacks something", ErrWire)
	}
	s.max = f.bounded(r.LeaseMS)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session = s
	f.adopt(secret)
	f.counts.registrations.Add(1)
	return s, nil
}

// adopt begins with an empty set when the secret is another: what was known was
// hashed with the old one. The caller holds mu.
func (f *Feed) adopt(secret Secret) {
	last := f.known.Load()
	if last != nil && last.secret == secret {
		return
	}
	next := &knowledge{secret: secret, generation: 1, set: NewSet()}
	if last != nil {
		next.generation = last.generation + 1
	}
	f.lease.Store(nil)
	f.at, f.proof = Position{}, ""
	f.known.Store(next)
	f.version.Add(1)
	f.watches.rekey(f)
}

// continues reports whether what is known is of the epoch that the hub is in: then
// frames are enough.
func (f *Feed) continues(s *session) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.Load().complete.Load() && f.at.Epoch == s.Epoch
}

func (f *Feed) bounded(leaseMS int64) time.Duration {
	most := time.Duration(leaseMS) * time.Millisecond
	if f.c.MaxStale > 0 {
		most = min(most, f.c.MaxStale)
	}
	return most
}

// leave tells the hub, when the service stops, that nobody need wait for it.
func (f *Feed) leave(ctx context.Context, s *session) {
	if ctx.Err() == nil {
		return
	}
	f.lease.Store(nil) // it accepts nothing from here on
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	_ = f.hub.Leave(call, s.Ticket) // its lease ends by itself
}

// stream takes frames as they come, for as long as the session lasts.
func (f *Feed) stream(ctx context.Context, s *session) {
	pause := pauses{}
	for ctx.Err() == nil {
		began := f.instant()
		err := f.hub.Follow(ctx, s.Ticket, f.At(), func(frame string, eager bool) error {
			if frame != "" {
				if err := f.take(frame); err != nil {
					return err
				}
			}
			if eager {
				f.kick()
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		f.counts.streamsLost.Add(1)
		f.kick() // the lease carries what the stream does not, and tells whether the session lives
		if f.instant().since(began) > longestPause || err == nil {
			pause.reset()
		}
		pause.wait(ctx)
	}
}

// kick makes the next renewal come at once.
func (f *Feed) kick() {
	select {
	case f.kicked <- struct{}{}:
	default:
	}
}

// kickSoon makes the next renewal come early, and not so early that a hub which
// lags behind is asked without a pause.
func (f *Feed) kickSoon() { time.AfterFunc(shortestPause/5, f.kick) }

func (f *Feed) notice(err error) {
	f.counts.failures.Add(1)
	if err != nil && !errors.Is(err, errNewSession) && f.lost.CompareAndSwap(false, true) {
		f.c.Logger.Warn("revocation feed is lost", "cause", err)
	}
}
