package verify_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// A token seen for the first time costs little but its cryptography: the budgets
// of BenchmarkFirstSightRatio rest on it.
func TestFirstSightAllocatesLittle(t *testing.T) {
	key, err := jose.Generate(jose.EdDSA, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, key)
	token := sign(t, key, goodClaims(time.Now()))
	got := testing.AllocsPerRun(100, func() {
		if _, err := v.Token(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	})
	// Two, and two more where the compiler's inlining is spoiled by instrumentation.
	if got > 4 {
		t.Errorf("%v allocations for a token", got)
	}
}
