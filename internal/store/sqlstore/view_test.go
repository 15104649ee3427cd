package sqlstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

func web(version int64, disabled bool) client.Client {
	return client.Client{ID: "web", Name: "Web", Kind: client.Public, Disabled: disabled, Version: version}
}

// shown is the client in a snapshot, as ids and positions.
func shown(t *testing.T, s *sqlstore.Store) string {
	t.Helper()
	st, err := s.Snapshot(t.Context(), grant.Query{ClientID: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if st.Client == nil {
		return fmt.Sprintf("none at %d", st.RSN)
	}
	return fmt.Sprintf("%s %d %v at %d", st.Client.Name, st.Client.Version, st.Client.Disabled, st.RSN)
}

func TestRegistersReadBeforeAChangeAreForgotten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wafer.db")
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddClient(t.Context(), web(1, false), revoke.Effects{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	want := func(want string) {
		t.Helper()
		for range 3 {
			if got := shown(t, s); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	want("Web 1 false at 0")
	// A change by hand, in SQL, counts like any other.
	if err := s.Do(t.Context(), `UPDATE clients SET body = json_set(body, '$.name', 'By hand')`); err != nil {
		t.Fatal(err)
	}
	want("By hand 1 false at 0")
	if ok, err := s.ChangeClient(t.Context(), web(1, true), revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Client, Key: "web"}}}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	want("Web 2 true at 1")
}

// A change that is rolled back leaves what is known as it was, also what was read
// inside the transaction.
func TestRolledBackChangeIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if err := s.AddClient(t.Context(), web(1, false), revoke.Effects{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(t.Context(), "INSERT INTO grants VALUES ('g1', 's1', 'u1', 'web', 'a', '[]', 0, 0, 1, 0, 0, '')"); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(t, s), "Web 1 false at 0"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	undo := s.FailCommits(false)
	release := s.Stall()
	seen := make(chan string, 1)
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.ChangeClient(t.Context(), web(1, true), revoke.Effects{}) })
	waitFor(func() bool { return s.Queued() == 1 })
	all.Go(func() {
		_ = s.ChangeGrant(t.Context(), "g1", func(st grant.State) grant.Change {
			seen <- fmt.Sprint(st.Client.Version)
			return grant.Change{}
		})
	})
	waitFor(func() bool { return s.Queued() == 2 })
	release()
	all.Wait()
	if got := <-seen; got != "2" {
		t.Errorf("inside the transaction: version %s, want 2", got)
	}
	if got, want := shown(t, s), "Web 1 false at 0"; got != want {
		t.Errorf("after a failed commit: got %s, want %s", got, want)
	}
	undo()
	if ok, err := s.ChangeClient(t.Context(), client.Client{ID: "web", Name: "Other", Kind: client.Public, Version: 1}, revoke.Effects{}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for range 3 {
		if got, want := shown(t, s), "Other 2 false at 0"; got != want {
			t.Errorf("after the next commit: got %s, want %s", got, want)
		}
	}
}

// An error of a commit does not tell whether it was done: nothing is known then.
func TestDoubtfulCommitIsReadFromTheFile(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if err := s.AddClient(t.Context(), web(1, false), revoke.Effects{}); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(t, s), "Web 1 false at 0"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	undo := s.FailCommits(true)
	fx := revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Client, Key: "web"}}}
	if ok, err := s.ChangeClient(t.Context(), web(1, true), fx); ok || !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v %v, want unavailable", ok, err)
	}
	for range 3 {
		if got, want := shown(t, s), "Web 2 true at 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	undo()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(t, s), "Web 2 true at 1"; got != want {
		t.Errorf("after the next commit: got %s, want %s", got, want)
	}
}

// TestSnapshotWithAPositionShowsItsClient is I3 at the place where memory and
// file meet: changes, entries and snapshots from many goroutines, with batches
// that hold several changes.
func TestSnapshotWithAPositionShowsItsClient(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	const clients, turns = 6, 60
	var ended [clients]atomic.Int64 // a position, and the version that a client has from there on at least
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers, readers sync.WaitGroup
	id := func(i int) string { return fmt.Sprint("c", i) }
	for i := range clients {
		if err := s.AddClient(t.Context(), client.Client{ID: id(i), Kind: client.Public}, revoke.Effects{}); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			for version := int64(1); version < turns; version++ {
				ok, err := s.ChangeClient(t.Context(), client.Client{ID: id(i), Kind: client.Public, Disabled: version%2 == 1, Version: version}, revoke.Effects{})
				if !ok || err != nil {
					t.Errorf("change %s: %v %v", id(i), ok, err)
					return
				}
				seq, err := s.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Client, Key: id(i), At: benchStart}}})
				if err != nil {
					t.Error(err)
					return
				}
				// Whoever sees position seq sees version+1 or a later one.
				ended[i].Store(seq<<16 | (version + 1))
			}
		})
		readers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				mark := ended[i].Load()
				seq, version := mark>>16, mark&0xffff
				q := grant.Query{ClientID: id(i)}
				if n%3 == 2 {
					q.UserID = "nobody" // through the file
				}
				st, err := s.Snapshot(t.Context(), q)
				if err != nil {
					t.Error(err)
					return
				}
				if st.RSN < seq || st.Client.Version < version {
					t.Errorf("%+v: version %d at position %d, after version %d was ended at %d", q, st.Client.Version, st.RSN, version, seq)
					return
				}
				if later := ended[i].Load(); st.RSN >= later>>16 && st.Client.Version < later&0xffff {
					t.Errorf("%+v: version %d at position %d, but from %d on it is %d", q, st.Client.Version, st.RSN, later>>16, later&0xffff)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
}
