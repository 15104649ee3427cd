package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/pgtest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// BenchmarkAddTicket is a durable note of a proof that was seen, beside a durable line
// of the audit log.
func BenchmarkAddTicket(b *testing.B) {
	addTickets(b, open(b, filepath.Join(b.TempDir(), "wafer.db")))
}

func BenchmarkPostgreSQLAddTicket(b *testing.B) {
	addTickets(b, node(b, pgtest.Start(b).URL("postgres")))
}

func addTickets(b *testing.B, s *sqlstore.Store) {
	var turn atomic.Int64
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint("ticket/callers=", n), func(b *testing.B) {
			callers(b, n, func(int) error {
				_, err := s.AddTicket(b.Context(), proof(fmt.Sprint(turn.Add(1)), ""), revoke.Effects{})
				return err
			})
		})
		b.Run(fmt.Sprint("audit/callers=", n), func(b *testing.B) {
			callers(b, n, func(int) error { return s.Audit(b.Context(), audit.Event{At: benchStart, Action: "a"}) })
		})
	}
}

// BenchmarkWriteBesidePurge is a change while 100,000 expired tickets are purged: how
// long it waits at most, and half of the time.
func BenchmarkWriteBesidePurge(b *testing.B) {
	for range b.N {
		b.StopTimer()
		s := open(b, filepath.Join(b.TempDir(), fmt.Sprint(b.N, ".db")))
		fillTickets(b, s, 100_000)
		b.StartTimer()
		begun := time.Now()
		finished := make(chan error, 1)
		go func() {
			n, err := s.PurgeTickets(b.Context(), benchStart.Add(time.Hour), 1_000_000)
			if err == nil && n != 100_000 {
				err = fmt.Errorf("%d were purged", n)
			}
			finished <- err
		}()
		var waits []time.Duration
		for done := false; !done; {
			at := time.Now()
			if err := s.Audit(b.Context(), audit.Event{At: benchStart, Action: "a"}); err != nil {
				b.Fatal(err)
			}
			waits = append(waits, time.Since(at))
			select {
			case err := <-finished:
				if err != nil {
					b.Fatal(err)
				}
				done = true
			default:
			}
		}
		slices.Sort(waits)
		b.ReportMetric(float64(time.Since(begun).Milliseconds()), "purge-ms")
		b.ReportMetric(float64(waits[len(waits)-1].Microseconds())/1000, "most-ms")
		b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "half-ms")
	}
}

func fillTickets(b *testing.B, s *sqlstore.Store, n int) {
	b.Helper()
	var all sync.WaitGroup
	for part := range 200 {
		all.Go(func() {
			for i := part; i < n; i += 200 {
				one := ticket.Ticket{Kind: ticket.Proof, Key: opaque.Hash(fmt.Sprint(i)), ExpiresAt: benchStart.Add(time.Duration(i))}
				if _, err := s.AddTicket(b.Context(), one, revoke.Effects{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}
