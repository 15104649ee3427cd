package password_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

// benchClock is the benchmark's own time: nothing here may ask the machine's.
func benchClock(b *testing.B) func() time.Time {
	return func() time.Time { return time.Time{}.Add(b.Elapsed()) }
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(b, password.Config{Params: password.DefaultParams(), Workers: 1, Now: benchClock(b)})
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "orange tricycle on the roof"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSixtyFourParallel hashes for 64 callers at once through a gate of two,
// and reports the peak memory of the process. Compare with GOMEMLIMIT set.
func BenchmarkSixtyFourParallel(b *testing.B) {
	h := newHasher(b, password.Config{Params: password.DefaultParams(), Workers: 2, QueueLength: 200, MaxWait: time.Hour, Now: benchClock(b)})
	resetPeak()
	for b.Loop() {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := h.Verify(b.Context(), password.Attempt{Password: "wrong"}); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "hashes/s")
	if peak, ok := peakMemory(); ok {
		b.ReportMetric(peak, "peak-MiB")
	}
}

func BenchmarkPolicyCheck(b *testing.B) {
	for name, p := range map[string]string{"phrase": "orange tricycle on the roof", "longest": passphrase(password.MaxBytes), "parsed": passphrase(128)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := (password.Policy{}).Check(p, "ada.lovelace@example.com", "https://login.wafer.example"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// resetPeak makes Linux forget the peak so far.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // not there elsewhere: then the peak is that of the whole process
}

// peakMemory is the process's peak resident memory in MiB, where it can be told.
func peakMemory() (float64, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0, false
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	return float64(kib) / 1024, err == nil
}
