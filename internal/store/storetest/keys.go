package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/verify/jose"
)

func keyCases() []testCase {
	return []testCase{
		{"KeysOldestFirst", keysListed},
		{"ChangeKeysMovesAllOrNone", keysMove},
		{"ChangeKeysTakenIDIsAConflict", keysTaken},
		{"ChangeKeysKeepsOneActive", keysOneActive},
		{"ChangedKeysAreSeenInTheHead", changedKeysInHead},
		{"RemovedKeyLosesItsPrivatePart", keysRemoved},
		{"MarkReadOnce", markRead},
		{"RaceForTheActiveKeyHasOneWinner", raceForActive},
		{"RaceToMoveAKeyHasOneWinner", raceToMove},
		{"RaceToMarkReadHasOneWinner", raceToMarkRead},
	}
}

func newKey(id, apiID string, state keyring.State) keyring.Record {
	k := keyring.Record{
		ID: id, API: apiID, Alg: jose.EdDSA, State: state, CreatedAt: at(0), Public: []byte(`{"kid":"` + id + `"}`), Sealed: []byte("sealed " + id),
	}
	if state == keyring.Active {
		k.ActiveAt = at(0)
	}
	return k
}

func keysOf(t *testing.T, s store.Store) []keyring.Record {
	t.Helper()
	all, err := s.Keys(t.Context())
	must(t, err)
	return all
}

func activeKeys(t *testing.T, s store.Store, apiID string) []string {
	t.Helper()
	ids := []string{}
	for _, k := range keysOf(t, s) {
		if k.API == apiID && k.State == keyring.Active {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

func keysListed(t *testing.T, s store.Store) {
	same(t, "keys at first", len(keysOf(t, s)), 0)
	young, old, secret := newKey("k1", "orders", keyring.Announced), newKey("k2", "orders", keyring.Active), newKey("k3", "vault", keyring.Active)
	old.CreatedAt, secret.CreatedAt = at(-time.Hour), at(-time.Minute)
	secret.Alg, secret.Public = jose.HS256, nil
	ok, err := s.ChangeKeys(t.Context(), []keyring.Record{young, old, secret}, nil, none)
	did(t, "ChangeKeys", ok, err)
	same(t, "keys", keysOf(t, s), []keyring.Record{old, secret, young})
}

func keysMove(t *testing.T, s store.Store) {
	ctx := t.Context()
	old, next := newKey("k1", "orders", keyring.Active), newKey("k2", "orders", keyring.Announced)
	ok, err := s.ChangeKeys(ctx, []keyring.Record{old, next}, nil, none)
	did(t, "ChangeKeys", ok, err)
	fx := revoke.Effects{Revoke: []revoke.Entry{entry(revoke.Key, "k1")}, Audit: []audit.Event{event("key")}}
	activate := keyring.Move{ID: "k2", From: keyring.Announced, To: keyring.Active, At: at(time.Minute)}
	retire := keyring.Move{ID: "k1", From: keyring.Active, To: keyring.Retired, At: at(time.Minute)}
	for name, moves := range map[string][]keyring.Move{
		"one of two in another state": {retire, {ID: "k2", From: keyring.Active, To: keyring.Retired, At: at(0)}},
		"one of two unknown":          {retire, {ID: "k9", From: keyring.Announced, To: keyring.Active, At: at(0)}},
	} {
		ok, err := s.ChangeKeys(ctx, []keyring.Record{newKey("k3", "vault", keyring.Active)}, moves, fx)
		refused(t, name, ok, err)
		same(t, "keys after "+name, keysOf(t, s), []keyring.Record{old, next})
	}
	same(t, "logs", ledgerOf(t, s), ledger{})
	ok, err = s.ChangeKeys(ctx, nil, []keyring.Move{activate, retire}, fx) // in either order
	did(t, "ChangeKeys", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{1, 1})
	old.State, old.RetiredAt, next.State, next.ActiveAt = keyring.Retired, at(time.Minute), keyring.Active, at(time.Minute)
	same(t, "keys", keysOf(t, s), []keyring.Record{old, next})
}

func keysTaken(t *testing.T, s store.Store) {
	first := newKey("k1", "orders", keyring.Announced)
	ok, err := s.ChangeKeys(t.Context(), []keyring.Record{first}, nil, none)
	did(t, "ChangeKeys", ok, err)
	_, err = s.ChangeKeys(t.Context(), []keyring.Record{newKey("k0", "vault", keyring.Active), newKey("k1", "vault", keyring.Announced)}, nil, none)
	conflict(t, "taken id", err)
	same(t, "keys", keysOf(t, s), []keyring.Record{first})
}

func keysOneActive(t *testing.T, s store.Store) {
	ctx := t.Context()
	ok, err := s.ChangeKeys(ctx, []keyring.Record{newKey("k1", "orders", keyring.Active), newKey("k2", "orders", keyring.Announced)}, nil, none)
	did(t, "ChangeKeys", ok, err)
	ok, err = s.ChangeKeys(ctx, []keyring.Record{newKey("k3", "orders", keyring.Active)}, nil, none)
	refused(t, "a second active key by adding", ok, err)
	ok, err = s.ChangeKeys(ctx, nil, []keyring.Move{{ID: "k2", From: keyring.Announced, To: keyring.Active, At: at(0)}}, none)
	refused(t, "a second active key by moving", ok, err)
	ok, err = s.ChangeKeys(ctx, []keyring.Record{newKey("k4", "vault", keyring.Active), newKey("k5", "vault", keyring.Active)}, nil, none)
	refused(t, "two active keys at once", ok, err)
	same(t, "keys", len(keysOf(t, s)), 2)
	ok, err = s.ChangeKeys(ctx, []keyring.Record{newKey("k3", "orders", keyring.Active)},
		[]keyring.Move{{ID: "k1", From: keyring.Active, To: keyring.Retired, At: at(0)}}, none)
	did(t, "a new active key for a retired one", ok, err)
	same(t, "active", activeKeys(t, s, "orders"), []string{"k3"})
	ok, err = s.ChangeKeys(ctx, []keyring.Record{newKey("k4", "vault", keyring.Active)}, nil, none)
	did(t, "an active key of another API", ok, err)
}

func keysRemoved(t *testing.T, s store.Store) {
	k := newKey("k1", "orders", keyring.Retired)
	ok, err := s.ChangeKeys(t.Context(), []keyring.Record{k}, nil, none)
	did(t, "ChangeKeys", ok, err)
	ok, err = s.ChangeKeys(t.Context(), nil, []keyring.Move{{ID: "k1", From: keyring.Retired, To: keyring.Removed, At: at(time.Hour)}}, none)
	did(t, "ChangeKeys", ok, err)
	k.State, k.RemovedAt, k.Sealed = keyring.Removed, at(time.Hour), nil
	same(t, "keys", keysOf(t, s), []keyring.Record{k})
}

func markRead(t *testing.T, s store.Store) {
	ctx := t.Context()
	k := newKey("k1", "orders", keyring.Active)
	ok, err := s.ChangeKeys(ctx, []keyring.Record{k}, nil, none)
	did(t, "ChangeKeys", ok, err)
	ok, err = s.MarkRead(ctx, "k9", at(0), none)
	refused(t, "an unknown key", ok, err)
	ok, err = s.MarkRead(ctx, "k1", at(time.Minute), none)
	did(t, "first reading", ok, err)
	ok, err = s.MarkRead(ctx, "k1", at(time.Hour), none)
	refused(t, "second reading", ok, err)
	k.ReadAt = at(time.Minute)
	same(t, "keys", keysOf(t, s), []keyring.Record{k})
}

func raceForActive(t *testing.T, s store.Store) {
	won := race(t, func(i int) (bool, error) {
		return s.ChangeKeys(t.Context(), []keyring.Record{newKey(fmt.Sprint("k", i), "orders", keyring.Active)}, nil, none)
	})
	same(t, "winners", won, 1)
	same(t, "active", len(activeKeys(t, s, "orders")), 1)
}

func raceToMove(t *testing.T, s store.Store) {
	keys := []keyring.Record{newKey("old", "orders", keyring.Active)}
	for i := range racers {
		keys = append(keys, newKey(fmt.Sprint("k", i), "orders", keyring.Announced))
	}
	ok, err := s.ChangeKeys(t.Context(), keys, nil, none)
	did(t, "ChangeKeys", ok, err)
	won := race(t, func(i int) (bool, error) {
		return s.ChangeKeys(t.Context(), nil, []keyring.Move{
			{ID: fmt.Sprint("k", i), From: keyring.Announced, To: keyring.Active, At: at(0)},
			{ID: "old", From: keyring.Active, To: keyring.Retired, At: at(0)},
		}, none)
	})
	same(t, "winners", won, 1)
	active := activeKeys(t, s, "orders")
	if len(active) != 1 || slices.Contains(active, "old") {
		t.Fatalf("active keys: %v", active)
	}
}

func raceToMarkRead(t *testing.T, s store.Store) {
	ok, err := s.ChangeKeys(t.Context(), []keyring.Record{newKey("k1", "orders", keyring.Active)}, nil, none)
	did(t, "ChangeKeys", ok, err)
	won := race(t, func(int) (bool, error) { return s.MarkRead(t.Context(), "k1", at(0), none) })
	same(t, "winners", won, 1)
}

// changedKeysInHead: a hub learns from the head that there is another key set, and
// is woken for it.
func changedKeysInHead(t *testing.T, s store.Store) {
	ctx := t.Context()
	before := feedHead(t, s)
	rung := make(chan error, 1)
	seq := before.Seq
	go func() { rung <- s.AwaitRevocations(ctx, seq) }()
	for n := 0; ; n++ { // again, until who waits has begun to
		add := newKey(fmt.Sprint("k", n), fmt.Sprint("api", n), keyring.Active)
		ok, err := s.ChangeKeys(ctx, []keyring.Record{add}, nil, none)
		did(t, "ChangeKeys", ok, err)
		after := feedHead(t, s)
		if after.KeyChanges == before.KeyChanges || after.Seq != before.Seq {
			t.Fatalf("head %+v after a change of keys, %+v before", after, before)
		}
		before = after
		select {
		case err := <-rung:
			must(t, err)
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	taken := newKey("other", "api0", keyring.Active)
	ok, err := s.ChangeKeys(ctx, []keyring.Record{taken}, nil, none)
	refused(t, "a second active key", ok, err)
	same(t, "head after a refused change", feedHead(t, s), before)
}
