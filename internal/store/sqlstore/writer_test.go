package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

func fresh(t *testing.T) *sqlstore.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "wafer.db"))
}

func user(id string) account.User {
	return account.User{ID: id, Login: id, Canonical: id}
}

// waitFor lets other goroutines run until a condition holds.
func waitFor(holds func() bool) {
	for !holds() {
		runtime.Gosched()
	}
}

func TestFailureInABatchLeavesItsNeighborsAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if err := s.AddUser(t.Context(), user("taken"), revoke.Effects{}); err != nil {
		t.Fatal(err)
	}
	const n = 60
	release := s.Stall() // so that all below share one transaction
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() {
			switch i % 3 {
			case 0:
				errs[i] = s.AddUser(t.Context(), user(fmt.Sprintf("u%02d", i)), revoke.Effects{Audit: []audit.Event{{Action: "ok"}}})
			case 1:
				u := user(fmt.Sprintf("u%02d", i))
				u.Canonical = "taken"
				errs[i] = s.AddUser(t.Context(), u, revoke.Effects{Audit: []audit.Event{{Action: "refused"}}})
			case 2:
				errs[i] = s.Do(t.Context(), "INSERT INTO users (id) VALUES (NULL)")
			}
		})
	}
	waitFor(func() bool { return s.Queued() == n })
	release()
	all.Wait()
	for i, err := range errs {
		switch i % 3 {
		case 0:
			if err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		case 1:
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("change %d: got %v, want a conflict", i, err)
			}
		case 2:
			if err == nil || fault.Is(err, fault.Unavailable) {
				t.Errorf("change %d: got %v, want a plain error", i, err)
			}
		}
	}
	users, err := s.Users(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(users) != 1+n/3 || len(events) != n/3 {
		t.Errorf("got %d users and %d events, want %d and %d", len(users), len(events), 1+n/3, n/3)
	}
}

func TestContextThatEndsInTheQueueTakesTheChangeBack(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	release := s.Stall()
	ctx, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error, 1), make(chan error, 1)
	go func() { left <- s.AddUser(ctx, user("left"), revoke.Effects{}) }()
	go func() { stayed <- s.AddUser(t.Context(), user("stayed"), revoke.Effects{}) }()
	waitFor(func() bool { return s.Queued() == 2 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	release()
	if err := <-stayed; err != nil {
		t.Error(err)
	}
	users, err := s.Users(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(users) != 1 || users[0].ID != "stayed" {
		t.Errorf("got users %v, want only the one that stayed", users)
	}
}

func TestPanicInADecisionHitsItsCallerAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	release := s.Stall()
	caught, neighbor := make(chan any, 1), make(chan error, 1)
	go func() {
		defer func() { caught <- recover() }()
		_ = s.ChangeGrant(t.Context(), "g1", func(grant.State) grant.Change { panic("bug") })
	}()
	go func() { neighbor <- s.AddUser(t.Context(), user("u1"), revoke.Effects{}) }()
	waitFor(func() bool { return s.Queued() == 2 })
	release()
	if got := <-caught; got != "bug" {
		t.Errorf("caller caught %v, want its panic", got)
	}
	if err := <-neighbor; err != nil {
		t.Error(err)
	}
	if _, found, err := s.UserByID(t.Context(), "u1"); err != nil || !found {
		t.Errorf("neighbor's user: found %v, error %v", found, err)
	}
}

// The tests that kill a process cannot tell whether the disk was waited for.
func TestCommitsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for name, want := range map[string]any{"synchronous": int64(2), "journal_mode": "wal"} {
		got, err := s.Pragma(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// A page that is mapped is not copied: a third of the time of a read among a million.
func TestReadersMapTheFile(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if got, err := s.ReaderPragma(t.Context(), "mmap_size"); err != nil || got != 1<<30 {
		t.Errorf("got %d, %v, want %d", got, err, 1<<30)
	}
	if got, err := s.Pragma(t.Context(), "mmap_size"); err != nil || got != int64(0) {
		t.Errorf("who writes: got %v, %v, want none", got, err)
	}
}

// What a store knows in memory is true because nobody else changes the file.
func TestOneStoreHasAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "wafer.db"), filepath.Join(dir, "other.db")
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, other); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, other} {
		for range 2 { // being refused must not give the lock away
			if _, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: name}); !errors.Is(err, sqlstore.ErrLocked) {
				t.Errorf("second store on %s: got %v, want %v", filepath.Base(name), err, sqlstore.ErrLocked)
			}
		}
	}
	if err := s.AddUser(t.Context(), user("u1"), revoke.Effects{}); err != nil {
		t.Errorf("after others were refused: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, found, err := open(t, other).UserByID(t.Context(), "u1"); err != nil || !found {
		t.Errorf("next store: found %v, error %v", found, err)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ctx := t.Context()
	pages, err := s.Pages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MostPages(ctx, int(pages)+20); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	var full error
	for i := 0; full == nil && i < 10_000; i++ {
		u := user(fmt.Sprintf("u%05d", i))
		u.Name = strings.Repeat("x", 200)
		if full = s.AddUser(ctx, u, revoke.Effects{}); full == nil {
			acknowledged = append(acknowledged, u.ID)
		}
	}
	if !fault.Is(full, fault.Unavailable) || errors.Is(full, sqlstore.ErrBroken) {
		t.Fatalf("on a full disk: got %v, want unavailable, not broken", full)
	}
	if _, found, err := s.UserByID(ctx, acknowledged[0]); err != nil || !found {
		t.Errorf("read on a full disk: found %v, error %v", found, err)
	}
	if err := s.MostPages(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(ctx); err != nil {
		t.Errorf("after the disk has room: %v", err)
	}
	if err := s.AddUser(ctx, user("after"), revoke.Effects{}); err != nil {
		t.Errorf("after the disk has room: %v", err)
	}
	users, err := s.Users(ctx, "", 100_000)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, u := range users {
		there = append(there, u.ID)
	}
	if want := append([]string{"after"}, acknowledged...); !slices.Equal(there, want) {
		t.Errorf("got %d users, want the %d acknowledged ones", len(there), len(want))
	}
}
