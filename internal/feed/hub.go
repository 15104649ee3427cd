package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Config is what a Hub is made of. Fields with a default may be left out.
type Config struct {
	Store Store
	// Covered tells whether the log holds an entry that covers what was given out
	// at rsn, as revoke.Store does.
	Covered func(ctx context.Context, rsn int64, refs []revoke.Ref) (revoke.Recorded, bool, error)
	// Authenticate returns the client that credentials prove, if it may follow the
	// feed. Its refusals are the caller's to see.
	Authenticate func(ctx context.Context, c Credentials) (clientID string, err error)
	// Allowed says whether a client may still follow the feed: an error that is a
	// refusal, and no other, ends what it was given. nil: it is not asked again.
	Allowed func(ctx context.Context, clientID string) error

	Issuer string
	Node   string // of this process, as the list of verifiers names it
	// Signer returns the key that signs; false: there is none yet. It is Ed25519.
	Signer   func() (*jose.Key, bool)
	Keys     func() jose.KeySet // the public keys that verifiers may meet
	Secret   revocation.Secret
	LeaseKey func(verifier string) []byte // 32 bytes, the same at every hub
	// KeySet reads the signing keys and names the key set that this node publishes from
	// then on: for verifiers, which fetch it when they hold another. It is called when the
	// store says that keys were changed. nil: verifiers are told nothing.
	KeySet func(ctx context.Context) (version string, err error)
	// Used hears of uses of sessions that verifiers saw. nil: nobody wants to know.
	// It is called by one goroutine, with the time the uses' AgoMS counts from.
	Used func(clientID string, uses []revocation.Use, now time.Time)

	Now     func() time.Time
	Elapsed func() time.Duration // a clock that nobody sets; nil: the monotonic part of Now
	Lease   time.Duration        // L; 0: 2 s
	Renew   time.Duration        // how often verifiers renew; 0: 250 ms
	Poll    time.Duration        // how often the store is read while somebody follows; 0: 50 ms
	Log     *slog.Logger
}

// Credentials are what a client proves itself with when it registers a verifier.
type Credentials struct {
	ID, Secret string
}

// Caller is a client that has proved itself.
type Caller struct {
	ClientID string
	RSN      int64 // read no later than what allowed the client in
}

// Defaults of Config.
const (
	DefaultLease = 2 * time.Second
	DefaultRenew = 250 * time.Millisecond
	DefaultPoll  = 50 * time.Millisecond
)

// Bounds of what a hub does.
const (
	maxBehind  = 50_000 // positions: who is further behind takes a snapshot
	maxEvents  = 1000   // of a frame
	coalesce   = 5 * time.Millisecond
	idlePoll   = time.Second // while nobody follows
	patience   = time.Second // for one step of the store
	purgeWhen  = time.Hour   // a verifier was not seen
	usagesMost = 1024        // questions whose uses wait to be told
	rhoParts   = 1000        // the drift of a clock is at most 1 in rhoParts
)

// Hub gives the log of a Store to verifiers. It is safe for concurrent use.
type Hub struct {
	Config
	id    string // of this start
	clock clock
	ring  *ring

	reading gate // held by who reads the log
	state   state
	keySet  *keySet

	tickets tickets
	heard   *register
	eager   chan struct{} // one place: notes are wanted now
	wake    chan struct{} // one place: the log may have grown
	usages  chan usage
	follow  gauge // who follows, and when somebody was last here
	shots   *shots
	done    chan struct{}
	running sync.Once
}

// New returns a hub. It gives leases once Run has begun, or whoever asks first
// makes it read the log. All that is missing is told at once.
func New(c Config) (*Hub, error) {
	var missing []error
	for name, there := range map[string]bool{
		"Store": c.Store != nil, "Covered": c.Covered != nil, "Authenticate": c.Authenticate != nil, "Issuer": c.Issuer != "",
		"Signer": c.Signer != nil, "Keys": c.Keys != nil, "LeaseKey": c.LeaseKey != nil, "Now": c.Now != nil, "Log": c.Log != nil,
	} {
		if !there {
			missing = append(missing, fmt.Errorf("feed hub without %s", name))
		}
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Renew == 0 {
		c.Renew = DefaultRenew
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	h := &Hub{
		Config: c, id: opaque.ID(hubID, c.Now()), clock: newClock(c.Now, c.Elapsed), ring: newRing(), reading: newGate(),
		usages: make(chan usage, usagesMost), eager: make(chan struct{}, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	h.state.ended = map[revoke.Ref]int64{}
	h.heard = newRegister(h)
	h.shots, h.keySet = newShots(), newKeySet()
	return h, nil
}

// The prefixes of ids of verifiers and relays, and of hubs.
const (
	verifierID = "ver"
	hubID      = "hub"
)

// Run reads the log and writes down how far verifiers have come, until ctx ends;
// then everybody who follows is let go. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	first := false
	h.running.Do(func() { first = true })
	if !first {
		return errors.New("the hub has run already")
	}
	defer h.leaveAll()
	var all sync.WaitGroup
	all.Go(func() {
		<-ctx.Done()
		close(h.done)
	})
	all.Go(func() { h.listen(ctx) })
	all.Go(func() { h.poll(ctx) })
	all.Go(func() { h.watchKeys(ctx) })
	all.Go(func() { h.writeNotes(ctx) })
	all.Go(func() { h.keepHouse(ctx) })
	all.Go(func() { h.tellUses(ctx) })
	all.Wait()
	return nil
}

// Position is where the log stood when this hub last read it, 0 before. What is
// minted at it is covered by all that comes after: it is never ahead.
func (h *Hub) Position() int64 { return h.ring.position().Seq }

// Age is how old what this hub knows of the log is. It is false before the hub
// has read it.
func (h *Hub) Age() (time.Duration, bool) {
	at, ok := h.state.at()
	return h.clock.since(at), ok
}

// Keys returns the public keys that sign frames.
func (h *Hub) Keys(context.Context) (jose.KeySet, error) { return h.Config.Keys(), nil }

// bound is the longest that a lease asked for before now can last: L(1+3rho).
func (h *Hub) bound() time.Duration { return h.Lease + 3*h.Lease/rhoParts }

// audience is what verifiers know an API by.
func (h *Hub) audience(id string) string {
	return api.API{ID: id}.Audience(h.Issuer)
}
