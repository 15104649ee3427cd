//go:build unix

package file_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
)

var (
	childDir   = flag.String("child", "", "be a process that keeps sessions in this folder and prints what was acknowledged")
	childRound = flag.Int("round", 0, "number of the child")
	childFull  = flag.Bool("full", false, "meet a full disk, then room again")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *childDir == "" {
		os.Exit(m.Run())
	}
	run := busyChild
	if *childFull {
		run = fullChild
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// busyChild adds, renews, touches and ends sessions until it is killed. It prints
// what it begins, and what was acknowledged.
func busyChild() error {
	ctx := context.Background()
	h, err := file.Open(ctx, file.Config{Dir: *childDir})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := 0; err == nil; n++ {
				err = busy(ctx, h, fmt.Sprintf("ses_%d_%d_%d", *childRound, i, n), n%4)
			}
		})
	}
	all.Wait()
	return err
}

func busy(ctx context.Context, h *file.Home, id string, what int) error {
	r := crashRecord(id)
	say := func(word string) { fmt.Println(word, id) }
	if err := h.Add(ctx, r); err != nil {
		return err
	}
	say("added")
	if _, err := h.Touch(ctx, []session.Touch{{ID: id, Seen: start.Add(time.Minute), IdleUntil: start.Add(2 * time.Hour)}}); err != nil {
		return err
	}
	switch what {
	case 1:
		say("renewing")
		if ok, err := h.Renew(ctx, r.Secret, crashRenewed(id)); err != nil || !ok {
			return fmt.Errorf("renewed %v: %w", ok, err)
		}
		say("renewed")
	case 2:
		say("ending")
		if _, err := h.End(ctx, revoke.Ref{Kind: revoke.Session, Key: id}, 1); err != nil {
			return err
		}
		say("ended")
	case 3:
		say("leaving")
		if _, _, err := h.Leave(ctx, id); err != nil {
			return err
		}
		say("left")
	}
	return nil
}

func crashRecord(id string) session.Record {
	r := record(0)
	r.ID, r.Secret = id, opaque.Hash("secret of "+id)
	return r
}

func crashRenewed(id string) session.Session {
	s := crashRecord(id).Session
	s.Secret, s.AMR = opaque.Hash("next secret of "+id), []string{"otp"}
	return s
}

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
	return cmd, bufio.NewScanner(out)
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	said := map[string]string{} // id -> the last word
	for round := range 4 {
		cmd, lines := startChild(t, "-child", dir, "-round", fmt.Sprint(round))
		for n := 0; lines.Scan(); n++ {
			word, id, _ := strings.Cut(lines.Text(), " ")
			said[id] = word
			if n == 60+37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("child ended by itself: %v", err)
		}
		h := open(t, dir)
		if risks, err := h.Risks(t.Context()); err != nil || len(risks) != 0 {
			t.Errorf("torn files: %q, error %v", risks, err)
		}
		for id, word := range said {
			survived(t, h, id, word)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// survived fails the test unless a session is what its last word allows: before
// or after what was not acknowledged.
func survived(t *testing.T, h session.Home, id, word string) {
	t.Helper()
	r, found, err := h.ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, byOld, _ := h.BySecret(t.Context(), crashRecord(id).Secret)
	_, byNew, _ := h.BySecret(t.Context(), crashRenewed(id).Secret)
	is := fmt.Sprintf("found %v, by old secret %v, by new secret %v, leaving %v", found, byOld, byNew, r.Leaving)
	const (
		plain   = "found true, by old secret true, by new secret false, leaving false"
		renewed = "found true, by old secret false, by new secret true, leaving false"
		left    = "found true, by old secret true, by new secret false, leaving true"
		none    = "found false, by old secret false, by new secret false, leaving false"
	)
	allowed := map[string][]string{
		"added": {plain}, "renewing": {plain, renewed}, "renewed": {renewed}, "ending": {plain, none}, "ended": {none},
		"leaving": {plain, left}, "left": {left},
	}[word]
	for _, one := range allowed {
		if is == one {
			return
		}
	}
	t.Errorf("%s, of which the last word was %q: %s", id, word, is)
}

// fullChild lets files grow to a few bytes only: the kernel then refuses every
// write of a session, after it took part of it.
func fullChild() error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ)
	h, err := file.Open(ctx, file.Config{Dir: *childDir})
	if err != nil {
		return err
	}
	if err := h.Add(ctx, record(1)); err != nil {
		return err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	full := before
	full.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	fmt.Println("add", fault.Is(h.Add(ctx, record(2)), fault.Unavailable))
	_, err = h.Renew(ctx, record(1).Secret, crashRenewed("ses_1"))
	fmt.Println("renew", fault.Is(err, fault.Unavailable))
	_, found, err := h.BySecret(ctx, record(1).Secret)
	fmt.Println("read", found && err == nil)
	n, err := h.Touch(ctx, []session.Touch{{ID: "ses_1", Seen: start.Add(time.Minute), IdleUntil: start.Add(2 * time.Hour)}})
	fmt.Println("touch", n == 1 && err == nil)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	fmt.Println("later", h.Add(ctx, record(3)) == nil)
	return h.Close()
}

func TestFullDiskRefusesAndHeals(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	cmd, lines := startChild(t, "-child", dir, "-full")
	said := ""
	for lines.Scan() {
		said += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := "add true\nrenew true\nread true\ntouch true\nlater true\n"; said != want {
		t.Errorf("child said %q, want %q", said, want)
	}
	touched := record(1)
	touched.SeenAt, touched.IdleUntil = start.Add(time.Minute), start.Add(2*time.Hour)
	h := open(t, dir)
	has(t, h, touched, record(3))
	if all := files(t, dir); len(all) != 2 {
		t.Errorf("files %v, want two", all)
	}
}
