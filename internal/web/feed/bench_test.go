package feed_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const crowd = 1000

// admitted registers a crowd and returns the tickets.
func (g *rig) admitted(n int) []revocation.Registered {
	g.Helper()
	all := make([]revocation.Registered, n)
	for i := range all {
		var err error
		all[i], err = g.hub.Admit(g.Context(), feed.Credentials{ID: "orders", Secret: "secret & more"}, revocation.Registration{Name: fmt.Sprint("v", i)})
		g.must(err)
	}
	return all
}

// plain is a connection that sends what it is given, and reads lines.
type plain struct {
	net.Conn
	lines *bufio.Reader
}

func (g *rig) dial() plain {
	g.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	g.must(err)
	g.Cleanup(func() { _ = c.Close() })
	return plain{c, bufio.NewReaderSize(c, 4<<10)}
}

// BenchmarkFanout is a frame to a thousand readers over HTTP, who do nothing with it.
func BenchmarkFanout(b *testing.B) {
	g := newRigOf(b, time.Minute, time.Minute)
	g.end(revoke.Session, "first")
	var got sync.WaitGroup
	for _, r := range g.admitted(crowd) {
		c := g.dial()
		_, err := fmt.Fprintf(c, "GET /feed/events?from=1:0 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", strings.TrimPrefix(g.url, "http://"), r.Ticket)
		g.must(err)
		got.Add(1)
		go func() {
			for {
				line, err := c.lines.ReadSlice('\n')
				if err != nil {
					return // the benchmark is over
				}
				if strings.HasPrefix(string(line), "data: ") {
					got.Done()
				}
			}
		}()
	}
	got.Wait()
	before := spent()
	for b.Loop() {
		got.Add(crowd)
		g.end(revoke.Session, "more")
		got.Wait()
	}
	b.ReportMetric(float64((spent()-before).Nanoseconds())/1e3/float64(b.N*crowd), "us-CPU/delivery")
}

// BenchmarkLease is a renewal over HTTP, of who asks by hand.
func BenchmarkLease(b *testing.B) {
	g := newRigOf(b, time.Minute, time.Minute)
	g.end(revoke.Session, "first")
	all := g.admitted(crowd)
	conns := make([]plain, 50)
	for i := range conns {
		conns[i] = g.dial()
	}
	evidence := strings.Repeat("e", 450) // no proof is asked for
	before := spent()
	for i := 0; b.Loop(); i++ {
		c, r := conns[i%len(conns)], all[i%len(all)]
		ask := fmt.Sprintf(`{"nonce":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","epoch":1,"applied":1,"evidence":%q,"as_of_ms":17,"entries":1}`, evidence)
		_, err := fmt.Fprintf(c, "POST /feed/lease HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			strings.TrimPrefix(g.url, "http://"), r.Ticket, len(ask), ask)
		g.must(err)
		length := 0
		for n := 0; ; n++ {
			line, err := c.lines.ReadString('\n')
			g.must(err)
			if n == 0 && !strings.HasPrefix(line, "HTTP/1.1 200 ") {
				b.Fatal(line)
			}
			if rest, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				_, err := fmt.Sscan(rest, &length)
				g.must(err)
			}
			if line == "\r\n" {
				break
			}
		}
		_, err = c.lines.Discard(length)
		g.must(err)
	}
	b.ReportMetric(float64((spent()-before).Nanoseconds())/1e3/float64(b.N), "us-CPU/lease")
}

// spent is the CPU time of this process so far: on a busy machine it tells more than
// the clock.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
