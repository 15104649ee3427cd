package redis_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/redistest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/redis"
)

// everything does every call once, all together, each within a little more than
// two seconds, and returns what came of them.
func everything(ctx context.Context, t *testing.T, h session.Home, r session.Record) map[string]error {
	t.Helper()
	out := map[string]error{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, call := range map[string]func() error{
		"Add":      func() error { return h.Add(ctx, record("fresh", "ada")) },
		"BySecret": func() error { _, _, err := h.BySecret(ctx, r.Secret); return err },
		"ByID":     func() error { _, _, err := h.ByID(ctx, r.ID); return err },
		"Of":       func() error { _, err := h.Of(ctx, revoke.Ref{Kind: revoke.User, Key: "ada"}); return err },
		"Renew":    func() error { _, err := h.Renew(ctx, opaque.Hash("wrong"), r.Session); return err },
		"Touch": func() error {
			_, err := h.Touch(ctx, []session.Touch{{ID: r.ID, Seen: at(0), IdleUntil: at(1)}})
			return err
		},
		"End":   func() error { _, err := h.End(ctx, revoke.Ref{Kind: revoke.User, Key: "nobody"}, 1); return err },
		"Purge": func() error { _, err := h.Purge(ctx, at(0), 10); return err },
		"Page":  func() error { _, _, err := h.Page(ctx, "", 10); return err },
		"Count": func() error { _, err := h.Count(ctx); return err },
		"Leave": func() error { _, _, err := h.Leave(ctx, "nobody"); return err },
		"Risks": func() error { _, err := h.Risks(ctx); return err },
		"Ping":  func() error { return h.Ping(ctx) },
	} {
		wg.Go(func() {
			began := time.Now()
			err := call()
			mu.Lock()
			defer mu.Unlock()
			out[name] = err
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("%s took %v", name, took)
			}
		})
	}
	wg.Wait()
	return out
}

func allUnavailable(t *testing.T, what string, errs map[string]error) {
	t.Helper()
	for name, err := range errs {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %s: got error %v, want unavailable", what, name, err)
		}
	}
}

// served waits until all is well again, and makes sure that it is.
func served(t *testing.T, h session.Home) {
	t.Helper()
	eventually(t, "service", func() bool { return h.Ping(t.Context()) == nil })
}

// TestOutages is alone: it counts goroutines.
func TestOutages(t *testing.T) {
	s := redistest.Start(t, redistest.Durable...)
	before := runtime.NumGoroutine()
	var log lines
	h, err := redis.Open(t.Context(), redis.Config{URL: s.URL(), Now: time.Now, Log: logTo(&log)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r := record("s1", "ada")
	add(t, h, r)

	s.Pause()
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err = h.BySecret(short, r.Secret)
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
		t.Errorf("a caller in a hurry: %v after %v", err, time.Since(began))
	}
	allUnavailable(t, "frozen", everything(t.Context(), t, h, r))
	// By now the connection was given up, and another is being opened.
	hurry, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began = time.Now()
	allUnavailable(t, "frozen, in a hurry", everything(hurry, t, h, r))
	if took := time.Since(began); took > time.Second {
		t.Errorf("callers in a hurry waited %v", took)
	}
	leaver, leave := context.WithCancel(t.Context())
	go leave()
	if _, _, err = h.ByID(leaver, "s1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
	s.Resume()
	served(t, h)
	if !there(t, h, r) {
		t.Error("gone after the pause")
	}

	s.Kill()
	allUnavailable(t, "dead", everything(t.Context(), t, h, r))
	s.Start()
	served(t, h)
	if !there(t, h, r) {
		t.Error("gone after the crash")
	}
	for _, want := range []string{"Redis does not serve", "Redis serves again", s.Address()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not logged: %q in\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "does not serve"); n > 4 {
		t.Errorf("an outage is logged %d times:\n%s", n, log.String())
	}
	h.Close()
	eventually(t, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

// TestRestartUnderLoad: calls fail with Unavailable or succeed, and what was
// acknowledged is there afterwards; scripts that the new server does not know are
// sent again.
func TestRestartUnderLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Durable...)
	h := open(t, s)
	var stop atomic.Bool
	var mu sync.Mutex
	var kept []session.Record
	failed := 0
	var wg sync.WaitGroup
	for w := range 20 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				r := record(fmt.Sprintf("s%d-%d", w, i), "ada")
				err := h.Add(t.Context(), r)
				mu.Lock()
				if err == nil {
					kept = append(kept, r)
				} else if failed++; !fault.Is(err, fault.Unavailable) {
					t.Errorf("add: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(kept)
	}
	for _, restart := range []func(){s.Kill, s.Stop} {
		n := count()
		eventually(t, "load", func() bool { return count() > n+100 })
		restart()
		s.Start()
	}
	n := count()
	eventually(t, "load after the restarts", func() bool { return count() > n+100 })
	stop.Store(true)
	wg.Wait()
	for _, r := range kept {
		if !there(t, h, r) {
			t.Fatalf("%s was acknowledged and is gone", r.ID)
		}
	}
	t.Logf("%d kept, %d failed meanwhile", len(kept), failed)
}

// TestRestartThatLostEverything: sessions are not found, and that is all.
func TestRestartThatLostEverything(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h := open(t, s)
	r := record("s1", "ada")
	add(t, h, r)
	s.Kill()
	s.Start()
	served(t, h)
	if there(t, h, r) {
		t.Error("found after all was lost")
	}
	if n, err := h.Touch(t.Context(), []session.Touch{{ID: "s1", Seen: at(1), IdleUntil: at(time.Hour)}}); n != 0 || err != nil {
		t.Errorf("touch: %d, %v", n, err)
	}
	add(t, h, r)
	if !there(t, h, r) {
		t.Error("not found after it was added again")
	}
}

// TestLoadingIsUnavailable: a server that still reads its data from disk.
func TestLoadingIsUnavailable(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, append([]string{"key-load-delay 100", "loading-process-events-interval-bytes 1024"}, redistest.Durable...)...)
	h := open(t, s)
	fill(t, h, "s", 500)
	s.Kill()
	s.Launch()
	loading := false
	eventually(t, "loading", func() bool {
		_, _, err := h.ByID(t.Context(), "s1")
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatalf("while it loads: %v", err)
		}
		loading = loading || err != nil && strings.Contains(err.Error(), "LOADING")
		return loading || err == nil
	})
	if !loading {
		t.Log("it was loaded before anybody asked")
	}
	served(t, h)
	if !there(t, h, record("s1", "u1")) {
		t.Error("gone after the restart")
	}
}
