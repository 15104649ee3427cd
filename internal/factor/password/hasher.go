package password

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"
)

// Config says how a Hasher hashes. Only Now is needed.
type Config struct {
	Params      Params        // zero: DefaultParams
	Workers     int           // hashes at once; 0: one for each core, as far as the memory limit allows
	MaxWait     time.Duration // 0: two seconds
	QueueLength int           // waiting callers of both lanes; 0: what the workers manage within MaxWait
	MemoryLimit int64         // bytes; 0: the limit set by GOMEMLIMIT, if any
	Floor       time.Duration // a refusal takes at least so long; see the package comment
	Cost        time.Duration // what one hash takes; 0: New measures it
	Now         func() time.Time
}

// Hasher computes and checks password hashes behind one gate. It is safe for
// concurrent use; a process should have one.
type Hasher struct {
	params  Params
	maxWait time.Duration
	floor   time.Duration
	now     func() time.Time
	gate    *gate
	heavy   *gate // one at a time: imported hashes that need far more memory than ours
	dummy   argon

	// observe sees the beginning of each computation. Tests hold it up here.
	observe func()
}

// New returns a Hasher. It computes hashes to learn what one costs on this
// machine, which takes about a tenth of a second with the default parameters, and
// refuses parameters that do not fit the memory.
func New(c Config) (*Hasher, error) {
	if c.Now == nil {
		return nil, errors.New("password hasher has no clock")
	}
	if c.Workers < 0 || c.QueueLength < 0 || c.MaxWait < 0 || c.Floor < 0 || c.Cost < 0 {
		return nil, errors.New("password hasher has a negative setting")
	}
	if c.Params == (Params{}) {
		c.Params = DefaultParams()
	}
	if err := c.Params.Validate(); err != nil {
		return nil, err
	}
	if c.MaxWait == 0 {
		c.MaxWait = 2 * time.Second
	}
	var err error
	if c.Workers, err = c.workers(); err != nil {
		return nil, err
	}
	h := &Hasher{params: c.Params, maxWait: c.MaxWait, floor: c.Floor, now: c.Now, observe: func() {}}
	h.dummy = c.Params.fresh()
	h.dummy.sum = h.dummy.derive("", sumSize)
	if c.Cost == 0 {
		c.Cost = h.measure()
	}
	h.gate = c.gate(c.Workers)
	h.heavy = c.gate(1)
	return h, nil
}

// workers checks the number of workers against the memory, or finds it.
func (c Config) workers() (int, error) {
	limit := c.MemoryLimit
	if limit == 0 {
		limit = debug.SetMemoryLimit(-1) // a negative limit only reads it
	}
	fit := int64(math.MaxInt32)
	if limit > 0 && limit < math.MaxInt64 {
		fit = limit / 4 / (int64(c.Params.Memory) << 10)
	}
	n := int64(c.Workers)
	if n == 0 {
		n = max(1, min(int64(runtime.GOMAXPROCS(0)), fit))
	}
	if n > fit {
		return 0, fmt.Errorf("%d workers of %d KiB need more than a quarter of the memory limit of %d MiB: use fewer workers or less memory",
			n, c.Params.Memory, limit>>20)
	}
	return int(n), nil
}

// gate builds a gate whose queue is as long as its workers manage within MaxWait.
func (c Config) gate(workers int) *gate {
	length := c.QueueLength
	if length == 0 {
		length = int(min(512, time.Duration(workers)*c.MaxWait/c.Cost))
	}
	half := max(1, length/2)
	return &gate{workers: workers, places: [2]int{half, max(half, length-half)}, maxWait: c.MaxWait, now: c.Now, cost: c.Cost}
}

// measure returns the shortest of three computations, the first of which pays for
// fresh memory and cold caches.
func (h *Hasher) measure() time.Duration {
	best := time.Duration(math.MaxInt64)
	for range 3 {
		start := h.now()
		h.dummy.derive("", sumSize)
		best = min(best, h.now().Sub(start))
	}
	return max(best, time.Microsecond)
}

// Stats is the state of the gate, for metrics.
type Stats struct {
	Workers, Running int
	Known, Others    int           // callers waiting in each lane
	Places           int           // callers that may wait
	Cost             time.Duration // moving average of one computation
	Shed             uint64        // callers refused since the start
}

// Rate is how many hashes a second the workers manage.
func (s Stats) Rate() float64 { return float64(s.Workers) / s.Cost.Seconds() }

// Stats returns the state of the gate.
func (h *Hasher) Stats() Stats {
	g := h.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Workers: g.workers, Running: g.running, Known: len(g.waiting[known]), Others: len(g.waiting[others]),
		Places: g.places[known] + g.places[others], Cost: g.cost, Shed: g.shed}
}

// Hash returns the encoded hash of a new password. It asks the gate as a stranger
// does. It checks no policy but refuses ErrEmpty and ErrTooLong; a *BusyError
// means that nothing was computed.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := admissible(password); err != nil {
		return "", err
	}
	if err := h.gate.enter(ctx, others, h.maxWait); err != nil {
		return "", err
	}
	return h.hash(password), nil
}

// Rehash is Hash for a password that was just proved, with the lowest priority: it
// computes only if a worker is idle, and returns a *BusyError at once otherwise.
// The next login is early enough.
func (h *Hasher) Rehash(_ context.Context, password string) (string, error) {
	if err := admissible(password); err != nil {
		return "", err
	}
	if err := h.gate.tryEnter(); err != nil {
		return "", err
	}
	return h.hash(password), nil
}

// hash computes in a slot that the caller has, and frees it.
func (h *Hasher) hash(password string) string {
	a := h.params.fresh()
	h.compute(func() { a.sum = a.derive(password, sumSize) })
	return a.encode()
}

// compute runs work in a slot that the caller has, and frees it.
func (h *Hasher) compute(work func()) {
	start := h.now()
	defer func() { h.gate.leave(h.now().Sub(start)) }()
	h.observe()
	work()
}

// Attempt is a password to be checked.
type Attempt struct {
	Encoded  string // the stored hash; "" when there is no such user or no password
	Password string
	Known    bool // the caller is on a known device or network: it has a lane of its own
}

// Result is what a check found out.
type Result struct {
	OK     bool
	Rehash bool // OK, and the stored hash is not what Hash would make today
}

// Verify checks a password against a stored hash. No user, a malformed hash and a
// wrong password are one answer: a zero Result, after the same work. It refuses
// ErrEmpty and ErrTooLong, whoever the user is; a *BusyError means that nothing
// was computed.
func (h *Hasher) Verify(ctx context.Context, a Attempt) (Result, error) {
	if err := admissible(a.Password); err != nil {
		return Result{}, err
	}
	var m method = h.dummy
	stored, err := ParseHash(a.Encoded)
	usable := err == nil && stored.method.holds(a.Password)
	if usable {
		m = stored.method
	}
	var matched bool
	began := h.now()
	err = h.admitted(ctx, a.lane(), m.memory(), func() {
		began = h.now()
		matched = m.match(a.Password)
	})
	if err != nil {
		return Result{}, err
	}
	if !usable || !matched {
		return Result{}, h.holdBack(ctx, h.floor-h.now().Sub(began))
	}
	own, ours := m.(argon)
	return Result{OK: true, Rehash: !ours || !own.current(h.params)}, nil
}

func (a Attempt) lane() lane {
	if a.Known {
		return known
	}
	return others
}

// admitted runs work as soon as the gate allows. An imported hash that needs more
// than twice our memory passes the heavy gate first, so that a few of them at once
// cannot fill the memory; waiting there it occupies no worker.
func (h *Hasher) admitted(ctx context.Context, l lane, memory int64, work func()) error {
	within := h.maxWait
	if memory > 2*h.dummy.memory() && memory > 32<<20 {
		start := h.now()
		if err := h.heavy.enter(ctx, l, within); err != nil {
			return err
		}
		defer func() { h.heavy.leave(h.now().Sub(start)) }()
		within -= h.now().Sub(start)
	}
	if err := h.gate.enter(ctx, l, within); err != nil {
		return err
	}
	h.compute(work)
	return nil
}

// holdBack waits, without a slot, so that a cheap refusal looks like a dear one.
func (h *Hasher) holdBack(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
