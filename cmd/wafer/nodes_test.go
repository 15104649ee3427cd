package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/redistest"
)

// Three nodes on one PostgreSQL and one Redis, a balancer that picks one at random
// for each request, and one node killed each second for a minute: nothing fails
// but what was under way at the node that died, and nobody is signed out.
func TestThreeNodesOneKilledEachSecond(t *testing.T) {
	const workers = 6
	kills := 60
	if testing.Short() {
		kills = 5
	}
	c := newCluster(t, 3, workers, redistest.Start(t, redistest.Durable...).URL())
	books := make([][]*ledger, workers)
	var bad findings
	var all sync.WaitGroup
	var done atomic.Int64
	stopped := make(chan struct{})
	for i := range workers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopped:
					return
				default:
				}
				if step(c.running, &books[i], i, outside(100*i+n%100), &bad) {
					done.Add(1)
				} else {
					<-time.After(10 * time.Millisecond)
				}
			}
		})
	}
	for i := range kills {
		<-time.After(time.Second)
		c.replace(i % 3)
	}
	close(stopped)
	all.Wait()
	bad.report(t)
	broken := c.cut.broken.Load()
	t.Logf("%d requests answered, %d broken by %d kills", done.Load(), broken, kills)
	if most := int64(kills * workers); broken > most {
		t.Errorf("%d requests failed; %d kills of a node with %d callers break at most %d", broken, kills, workers, most)
	}
	if done.Load() < int64(20*kills) {
		t.Errorf("only %d requests were answered: nothing is proved", done.Load())
	}
	in := 0
	for _, book := range books {
		for _, l := range book {
			checkLate(t, c.running, l)
			if !l.out {
				in++
			}
		}
	}
	if in == 0 {
		t.Error("nobody is left to find signed in")
	}
	for _, book := range books {
		for _, l := range book {
			noRevival(t, c.running, l)
		}
	}
}

// In at one node, on at the second, out at the third: what one acknowledged holds
// at all of them with the next request.
func TestNodesShareEverything(t *testing.T) {
	for name, place := range map[string]func(t *testing.T) string{
		"database": func(*testing.T) string { return "" },
		"redis":    func(t *testing.T) string { return redistest.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, 2, place(t))
			for i := range 6 {
				one, two, three := c.node(i%3), c.node((i+1)%3), c.node((i+2)%3)
				v := one.visit(person(0))
				two.must(http.StatusOK, get("/session", v.in()))
				three.must(http.StatusOK, refreshing(v.refresh))
				if !two.active(v.access, "") || !three.active(v.cookie, ordersAPI) {
					t.Fatal("a node does not know what another one gave")
				}
				swapped := three.must(http.StatusOK, swapping(v, ordersAPI)).str("access_token")
				two.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}})
				for j, r := range []*running{one, two, three} {
					r.must(http.StatusUnauthorized, get("/session", v.in()))
					r.must(http.StatusBadRequest, refreshing(v.refresh))
					if r.active(v.access, "") || r.active(swapped, "") || r.active(v.cookie, ordersAPI) {
						t.Fatalf("node %d accepts what ended at another", j)
					}
				}
			}
			bystander := c.node(1).visit(person(1))
			if out := mustWafer(t, "", "--data", c.dataOf(2), "revoke", "--user", person(1)); out == "" {
				t.Error("nothing was said of the ban")
			}
			c.node(0).must(http.StatusUnauthorized, get("/session", bystander.in()))
			racesAcross(t, c)
		})
	}
}

// move waits for sessions to have moved. A server that does not get there within a
// minute says what it is at.
func (c *child) move(place string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"--data", c.data, "session", "move", "--to", place}, terminal{in: strings.NewReader(""), out: &out, err: &errs})
	if code != 0 {
		if err := c.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			c.t.Error(err)
		}
		_ = c.cmd.Wait() // it says where it was
		c.t.Fatalf("sessions do not move to %s: %s%s\n%s", place, &out, &errs, c.out)
	}
	return out.String()
}

// checkLate is check for when a lost answer may be older than the window in which
// a refresh token may be shown again. Where a refresh was not answered, only the
// session itself is looked at.
func checkLate(t *testing.T, r *running, l *ledger) {
	t.Helper()
	if !l.unsure || l.out {
		check(t, r, l)
		return
	}
	res := r.ask(get("/session", l.in()))
	if res.StatusCode == http.StatusUnauthorized && !l.doubtful {
		t.Errorf("session of %s, who never signed out: %d", l.login, res.StatusCode)
	}
	l.out, l.rotated = res.StatusCode != http.StatusOK, nil
}

// racesAcross lets 50 callers at three nodes want the same single thing.
func racesAcross(t *testing.T, c *cluster) {
	t.Helper()
	v := c.node(0).visit(person(0))
	var successors sync.Map
	storm(50, func(i int) {
		res, err := c.node(i % 3).fire(refreshing(v.refresh))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("refresh at node %d: %v %s", i%3, err, res.text)
			return
		}
		successors.Store(res.str("refresh_token"), true)
	})
	if n := size(&successors); n != 1 {
		t.Errorf("one refresh token has %d successors", n)
	}
	access := c.node(0).visit(person(0)).access
	var won atomic.Int32
	storm(50, func(i int) {
		res, err := c.node(i % 3).fire(formOf("/oauth/introspect", fields("token", access, "api", ordersAPI, "once", "true", "client_id", "watch", "client_secret", clientSecrets)))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("use once at node %d: %v %s", i%3, err, res.text)
			return
		}
		if res.body["active"] == true {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("a token to be used once was accepted %d times", won.Load())
	}
	var added atomic.Int32
	storm(50, func(i int) {
		_, _, code := wafer(t, "", "--data", c.dataOf(i%3), "role", "add", "racer")
		if code == 0 {
			added.Add(1)
		}
	})
	if added.Load() != 1 {
		t.Errorf("one role was added %d times", added.Load())
	}
}

// ask sends a hit that has to be answered at all.
func (r *running) ask(h hit) reply {
	r.t.Helper()
	res, err := r.fire(h)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool {
		n++
		return true
	})
	return n
}

// Somebody who is signed in stays so when the server dies and starts again,
// wherever sessions live. In memory they do not, and the start says so.
func TestEveryHomeKeepsPeopleSignedIn(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, port := dir+"/data", freePort(t)
			args := []string{"--apply", write(t, dir, "setup.yaml", setupFor(t, 1))}
			if place != "" {
				args = append(args, "--sessions", place)
			}
			c := serveChild(t, data, port, args...)
			stays, leaves := c.visit(person(0)), c.visit(person(0))
			c.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{leaves.in()}})
			c.kill()
			c = serveChild(t, data, port, args...)
			want := http.StatusOK
			if name == "memory" {
				want = http.StatusUnauthorized
				wantText(t, c.out.String(), "restart")
			}
			c.must(want, get("/session", stays.in()))
			c.must(http.StatusUnauthorized, get("/session", leaves.in()))
			if name != "memory" {
				c.must(http.StatusOK, refreshing(stays.refresh))
			}
			c.must(http.StatusOK, get("/session", c.visit(person(0)).in()))
		})
	}
}

// Sessions move from home to home under load, the server is killed in the midst of
// each move, and nobody is signed out.
func TestMoveUnderLoadSignsNobodyOut(t *testing.T) {
	const workers, sleepers = 4, 300
	dir := t.TempDir()
	data, port := dir+"/data", freePort(t)
	all := places(t)
	setup := write(t, dir, "setup.yaml", setupFor(t, workers+1))
	args := append([]string{"--apply", setup, "--sessions", all["file"]}, behindProxy...)
	c := serveChild(t, data, port, args...)
	cut := &cutter{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 50}}
	r := &running{t: t, url: c.url, data: data, way: cut}
	var asleep []visitor
	for i := range sleepers {
		asleep = append(asleep, r.visit(person(workers), outside(i)))
	}
	books := make([][]*ledger, workers)
	var bad findings
	var load sync.WaitGroup
	stopped := make(chan struct{})
	for i := range workers {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopped:
					return
				default:
				}
				if !step(r, &books[i], i, outside(100*i+n%100), &bad) {
					<-time.After(10 * time.Millisecond) // the server is on its way back
				}
			}
		})
	}
	for _, to := range []string{"redis", "postgres", "sqlite", "database"} {
		place := all[to]
		if place == "" {
			place = "database"
		}
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			_, _, _ = wafer(t, "", "--data", data, "session", "move", "--to", place) // the server dies under it
		}()
		<-time.After(time.Duration(6+rand.IntN(8)) * time.Second)
		c.kill()
		<-moved
		c = serveChild(t, data, port, args...)
		out := c.move(place)
		t.Logf("to %s: %s", to, out)
		wantText(t, out, "Sessions live in")
		args = append([]string{"--apply", setup}, behindProxy...)
	}
	close(stopped)
	load.Wait()
	bad.report(t)
	for i, v := range asleep {
		if res := r.must(http.StatusOK, get("/session", v.in())); res.text == "" {
			t.Errorf("sleeper %d: %s", i, fmt.Sprint(res.StatusCode))
		}
	}
	for _, book := range books {
		for _, l := range book {
			checkLate(t, r, l)
		}
	}
	for _, book := range books {
		for _, l := range book {
			noRevival(t, r, l)
		}
	}
}

func wantText(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is missing in\n%s", part, text)
	}
}
