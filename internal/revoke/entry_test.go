package revoke_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

// I9: an entry is kept as long as what it covers could be shown, and that of a
// single token no longer.
func TestEntriesOfTokensAreKeptAsLongAsTheToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		life, want time.Duration
	}{
		"five minutes": {5 * time.Minute, 7 * time.Minute}, "a day": {24 * time.Hour, revoke.KeepFor},
		"longer than any may live": {48 * time.Hour, revoke.KeepFor}, "expired already": {-time.Minute, time.Minute},
	} {
		e := revoke.NewToken("tok_1", "used once", now, now.Add(tt.life))
		if e.Kind != revoke.Token || e.Key != "tok_1" || e.Reason != "used once" || !e.At.Equal(now) || e.KeepUntil.Sub(now) != tt.want {
			t.Errorf("%s: kept for %s, want %s: %+v", name, e.KeepUntil.Sub(now), tt.want, e)
		}
	}
}
