package sqlstore_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

// nextRelease is what a later release may do to the tables while this one runs.
var nextRelease = []string{
	"ALTER TABLE sessions ADD COLUMN next_note TEXT",
	"ALTER TABLE users ADD COLUMN next_level BIGINT NOT NULL DEFAULT 1",
	"ALTER TABLE grants ADD COLUMN next_level BIGINT NOT NULL DEFAULT 1",
	"ALTER TABLE counters ADD COLUMN next_note TEXT",
	"CREATE TABLE next_things (id TEXT NOT NULL PRIMARY KEY)",
	"CREATE INDEX next_sessions ON sessions (auth_time)",
	"INSERT INTO counters (name, value) VALUES ('next', 0)",
}

func TestRunsOnTheTablesOfTheNextRelease(t *testing.T) {
	t.Parallel()
	later := func(t *testing.T, at sqlstore.Config) {
		t.Helper()
		if err := sqlstore.Migration(t.Context(), at, nextRelease...); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, storetest.Backend{Open: func(t *testing.T) store.Store {
			s := openNew(t).(placed)
			later(t, sqlstore.Config{Path: s.path})
			return s
		}})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		process.Server(t)
		storetest.Run(t, storetest.Backend{Open: func(t *testing.T) store.Store {
			url, _ := process.Database(t)
			s := node(t, url)
			later(t, sqlstore.Config{URL: url})
			return s
		}})
	})
}

var (
	comment     = regexp.MustCompile(`--[^\n]*`)
	destructive = regexp.MustCompile(`(?i)\b(DROP|RENAME|TRUNCATE\s+(TABLE\s+)?\w+\s*;|ALTER\s+COLUMN|SET\s+NOT\s+NULL|ADD\s+CONSTRAINT)\b`)
	addColumn   = regexp.MustCompile(`(?i)ADD\s+COLUMN([^;]*);`)
	harmless    = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)
	unique      = regexp.MustCompile(`(?i)CREATE\s+UNIQUE\s+INDEX`)
)

// additive is what keeps a file from running beside the release before it, "" for
// one that does not.
func additive(text string, first bool) string {
	text = comment.ReplaceAllString(text, "")
	if found := destructive.FindString(text); found != "" {
		return found
	}
	if first {
		return ""
	}
	if found := unique.FindString(text); found != "" {
		return found
	}
	for _, column := range addColumn.FindAllStringSubmatch(text, -1) {
		if strings.Contains(strings.ToUpper(column[1]), "NOT NULL") && !harmless.MatchString(column[1]) {
			return "ADD COLUMN" + column[1]
		}
	}
	return ""
}

func TestMigrationsAreAdditive(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"ALTER TABLE a ADD COLUMN b TEXT;": true, "ALTER TABLE a ADD COLUMN b TEXT NOT NULL DEFAULT '';": true, "-- drop\nCREATE TABLE a (b TEXT);": true,
		"ALTER TABLE a ADD COLUMN b TEXT NOT NULL;": false, "DROP TABLE a;": false, "ALTER TABLE a RENAME TO b;": false,
		"ALTER TABLE a ALTER COLUMN b TYPE TEXT;": false, "alter table a drop column b;": false, "CREATE UNIQUE INDEX a ON b (c);": false,
	} {
		if got := additive(text, false); (got == "") != want {
			t.Errorf("%s: got %q, want it additive: %v", text, got, want)
		}
	}
	seen := 0
	err := fs.WalkDir(sqlstore.Migrations, "migrations", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sqlstore.Migrations, path)
		if err != nil {
			return err
		}
		seen++
		if bad := additive(string(text), strings.HasPrefix(filepath.Base(path), "00001")); bad != "" {
			t.Errorf("%s: the release before it cannot run beside it: %s", path, bad)
		}
		return nil
	})
	check(t, err)
	if seen < 6 {
		t.Errorf("saw %d files, want at least 6", seen)
	}
}
