package keyring_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// fake is a keyring.Store in memory. before, when set, runs once in front of the
// next ChangeKeys, as another node would.
type fake struct {
	mu     sync.Mutex
	keys   []keyring.Record
	fx     []revoke.Effects
	before func()
	reads  atomic.Int64
}

func (f *fake) Keys(context.Context) ([]keyring.Record, error) {
	f.reads.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.keys), nil
}

func (f *fake) ChangeKeys(_ context.Context, add []keyring.Record, moves []keyring.Move, fx revoke.Effects) (bool, error) {
	if run := f.before; run != nil {
		f.before = nil
		run()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	next := slices.Clone(f.keys)
	for _, m := range moves {
		i := slices.IndexFunc(next, func(r keyring.Record) bool { return r.ID == m.ID && r.State == m.From })
		if i < 0 {
			return false, nil
		}
		next[i] = moved(next[i], m)
	}
	next = append(next, add...)
	active := map[string]int{}
	for _, r := range next {
		if r.State == keyring.Active {
			active[r.API]++
		}
		if active[r.API] > 1 {
			return false, nil
		}
	}
	f.keys, f.fx = next, append(f.fx, fx)
	return true, nil
}

func moved(r keyring.Record, m keyring.Move) keyring.Record {
	r.State = m.To
	switch m.To {
	case keyring.Active:
		r.ActiveAt = m.At
	case keyring.Retired:
		r.RetiredAt = m.At
	case keyring.Removed:
		r.RemovedAt, r.Sealed = m.At, nil
	}
	return r
}

func (f *fake) MarkRead(_ context.Context, kid string, at time.Time, fx revoke.Effects) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.keys {
		if f.keys[i].ID == kid && f.keys[i].ReadAt.IsZero() {
			f.keys[i].ReadAt = at
			f.fx = append(f.fx, fx)
			return true, nil
		}
	}
	return false, nil
}

func (f *fake) states(apiID string) map[keyring.State]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := map[keyring.State]int{}
	for _, r := range f.keys {
		if r.API == apiID {
			count[r.State]++
		}
	}
	return count
}

func (f *fake) revoked() []revoke.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []revoke.Entry
	for _, fx := range f.fx {
		all = append(all, fx.Revoke...)
	}
	return all
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const (
	orders = "https://orders.example"
	maxAge = 5 * time.Minute
	window = 2 * maxAge
)

func rootKey(t *testing.T, fill byte) *opaque.Key {
	t.Helper()
	root, err := opaque.NewRoot(slices.Repeat([]byte{fill}, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return root.Derive("keys")
}

func newRing(t *testing.T, st keyring.Store, c *clock, rotate time.Duration) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(keyring.Config{Store: st, Seal: rootKey(t, 1), Now: c.now, MaxAge: maxAge, Rotate: rotate})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func apiWith(id string, alg jose.Algorithm) api.API {
	return api.API{ID: id, Token: api.Token{Alg: alg}}.WithDefaults()
}

func signer(t *testing.T, r *keyring.Ring, apiID string) *jose.Key {
	t.Helper()
	key, ok := r.Signer(apiID)
	if !ok {
		t.Fatalf("no signer for %s", apiID)
	}
	return key
}

func mustEnsure(t *testing.T, r *keyring.Ring, apis ...api.API) {
	t.Helper()
	if err := r.Ensure(t.Context(), apis...); err != nil {
		t.Fatal(err)
	}
}

func mustTick(t *testing.T, r *keyring.Ring, apis ...api.API) {
	t.Helper()
	if err := r.Tick(t.Context(), apis); err != nil {
		t.Fatal(err)
	}
}

func mustRotate(t *testing.T, r *keyring.Ring, urgent keyring.Urgency) keyring.Record {
	t.Helper()
	rec, err := r.Rotate(t.Context(), orders, "cli", urgent)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// published returns the kids in the key set, as a verifier reads it.
func published(t *testing.T, r *keyring.Ring) []string {
	t.Helper()
	body, _ := r.JWKS()
	set, err := jose.ParseKeySet(body)
	if err != nil {
		t.Fatal(err)
	}
	kids := []string{}
	for _, k := range set {
		kids = append(kids, k.ID())
	}
	return kids
}
