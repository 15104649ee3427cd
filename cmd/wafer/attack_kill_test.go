package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger is what one worker was told of one session. What was under way when the
// process died may have happened or not.
type ledger struct {
	visitor
	rotated  []string // refresh tokens that were acknowledged as replaced, oldest first
	out      bool     // the logout was acknowledged
	doubtful bool     // a logout was asked for and not answered
	unsure   bool     // the last refresh was not answered
}

// A kill in the midst of writes loses nothing that was acknowledged and brings
// nothing back that was ended.
func TestKillInTheMidstOfLoadKeepsItsWord(t *testing.T) {
	const rounds, workers = 5, 6
	dir := t.TempDir()
	data, port := filepath.Join(dir, "data"), freePort(t)
	setup := write(t, dir, "setup.yaml", setupFor(t, workers))
	var books [][]*ledger
	for range workers {
		books = append(books, nil)
	}
	args := append(behindProxy, "--apply", setup)
	c := serveChild(t, data, port, args...)
	for round := range rounds {
		var all sync.WaitGroup
		var bad findings
		stopped, enough := make(chan struct{}), make(chan struct{})
		var done atomic.Int64
		until := int64(60 + rand.IntN(90)) // things done, so that each kill hits another moment
		for i := range workers {
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stopped:
						return
					default:
					}
					header := outside(1000*round + 100*i + n%100)
					if !step(c.running, &books[i], i, header, &bad) {
						return
					}
					if done.Add(1) == until {
						close(enough)
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Errorf("%d things done in a minute", done.Load())
		}
		c.kill()
		close(stopped)
		all.Wait()
		bad.report(t)
		c = serveChild(t, data, port, args...)
		var in, out int
		for _, book := range books {
			for _, l := range book {
				check(t, c.running, l)
				if l.out {
					out++
				} else {
					in++
				}
			}
		}
		t.Logf("round %d: %d sessions in, %d out", round, in, out)
		if in == 0 || round == rounds-1 && out == 0 {
			t.Errorf("round %d proved nothing: %d in, %d out", round, in, out)
		}
	}
	for _, book := range books {
		for _, l := range book {
			noRevival(t, c.running, l)
		}
	}
	c.lively(c.visit(person(0)), nil)
}

// step does one thing and writes it down once it is acknowledged. It reports
// false when the server is gone.
func step(r *running, book *[]*ledger, i int, header [2]string, bad *findings) bool {
	var open []*ledger
	for _, l := range *book {
		if !l.out && !l.doubtful {
			open = append(open, l)
		}
	}
	if len(open) < 3 {
		res, err := r.fire(jsonOf(http.MethodPost, "/session", map[string]string{
			"login": person(i), "password": attackPhrase, "client_id": "shop-web", "api": ordersAPI}, header))
		if err != nil {
			return false
		}
		if res.StatusCode != http.StatusCreated {
			if res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusTooManyRequests {
				bad.add("sign in: %d %s", res.StatusCode, res.text)
			}
			return true
		}
		v := visitor{login: person(i), cookie: res.cookieOf(r.t).Value, access: res.str("access_token"), refresh: res.str("refresh_token")}
		*book = append(*book, &ledger{visitor: v})
		return true
	}
	l := open[rand.IntN(len(open))]
	if rand.IntN(6) > 0 {
		res, err := r.fire(refreshing(l.refresh))
		if err != nil {
			l.unsure = true
			return false
		}
		l.unsure = false
		if res.StatusCode != http.StatusOK {
			bad.add("refresh: %d %s", res.StatusCode, res.text)
			return true
		}
		l.rotated = append(l.rotated, l.refresh)
		l.refresh, l.access = res.str("refresh_token"), res.str("access_token")
		return true
	}
	l.doubtful = true
	res, err := r.fire(hit{method: http.MethodDelete, path: "/session", header: [][2]string{l.in()}})
	if err != nil {
		return false
	}
	l.doubtful = false
	if l.out = res.StatusCode == http.StatusNoContent; !l.out {
		bad.add("sign out: %d %s", res.StatusCode, res.text)
	}
	return true
}

// check compares the server after a restart with what it had acknowledged.
func check(t *testing.T, r *running, l *ledger) {
	t.Helper()
	res, err := r.fire(get("/session", l.in()))
	if err != nil {
		t.Fatal(err)
	}
	if l.doubtful {
		l.doubtful, l.out = false, res.StatusCode != http.StatusOK
	}
	want := map[bool]int{false: http.StatusOK, true: http.StatusUnauthorized}[l.out]
	if res.StatusCode != want {
		t.Errorf("session of %s, acknowledged as out=%v: %d", l.login, l.out, res.StatusCode)
	}
	if l.out {
		if r.active(l.access, "") || r.active(l.cookie, ordersAPI) {
			t.Errorf("access token or cookie of %s, who is out, is active", l.login)
		}
		r.must(http.StatusBadRequest, refreshing(l.refresh))
		return
	}
	if !r.active(l.access, "") {
		t.Errorf("access token of %s is not active", l.login)
	}
	// An answer may have been lost with the process: the one before is still good.
	next := r.must(http.StatusOK, refreshing(l.refresh))
	l.rotated = append(l.rotated, l.refresh)
	l.refresh, l.access = next.str("refresh_token"), next.str("access_token")
}

// noRevival shows the oldest token of each family, which must end it.
func noRevival(t *testing.T, r *running, l *ledger) {
	t.Helper()
	if len(l.rotated) < 2 {
		return
	}
	res := r.must(http.StatusBadRequest, refreshing(l.rotated[0]))
	if res.str("error") != "invalid_grant" {
		t.Errorf("a rotated token is answered with %s", res.text)
	}
	if !l.out {
		l.out = true
		r.must(http.StatusUnauthorized, get("/session", l.in()))
		r.must(http.StatusBadRequest, refreshing(l.refresh))
		if r.active(l.access, "") {
			t.Error(fmt.Sprint("access token lives after a replay: ", l.login))
		}
	}
}
