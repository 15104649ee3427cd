package file_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
)

// filled is a folder with n sessions, written as the home would but not flushed.
func filled(b *testing.B, n int) (dir string) {
	b.Helper()
	dir = filepath.Join(b.TempDir(), "sessions")
	h, err := file.Open(b.Context(), file.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		data, err := file.Encode(record(i))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(h.Place(record(i).ID), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

func openBench(b *testing.B, n int) *file.Home {
	b.Helper()
	h, err := file.Open(b.Context(), file.Config{Dir: filled(b, n)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := h.Close(); err != nil {
			b.Error(err)
		}
	})
	return h
}

func BenchmarkLoad(b *testing.B) {
	const n = 10_000
	h := openBench(b, n)
	all := make([]session.Record, n)
	for i := range all {
		all[i] = record(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, found, err := h.BySecret(b.Context(), all[i%n].Secret); err != nil || !found {
			b.Fatal(found, err)
		}
		i++
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			h := openBench(b, 0)
			var n atomic.Int64
			b.SetParallelism(writers)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := h.Add(b.Context(), record(int(n.Add(1)))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkTouch is one batch, as session.Keeper writes them.
func BenchmarkTouch(b *testing.B) {
	const batch = 500
	h := openBench(b, 10_000)
	round := 0
	for b.Loop() {
		round++
		touches := make([]session.Touch, batch)
		for i := range touches {
			seen := start.Add(time.Duration(round) * time.Second)
			touches[i] = session.Touch{ID: record((round*batch + i) % 10_000).ID, Seen: seen, IdleUntil: seen.Add(time.Hour)}
		}
		if n, err := h.Touch(b.Context(), touches); err != nil || n != batch && seen(round) {
			b.Fatal(n, err)
		}
	}
}

// seen: the clock of the benchmark does not go past the limits.
func seen(round int) bool { return round < 3600 }

func BenchmarkPurge10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		h := openBench(b, 10_000)
		b.StartTimer()
		if ids, err := h.Purge(b.Context(), start.Add(24*time.Hour), 10_000); err != nil || len(ids) != 10_000 {
			b.Fatal(len(ids), err)
		}
	}
}

func BenchmarkEnd10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		h := openBench(b, 10_000)
		b.StartTimer()
		if ids, err := h.End(b.Context(), revoke.Ref{Kind: revoke.Client, Key: "web"}, 1<<40); err != nil || len(ids) != 10_000 {
			b.Fatal(len(ids), err)
		}
	}
}

func BenchmarkOpen10000(b *testing.B) {
	dir := filled(b, 10_000)
	for b.Loop() {
		h, err := file.Open(b.Context(), file.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
