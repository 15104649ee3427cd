package keyring_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestFirstKeyIsActiveAtOnceForEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			r := newRing(t, &fake{}, newClock(), 0)
			mustEnsure(t, r, apiWith(orders, alg))
			key := signer(t, r, orders)
			token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(`{"sub":"a"}`))
			if err != nil {
				t.Fatal(err)
			}
			check, apiID, ok := r.Verifier(key.ID())
			if !ok || apiID != orders {
				t.Fatalf("verifier: found %t for %q", ok, apiID)
			}
			if _, _, err := jose.Verify(token, check); err != nil {
				t.Error(err)
			}
			if !alg.Symmetric() && check.CanSign() {
				t.Error("the verifier's key can sign")
			}
		})
	}
}

func TestEnsureTwiceMakesOneKey(t *testing.T) {
	t.Parallel()
	st := &fake{}
	r := newRing(t, st, newClock(), 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	if got := len(st.keys); got != 1 {
		t.Errorf("got %d keys, want 1", got)
	}
}

func TestNoKeySignsBeforeEveryVerifierMayKnowIt(t *testing.T) { // K1
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	a := apiWith(orders, jose.EdDSA)
	mustEnsure(t, r, a)
	first := signer(t, r, orders).ID()
	next := mustRotate(t, r, keyring.Calm)
	if next.State != keyring.Announced || next.ID == first {
		t.Fatalf("rotation gave %s in state %s", next.ID, next.State)
	}
	if !slices.Contains(published(t, r), next.ID) {
		t.Error("the announced key is not published")
	}
	c.forward(window - time.Second)
	mustTick(t, r, a)
	if got := signer(t, r, orders).ID(); got != first {
		t.Error("a key signs before its window is over")
	}
	if _, _, ok := r.Verifier(next.ID); ok {
		t.Error("a key verifies before anybody may sign with it")
	}
	c.forward(time.Second)
	if _, _, ok := r.Verifier(next.ID); !ok {
		t.Error("a node that ticks late refuses tokens of one that ticked in time")
	}
	mustTick(t, r, a)
	if got := signer(t, r, orders).ID(); got != next.ID {
		t.Error("the announced key does not sign after its window")
	}
}

func TestRetiredKeyVerifiesUntilItsLastTokenIsDead(t *testing.T) { // K2, JWT-016
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	a := apiWith(orders, jose.ES256)
	mustEnsure(t, r, a)
	old := signer(t, r, orders).ID()
	mustRotate(t, r, keyring.Now)
	c.forward(api.MaxLifetime + time.Minute) // the last token, with a verifier's leeway
	mustTick(t, r, a)
	if _, _, ok := r.Verifier(old); !ok {
		t.Fatal("a token outlives its key")
	}
	if !slices.Contains(published(t, r), old) {
		t.Error("a retired key is not published")
	}
	c.forward(time.Minute + maxAge)
	mustTick(t, r, a)
	if _, _, ok := r.Verifier(old); ok {
		t.Error("a removed key still verifies")
	}
	if slices.Contains(published(t, r), old) {
		t.Error("a removed key is still published")
	}
	if _, _, ok := r.Verifier(signer(t, r, orders).ID()); !ok {
		t.Error("the new key does not verify")
	}
	if i := slices.IndexFunc(st.keys, func(k keyring.Record) bool { return k.ID == old }); st.keys[i].Sealed != nil {
		t.Error("the private part of a removed key is kept")
	}
}

func TestChangedAlgorithmSwitchesAfterTheWindow(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	changed := apiWith(orders, jose.ES256)
	mustEnsure(t, r, changed)
	if got := signer(t, r, orders).Algorithm(); got != jose.EdDSA {
		t.Fatalf("signs with %s at once", got)
	}
	c.forward(window)
	mustTick(t, r, changed)
	if got := signer(t, r, orders).Algorithm(); got != jose.ES256 {
		t.Errorf("signs with %s after the window", got)
	}
}

func TestAlgorithmChangedBackDropsTheUnusedKey(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	mustEnsure(t, r, apiWith(orders, jose.ES256))
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	if got := st.states(orders); got[keyring.Announced] != 0 || got[keyring.Removed] != 1 || got[keyring.Active] != 1 {
		t.Errorf("states: %v", got)
	}
}

func TestKeySetHoldsNoPrivateMembers(t *testing.T) { // ADMIN-007
	t.Parallel()
	r := newRing(t, &fake{}, newClock(), 0)
	if body, _ := r.JWKS(); string(body) != `{"keys":[]}` {
		t.Errorf("empty set: %s", body)
	}
	mustEnsure(t, r, apiWith("https://a.example", jose.RS256), apiWith("https://b.example", jose.ES256),
		apiWith("https://c.example", jose.EdDSA), apiWith("https://d.example", jose.HS256))
	body, etag := r.JWKS()
	if got := len(published(t, r)); got != 3 {
		t.Errorf("published %d keys, want the 3 asymmetric ones", got)
	}
	if private := regexp.MustCompile(`"(d|p|q|dp|dq|qi|k|oth)"\s*:`).Find(body); private != nil {
		t.Errorf("the set has a private member %s", private)
	}
	records, err := r.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if rec.Sealed != nil {
			t.Errorf("key %s is handed out with its sealed part", rec.ID)
		}
	}
	if !regexp.MustCompile(`^"[\w-]{22}"$`).MatchString(etag) {
		t.Errorf("entity tag %s", etag)
	}
	mustEnsure(t, r, apiWith("https://e.example", jose.EdDSA))
	if _, after := r.JWKS(); after == etag {
		t.Error("the set changed but not its entity tag")
	}
}

func TestRestartKeepsKeys(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	before := newRing(t, st, c, 0)
	mustEnsure(t, before, apiWith(orders, jose.EdDSA), apiWith("https://hmac.example", jose.HS512))
	after := newRing(t, st, c, 0)
	if err := after.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{orders, "https://hmac.example"} {
		was, is := signer(t, before, id), signer(t, after, id)
		if was.ID() != is.ID() || was.Thumbprint() != is.Thumbprint() {
			t.Errorf("%s: another key after a restart", id)
		}
	}
}

func TestWrongMasterKeyIsRefused(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	right := newRing(t, st, c, 0)
	mustEnsure(t, right, apiWith(orders, jose.EdDSA))
	wrong, err := keyring.New(keyring.Config{Store: st, Seal: rootKey(t, 2), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	err = wrong.Load(t.Context())
	if !errors.Is(err, opaque.ErrSealed) || !strings.Contains(err.Error(), st.keys[0].ID) || !strings.Contains(err.Error(), "master key") {
		t.Fatalf("got %v", err)
	}
	if _, ok := wrong.Signer(orders); ok {
		t.Error("a ring that could not open its keys signs")
	}
	if err := right.Load(t.Context()); err != nil {
		t.Errorf("the right master key: %v", err)
	}
}

func TestSealedKeyMovedToAnotherRowIsRefused(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA), apiWith("https://b.example", jose.EdDSA))
	if err := newRing(t, st, c, 0).Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.keys[0].Sealed, st.keys[1].Sealed = st.keys[1].Sealed, st.keys[0].Sealed
	if err := newRing(t, st, c, 0).Load(t.Context()); !errors.Is(err, opaque.ErrSealed) {
		t.Errorf("got %v", err)
	}
}

func TestParallelRotationsLeaveOneActiveKey(t *testing.T) { // CONFIG-005
	t.Parallel()
	for _, urgent := range []keyring.Urgency{keyring.Calm, keyring.Now} {
		t.Run(string(urgent), func(t *testing.T) {
			t.Parallel()
			st, c := &fake{}, newClock()
			nodes := []*keyring.Ring{newRing(t, st, c, 0), newRing(t, st, c, 0)}
			a := apiWith(orders, jose.EdDSA)
			mustEnsure(t, nodes[0], a)
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					if _, err := nodes[i%2].Rotate(t.Context(), orders, "cli", urgent); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if got := st.states(orders)[keyring.Active]; got != 1 {
				t.Errorf("%d active keys", got)
			}
			c.forward(window)
			for _, n := range nodes {
				mustTick(t, n, a)
			}
			if err := nodes[0].Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if signer(t, nodes[0], orders).ID() != signer(t, nodes[1], orders).ID() {
				t.Error("two nodes sign with two keys")
			}
			if got := st.states(orders); got[keyring.Active] != 1 || got[keyring.Announced] != 0 {
				t.Errorf("states after the window: %v", got)
			}
		})
	}
}

func TestTwoNodesTickingAtOnceRefuseNoToken(t *testing.T) { // CONFIG-005
	t.Parallel()
	st, c := &fake{}, newClock()
	one, two := newRing(t, st, c, 0), newRing(t, st, c, 0)
	a := apiWith(orders, jose.EdDSA)
	mustEnsure(t, one, a)
	mustEnsure(t, two, a)
	mustRotate(t, one, keyring.Calm)
	mustTick(t, two, a)
	c.forward(window)
	// Node two moves the key between the read and the write of node one.
	st.before = func() { mustTick(t, two, a) }
	mustTick(t, one, a)
	if got := st.states(orders); got[keyring.Active] != 1 || got[keyring.Retired] != 1 {
		t.Fatalf("states: %v", got)
	}
	for _, from := range []*keyring.Ring{one, two} {
		for _, at := range []*keyring.Ring{one, two} {
			if _, _, ok := at.Verifier(signer(t, from, orders).ID()); !ok {
				t.Error("a node refuses the tokens of another")
			}
		}
	}
}

func TestKeyOfAnotherNodeIsFoundAtFirstSight(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	one, two := newRing(t, st, c, 0), newRing(t, st, c, 0)
	mustEnsure(t, one, apiWith(orders, jose.EdDSA))
	kid := signer(t, one, orders).ID()
	find := func(kid string) bool {
		t.Helper()
		_, _, ok, err := two.Find(t.Context(), kid)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if find("nobody's") {
		t.Error("a key that nobody has was found")
	}
	c.forward(time.Second)
	if !find(kid) {
		t.Error("the other node's key was not found")
	}
	before := st.reads.Load()
	for range 1000 {
		find("random")
	}
	if n := st.reads.Load() - before; n > 1 {
		t.Errorf("random ids caused %d reads within a second", n)
	}
}

func TestCrashBetweenStepsIsRepaired(t *testing.T) { // CONFIG-005: rolled back or deleted too early
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	a := apiWith(orders, jose.EdDSA)
	mustEnsure(t, r, a)
	st.keys[0].State = keyring.Retired // as a node leaves it that stops half-way
	st.keys[0].RetiredAt = c.now()
	mustTick(t, r, a)
	if got := st.states(orders); got[keyring.Active] != 1 || got[keyring.Retired] != 1 {
		t.Errorf("states: %v", got)
	}
}

func TestOldKeysAreRotatedButNotHMAC(t *testing.T) {
	t.Parallel()
	const age = 90 * 24 * time.Hour
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, age)
	a, h := apiWith(orders, jose.EdDSA), apiWith("https://hmac.example", jose.HS256)
	mustEnsure(t, r, a, h)
	c.forward(age - time.Second)
	mustTick(t, r, a, h)
	if got := len(st.keys); got != 2 {
		t.Fatalf("%d keys before the age is reached", got)
	}
	c.forward(time.Second)
	mustTick(t, r, a, h)
	if got := st.states(orders)[keyring.Announced]; got != 1 {
		t.Errorf("%d announced keys at the age", got)
	}
	if got := st.states(h.ID); got[keyring.Announced] != 0 || got[keyring.Active] != 1 {
		t.Errorf("HMAC keys: %v", got)
	}
}

func TestKeysOfARemovedAPILeave(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	a, b := apiWith(orders, jose.EdDSA), apiWith("https://b.example", jose.EdDSA)
	mustEnsure(t, r, a, b)
	mustTick(t, r, a)
	if got := st.states(b.ID)[keyring.Active]; got != 1 {
		t.Fatal("the key of an API that was added a moment ago is taken away")
	}
	c.forward(window)
	mustTick(t, r, a)
	if _, ok := r.Signer(b.ID); ok {
		t.Error("an API that is gone still has a signer")
	}
	c.forward(api.MaxLifetime + time.Hour)
	mustTick(t, r, a)
	if got := st.states(b.ID); got[keyring.Removed] != 1 {
		t.Errorf("states: %v", got)
	}
	if got := st.states(orders); got[keyring.Active] != 1 {
		t.Errorf("states of the API that stayed: %v", got)
	}
}

func TestCompromisedKeyDiesAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(*testing.T, *keyring.Ring) string
	}{
		{"active", func(t *testing.T, r *keyring.Ring) string { return signer(t, r, orders).ID() }},
		{"active with a successor announced", func(t *testing.T, r *keyring.Ring) string {
			mustRotate(t, r, keyring.Calm)
			return signer(t, r, orders).ID()
		}},
		{"announced", func(t *testing.T, r *keyring.Ring) string { return mustRotate(t, r, keyring.Calm).ID }},
		{"retired", func(t *testing.T, r *keyring.Ring) string {
			old := signer(t, r, orders).ID()
			mustRotate(t, r, keyring.Now)
			return old
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := &fake{}
			r := newRing(t, st, newClock(), 0)
			mustEnsure(t, r, apiWith(orders, jose.EdDSA))
			kid := tt.prepare(t, r)
			if err := r.Retire(t.Context(), kid, "cli", keyring.Compromised); err != nil {
				t.Fatal(err)
			}
			if _, _, ok := r.Verifier(kid); ok || slices.Contains(published(t, r), kid) {
				t.Error("the key is still trusted")
			}
			if got := signer(t, r, orders).ID(); got == kid {
				t.Error("the key still signs")
			}
			got := st.revoked()
			if len(got) != 1 || got[0].Kind != revoke.Key || got[0].Key != kid {
				t.Errorf("revocations: %v", got)
			}
		})
	}
}

func TestOrdinaryRetirementNeverStopsAnAPI(t *testing.T) {
	t.Parallel()
	st := &fake{}
	r := newRing(t, st, newClock(), 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	active := signer(t, r, orders).ID()
	if err := r.Retire(t.Context(), active, "cli", keyring.Ordinary); !fault.Is(err, fault.Conflict) {
		t.Errorf("active key: %v", err)
	}
	if err := r.Retire(t.Context(), "key_unknown", "cli", keyring.Ordinary); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown key: %v", err)
	}
	announced := mustRotate(t, r, keyring.Calm)
	if err := r.Retire(t.Context(), announced.ID, "cli", keyring.Ordinary); err != nil {
		t.Errorf("announced key: %v", err)
	}
	if got := signer(t, r, orders).ID(); got != active || len(st.revoked()) != 0 {
		t.Errorf("signer %s, revocations %v", got, st.revoked())
	}
}

func TestRotationOfAnUnknownAPIIsRefused(t *testing.T) {
	t.Parallel()
	r := newRing(t, &fake{}, newClock(), 0)
	if _, err := r.Rotate(t.Context(), orders, "cli", keyring.Calm); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	if _, err := r.Rotate(t.Context(), orders, "cli", "soon"); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	if rec := mustRotate(t, r, keyring.Now); rec.State != keyring.Active || signer(t, r, orders).ID() != rec.ID {
		t.Errorf("urgent rotation gave %s in state %s", rec.ID, rec.State)
	}
}
