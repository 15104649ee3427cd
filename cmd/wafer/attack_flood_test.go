package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// LOGIN-009: a flood of wrong logins may cost other logins their patience, and
// nothing else. It does not run beside other tests: it takes the whole machine.
func TestFloodOfWrongLoginsLeavesTheRestStanding(t *testing.T) {
	const attackers = 300
	dir := t.TempDir()
	setup := write(t, dir, "setup.yaml", setupFor(t, 3))
	c := serveChild(t, dir+"/data", freePort(t), append(behindProxy, "--apply", setup)...)
	owner := c.visit(person(0), outside(2000))
	before, measured := c.peak()

	stop := make(chan struct{})
	var flood sync.WaitGroup
	var mu sync.Mutex
	count, shedTook := map[int]int{}, []time.Duration{}
	var bad findings
	own := &http.Transport{MaxIdleConnsPerHost: attackers}
	defer own.CloseIdleConnections()
	for i := range attackers {
		flood.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				start := time.Now()
				res, err := c.through(own, signingIn(fmt.Sprintf("user%02d-%d@example.com", i, n%3), "ten grey bottles on a wall", outside(i)))
				took := time.Since(start)
				if err != nil {
					bad.add("flood: %v", err)
					return
				}
				mu.Lock()
				count[res.StatusCode]++
				if res.StatusCode != http.StatusUnauthorized {
					shedTook = append(shedTook, took)
				}
				mu.Unlock()
				switch {
				case res.StatusCode == http.StatusUnauthorized:
				case res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable:
					bad.add("flood: %d %s", res.StatusCode, res.text)
				case !retryAfter(res):
					bad.add("flood: %d without Retry-After", res.StatusCode)
				}
			}
		})
	}
	others := everythingElse(c.running, owner, &bad, time.Now().Add(3*time.Second))
	known, err := c.enter(person(0), attackPhrase, [2]string{"Cookie", "__Host-Http-wafer-device=" + owner.device}, outside(2001))
	if err != nil {
		t.Errorf("the owner's own browser cannot sign in during the flood: %v", err)
	}
	close(stop)
	flood.Wait()
	bad.report(t)
	if count[http.StatusUnauthorized] == 0 || len(shedTook) == 0 {
		t.Errorf("answers were %v: no flood", count)
	}
	slices.Sort(shedTook)
	if n := len(shedTook); n > 0 && shedTook[n-1] > 10*time.Second {
		t.Errorf("a shed answer took %v", shedTook[n-1])
	}
	after, _ := c.peak()
	// 300 hashes at once would be 5,700 MiB.
	if grown := after - before; measured && grown > 1024 {
		t.Errorf("memory grew by %d MiB", grown)
	}
	t.Logf("answers %v, %d other requests, peak %d -> %d MiB", count, others, before, after)
	c.lively(known, nil)
	c.must(http.StatusCreated, signingIn(person(1), attackPhrase, outside(2002)))
}

// everythingElse uses all that needs no password until the end, and returns how
// often it was answered. Nothing of it may fail.
func everythingElse(r *running, v visitor, bad *findings, end time.Time) (n int) {
	last := v.refresh
	for time.Now().Before(end) || n < 10 {
		for _, h := range []hit{get("/healthz"), get("/readyz"), refreshing(last), asking(v.access, ""), asking(v.cookie, ordersAPI), get("/session", v.in()), swapping(v, ordersAPI), get("/.well-known/jwks.json"), get("/login")} {
			res, err := r.fire(h)
			if err != nil || res.StatusCode != http.StatusOK {
				bad.add("%s %s during the flood: %v %v %s", h.method, h.path, err, res.Response, res.text)
				return n
			}
			if next := res.str("refresh_token"); next != "" {
				last = next
			}
			n++
		}
	}
	return n
}
