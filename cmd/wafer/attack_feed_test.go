package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	orders "github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/verify"
)

// asOrders as the first argument makes this binary the example service, with the
// feed and the policy strict: a verifier that can be killed.
const asOrders = "as-orders"

// serveOrders is the process: issuer and address are its arguments.
func serveOrders(ctx context.Context, issuer, listen string) error {
	c := orders.Config{
		Issuer: issuer, Audience: ordersAPI, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: clientSecrets,
		Stale: verify.Strict.String(), Logger: slog.New(slog.DiscardHandler),
	}
	var err error
	if c.Feed, err = orders.NewFeed(c); err != nil {
		return err
	}
	h, err := orders.New(c)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.Serve(ln) }() // it ends with the process
	return c.Feed.Run(ctx)
}

// service is such a process.
type service struct {
	*running
	issuer string
	cmd    *exec.Cmd
}

func startOrders(t *testing.T, issuer string) *service {
	t.Helper()
	s := &service{running: &running{t: t}, issuer: issuer}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func (s *service) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	listen := "127.0.0.1:" + freePort(s.t)
	s.url = "http://" + listen
	s.cmd = exec.CommandContext(s.t.Context(), self, asOrders, s.issuer, listen)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "listening", func() bool {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (s *service) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // and says that it was killed
}

// status of one request; 0 when there is no answer.
func (s *service) status(header [2]string) int {
	res, err := s.fire(get("/orders", header))
	if err != nil {
		return 0
	}
	return res.StatusCode
}

// leaver is somebody who came and may have left.
type leaver struct {
	visitor
	out, doubtful bool
	left          time.Time // when the logout had been acknowledged
}

// crowd is everybody so far.
type crowd struct {
	mu  sync.Mutex
	all []*leaver
}

func (c *crowd) add(l *leaver) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, l)
}

// longGone picks somebody whose logout was acknowledged before the lease of any
// service began.
func (c *crowd) longGone() *leaver {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 8 {
		if len(c.all) == 0 {
			return nil
		}
		if l := c.all[rand.IntN(len(c.all))]; l.out && time.Since(l.left) > longestLease {
			return l
		}
	}
	return nil
}

// longestLease is L(1+2rho), and what the clock of this process may be off.
const longestLease = 2*time.Second + 10*time.Millisecond

// comeAndGo signs one person in, shows both credentials to a service so that it
// remembers them, and signs most out again. It reports false when the server is gone.
func comeAndGo(r *running, to *service, who *crowd, person string, header [2]string, bad *findings) bool {
	v, err := r.enter(person, attackPhrase, header)
	if err != nil {
		return false
	}
	l := &leaver{visitor: v}
	for _, h := range [][2]string{v.in(), bearer(v.access)} {
		if got := to.status(h); got == http.StatusUnauthorized {
			bad.add("%s was refused before the logout", person)
		}
	}
	if rand.IntN(4) == 0 {
		who.add(l)
		return true
	}
	res, err := r.fire(hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in(), header}})
	l.doubtful, l.out, l.left = err != nil, err == nil && res.StatusCode == http.StatusNoContent, time.Now()
	if err == nil && !l.out {
		bad.add("sign out: %d %s", res.StatusCode, res.text)
	}
	who.add(l)
	return err == nil
}

// A kill of the server, which is the hub, or of a service, in the midst of logouts:
// what was acknowledged is refused by every service that is strict, once the longest
// lease is over and for ever, I6 and I17; and what was not revoked is accepted again.
func TestKillUnderLoadLosesNoAcknowledgedRevocation(t *testing.T) {
	const rounds, workers = 4, 3
	dir := t.TempDir()
	data, port := filepath.Join(dir, "data"), freePort(t)
	text := strings.Replace(setupFor(t, workers), "{management: [sessions:check], https://inventory", "{management: [sessions:check, feed:read], https://inventory", 1)
	args := append(behindProxy, "--apply", write(t, dir, "setup.yaml", text))
	c := serveChild(t, data, port, args...)
	services := []*service{startOrders(t, c.url), startOrders(t, c.url)}
	who := &crowd{}
	var bad findings
	for round := range rounds {
		var all sync.WaitGroup
		stop := make(chan struct{})
		over := func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		}
		for i := range workers {
			all.Go(func() {
				for n := 0; !over() && comeAndGo(c.running, services[i%2], who, person(i), outside(1000*round+100*i+n%100), &bad); n++ {
				}
			})
		}
		for _, s := range services {
			all.Go(func() {
				for !over() {
					l := who.longGone()
					if l == nil {
						<-time.After(5 * time.Millisecond)
						continue
					}
					for _, h := range [][2]string{l.in(), bearer(l.access)} {
						if got := s.status(h); got == http.StatusOK {
							bad.add("%s, who left %s ago, was let in by %s", l.login, time.Since(l.left), s.url)
						}
					}
				}
			})
		}
		<-time.After(time.Duration(2500+rand.IntN(500)) * time.Millisecond)
		if round%2 == 1 { // the service first, and the server while the service begins
			services[0].kill()
		}
		c.kill()
		<-time.After(time.Duration(rand.IntN(300)) * time.Millisecond)
		close(stop)
		all.Wait()
		if round%2 == 1 {
			services[0].start()
		}
		c = serveChild(t, data, port, args...)
		in, out := settled(t, c.running, services, who)
		t.Logf("round %d: %d in, %d out", round, in, out)
		if in == 0 || out == 0 {
			t.Errorf("round %d proved nothing", round)
		}
		bad.report(t)
	}
}

// settled waits until the services are fresh again, and compares what they accept
// with what was acknowledged.
func settled(t *testing.T, r *running, services []*service, who *crowd) (in, out int) {
	t.Helper()
	probe := r.visit(person(0), outside(60_000+len(who.all)%1000))
	for _, s := range services {
		eventually(t, fmt.Sprintf("fresh: %s", s.url), func() bool {
			return s.status(bearer(probe.access)) == http.StatusOK && s.status(probe.in()) == http.StatusOK // the cookie asks the server
		})
	}
	for _, l := range who.all {
		if l.doubtful {
			l.doubtful, l.out = false, !r.active(l.access, "")
		}
		want := http.StatusOK
		if out++; l.out {
			want = http.StatusUnauthorized
		} else {
			out, in = out-1, in+1
		}
		for _, s := range services {
			for name, h := range map[string][2]string{"cookie": l.in(), "token": bearer(l.access)} {
				if got := s.status(h); got != want {
					t.Errorf("%s of %s, out=%t: %d, want %d", name, l.login, l.out, got, want)
				}
			}
		}
	}
	return in, out
}
