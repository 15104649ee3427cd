package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// RelayConfig is what a Relay is made of.
type RelayConfig struct {
	// Upstream is the hub or relay that is followed, as the relay itself.
	Upstream revocation.Hub
	// As is Upstream for who registers here: with its own credentials.
	As func(c Credentials) (revocation.Hub, error)
	// Issuer is whose feed it is.
	Issuer string
	Node   string
	// Now is the clock; Elapsed is one that nobody sets, nil: the monotonic part of
	// Now.
	Now     func() time.Time
	Elapsed func() time.Duration
	Log     *slog.Logger
}

// Relay is a hub whose log is another hub: it follows that one as any verifier
// does, and passes on frames as they were signed. An answer of a relay is as old
// as its own lease. A verifier registers through it with its own credentials, so
// that the issuer knows of it, and of how far it is. Who registered before the
// relay was started registers again.
type Relay struct {
	RelayConfig
	clock clock
	feed  *revocation.Feed
	ring  *ring
	done  chan struct{}
	pump  chan struct{} // one place: acks are to be passed on

	shots *shots // as the upstream made them

	mu      sync.Mutex
	own     revocation.Registered // the relay's own registration
	guests  map[string]*guest     // by ticket
	byID    map[string]*guest
	passed  chan struct{} // closed when acks have been passed on
	running sync.Once
}

// guest is a verifier, or a relay, that registered through this relay.
type guest struct {
	ticket, kid string
	clientID    string
	verifier    string
	leaseKey    []byte
	relay       bool
	rsn         int64
	since       moment // when it had registered
	heard       time.Duration
	noted       time.Duration // when its last ack began to be passed on that has arrived
	ack         revocation.Ack
	dirty       bool
}

// guestsMost is how many can register through one relay.
const guestsMost = 20_000

// NewRelay returns a relay. It gives leases once Run has its own first one.
func NewRelay(c RelayConfig) (*Relay, error) {
	if c.Upstream == nil || c.As == nil || c.Issuer == "" || c.Now == nil || c.Log == nil {
		return nil, errors.New("relay without Upstream, As, Issuer, Now or Log")
	}
	r := &Relay{
		RelayConfig: c, clock: newClock(c.Now, c.Elapsed), ring: newRing(), done: make(chan struct{}), pump: make(chan struct{}, 1),
		guests: map[string]*guest{}, byID: map[string]*guest{}, passed: make(chan struct{}), shots: newShots(),
	}
	var err error
	r.feed, err = revocation.New(revocation.Config{
		Issuer: c.Issuer, Hub: upstream{Hub: c.Upstream, relay: r}, Name: c.Node, Relay: true, Now: c.Now, Elapsed: c.Elapsed, Logger: c.Log,
	})
	if err != nil {
		return nil, err
	}
	r.feed.Tap(func(frame string, from, to int64) {
		if at, err := PositionOf(frame); err == nil {
			r.ring.add(piece{epoch: at.Epoch, from: from, to: to, text: frame})
		}
	})
	last := "" // only the feed's own renewals change it, one after the other
	r.feed.OnKeySet(func(version string) {
		if version != last {
			last = version
			r.ring.poke()
		}
	})
	return r, nil
}

// Feed is the relay's own copy, for figures.
func (r *Relay) Feed() *revocation.Feed { return r.feed }

// Run follows the upstream until ctx ends; then everybody who follows the relay
// is let go. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	first := false
	r.running.Do(func() { first = true })
	if !first {
		return errors.New("the relay has run already")
	}
	var all sync.WaitGroup
	all.Go(func() {
		<-ctx.Done()
		close(r.done)
	})
	all.Go(func() { r.passAcks(ctx) })
	err := r.feed.Run(ctx)
	all.Wait()
	return err
}

// upstream is what the relay's feed follows: it learns from it as whom the relay
// is registered, and when acks are wanted.
type upstream struct {
	revocation.Hub
	relay *Relay
}

// Register keeps the relay's own registration.
func (u upstream) Register(ctx context.Context, reg revocation.Registration) (revocation.Registered, error) {
	out, err := u.Hub.Register(ctx, reg)
	if err != nil {
		return out, err
	}
	r := u.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own.Ticket != "" && string(r.own.Secret) != string(out.Secret) {
		clear(r.guests) // what they know was hashed with another secret
		clear(r.byID)
	}
	r.own = out
	return out, nil
}

// Follow tells those who follow the relay that acks are wanted.
func (u upstream) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(frame string, eager bool) error) error {
	return u.Hub.Follow(ctx, ticket, after, func(frame string, eager bool) error {
		err := deliver(frame, eager)
		if eager && err == nil {
			u.relay.ring.want(u.relay.Now().Add(u.relay.lease()))
		}
		return err
	})
}

// lease is the longest lease there is.
func (r *Relay) lease() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.own.LeaseMS) * time.Millisecond
}

// Keys returns the issuer's keys.
func (r *Relay) Keys(ctx context.Context) (jose.KeySet, error) {
	keys, err := r.Upstream.Keys(ctx)
	return keys, outward(err)
}

// outward makes of what an upstream says what may be said to others.
func outward(err error) error {
	var f *fault.Error
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(err, revocation.ErrRefused):
		return fault.Wrap(err, fault.Unauthenticated, "The issuer refuses this.")
	}
	return fault.Wrap(err, fault.Unavailable, "The issuer does not answer now.")
}

// Admit registers a verifier at the issuer, by its own credentials.
func (r *Relay) Admit(ctx context.Context, c Credentials, reg revocation.Registration) (revocation.Registered, error) {
	if err := checkRegistration(reg); err != nil {
		return revocation.Registered{}, err
	}
	if !r.feed.Fresh(r.Now()) {
		return revocation.Registered{}, fault.New(fault.Unavailable, "The relay is not in touch with the issuer.")
	}
	rsn := r.feed.At().Seq // before the issuer asks what allows it: see Hub.Admit
	up, err := r.RelayConfig.As(c)
	if err != nil {
		return revocation.Registered{}, outward(err)
	}
	began := r.clock.elapsed()
	out, err := up.Register(ctx, reg)
	if err != nil {
		return revocation.Registered{}, outward(err)
	}
	m, err := jose.Parse(out.Ticket, jose.Limits{})
	if err != nil {
		return revocation.Registered{}, outward(fmt.Errorf("read ticket: %w", err))
	}
	g := &guest{
		ticket: out.Ticket, kid: m.Header.KeyID, clientID: c.ID, verifier: out.Verifier, leaseKey: out.LeaseKey, relay: reg.Relay, rsn: rsn,
		since: r.clock.moment(), heard: began, noted: began,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.guests) >= guestsMost {
		return revocation.Registered{}, fault.New(fault.Busy, "The relay has all the verifiers that it can have.").Retry(time.Minute)
	}
	r.guests[out.Ticket], r.byID[out.Verifier] = g, g
	return out, nil
}

// guest finds who shows a ticket, if it holds.
func (r *Relay) guest(ticket string) (*guest, error) {
	r.mu.Lock()
	g, ok := r.guests[ticket]
	r.mu.Unlock()
	if !ok {
		return nil, errTicket("the verifier has not registered through this relay")
	}
	if r.clock.since(g.since) >= ticketLife {
		r.drop(g)
		return nil, errTicket("it has run out")
	}
	k := r.feed.Keys(revocation.Subject{ClientID: g.clientID, KeyID: g.kid})
	if r.feed.Check(&k, g.rsn) == revocation.Revoked {
		r.drop(g)
		return nil, errTicket("its client or key was taken back")
	}
	return g, nil
}

func (r *Relay) drop(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.guests, g.ticket)
	delete(r.byID, g.verifier)
}

// Leave tells the issuer that a verifier has stopped.
func (r *Relay) Leave(ctx context.Context, ticket string) error {
	g, err := r.guest(ticket)
	if err != nil {
		return err
	}
	r.drop(g)
	return outward(r.Upstream.Leave(ctx, ticket))
}

// Follow is as Hub.Follow.
func (r *Relay) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(frame string, eager bool) error) error {
	s, err := r.Subscribe(ctx, ticket, after)
	if err != nil {
		return err
	}
	return s.Run(ctx, Outlet{Deliver: deliver})
}

// Subscribe is as Hub.Subscribe.
func (r *Relay) Subscribe(_ context.Context, ticket string, after revocation.Position) (*Subscription, error) {
	check := func() error {
		_, err := r.guest(ticket)
		return err
	}
	if err := check(); err != nil {
		return nil, err
	}
	return &Subscription{run: func(ctx context.Context, out Outlet) error {
		r.ring.advance(r.feed.At())
		f := follower{ring: r.ring, now: r.Now, done: r.done, check: check, old: nothingOld, out: out}
		return f.run(ctx, after)
	}}, nil
}

// nothingOld: a relay has no log to read from.
func nothingOld(context.Context, revocation.Position, int64) (piece, error) {
	return piece{}, errBehind
}

// As returns the relay as who has these credentials sees it, in this process.
func (r *Relay) As(c Credentials) revocation.Hub { return through{Relay: r, as: c} }

type through struct {
	*Relay
	as Credentials
}

// Register makes the verifier known with the one client's credentials.
func (t through) Register(ctx context.Context, reg revocation.Registration) (revocation.Registered, error) {
	return t.Admit(ctx, t.as, reg)
}
