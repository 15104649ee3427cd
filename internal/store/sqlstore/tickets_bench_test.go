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
// long it waits, at most, in 99 of 100 cases and half of the time. The first line is
// the same machine without a purge.
func BenchmarkWriteBesidePurge(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "wafer.db"))
	fillTickets(b, s, 100_000)
	b.Run("alone", func(b *testing.B) {
		beside(b, s, func() error {
			<-time.After(5 * time.Second)
			return nil
		})
	})
	b.Run("purge", func(b *testing.B) {
		beside(b, s, func() error {
			n, err := s.PurgeTickets(b.Context(), benchStart.Add(time.Hour), 1_000_000)
			if err == nil && n != 100_000 {
				err = fmt.Errorf("%d were purged", n)
			}
			return err
		})
	})
}

// beside makes one change after the other until do returns. It is done once, whatever
// b.N is.
func beside(b *testing.B, s *sqlstore.Store, do func() error) {
	b.Helper()
	finished := make(chan error, 1)
	begun := time.Now()
	go func() { finished <- do() }()
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
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(time.Since(begun)), "all-ms")
	b.ReportMetric(ms(waits[len(waits)-1]), "most-ms")
	b.ReportMetric(ms(waits[len(waits)*99/100]), "p99-ms")
	b.ReportMetric(ms(waits[len(waits)/2]), "half-ms")
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
