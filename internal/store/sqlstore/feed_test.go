package sqlstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

func ended(kind revoke.Kind, key string) revoke.Effects {
	return revoke.Effects{Revoke: []revoke.Entry{{Kind: kind, Key: key, At: benchStart}}}
}

// never is a position that no test comes to: only a ring ends the wait for it.
const never = 1 << 40

// heardBy waits on one node for the log to go beyond a position.
func heardBy(t *testing.T, s *sqlstore.Store, after int64) <-chan error {
	t.Helper()
	heard := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		heard <- s.AwaitRevocations(ctx, after)
	}()
	return heard
}

// hasEar waits until so many connections listen to a database.
func hasEar(t *testing.T, name string, want int64) {
	t.Helper()
	server := process.Server(t)
	waitFor(func() bool {
		return server.Number(t, name, "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+name+"' AND query = 'LISTEN wafer_log' AND state = 'idle'") == want
	})
}

func TestDoorbellWakesOtherNodes(t *testing.T) {
	t.Parallel()
	url, name := process.Database(t)
	writer, reader := node(t, url), node(t, url)
	ctx := t.Context()
	for _, news := range []struct {
		name string
		do   func() error
	}{
		{"Record", func() error { _, err := writer.Record(ctx, ended(revoke.User, "ada")); return err }},
		{"WantAcks", func() error { return writer.WantAcks(ctx, benchStart) }},
		{"RaiseEpoch", func() error { _, err := writer.RaiseEpoch(ctx, 1, 0); return err }},
		{"Record again", func() error { _, err := writer.Record(ctx, ended(revoke.User, "ada")); return err }},
	} {
		// Its own entry is heard as well, and shows that it listens.
		check(t, <-ringing(t, reader))
		hasEar(t, name, 1)
		heard := heardBy(t, reader, never)
		waitFor(func() bool { return reader.Waits() })
		check(t, news.do())
		if err := <-heard; err != nil {
			t.Errorf("%s on another node: %v", news.name, err)
		}
	}
}

// ringing records an entry where somebody waits.
func ringing(t *testing.T, s *sqlstore.Store) <-chan error {
	t.Helper()
	head, err := s.Head(t.Context())
	check(t, err)
	heard := heardBy(t, s, head)
	_, err = s.Record(t.Context(), ended(revoke.Token, "t"))
	check(t, err)
	return heard
}

// I17: a node that does not hear learns what happened all the same, and hears again.
func TestMissedNotificationIsOnlyLate(t *testing.T) {
	t.Parallel()
	server := process.Server(t)
	url, name := process.Database(t)
	writer, reader := node(t, url), node(t, url)
	ctx := t.Context()
	endEar := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "' AND query = 'LISTEN wafer_log'"
	check(t, <-ringing(t, reader))
	for range 3 {
		hasEar(t, name, 1)
		head, err := reader.Head(ctx)
		check(t, err)
		server.Do(t, name, endEar)
		seq, err := writer.Record(ctx, ended(revoke.User, "ada"))
		check(t, err)
		check(t, reader.AwaitRevocations(ctx, head)) // whether it was heard or not
		log, err := reader.Revocations(ctx, head, 10)
		check(t, err)
		if len(log) != 1 || log[0].Seq != seq {
			t.Fatalf("after %d: got %v, want %d", head, log, seq)
		}
		hasEar(t, name, 1)
		deaf := heardBy(t, reader, never) // it is woken when its node hears again: nobody knows what was missed
		waitFor(func() bool { return reader.Waits() })
		server.Do(t, name, endEar)
		check(t, <-deaf)
		hasEar(t, name, 1)
		heard := heardBy(t, reader, never)
		waitFor(func() bool { return reader.Waits() })
		_, err = writer.Record(ctx, ended(revoke.User, "bob"))
		check(t, err)
		check(t, <-heard)
	}
}

func TestOnlyNewsIsNotified(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	s := node(t, url)
	ctx := t.Context()
	c, err := pgx.Connect(ctx, url)
	check(t, err)
	defer func() { check(t, c.Close(context.WithoutCancel(ctx))) }()
	_, err = c.Exec(ctx, "LISTEN wafer_log")
	check(t, err)
	check(t, s.AddUser(ctx, user("ada"), revoke.Effects{}))
	check(t, s.StartSession(ctx, login("s1", "ada"), revoke.Effects{}))
	if _, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.User, Key: "eve"}, {Kind: revoke.User, Key: "bob"}}}); err != nil {
		t.Fatal(err)
	}
	check(t, s.AddUser(ctx, user("bob"), revoke.Effects{}))
	check(t, s.NoteVerifiers(ctx, []feed.Note{{ID: "v"}}))
	_, err = c.Exec(ctx, "NOTIFY wafer_log, 'last'")
	check(t, err)
	for _, want := range []string{"", "last"} {
		n, err := c.WaitForNotification(ctx)
		check(t, err)
		if n.Payload != want {
			t.Fatalf("got payload %q, want %q", n.Payload, want)
		}
	}
}

// A commit that was lost on its way back may have been done: whoever waits looks.
func TestDoorbellRingsWhenACommitIsDoubtful(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *sqlstore.Store{
		"SQLite": fresh,
		"PostgreSQL": func(t *testing.T) *sqlstore.Store {
			t.Helper()
			url, _ := process.Database(t)
			return node(t, url)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			head, err := s.Head(t.Context())
			check(t, err)
			heard := heardBy(t, s, head)
			waitFor(func() bool { return s.Waits() })
			undo := s.FailCommits(true)
			if _, err := s.Record(t.Context(), ended(revoke.User, "ada")); err == nil {
				t.Fatal("the commit did not fail: the test tests nothing")
			}
			undo()
			check(t, <-heard)
			log, err := s.Revocations(t.Context(), head, 10)
			check(t, err)
			if len(log) != 1 {
				t.Errorf("got %d entries, want the one that was committed", len(log))
			}
		})
	}
}

func TestRacesOfTheFeedBetweenNodes(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	ctx := t.Context()
	if won := between(t, nodes, func(s *sqlstore.Store, _ int) (bool, error) { return s.RaiseEpoch(ctx, 1, 100) }); won != 1 {
		t.Errorf("the epoch rose %d times, want once", won)
	}
	if won := between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
		err := s.AddVerifier(ctx, feed.Verifier{ID: "v", Name: fmt.Sprint(i)})
		return err == nil, err
	}); won != 1 {
		t.Errorf("%d verifiers took an id, want 1", won)
	}
	between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
		return true, s.NoteVerifiers(ctx, []feed.Note{{ID: "v", Epoch: 2, Applied: int64(i), Seen: benchStart.Add(time.Duration(i))}})
	})
	between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
		return true, s.WantAcks(ctx, benchStart.Add(time.Duration(i)*time.Second))
	})
	for _, s := range nodes {
		head, err := s.FeedHead(ctx)
		check(t, err)
		if want := (feed.Head{Epoch: 2, Seq: 100, EagerUntil: benchStart.Add((racers - 1) * time.Second)}); head != want {
			t.Errorf("got %+v, want %+v", head, want)
		}
		all, err := s.Verifiers(ctx)
		check(t, err)
		if len(all) != 1 || all[0].Applied != racers-1 {
			t.Errorf("got %+v, want one who has applied %d", all, racers-1)
		}
	}
}

// The release before writes entries that name nobody.
func TestEntriesOfTheReleaseBeforeAreRead(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *sqlstore.Store{
		"SQLite": fresh,
		"PostgreSQL": func(t *testing.T) *sqlstore.Store {
			t.Helper()
			url, _ := process.Database(t)
			return node(t, url)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			check(t, s.Do(t.Context(), "UPDATE counters SET value = value + 1 WHERE name = 'revocations'"))
			check(t, s.Do(t.Context(), "INSERT INTO revocations (seq, kind, key, at, keep_until, reason) VALUES (1, 'user', 'ada', 0, 0, 'ban')"))
			log, err := s.Revocations(t.Context(), 0, 10)
			check(t, err)
			if len(log) != 1 || log[0].Key != "ada" || log[0].Subject != "" || log[0].Clients != nil {
				t.Errorf("got %+v", log)
			}
		})
	}
}

// A client whose session has no grants is told as well.
func TestSessionsWithoutGrantsNameTheirClients(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s store.Truth) {
		ctx := t.Context()
		for i, clientID := range []string{"", "web", "app", "web"} {
			one := login(fmt.Sprint("s", i), "ada")
			one.ClientID = clientID
			check(t, s.StartSession(ctx, one, revoke.Effects{}))
		}
		for i, e := range []revoke.Entry{{Kind: revoke.Session, Key: "s3"}, {Kind: revoke.Session, Key: "s0"}, {Kind: revoke.User, Key: "ada"}} {
			_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{e}})
			check(t, err)
			log, err := s.Revocations(ctx, int64(i), 1)
			check(t, err)
			if got, want := fmt.Sprint(log[0].Subject, log[0].Clients), []string{"ada[web]", "ada[]", "ada[app web]"}[i]; got != want {
				t.Errorf("%s %s: got %s, want %s", e.Kind, e.Key, got, want)
			}
		}
	})
}
