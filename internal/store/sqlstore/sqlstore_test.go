package sqlstore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

func open(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A placed store knows where it is.
type placed struct {
	*sqlstore.Store
	path string
}

func openNew(t *testing.T) store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b?c#d%20.db")
	return placed{open(t, path), path}
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{
		Open: openNew,
		Reopen: func(t *testing.T, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return placed{open(t, s.(placed).path), s.(placed).path}
		},
		Recover: func(t *testing.T, s store.Store) store.Store {
			from, to := s.(placed).path, filepath.Join(t.TempDir(), "copy.db")
			for _, suffix := range []string{"", "-wal"} {
				data, err := os.ReadFile(from + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to+suffix, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return placed{open(t, to), to}
		},
	})
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "wafer.db"))
	if err := s.Audit(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Fatalf("got %d files, want the database, its log and its index", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", f.Name(), mode)
		}
	}
}

func TestFileOpenToOthersIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wafer.db")
	for _, c := range []struct {
		mode fs.FileMode
		ok   bool
	}{{0o600, true}, {0o604, false}, {0o602, false}, {0o666, false}, {0o644, false}, {0o640, true}, {0o600, true}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
		if (err == nil) != c.ok {
			t.Fatalf("mode %04o: got error %v, want opened: %v", c.mode, err, c.ok)
		}
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else if !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: error %v names no remedy", c.mode, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNoDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := strings.Repeat("this is no database ", 500)
	path := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]string{"a text": path, "a folder": dir, "in no folder": filepath.Join(dir, "missing", "wafer.db")} {
		if s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: p}); err == nil {
			t.Errorf("%s was opened", name)
			_ = s.Close()
		}
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != text {
		t.Error("the text was changed")
	}
}
