package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Defaults for Config.
const (
	DefaultMaxAge = 5 * time.Minute
	DefaultRotate = 90 * 24 * time.Hour
)

// Config is what a Ring needs.
type Config struct {
	Store Store
	Seal  *opaque.Key      // seals private keys; derived from the master key
	Now   func() time.Time // the clock
	// MaxAge is how long a verifier may keep the key set before it asks again.
	// Twice as long passes between a key's announcement and its first use.
	// 0 means DefaultMaxAge.
	MaxAge time.Duration
	// Rotate is the age at which an active key is replaced unasked. 0 means
	// never. HMAC keys are never replaced unasked.
	Rotate time.Duration
}

// Ring is the keys of all APIs, opened, in memory, and the rules for changing
// them. Reading it takes no lock. It is safe for concurrent use, and any number
// of nodes may hold rings over one store: whoever loses a race reads again.
type Ring struct {
	store  Store
	seal   *opaque.Key
	now    func() time.Time
	maxAge time.Duration
	policy policy
	change sync.Mutex // one change, or one reload, at a time
	view   atomic.Pointer[view]
	// when Find last looked for an unknown key, in nanoseconds since 1970
	searched atomic.Int64
}

// New returns a ring that holds no keys until Load, Ensure or Tick.
func New(c Config) (*Ring, error) {
	if c.Store == nil || c.Seal == nil || c.Now == nil {
		return nil, errors.New("key ring needs a store, a sealing key and a clock")
	}
	if c.MaxAge < 0 || c.Rotate < 0 {
		return nil, errors.New("key ring needs times that are not negative")
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	r := &Ring{store: c.Store, seal: c.Seal, now: c.Now, maxAge: c.MaxAge, policy: newPolicy(c.MaxAge, c.Rotate)}
	v, err := r.build(nil, nil)
	if err != nil {
		return nil, err
	}
	r.view.Store(v)
	return r, nil
}

// Load reads all keys from the store. A key that the master key does not open
// is an error that names it, and what was loaded before stays.
func (r *Ring) Load(ctx context.Context) error {
	r.change.Lock()
	defer r.change.Unlock()
	_, err := r.reload(ctx)
	return err
}

func (r *Ring) reload(ctx context.Context) ([]Record, error) {
	records, err := r.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	v, err := r.build(records, r.view.Load())
	if err != nil {
		return nil, err
	}
	r.view.Store(v)
	return records, nil
}

// Ensure sees to it that each of the APIs has an active key, and an announced
// one if the active key is of another algorithm than the API now asks for. The
// first key of an API is active at once.
func (r *Ring) Ensure(ctx context.Context, apis ...api.API) error {
	return r.do(ctx, audit.BySystem, func(records []Record, now time.Time) (step, error) {
		return r.policy.plan(records, apis, now), nil
	})
}

// Tick reads the keys and makes the moves that are due: announced keys become
// active, the keys before them are retired, retired keys are removed, old keys
// get a successor. apis is the whole register: keys of an API that is not in it
// are retired. Call it several times within MaxAge on every node.
func (r *Ring) Tick(ctx context.Context, apis []api.API) error {
	return r.do(ctx, audit.BySystem, func(records []Record, now time.Time) (step, error) {
		s := r.policy.plan(records, apis, now)
		s.join(r.policy.planOrphans(records, apis, now))
		return s, nil
	})
}

// Signer returns the key that signs for an API. ok is false when there is none.
func (r *Ring) Signer(apiID string) (key *jose.Key, ok bool) {
	key, ok = r.view.Load().signers[apiID]
	return key, ok
}

// Verifier returns the key with this id, without its private part unless it is
// an HMAC key, and the API it signs for. ok is false for a key that is unknown,
// removed, or announced so lately that nobody may sign with it yet.
func (r *Ring) Verifier(kid string) (key *jose.Key, apiID string, ok bool) {
	v, ok := r.view.Load().verifiers[kid]
	if !ok || !v.from.IsZero() && r.now().Before(v.from) {
		return nil, "", false
	}
	return v.key, v.apiID, true
}

// searchEvery is the shortest time between two looks into the store for keys that
// are not known: random ids cause no more than that.
const searchEvery = time.Second

// Find is Verifier, and reads the keys again when it does not know this one:
// another node may just have made it.
func (r *Ring) Find(ctx context.Context, kid string) (key *jose.Key, apiID string, ok bool, err error) {
	if key, apiID, ok = r.Verifier(kid); ok {
		return key, apiID, true, nil
	}
	now := r.now().UnixNano()
	last := r.searched.Load()
	if now-last < int64(searchEvery) || !r.searched.CompareAndSwap(last, now) {
		return nil, "", false, nil
	}
	if err := r.Load(ctx); err != nil {
		return nil, "", false, err
	}
	key, apiID, ok = r.Verifier(kid)
	return key, apiID, ok, nil
}

// JWKS returns the public key set and its entity tag: every asymmetric key that
// is announced, active or retired, but those of ForFeed. The caller must not change body.
func (r *Ring) JWKS() (body []byte, etag string) {
	v := r.view.Load()
	return v.body, v.etag
}

// MaxAge is how long a verifier may keep the key set.
func (r *Ring) MaxAge() time.Duration { return r.maxAge }

// Records returns every key as stored, oldest first, without sealed parts.
func (r *Ring) Records(ctx context.Context) ([]Record, error) {
	records, err := r.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	for i := range records {
		records[i].Sealed = nil
	}
	return records, nil
}

// do asks decide what to do with the keys as they are, and does it, again from
// the start whenever somebody else was faster.
func (r *Ring) do(ctx context.Context, actor string, decide func([]Record, time.Time) (step, error)) error {
	const attempts = 10
	r.change.Lock()
	defer r.change.Unlock()
	for range attempts {
		records, err := r.reload(ctx)
		if err != nil {
			return err
		}
		now := r.now()
		s, err := decide(records, now)
		if err != nil || s.empty() {
			return err
		}
		add, err := r.makeAll(s.adds, now)
		if err != nil {
			return err
		}
		done, err := r.store.ChangeKeys(ctx, add, s.moves, effects(s, add, actor, now))
		if err != nil {
			return fmt.Errorf("change keys: %w", err)
		}
		if done {
			_, err := r.reload(ctx)
			return err
		}
	}
	return fmt.Errorf("change keys: overtaken by others %d times in a row", attempts)
}

func (r *Ring) makeAll(wants []want, now time.Time) ([]Record, error) {
	made := make([]Record, 0, len(wants))
	for _, w := range wants {
		rec, err := r.newKey(w, now)
		if err != nil {
			return nil, err
		}
		made = append(made, rec)
	}
	return made, nil
}

func effects(s step, add []Record, actor string, now time.Time) revoke.Effects {
	fx := revoke.Effects{Revoke: s.revoke}
	note := func(state State, kid, detail string) {
		fx.Audit = append(fx.Audit, audit.Event{
			At: now, Action: "key." + string(state), Actor: actor, Target: kid, Detail: audit.Clip(detail),
		})
	}
	for _, rec := range add {
		note(rec.State, rec.ID, string(rec.Alg)+" for "+rec.API)
	}
	for _, m := range s.moves {
		note(m.To, m.ID, s.reason)
	}
	for _, e := range s.revoke {
		note("revoked", e.Key, e.Reason)
	}
	return fx
}
