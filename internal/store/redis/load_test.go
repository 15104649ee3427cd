package redis_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/redistest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// TestNobodyWaitsForMany: End of 10,000 of 20,000 sessions, and the purge of
// 20,000, while another client loads all the while. Redis does one thing at a time, so
// another client waits as long as the longest script takes: how much each did, the
// server tells, and it is the same on a busy machine.
func TestNobodyWaitsForMany(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := redistest.Start(t)
	h, other := open(t, s), open(t, s)
	stays := record("stays", "bob")
	stays.IdleUntil, stays.ExpiresAt = at(2000*time.Hour), at(2000*time.Hour)
	add(t, h, stays)
	fill(t, h, "s", n)

	shortScripts(t, s, n/2, func() {
		watch(t, other, stays, func() {
			ids, err := h.End(t.Context(), revoke.Ref{Kind: revoke.User, Key: "many"}, 1)
			if err != nil || len(ids) != n/2 {
				t.Errorf("ended %d, %v", len(ids), err)
			}
		})
	})

	fill(t, h, "more", n/2)
	shortScripts(t, s, n, func() {
		watch(t, other, stays, func() {
			total := 0
			for {
				ids, err := h.Purge(t.Context(), at(1000*time.Hour), 500)
				if err != nil {
					t.Fatal(err)
				}
				if total += len(ids); len(ids) < 500 {
					break
				}
			}
			if total != n {
				t.Errorf("purged %d", total)
			}
		})
	})
	if left, err := h.Count(t.Context()); left != 1 || err != nil {
		t.Errorf("left: %d, %v", left, err)
	}
}

// watch does the work while another client loads a session again and again. How long
// that took is logged and no more: the machine may be busy with other things.
func watch(t *testing.T, other session.Home, r session.Record, work func()) {
	t.Helper()
	var stop atomic.Bool
	done := make(chan time.Duration)
	go func() {
		var worst time.Duration
		for !stop.Load() {
			began := time.Now()
			if _, found, err := other.BySecret(t.Context(), r.Secret); err != nil || !found {
				t.Errorf("load meanwhile: %v, %v", found, err)
			}
			worst = max(worst, time.Since(began))
		}
		done <- worst
	}()
	began := time.Now()
	work()
	took := time.Since(began)
	stop.Store(true)
	t.Logf("took %v, slowest load of another client %v", took, <-done)
}

const (
	sessionsMost = 200 // of one script
	stepsMost    = 8   // for one session: what is known is read, and removed from every list
)

// shortScripts makes sure that work on n sessions was done by many short scripts,
// between which the server answered others.
func shortScripts(t *testing.T, s *redistest.Server, n int, work func()) {
	t.Helper()
	var ran []int // steps of each script
	between, waiting := 0, false
	for _, words := range monitored(t, s, work) {
		switch {
		case words[0] == "lua":
			ran[len(ran)-1]++
			if most := words[1:]; !short(most) {
				t.Fatalf("a step that grows with what there is: %q", most)
			}
		case strings.HasPrefix(words[1], "EVAL"):
			if waiting && len(ran) > 0 {
				between++
			}
			ran, waiting = append(ran, 0), false
		case words[1] == "GET":
			waiting = true
		}
	}
	if len(ran) < n/sessionsMost {
		t.Fatalf("%d scripts for %d sessions", len(ran), n)
	}
	if longest := slices.Max(ran); longest > sessionsMost*stepsMost+1 {
		t.Errorf("a script of %d steps", longest)
	}
	if between == 0 {
		t.Error("no other client was answered between two scripts")
	}
	t.Logf("%d scripts, the longest of %d steps; others were answered between %d of them", len(ran), slices.Max(ran), between)
}

// short reports whether one step of a script takes a time that does not grow with the
// number of sessions, but for its logarithm.
func short(words []string) bool {
	switch words[0] {
	case "GET", "UNLINK":
		return len(words) == 2
	case "ZREM":
		return len(words) == 3
	case "ZADD":
		return len(words) == 4
	case "ZRANGEBYLEX", "ZRANGEBYSCORE":
		most, err := strconv.Atoi(words[len(words)-1])
		return err == nil && most <= sessionsMost && words[len(words)-3] == "LIMIT"
	}
	return false
}

// said is one line of MONITOR: where a command came from, and its words.
var (
	said  = regexp.MustCompile(`^\+[0-9.]+ \[\d+ ([^\]]*)\] (.*)\r?\n$`)
	quote = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// monitored lists what the server did during the work, one command after the other:
// where it came from ("lua" for a step of a script), and its words.
func monitored(t *testing.T, s *redistest.Server, work func()) (all [][]string) {
	t.Helper()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	do, lines := raw(t, s), bufio.NewReaderSize(c, 1<<20)
	if _, err := io.WriteString(c, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatal(line, err)
	}
	const end = "that was all"
	read := make(chan error, 1)
	go func() {
		for {
			line, err := lines.ReadString('\n')
			m := said.FindStringSubmatch(line)
			if err != nil || m == nil {
				read <- fmt.Errorf("line %q of MONITOR: %w", line, err)
				return
			}
			words := []string{m[1]}
			for _, w := range quote.FindAllStringSubmatch(m[2], -1) {
				words = append(words, w[1])
			}
			if len(words) == 3 && words[2] == end {
				read <- nil
				return
			}
			all = append(all, words)
		}
	}()
	work()
	if err := do("ECHO", end).Error(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	return all
}

func BenchmarkLoad(b *testing.B) {
	s := redistest.Start(b)
	h := open(b, s)
	fill(b, h, "s", 1000)
	r := record("s1", "u1")
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			if _, found, err := h.BySecret(b.Context(), r.Secret); err != nil || !found {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, found, err := h.BySecret(b.Context(), r.Secret); err != nil || !found {
					b.Error(found, err)
					return
				}
			}
		})
	})
	// What a load would cost as a script.
	b.Run("by id, 64 at once", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, found, err := h.ByID(b.Context(), r.ID); err != nil || !found {
					b.Error(found, err)
					return
				}
			}
		})
	})
}

func BenchmarkTouch500(b *testing.B) {
	h := open(b, redistest.Start(b))
	fill(b, h, "s", 1000)
	touches := make([]session.Touch, 500)
	by := time.Duration(0)
	for b.Loop() {
		by += time.Microsecond
		for i := range touches {
			touches[i] = session.Touch{ID: fmt.Sprint("s", i), Seen: at(by), IdleUntil: at(time.Hour + by)}
		}
		if n, err := h.Touch(b.Context(), touches); n != 500 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkEnd(b *testing.B) {
	s := redistest.Start(b)
	h, do := open(b, s), raw(b, s)
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fill(b, h, "s", 2*n)
				b.StartTimer()
				if ids, err := h.End(b.Context(), revoke.Ref{Kind: revoke.User, Key: "many"}, 1); len(ids) != n || err != nil {
					b.Fatal(len(ids), err)
				}
				b.StopTimer()
				do("FLUSHALL")
				b.StartTimer()
			}
		})
	}
}

func BenchmarkAddRenew(b *testing.B) {
	h := open(b, redistest.Start(b))
	i := 0
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			i++
			add(b, h, record(fmt.Sprint("a", i), "u"+strings.Repeat("x", i%7)))
		}
	})
	b.Run("renew", func(b *testing.B) {
		r := record("s1", "ada")
		add(b, h, r)
		for b.Loop() {
			i++
			next := r.Session
			next.Secret = opaque.Hash(strconv.Itoa(i))
			if ok, err := h.Renew(b.Context(), r.Secret, next); !ok || err != nil {
				b.Fatal(ok, err)
			}
			r.Session = next
		}
	})
}
