package keyring_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestSecretIsTheKeyAndIsReadOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		alg    jose.Algorithm
		length int
	}{{jose.HS256, 43}, {jose.HS384, 64}, {jose.HS512, 86}}
	for _, tt := range tests {
		t.Run(string(tt.alg), func(t *testing.T) {
			t.Parallel()
			r := newRing(t, &fake{}, newClock(), 0)
			mustEnsure(t, r, apiWith(orders, tt.alg))
			secret, err := r.Secret(t.Context(), orders, "cli")
			if err != nil {
				t.Fatal(err)
			}
			if len(secret.Value) != tt.length || secret.Alg != tt.alg {
				t.Errorf("%d characters for %s, want %d", len(secret.Value), secret.Alg, tt.length)
			}
			theirs, err := jose.NewKey(tt.alg, secret.KeyID, []byte(secret.Value))
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.Sign(signer(t, r, orders), jose.Header{Type: "at+jwt"}, []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := jose.Verify(token, theirs); err != nil {
				t.Errorf("the secret does not verify: %v", err)
			}
			if _, err := r.Secret(t.Context(), orders, "cli"); !fault.Is(err, fault.Conflict) {
				t.Errorf("second reading: %v", err)
			}
		})
	}
}

func TestSecretReadInParallelIsGivenOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t, &fake{}, newClock(), 0)
	mustEnsure(t, r, apiWith(orders, jose.HS256))
	var given atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := r.Secret(t.Context(), orders, "cli")
			switch {
			case err == nil:
				given.Add(1)
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := given.Load(); got != 1 {
		t.Errorf("given %d times", got)
	}
}

func TestSecretOfAnAsymmetricKeyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRing(t, &fake{}, newClock(), 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	if _, err := r.Secret(t.Context(), orders, "cli"); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestHMACKeyWaitsUntilItsSecretCouldBeCarried(t *testing.T) {
	t.Parallel()
	st, c := &fake{}, newClock()
	r := newRing(t, st, c, 0)
	a := apiWith(orders, jose.HS256)
	mustEnsure(t, r, a)
	first, err := r.Secret(t.Context(), orders, "cli")
	if err != nil {
		t.Fatal(err)
	}
	next := mustRotate(t, r, keyring.Calm)
	c.forward(100 * window)
	mustTick(t, r, a)
	if got := signer(t, r, orders).ID(); got != first.KeyID {
		t.Fatal("a key signs whose secret nobody has")
	}
	second, err := r.Secret(t.Context(), orders, "cli")
	if err != nil || second.KeyID != next.ID || second.Value == first.Value {
		t.Fatalf("secret of the announced key: %v %v", second.KeyID, err)
	}
	mustTick(t, r, a)
	if got := signer(t, r, orders).ID(); got != first.KeyID {
		t.Error("the secret had no time to be carried")
	}
	c.forward(window)
	mustTick(t, r, a)
	if got := signer(t, r, orders).ID(); got != next.ID {
		t.Error("the key does not sign after its window")
	}
	if _, _, ok := r.Verifier(first.KeyID); !ok {
		t.Error("the key before does not verify any more")
	}
	if kids := published(t, r); slices.Contains(kids, next.ID) || len(kids) != 0 {
		t.Errorf("HMAC keys are published: %v", kids)
	}
}
