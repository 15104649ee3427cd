package file_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
)

// odd is a home on a disk that can be told to refuse.
type odd struct {
	placed
	ask atomic.Pointer[func(op, path string) error]
}

func openOdd(t *testing.T) *odd {
	t.Helper()
	o := &odd{}
	o.set(func(string, string) error { return nil })
	dir := filepath.Join(t.TempDir(), "sessions")
	h, err := file.OpenOn(t.Context(), file.Config{Dir: dir}, file.OddDisk{Ask: func(op, path string) error { return (*o.ask.Load())(op, path) }})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, h)
	o.placed = placed{h, dir}
	return o
}

func (o *odd) set(ask func(op, path string) error) { o.ask.Store(&ask) }

// refuse makes every op of a kind fail.
func (o *odd) refuse(which string, with error) {
	o.set(func(op, path string) error {
		if op == which && !strings.HasSuffix(path, ".tmp") || op == which && op == file.OpWrite {
			return with
		}
		return nil
	})
}

var (
	userOne = revoke.Ref{Kind: revoke.User, Key: "usr_1"}
	client  = revoke.Ref{Kind: revoke.Client, Key: "web"}
)

// changes are what may be asked of a home that holds record(1), each with what
// it does to a disk.
func changes() []struct {
	name string
	ops  []string
	do   func(ctx context.Context, h session.Home) error
} {
	next := record(1).Session
	next.Secret = opaque.Hash("next")
	return []struct {
		name string
		ops  []string
		do   func(ctx context.Context, h session.Home) error
	}{
		{"Add", []string{file.OpWrite, file.OpRename}, func(ctx context.Context, h session.Home) error { return h.Add(ctx, record(2)) }},
		{"Renew", []string{file.OpWrite, file.OpRename}, func(ctx context.Context, h session.Home) error {
			_, err := h.Renew(ctx, record(1).Secret, next)
			return err
		}},
		{"Leave", []string{file.OpWrite, file.OpRename}, func(ctx context.Context, h session.Home) error {
			_, _, err := h.Leave(ctx, "ses_1")
			return err
		}},
		{"Touch", []string{file.OpPatch}, func(ctx context.Context, h session.Home) error {
			_, err := h.Touch(ctx, []session.Touch{{ID: "ses_1", Seen: start.Add(time.Minute), IdleUntil: start.Add(2 * time.Hour)}})
			return err
		}},
		{"End", []string{file.OpRemove}, func(ctx context.Context, h session.Home) error {
			_, err := h.End(ctx, userOne, 100)
			return err
		}},
		{"Purge", []string{file.OpRemove}, func(ctx context.Context, h session.Home) error {
			_, err := h.Purge(ctx, start.Add(24*time.Hour), 10)
			return err
		}},
	}
}

func TestRefusedChangeLeavesMemoryAndDiskAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, c := range changes() {
		for _, op := range c.ops {
			t.Run(c.name+" without "+op, func(t *testing.T) {
				t.Parallel()
				o := openOdd(t)
				add(t, o, record(1))
				o.refuse(op, syscall.ENOSPC)
				for range 2 {
					err := c.do(t.Context(), o)
					if !fault.Is(err, fault.Unavailable) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, file.ErrBroken) {
						t.Fatalf("got error %v, want unavailable for lack of space", err)
					}
					has(t, o, record(1))
					if all := files(t, o.dir); !reflect.DeepEqual(all, []string{o.Place("ses_1")}) {
						t.Fatalf("files %v, want that of ses_1 alone", all)
					}
					has(t, open(t, copyOf(t, o.dir)), record(1))
				}
				o.set(func(string, string) error { return nil })
				before := agreed(t, o)
				if err := c.do(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				if reflect.DeepEqual(before, agreed(t, o)) {
					t.Error("nothing changed when there was room again")
				}
				agrees(t, o)
			})
		}
	}
}

// agrees fails the test unless the disk holds what memory does.
func agrees(t *testing.T, o *odd) {
	t.Helper()
	var all []session.Record
	for cursor := ""; ; {
		some, next, err := o.Page(t.Context(), cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
		if next == "" {
			break
		}
		cursor = next
	}
	has(t, open(t, copyOf(t, o.dir)), all...)
}

func TestFailedFlushEndsAllWritingUntilReopened(t *testing.T) {
	t.Parallel()
	for _, c := range changes() {
		if c.name == "Touch" {
			continue // it flushes nothing
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := openOdd(t)
			add(t, o, record(1), record(3))
			o.refuse(file.OpFlush, syscall.EIO)
			if err := c.do(t.Context(), o); !fault.Is(err, fault.Unavailable) || !errors.Is(err, syscall.EIO) || !errors.Is(err, file.ErrBroken) {
				t.Fatalf("got error %v, want unavailable and broken", err)
			}
			o.set(func(string, string) error { return nil })
			for _, later := range changes() {
				if err := later.do(t.Context(), o); !fault.Is(err, fault.Unavailable) || !errors.Is(err, file.ErrBroken) {
					t.Errorf("%s later: got error %v, want unavailable and broken", later.name, err)
				}
			}
			if err := o.Ping(t.Context()); !errors.Is(err, file.ErrBroken) {
				t.Errorf("Ping: got error %v, want broken", err)
			}
			if c.name != "Purge" {
				if _, found, err := o.BySecret(t.Context(), record(3).Secret); err != nil || !found {
					t.Errorf("reading: found %v, error %v", found, err)
				}
			}
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			again := open(t, o.dir)
			if risks, err := again.Risks(t.Context()); err != nil || len(risks) != 0 {
				t.Errorf("risks %q, error %v", risks, err)
			}
			add(t, again, record(4))
		})
	}
}

func TestPingSaysThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	o := openOdd(t)
	for range 2 {
		if err := o.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.refuse(file.OpWrite, syscall.ENOSPC)
		if err := o.Ping(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got error %v, want unavailable", err)
		}
		o.set(func(string, string) error { return nil })
	}
	if all := files(t, o.dir); len(all) != 0 {
		t.Errorf("files left: %v", all)
	}
}

func TestHalfOfAnEndIsToldAndTrue(t *testing.T) {
	t.Parallel()
	o := openOdd(t)
	for n := range 30 {
		add(t, o, record(n))
	}
	var left atomic.Int64
	left.Store(12)
	o.set(func(op, _ string) error {
		if op == file.OpRemove && left.Add(-1) < 0 {
			return syscall.EIO
		}
		return nil
	})
	ids, err := o.End(t.Context(), client, 100)
	if !fault.Is(err, fault.Unavailable) || len(ids) != 12 {
		t.Fatalf("ended %d, error %v", len(ids), err)
	}
	for n := range 30 {
		_, found, err := o.ByID(t.Context(), record(n).ID)
		if err != nil || found == slices.Contains(ids, record(n).ID) {
			t.Errorf("ses_%d: found %v, ended %v, error %v", n, found, !found, err)
		}
	}
	agrees(t, o)
	o.set(func(string, string) error { return nil })
	more, err := o.End(t.Context(), client, 100)
	if err != nil || len(more) != 18 {
		t.Errorf("ended %d more, error %v", len(more), err)
	}
	has(t, o)
}

// TestNobodyWaitsForALongEnd stops an end of many in its middle, and does
// everything else meanwhile.
func TestNobodyWaitsForALongEnd(t *testing.T) {
	t.Parallel()
	o := openOdd(t)
	for n := range 40 {
		add(t, o, record(n))
	}
	other := record(100)
	other.UserID, other.ClientID = "eve", "app"
	add(t, o, other)
	began, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	o.set(func(op, _ string) error {
		if op == file.OpRemove {
			once.Do(func() { close(began) })
			<-goOn
		}
		return nil
	})
	ended := make(chan []string)
	go func() {
		ids, err := o.End(t.Context(), client, 1000)
		if err != nil {
			t.Error(err)
		}
		ended <- ids
	}()
	<-began
	renewed := other.Session
	renewed.Secret = opaque.Hash("renewed")
	if ok, err := o.Renew(t.Context(), other.Secret, renewed); !ok || err != nil {
		t.Errorf("renewal: %v, error %v", ok, err)
	}
	other.Session = renewed
	if n, err := o.Touch(t.Context(), []session.Touch{{ID: other.ID, Seen: start, IdleUntil: start.Add(2 * time.Hour)}}); n != 1 || err != nil {
		t.Errorf("touch: %d, error %v", n, err)
	}
	other.IdleUntil = start.Add(2 * time.Hour)
	fresh := record(101)
	fresh.UserID, fresh.ClientID = "eve", "app"
	add(t, o, fresh)
	if _, found, err := o.BySecret(t.Context(), other.Secret); !found || err != nil {
		t.Errorf("reading: found %v, error %v", found, err)
	}
	close(goOn)
	if ids := <-ended; len(ids) != 40 {
		t.Errorf("ended %d, want 40", len(ids))
	}
	has(t, o, other, fresh)
}

// TestNothingIsSeenBeforeItIsDurable stops changes before their flush.
func TestNothingIsSeenBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	o := openOdd(t)
	add(t, o, record(1))
	began, goOn := make(chan struct{}), make(chan struct{})
	o.set(func(op, _ string) error {
		if op == file.OpFlush {
			began <- struct{}{}
			<-goOn
		}
		return nil
	})
	for _, c := range changes()[:3] {
		done := make(chan error)
		before := agreed(t, o)
		go func() { done <- c.do(t.Context(), o) }()
		<-began
		has(t, o, before...)
		goOn <- struct{}{}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if after := agreed(t, o); reflect.DeepEqual(before, after) {
			t.Errorf("%s changed nothing", c.name)
		}
	}
}

func agreed(t *testing.T, h session.Home) []session.Record {
	t.Helper()
	all, err := h.Of(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
