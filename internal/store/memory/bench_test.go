package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

var benchStart = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func benchRecord(n int) session.Record {
	id := fmt.Sprint("ses_01j8zk2v5r7q9w3e5t7y9u1i", n)
	return session.Record{Session: session.Session{
		ID: id, Secret: opaque.Hash(id), UserID: fmt.Sprint("usr_", n/2), ClientID: "web", CreatedAt: benchStart, AuthTime: benchStart,
		AMR: []string{"pwd"}, SeenAt: benchStart, IdleUntil: benchStart.Add(time.Hour), ExpiresAt: benchStart.Add(24 * time.Hour), Address: "192.0.2.1",
	}}
}

func benchHome(b *testing.B, n int) *memory.Home {
	b.Helper()
	h := memory.NewHome()
	for i := range n {
		if err := h.Add(b.Context(), benchRecord(i)); err != nil {
			b.Fatal(err)
		}
	}
	return h
}

func BenchmarkHomeLoad(b *testing.B) {
	const n = 100_000
	h := benchHome(b, n)
	secrets := make([]opaque.Digest, n)
	for i := range secrets {
		secrets[i] = benchRecord(i).Secret
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			if _, found, err := h.BySecret(b.Context(), secrets[i%n]); err != nil || !found {
				b.Fatal(found, err)
			}
		}
	})
}

func BenchmarkHomeAdd(b *testing.B) {
	h := memory.NewHome()
	i := 0
	for b.Loop() {
		if err := h.Add(b.Context(), benchRecord(i)); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkHomeEnd10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		h := benchHome(b, 10_000)
		b.StartTimer()
		if ids, err := h.End(b.Context(), revoke.Ref{Kind: revoke.Client, Key: "web"}, 1); err != nil || len(ids) != 10_000 {
			b.Fatal(len(ids), err)
		}
	}
}

func BenchmarkHomePurge10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		h := benchHome(b, 10_000)
		b.StartTimer()
		if ids, err := h.Purge(b.Context(), benchStart.Add(24*time.Hour), 10_000); err != nil || len(ids) != 10_000 {
			b.Fatal(len(ids), err)
		}
	}
}
