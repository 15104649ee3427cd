package redis_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/redistest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/redis"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

// A kept home knows the server it was opened on.
type kept struct {
	*redis.Home
	server *redistest.Server
}

func open(t testing.TB, s *redistest.Server) kept {
	t.Helper()
	return kept{openURL(t, s.URL()), s}
}

func openURL(t testing.TB, url string) *redis.Home {
	t.Helper()
	h, err := redis.Open(t.Context(), redis.Config{URL: url, Now: time.Now})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestHome(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{
		Open: func(t *testing.T) session.Home { return open(t, redistest.Start(t, redistest.Durable...)) },
		Reopen: func(t *testing.T, h session.Home) session.Home {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			server := h.(kept).server
			server.Stop()
			server.Start()
			return open(t, server)
		},
		Recover: func(t *testing.T, h session.Home) session.Home {
			server := h.(kept).server
			server.Kill()
			server.Start()
			return open(t, server)
		},
		Second: func(t *testing.T, h session.Home) session.Home { return open(t, h.(kept).server) },
	})
}

// raw is a plain client, to see and to spoil what the home keeps.
func raw(t testing.TB, s *redistest.Server) func(words ...string) rueidis.RedisResult {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Address()}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return func(words ...string) rueidis.RedisResult {
		t.Helper()
		return c.Do(t.Context(), c.B().Arbitrary(words...).Build())
	}
}

func keys(t testing.TB, do func(...string) rueidis.RedisResult, pattern string) []string {
	t.Helper()
	all, err := do("KEYS", pattern).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func at(d time.Duration) time.Time {
	return time.Date(2026, 8, 1, 12, 0, 0, 123_456_000, time.UTC).Add(d)
}

func record(id, user string) session.Record {
	return session.Record{Session: session.Session{
		ID: id, Secret: opaque.Hash("secret of " + id), UserID: user, ClientID: "web", CreatedAt: at(0), AuthTime: at(0), AMR: []string{"pwd"},
		SeenAt: at(0), IdleUntil: at(time.Hour), ExpiresAt: at(24 * time.Hour), Address: "203.0.113.5", Agent: strings.Repeat("Mozilla/5.0 ", 8),
	}}
}

func add(t testing.TB, h session.Home, all ...session.Record) {
	t.Helper()
	for _, r := range all {
		if err := h.Add(t.Context(), r); err != nil {
			t.Fatalf("add %s: %v", r.ID, err)
		}
	}
}

// fill adds many records at once: user "many" has every second one.
func fill(t testing.TB, h session.Home, name string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := w; i < n; i += 50 {
				if err := h.Add(t.Context(), record(fmt.Sprint(name, i), []string{"many", fmt.Sprint("u", i)}[i%2])); err != nil {
					t.Errorf("add: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func there(t testing.TB, h session.Home, r session.Record) bool {
	t.Helper()
	_, byID, err := h.ByID(t.Context(), r.ID)
	if err != nil {
		t.Fatalf("by id: %v", err)
	}
	_, bySecret, err := h.BySecret(t.Context(), r.Secret)
	if err != nil {
		t.Fatalf("by secret: %v", err)
	}
	if byID != bySecret {
		t.Fatalf("%s: found by id %v, by secret %v", r.ID, byID, bySecret)
	}
	return byID
}

func TestNothingIsLeftBehindButTheFormat(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h, do := open(t, s), raw(t, s)
	add(t, h, record("s1", "ada"), record("s2", "ada"), record("s3", "bob"))
	next := record("s1", "ada").Session
	next.Secret = opaque.Hash("next")
	if ok, err := h.Renew(t.Context(), opaque.Hash("secret of s1"), next); err != nil || !ok {
		t.Fatalf("renew: %v, %v", ok, err)
	}
	if got := len(keys(t, do, "wafer:r:*")); got != 3 {
		t.Errorf("%d records, want 3", got)
	}
	if _, err := h.End(t.Context(), revoke.Ref{Kind: revoke.User, Key: "ada"}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Purge(t.Context(), at(2*time.Hour), 10); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, do, "*"); len(got) != 1 || got[0] != "wafer:format" {
		t.Errorf("left behind: %q", got)
	}
}

// TestRecordsGoByThemselves: a record has a time to live that begins with its use
// and ends an hour after it is dead, whatever the clocks say; lists have none.
func TestRecordsGoByThemselves(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h, do := open(t, s), raw(t, s)
	r := record("s1", "ada") // its times are long past, or far ahead, by the server's clock
	add(t, h, r)
	left := func() time.Duration {
		t.Helper()
		key := keys(t, do, "wafer:r:*")
		ms, err := do("PTTL", key[0]).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ms) * time.Millisecond
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got > want || got < want-time.Minute {
			t.Errorf("%s: kept for %v, want %v", what, got, want)
		}
	}
	near("new", left(), 2*time.Hour)
	if n, err := h.Touch(t.Context(), []session.Touch{{ID: "s1", Seen: at(30 * time.Minute), IdleUntil: at(10*time.Hour + 30*time.Minute)}}); n != 1 || err != nil {
		t.Fatalf("touch: %d, %v", n, err)
	}
	near("used", left(), 11*time.Hour)
	next := r.Session
	next.Secret, next.SeenAt, next.IdleUntil = opaque.Hash("next"), at(31*time.Minute), at(36*time.Minute)
	if ok, err := h.Renew(t.Context(), r.Secret, next); err != nil || !ok {
		t.Fatalf("renew: %v, %v", ok, err)
	}
	near("renewed", left(), time.Hour+5*time.Minute)
	if _, found, err := h.Leave(t.Context(), "s1"); err != nil || !found {
		t.Fatalf("leave: %v, %v", found, err)
	}
	near("leaving", left(), time.Hour+5*time.Minute)
	for _, key := range []string{"wafer:i:s1", "wafer:u:ada", "wafer:c:web", "wafer:all", "wafer:dead"} {
		if ttl, err := do("TTL", key).AsInt64(); err != nil || ttl != -1 {
			t.Errorf("%s goes by itself: %d, %v", key, ttl, err)
		}
	}
}

// TestWhatRedisDroppedIsNotThereAndIsPurged: lists outlive a record that its time
// to live, or an eviction, took.
func TestWhatRedisDroppedIsNotThereAndIsPurged(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h, do := open(t, s), raw(t, s)
	gone, stays := record("gone", "ada"), record("stays", "ada")
	gone.IdleUntil = at(time.Minute)
	add(t, h, gone)
	do("DEL", keys(t, do, "wafer:r:*")[0])
	add(t, h, stays)
	if there(t, h, gone) || !there(t, h, stays) {
		t.Fatal("want the other one alone")
	}
	of, err := h.Of(t.Context(), revoke.Ref{Kind: revoke.User, Key: "ada"})
	if err != nil || len(of) != 1 || of[0].ID != "stays" {
		t.Fatalf("listed: %v, %v", of, err)
	}
	some, _, err := h.Page(t.Context(), "", 10)
	if err != nil || len(some) != 1 {
		t.Fatalf("page: %v, %v", some, err)
	}
	if n, err := h.Touch(t.Context(), []session.Touch{{ID: "gone", Seen: at(1), IdleUntil: at(time.Hour)}}); n != 0 || err != nil {
		t.Fatalf("touch: %d, %v", n, err)
	}
	ids, err := h.Purge(t.Context(), at(time.Minute), 10)
	if err != nil || len(ids) != 1 || ids[0] != "gone" {
		t.Fatalf("purged: %v, %v", ids, err)
	}
	if got := keys(t, do, "wafer:i:*"); len(got) != 1 {
		t.Fatalf("cards: %q", got)
	}

	// Its id and secret may be taken again, also before the purge.
	do("DEL", keys(t, do, "wafer:r:*")[0])
	again := record("stays", "eve")
	add(t, h, again)
	for user, want := range map[string]int{"ada": 0, "eve": 1} {
		if of, err := h.Of(t.Context(), revoke.Ref{Kind: revoke.User, Key: user}); err != nil || len(of) != want {
			t.Errorf("sessions of %s: %v, %v", user, of, err)
		}
	}
}

// TestSecretThatWasFreeAgainIsNotMixedUp: the card of a record that Redis dropped
// names a secret that is another's by now.
func TestSecretThatWasFreeAgainIsNotMixedUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h, do := open(t, s), raw(t, s)
	old, other := record("old", "ada"), record("other", "bob")
	other.Secret = old.Secret
	add(t, h, old)
	do("DEL", keys(t, do, "wafer:r:*")[0])
	add(t, h, other)
	if _, found, err := h.ByID(t.Context(), "old"); err != nil || found {
		t.Errorf("the dropped one: %v, %v", found, err)
	}
	for _, ref := range []revoke.Ref{{Kind: revoke.Session, Key: "old"}, {Kind: revoke.User, Key: "ada"}} {
		if ids, err := h.End(t.Context(), ref, 1); err != nil || len(ids) != 0 {
			t.Errorf("end of %v: %v, %v", ref, ids, err)
		}
	}
	if !there(t, h, other) {
		t.Error("the other one is gone")
	}
}

// TestForeignValuesAreErrorsThatNameTheKey: never half a session, and what is to
// end ends beside them.
func TestForeignValuesAreErrorsThatNameTheKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(do func(...string) rueidis.RedisResult, recordKey string) string
	}{
		{"another text", func(do func(...string) rueidis.RedisResult, key string) string { do("SET", key, "hello"); return key }},
		{"another type", func(do func(...string) rueidis.RedisResult, key string) string {
			do("DEL", key)
			do("HSET", key, "id", "bad")
			return key
		}},
		{"half a record", func(do func(...string) rueidis.RedisResult, key string) string {
			all, _ := do("GET", key).ToString()
			do("SET", key, all[:100])
			return key
		}},
		{"another card", func(do func(...string) rueidis.RedisResult, _ string) string {
			do("SET", "wafer:i:bad", "hello")
			return "wafer:i:bad"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			h, do := open(t, s), raw(t, s)
			bad, good := record("bad", "ada"), record("good", "ada")
			add(t, h, bad)
			key := c.spoil(do, keys(t, do, "wafer:r:*")[0])
			add(t, h, good)
			ctx := t.Context()
			named := func(what string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: got error %v, want one that names %s", what, err, key)
				}
			}
			_, _, err := h.ByID(ctx, "bad")
			named("by id", err)
			if strings.Contains(key, ":r:") {
				_, _, err = h.BySecret(ctx, bad.Secret)
				named("by secret", err)
			}
			_, err = h.Of(ctx, revoke.Ref{Kind: revoke.User, Key: "ada"})
			named("of", err)
			_, _, err = h.Page(ctx, "", 10)
			named("page", err)
			_, _, err = h.Leave(ctx, "bad")
			named("leave", err)
			_, err = h.Renew(ctx, bad.Secret, bad.Session)
			named("renew", err)
			named("add", h.Add(ctx, bad))
			n, err := h.Touch(ctx, []session.Touch{{ID: "bad", Seen: at(1), IdleUntil: at(time.Hour)}, {ID: "good", Seen: at(1), IdleUntil: at(time.Hour)}})
			if n != 1 || err != nil {
				t.Errorf("touch: %d, %v", n, err)
			}
			ids, err := h.End(ctx, revoke.Ref{Kind: revoke.User, Key: "ada"}, 1)
			named("end", err)
			if len(ids) != 1 || ids[0] != "good" {
				t.Errorf("ended beside it: %v", ids)
			}
			add(t, h, good)
			ids, err = h.Purge(ctx, at(100*time.Hour), 10)
			named("purge", err)
			if len(ids) != 1 || ids[0] != "good" {
				t.Errorf("purged beside it: %v", ids)
			}
			if there(t, h, good) {
				t.Error("the good one is still there")
			}
			do("DEL", key)
			if ids, err = h.Purge(ctx, at(100*time.Hour), 10); err != nil || len(ids) != 1 {
				t.Errorf("purge after the operator removed it: %v, %v", ids, err)
			}
		})
	}
}

// lines is a log to look at.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func logTo(l *lines) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
