package keyring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Urgency says how soon a new key has to sign.
type Urgency string

// The urgencies.
const (
	Calm Urgency = "calm" // announce it; it becomes active when every verifier may know it
	Now  Urgency = "now"  // active at once; verifiers with an older key set must ask again
)

// Retirement says why a key is taken out of use.
type Retirement string

// The reasons.
const (
	Ordinary    Retirement = "ordinary"    // it is not wanted any more; its tokens stay valid
	Compromised Retirement = "compromised" // somebody else may have it; its tokens die
)

// Rotate gives an API a new key of the algorithm it has now, and returns the new
// key. A rotation that is under way is not doubled: Calm returns the key that is
// announced already, Now makes that one active. Calls at the same time rotate
// once. An API without keys is fault.NotFound.
func (r *Ring) Rotate(ctx context.Context, apiID, actor string, urgent Urgency) (Record, error) {
	if urgent != Calm && urgent != Now {
		return Record{}, fault.New(fault.Invalid, "The urgency must be calm or now.")
	}
	before, err := r.activeOf(ctx, apiID)
	if err != nil {
		return Record{}, err
	}
	err = r.do(ctx, actor, func(records []Record, now time.Time) (step, error) {
		k := keysOf(records, apiID)
		if k.active == nil || k.active.ID != before.ID {
			return step{}, nil // another call has replaced it since this one began
		}
		return rotation(k, urgent, now), nil
	})
	if err != nil {
		return Record{}, err
	}
	return r.newest(ctx, apiID, urgent)
}

func rotation(k keys, urgent Urgency, now time.Time) step {
	s := step{reason: "rotation"}
	w := want{api: k.active.API, alg: k.active.Alg, state: Announced}
	switch {
	case urgent == Calm && len(k.announced) > 0:
	case urgent == Calm:
		s.adds = []want{w}
	case len(k.announced) > 0:
		s.succeed(*k.active, k.announced[0], now)
	default:
		w.state = Active
		s.adds = []want{w}
		s.move(*k.active, Retired, now)
	}
	return s
}

func (r *Ring) activeOf(ctx context.Context, apiID string) (Record, error) {
	records, err := r.Records(ctx)
	if err != nil {
		return Record{}, err
	}
	k := keysOf(records, apiID)
	if k.active == nil {
		return Record{}, fault.New(fault.NotFound, "This API has no key.")
	}
	return *k.active, nil
}

// newest returns the key that an API is moving to: the announced one if there is
// time for it, or else the active one.
func (r *Ring) newest(ctx context.Context, apiID string, urgent Urgency) (Record, error) {
	records, err := r.Records(ctx)
	if err != nil {
		return Record{}, err
	}
	k := keysOf(records, apiID)
	switch {
	case urgent == Calm && len(k.announced) > 0:
		return k.announced[0], nil
	case k.active != nil:
		return *k.active, nil
	}
	return Record{}, fault.New(fault.NotFound, "This API has no key.")
}

// Retire takes a key out of use. Ordinary takes back an announced key; an active
// key needs a successor first, and a retired one leaves by itself, both
// fault.Conflict. Compromised removes the key at once, from any state, with the
// revocation that refuses its tokens everywhere; an active key gets a successor
// that is active at once.
func (r *Ring) Retire(ctx context.Context, kid, actor string, why Retirement) error {
	if why != Ordinary && why != Compromised {
		return fault.New(fault.Invalid, "The reason must be ordinary or compromised.")
	}
	return r.do(ctx, actor, func(records []Record, now time.Time) (step, error) {
		i := slices.IndexFunc(records, func(rec Record) bool { return rec.ID == kid })
		if i < 0 {
			return step{}, fault.New(fault.NotFound, "No such key.")
		}
		if why == Compromised {
			return compromise(records, records[i], now), nil
		}
		return withdraw(records[i], now)
	})
}

func withdraw(rec Record, now time.Time) (step, error) {
	switch rec.State {
	case Announced:
		s := step{reason: string(Ordinary)}
		s.move(rec, Removed, now)
		return s, nil
	case Active:
		return step{}, fault.New(fault.Conflict, "The key signs for "+rec.API+". Rotate that API instead: the key is retired when its successor is active.")
	case Retired:
		return step{}, fault.New(fault.Conflict, "The key is retired already. It is removed when its last token has expired.")
	}
	return step{}, fault.New(fault.Conflict, "The key is removed already.")
}

func compromise(records []Record, rec Record, now time.Time) step {
	s := step{
		reason: string(Compromised),
		revoke: []revoke.Entry{revoke.New(revoke.Key, rec.ID, string(Compromised), now)},
	}
	if rec.State != Removed {
		s.move(rec, Removed, now)
	}
	if rec.State != Active {
		return s
	}
	if k := keysOf(records, rec.API); len(k.announced) > 0 {
		s.move(k.announced[0], Active, now)
		return s
	}
	s.adds = []want{{api: rec.API, alg: rec.Alg, state: Active}}
	return s
}

// Secret is an HMAC secret. The key is the ASCII bytes of Value.
type Secret struct {
	KeyID string
	Alg   jose.Algorithm
	Value string
}

// Secret hands out the secret of an API's HMAC key, each key's once: first that
// of the active key, then that of the announced one, which becomes active when
// the window after this call is over. When both were read it is fault.Conflict;
// an API that has no HMAC key is fault.Invalid.
func (r *Ring) Secret(ctx context.Context, apiID, actor string) (Secret, error) {
	records, err := r.store.Keys(ctx)
	if err != nil {
		return Secret{}, fmt.Errorf("read keys: %w", err)
	}
	rec, err := unread(keysOf(records, apiID))
	if err != nil {
		return Secret{}, err
	}
	plain, err := r.seal.Open(rec.Sealed, place(rec.ID))
	if err != nil {
		return Secret{}, fmt.Errorf("open key %s: %w", rec.ID, err)
	}
	now := r.now()
	first, err := r.store.MarkRead(ctx, rec.ID, now, revoke.Effects{Audit: []audit.Event{{
		At: now, Action: "key.read", Actor: actor, Target: rec.ID, Detail: audit.Clip("secret for " + apiID),
	}}})
	if err != nil {
		return Secret{}, fmt.Errorf("mark key as read: %w", err)
	}
	if !first {
		return Secret{}, alreadyRead()
	}
	// The secret cannot be had again, so it is returned even if this fails: the
	// next Tick reads the keys too.
	_ = r.Load(ctx)
	return Secret{KeyID: rec.ID, Alg: rec.Alg, Value: string(plain)}, nil
}

func unread(k keys) (Record, error) {
	candidates := k.announced[:min(1, len(k.announced))]
	if k.active != nil {
		candidates = append([]Record{*k.active}, candidates...)
	}
	candidates = slices.DeleteFunc(candidates, func(rec Record) bool { return !rec.Alg.Symmetric() })
	if len(candidates) == 0 {
		return Record{}, fault.New(fault.Invalid, "This API has no HMAC key, so there is no secret to read.")
	}
	for _, rec := range candidates {
		if rec.ReadAt.IsZero() {
			return rec, nil
		}
	}
	return Record{}, alreadyRead()
}

func alreadyRead() error {
	return fault.New(fault.Conflict, "A secret can be read once, and this one was. Rotate the key of this API to get a new one.")
}
