//go:build unix

package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

var (
	childPath  = flag.String("child", "", "be a process that writes to this database and prints what was acknowledged")
	childRound = flag.Int("round", 0, "number of the child")
	childLimit = flag.Uint64("filesize", 0, "let files grow to this many bytes, then answer writes with an I/O error")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *childPath == "" {
		code := m.Run()
		process.End()
		os.Exit(code)
	}
	if err := child(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child writes from eight goroutines until it is killed or may not write, and
// prints the id of each user whose writing was acknowledged.
func child() error {
	if *childLimit > 0 {
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: *childLimit, Max: *childLimit}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
	}
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: *childPath})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				u := user(fmt.Sprintf("usr_%d_%d_%d", *childRound, i, n))
				fx := revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Token, Key: u.ID}}, Audit: []audit.Event{{Action: "add", Target: u.ID}}}
				if err := s.AddUser(ctx, u, fx); err != nil {
					fmt.Println("refused", fault.Is(err, fault.Unavailable), errors.Is(err, sqlstore.ErrBroken))
					return
				}
				fmt.Println(u.ID)
			}
		})
	}
	all.Wait()
	fmt.Println("broken", errors.Is(s.Ping(ctx), sqlstore.ErrBroken))
	_, err = s.Head(ctx)
	fmt.Println("readable", err == nil)
	return nil
}

// startChild runs this test's own binary as a child.
func startChild(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(io.Reader(out))
}

// checkAcknowledged finds every acknowledged user with its entry and its event,
// and the log without holes.
func checkAcknowledged(t *testing.T, s *sqlstore.Store, acknowledged []string) {
	t.Helper()
	ctx := t.Context()
	if said, err := s.Integrity(ctx); err != nil || said != "ok" {
		t.Errorf("integrity: %q, error %v", said, err)
	}
	log, err := s.Revocations(ctx, 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]bool{}
	for i, r := range log {
		if r.Seq != int64(i+1) {
			t.Fatalf("entry %d is at position %d", i+1, r.Seq)
		}
		entries[r.Key] = true
	}
	events, err := s.Events(ctx, 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, e := range events {
		told[e.Target] = true
	}
	users, err := s.Users(ctx, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, u := range users {
		there[u.ID] = true
		if !entries[u.ID] || !told[u.ID] {
			t.Errorf("user %s is there, its entry: %v, its event: %v", u.ID, entries[u.ID], told[u.ID])
		}
	}
	if len(there) != len(entries) || len(there) != len(told) {
		t.Errorf("%d users, %d entries, %d events", len(there), len(entries), len(told))
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("acknowledged user %s is lost", id)
		}
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wafer.db")
	var acknowledged []string
	for round := range 5 {
		cmd, lines := startChild(t, "-child", path, "-round", fmt.Sprint(round))
		for n := 0; lines.Scan(); n++ {
			acknowledged = append(acknowledged, lines.Text())
			if n == 50+37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("child ended by itself: %v", err)
		}
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		checkAcknowledged(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIOErrorStopsAcknowledging(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wafer.db")
	cmd, lines := startChild(t, "-child", path, "-filesize", "1000000")
	var acknowledged []string
	said := map[string]int{}
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "usr_") {
			acknowledged = append(acknowledged, line)
		} else {
			said[line]++
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(acknowledged) == 0 || said["refused true true"] != 8 || said["broken true"] != 1 || said["readable true"] != 1 || len(said) != 3 {
		t.Errorf("%d acknowledged, then the child said %v", len(acknowledged), said)
	}
	checkAcknowledged(t, open(t, path), acknowledged)
}
