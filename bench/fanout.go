package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// From the call that revokes, over the management API, to the last of many verifiers
// that refuses: a server process on SQLite, and the verifiers all in this one, each
// with connections of its own.

func fanoutSuites() []suite {
	var all []suite
	for _, n := range []int{100, 1000} {
		all = append(all, suite{fmt.Sprintf("feed to %d verifiers", n), func(report func(figure)) error { return fanout(n, report) }})
	}
	return all
}

const (
	fanoutRevokes = 150
	fanoutEvery   = 200 * time.Millisecond // 5 a second
	fanoutIdle    = 5 * time.Second
)

func fanout(n int, report func(figure)) error {
	w, err := startWafer()
	if err != nil {
		return err
	}
	defer w.stop()
	bearer, err := w.adminToken()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.Sleep(3 * time.Second) // for the server to have given back what its start took
	empty, err := w.rss()
	if err != nil {
		return err
	}
	feeds, err := followers(ctx, w, n)
	if err != nil {
		return err
	}
	idle, err := w.cpu()
	if err != nil {
		return err
	}
	time.Sleep(fanoutIdle)
	before, err := w.cpu()
	if err != nil {
		return err
	}
	others, err := othersCPU(w)
	if err != nil {
		return err
	}
	var took []time.Duration
	began := time.Now()
	for i := range fanoutRevokes {
		time.Sleep(time.Until(began.Add(time.Duration(i) * fanoutEvery)))
		d, err := revokeAll(w, bearer, feeds)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	wall := time.Since(began)
	after, err := w.cpu()
	if err != nil {
		return err
	}
	othersAfter, err := othersCPU(w)
	if err != nil {
		return err
	}
	full, err := w.rss()
	if err != nil {
		return err
	}
	slices.Sort(took)
	row := fmt.Sprintf("feed to %d verifiers, ", n)
	ms := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1000 }
	budget := map[int]float64{100: 50, 1000: 100}[n]
	report(figure{row + "last refuses, p50", ms(0.5), "ms", "", len(took)})
	report(figure{row + "last refuses, p99", ms(0.99), "ms", "", len(took)}.atMost(budget))
	report(figure{row + "others on the machine meanwhile", max(0, (othersAfter-others).Seconds()/wall.Seconds()), "cores", "", 1})
	report(figure{row + "slowest", ms(1), "ms", "", len(took)})
	rest, busy := (before-idle).Seconds()/fanoutIdle.Seconds(), (after-before).Seconds()/wall.Seconds()
	report(figure{row + "server, nothing revoked", rest, "cores", "", 1})
	report(figure{row + "server, 5 revokes/s", busy, "cores", "", 1})
	delivered := float64(len(took)) * float64(n)
	report(figure{row + "server, one revocation to one verifier", (busy - rest) * wall.Seconds() / delivered * 1e6, "us CPU", "", len(took) * n})
	if n >= 1000 { // of fewer it is lost among what the server needs anyway
		report(figure{row + "server memory each", (full - empty) * 1024 / float64(n), "KiB", "", 1})
	}
	return nil
}

// othersCPU is the CPU time of whatever is neither this process nor the server: where
// it is much, times are not Wafer's. The kernel counts the whole by ticks: a few hundredths
// of a core are nothing.
func othersCPU(w *process) (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var busy time.Duration
	for i, text := range strings.Fields(line)[1:] {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, err
		}
		// The 4th and the 5th are idle; from the 9th on it is guests, counted before.
		if i != 3 && i != 4 && i < 8 {
			busy += time.Duration(n) * 10 * time.Millisecond
		}
	}
	theirs, err := w.cpu()
	return busy - theirs - cpu(), err
}

// followers starts feeds and waits until all have a lease.
func followers(ctx context.Context, w *process, n int) ([]*revocation.Feed, error) {
	feeds := make([]*revocation.Feed, n)
	for i := range feeds {
		var err error
		feeds[i], err = revocation.New(revocation.Config{
			Issuer: w.url, ClientID: guardClient, ClientSecret: guardSecret, Name: fmt.Sprint("bench ", i), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, err
		}
		go func() { _ = feeds[i].Run(ctx) }() // until the run is over
		if i%50 == 49 {
			time.Sleep(100 * time.Millisecond) // a fleet does not start in one moment
		}
	}
	for i, f := range feeds {
		select {
		case <-f.Ready():
		case <-time.After(time.Minute):
			return nil, fmt.Errorf("verifier %d has no lease: %+v", i, f.Stats())
		}
	}
	return feeds, nil
}

// revokeAll revokes a session and returns how long the last verifier took to refuse it.
func revokeAll(w *process, bearer string, feeds []*revocation.Feed) (time.Duration, error) {
	sid := opaque.ID(opaque.SessionID, time.Now())
	var left atomic.Int64
	left.Store(int64(len(feeds)))
	done := make(chan time.Time, 1)
	for _, f := range feeds {
		stop := f.Watch(revocation.Subject{SessionID: sid}, 0, func() {
			if left.Add(-1) == 0 {
				done <- time.Now()
			}
		})
		defer stop()
	}
	r, err := http.NewRequest(http.MethodPost, w.url+"/api/v1/revocations", strings.NewReader(`{"session":"`+sid+`","reason":"bench"}`))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Requested-With", "bench")
	began := time.Now()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode/100 != 2 {
		return 0, fmt.Errorf("revoke: %s %s %v", res.Status, b, err)
	}
	select {
	case at := <-done:
		return at.Sub(began), nil
	case <-time.After(10 * time.Second):
		return 0, errors.New("a verifier did not hear of it in 10 s")
	}
}

func (p *process) adminToken() (string, error) {
	return p.clientToken("bench-admin", "bench-admin-secret-for-this-run", "management")
}
