package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/pgtest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

// acknowledged is what the writers of a test were told is durable.
type acknowledged struct {
	mu  sync.Mutex
	ids []string
	n   atomic.Int64
}

func (a *acknowledged) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = append(a.ids, id)
	a.n.Add(1)
}

// load writes from several goroutines on each node until it is stopped. An error
// must say that storage is unavailable.
func load(t *testing.T, nodes ...*sqlstore.Store) (told *acknowledged, stop func()) {
	told = &acknowledged{}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, s := range nodes {
		for j := range 4 {
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					id := fmt.Sprintf("usr_%d_%d_%d", i, j, n)
					fx := revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Token, Key: id}}, Audit: []audit.Event{{Action: "add", Target: id}}}
					switch err := s.AddUser(context.Background(), user(id), fx); {
					case err == nil:
						told.add(id)
					case !fault.Is(err, fault.Unavailable):
						t.Errorf("write: got %v, want unavailable", err)
					}
				}
			})
		}
	}
	return told, func() {
		cancel()
		all.Wait()
	}
}

// more waits until something more was acknowledged.
func (a *acknowledged) more(t *testing.T) {
	t.Helper()
	want := a.n.Load() + 20
	waitFor(func() bool { return a.n.Load() >= want || t.Context().Err() != nil })
}

// whole checks that nothing acknowledged is missing, and that each change is there
// with its effects or not at all.
func (a *acknowledged) whole(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	ctx := t.Context()
	there := map[string]int{}
	users, err := s.Users(ctx, "", 1_000_000)
	check(t, err)
	for _, u := range users {
		there[u.ID]++
	}
	entries, err := s.Revocations(ctx, 0, 1_000_000)
	check(t, err)
	for i, e := range entries {
		there[e.Key]++
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has position %d: the log has a hole", i+1, e.Seq)
		}
	}
	events, err := s.Events(ctx, 0, 1_000_000)
	check(t, err)
	for _, e := range events {
		there[e.Target]++
	}
	for id, n := range there {
		if n != 3 {
			t.Errorf("%s: %d of user, entry and event are there", id, n)
		}
	}
	for _, id := range a.ids {
		if there[id] == 0 {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	if len(a.ids) == 0 {
		t.Error("nothing was acknowledged: the test tests nothing")
	}
}

// works checks that every connection serves again, none with an error.
func works(t *testing.T, nodes ...*sqlstore.Store) {
	t.Helper()
	for _, s := range nodes {
		for range 20 {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, err := s.Head(t.Context()); err != nil {
						t.Errorf("read after the server is back: %v", err)
					}
				})
			}
			all.Wait()
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("write after the server is back: %v", err)
		}
	}
}

func TestRestartedServerLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	nodes := []*sqlstore.Store{node(t, server.URL("postgres")), node(t, server.URL("postgres"))}
	told, stop := load(t, nodes...)
	told.more(t)
	for name, end := range map[string]func(testing.TB){"stop": server.Stop, "crash": server.Crash} {
		end(t)
		if _, err := nodes[0].Head(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("read after %s: got %v, want unavailable", name, err)
		}
		server.Start(t)
		told.more(t)
		works(t, nodes...)
	}
	stop()
	told.whole(t, nodes[1])
}

// A connection that lost its server while nobody used it costs no request.
func TestRestartBetweenRequestsIsNotNoticed(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := node(t, server.URL("postgres"))
	h := openHome(t, sqlstore.Config{URL: server.URL("postgres")})
	works(t, s)
	check(t, h.Ping(t.Context()))
	server.Stop(t)
	server.Start(t)
	check(t, h.Ping(t.Context()))
	works(t, s)
	if n := server.Number(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'wafer'"); n > 1+8+8 {
		t.Errorf("%d connections, want at most a writer and two times eight", n)
	}
}

func TestKilledBackendsLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	nodes := []*sqlstore.Store{node(t, server.URL("postgres")), node(t, server.URL("postgres"))}
	told, stop := load(t, nodes...)
	for range 15 {
		told.more(t)
		server.Do(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wafer'")
	}
	told.more(t)
	stop()
	works(t, nodes...)
	told.whole(t, nodes[0])
}

func TestPausedServerHonorsDeadlinesOfReaders(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := node(t, server.URL("postgres"))
	s.Patience(2 * time.Second)
	works(t, s)
	told, stop := load(t, s)
	told.more(t)
	server.Pause(t)
	var all sync.WaitGroup
	for range 12 { // more than there are connections
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := s.Head(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
		})
	}
	all.Wait()
	if _, err := s.Head(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("read without a deadline: got %v, want unavailable", err)
	}
	if err := s.Audit(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("write: got %v, want unavailable", err)
	}
	server.Resume(t)
	told.more(t)
	stop()
	works(t, s)
	told.whole(t, s)
}

// A node that stands still inside a transaction must not keep the others from
// writing: the server ends it.
func TestNodeThatStandsStillLetsOthersWrite(t *testing.T) {
	t.Parallel()
	process.Server(t)
	nodes := twoNodes(t)
	release := nodes[0].Stall()
	check(t, nodes[1].AddUser(t.Context(), user("other"), revoke.Effects{}))
	release()
	check(t, nodes[0].AddUser(t.Context(), user("own"), revoke.Effects{}))
	works(t, nodes[:]...)
}

func TestCommitThatIsInDoubtIsUnavailable(t *testing.T) {
	t.Parallel()
	process.Server(t)
	nodes := twoNodes(t)
	for _, done := range []bool{true, false} {
		undo := nodes[0].FailCommits(done)
		id := fmt.Sprint("user", done)
		if err := nodes[0].AddUser(t.Context(), user(id), revoke.Effects{}); !fault.Is(err, fault.Unavailable) || errors.Is(err, sqlstore.ErrBroken) {
			t.Errorf("got %v, want unavailable, not broken", err)
		}
		undo()
		if _, found, err := nodes[1].UserByID(t.Context(), id); found != done || err != nil {
			t.Errorf("done %v: found %v, error %v", done, found, err)
		}
		works(t, nodes[:]...)
	}
}

func TestServerThatIsNotThereIsAnErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: "postgres://wafer:hunter2@127.0.0.1:1/wafer?sslmode=disable"})
	if err == nil {
		t.Fatal("opened")
	}
	for _, said := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err)} {
		if bad := "hunter2"; strings.Contains(said, bad) {
			t.Errorf("error shows the password: %s", said)
		}
	}
	if _, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: "postgres://wafer:hunter2@127.0.0.1:port/wafer"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("URL that is none: got %v", err)
	}
}
