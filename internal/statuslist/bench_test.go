package statuslist_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wafer-auth/wafer/internal/statuslist"
)

// BenchmarkPack compresses a list of which one in so many is taken back.
func BenchmarkPack(b *testing.B) {
	for _, every := range []int{10_000, 1000, 100, 10} {
		b.Run(fmt.Sprint("one in ", every), func(b *testing.B) {
			bits := make([]byte, statuslist.Size/8)
			random := rand.New(rand.NewPCG(1, 2))
			for range statuslist.Size / every {
				i := random.IntN(statuslist.Size)
				bits[i/8] |= 1 << (i % 8)
			}
			size := 0
			for b.Loop() {
				text, err := statuslist.Pack(bits)
				if err != nil {
					b.Fatal(err)
				}
				size = len(text)
			}
			b.ReportMetric(float64(size), "bytes/list")
		})
	}
}
