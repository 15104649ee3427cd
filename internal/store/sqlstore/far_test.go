package sqlstore_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

func TestTextsPostgreSQLRefusesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, text := range []string{
		"", "plain", "größe 😀", "\x00", "a\x00b", "\xff", "\xc3", "\xed\xa0\x80", "\U0010FFFF", "\U0010FFFF00", "\U0010FFFF\x00", "\x0000", "\uFFFD",
		"\U0010FFFF\U0010FFFF", "\xf4\x8f\xbf", strings.Repeat("\x00", 100),
	} {
		stored := sqlstore.Escaped(text)
		if !utf8.ValidString(stored) || strings.Contains(stored, "\x00") {
			t.Errorf("%q is stored as %q, which is refused", text, stored)
		}
		if back := sqlstore.Unescaped(stored); back != text {
			t.Errorf("%q came back as %q", text, back)
		}
		if other, taken := seen[stored]; taken {
			t.Errorf("%q and %q are stored as one", text, other)
		}
		seen[stored] = text
	}
	for _, made := range []string{"\U0010FFFF", "\U0010FFFFz", "\U0010FFFF0", "\U0010FFFFzz"} {
		_ = sqlstore.Unescaped(made) // by hand, in SQL; must not panic
	}
}

func TestPostgreSQLUsesIndexes(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	s := node(t, url)
	queries := append(sqlstore.Ends(), sqlstore.Snapshots...)
	queries = append(append(queries, sqlstore.Tables()...), sqlstore.NewestOf(7))
	queries = append(queries, sqlstore.Protocols...)
	for _, query := range queries {
		plan, err := s.FarPlan(t.Context(), query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if strings.Contains(plan, "Seq Scan") && !strings.Contains(query, "FROM tokens WHERE api_id") {
			t.Errorf("%s\nreads all of a table:\n%s", query, plan)
		}
	}
}

// A commit waits for the disk whatever the server's default is; more than that is
// left as it is.
func TestPostgreSQLCommitsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	server := process.Server(t)
	for set, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		url, name := process.Database(t)
		server.Do(t, "postgres", "ALTER DATABASE "+name+" SET synchronous_commit = "+set)
		server.Do(t, "postgres", "ALTER DATABASE "+name+" SET default_transaction_isolation = 'serializable'")
		s := node(t, url)
		for setting, want := range map[string]string{
			"synchronous_commit": want, "transaction_isolation": "read committed", "idle_in_transaction_session_timeout": "5s",
		} {
			got, err := s.SettingOf(t.Context(), setting)
			check(t, err)
			if got != want {
				t.Errorf("server has synchronous_commit %s: %s is %q, want %q", set, setting, got, want)
			}
		}
	}
}

func TestRisksOfAServerAreTold(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	h := openHome(t, sqlstore.Config{URL: url})
	risks, err := h.Risks(t.Context())
	check(t, err)
	// The server of the tests runs with both off.
	if len(risks) != 2 || !strings.Contains(risks[0], "fsync") || !strings.Contains(risks[1], "full_page_writes") {
		t.Errorf("got %q, want fsync and full_page_writes", risks)
	}
	risks, err = open(t, t.TempDir()+"/wafer.db").Sessions().Risks(t.Context())
	check(t, err)
	if len(risks) != 0 {
		t.Errorf("a file: got %q, want none", risks)
	}
}

// A touch rewrites no index, but for once an hour.
func TestTouchesLeaveIndexesAlone(t *testing.T) {
	t.Parallel()
	server := process.Server(t)
	url, name := process.Database(t)
	s := node(t, url)
	check(t, s.StartSession(t.Context(), login("s1", "ada"), revoke.Effects{}))
	for i := range 50 {
		// The session's limit stays within an hour of the clock.
		one := session.Touch{ID: "s1", Seen: benchStart.Add(time.Duration(i) * time.Millisecond), IdleUntil: benchStart.Add(time.Duration(i) * time.Millisecond).Add(90 * time.Minute)}
		if n, err := s.TouchSessions(t.Context(), []session.Touch{one}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	check(t, s.Close())
	const counted = "SELECT coalesce(n_tup_upd - n_tup_hot_upd, -1) FROM pg_stat_user_tables WHERE relname = 'sessions' AND n_tup_upd >= 50"
	waitFor(func() bool {
		return server.Number(t, name, "SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'sessions' AND n_tup_upd >= 50") == 1
	})
	if cold := server.Number(t, name, counted); cold > 5 {
		t.Errorf("%d of 50 touches rewrote indexes, want at most 5", cold)
	}
}
