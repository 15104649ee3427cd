package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

var start = time.Date(2026, 8, 1, 12, 0, 0, 123_456_000, time.UTC)

// placed remembers where a home is.
type placed struct {
	*file.Home
	dir string
}

func open(t *testing.T, dir string) placed {
	t.Helper()
	h, err := file.Open(t.Context(), file.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, h)
	return placed{h, dir}
}

func closeAfter(t *testing.T, h *file.Home) {
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

func record(n int) session.Record {
	id := fmt.Sprint("ses_", n)
	return session.Record{RSN: int64(n), Session: session.Session{
		ID: id, Secret: opaque.Hash("secret of " + id), UserID: fmt.Sprint("usr_", n%10), ClientID: "web", CreatedAt: start, AuthTime: start,
		AMR: []string{"pwd"}, SeenAt: start, IdleUntil: start.Add(time.Hour), ExpiresAt: start.Add(24 * time.Hour), Address: "192.0.2.1", Agent: "test", Binding: "bound",
	}}
}

func add(t *testing.T, h session.Home, all ...session.Record) {
	t.Helper()
	for _, r := range all {
		if err := h.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// has fails the test unless the home holds exactly these.
func has(t *testing.T, h session.Home, all ...session.Record) {
	t.Helper()
	for _, r := range all {
		got, found, err := h.ByID(t.Context(), r.ID)
		if err != nil || !found || !reflect.DeepEqual(got, r) {
			t.Fatalf("record %s: found %v, error %v\n got %+v\nwant %+v", r.ID, found, err, got, r)
		}
	}
	if n, err := h.Count(t.Context()); err != nil || n != int64(len(all)) {
		t.Fatalf("%d records, error %v, want %d", n, err, len(all))
	}
}

func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestHomeKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{
		Open: func(t *testing.T) session.Home { return open(t, filepath.Join(t.TempDir(), "sessions")) },
		Reopen: func(t *testing.T, h session.Home) session.Home {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, h.(placed).dir)
		},
		Recover: func(t *testing.T, h session.Home) session.Home { return open(t, copyOf(t, h.(placed).dir)) },
	})
}

func TestFilesAreTheOwnersAloneAndTellNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "sessions")
	h := open(t, dir)
	const cookie = "the value of the cookie"
	r := record(1)
	r.ID, r.Secret = "../../ses_1", opaque.Hash(cookie)
	add(t, h, r)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		if strings.Contains(path, "ses_1") {
			t.Errorf("an id became a name: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, dir)
	if len(all) != 1 || all[0] != h.Place(r.ID) {
		t.Fatalf("files %v, want %s alone", all, h.Place(r.ID))
	}
	data, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(cookie)) || !bytes.Contains(data, []byte(`"version":1,`)) {
		t.Errorf("file is %s", data)
	}
}

func TestFolderThatOthersCanOpenIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o701, 0o710, 0o750, 0o777} {
		dir := filepath.Join(t.TempDir(), "sessions")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := open(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Open(t.Context(), file.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("mode %04o: got error %v, want to be told to run chmod", mode, err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		open(t, dir)
	}
}

func TestFolderOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.MkdirAll(filepath.Join(full, "precious"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", plain, filepath.Join(plain, "below"), full} {
		if h, err := file.Open(t.Context(), file.Config{Dir: dir}); err == nil {
			t.Errorf("%q: no error", dir)
			closeAfter(t, h)
		}
	}
	if inside, err := os.ReadDir(full); err != nil || len(inside) != 1 {
		t.Errorf("a refused folder was changed: %v, error %v", inside, err)
	}
}

func TestOneHomeUsesAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	h := open(t, dir)
	add(t, h, record(1))
	if _, err := file.Open(t.Context(), file.Config{Dir: dir}); !errors.Is(err, file.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second home: got error %v, want %v", err, file.ErrLocked)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, open(t, dir), record(1))
}

func TestLeftoversOfCrashedWritesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	h := open(t, dir)
	add(t, h, record(1))
	for _, path := range []string{h.Place("ses_1") + ".tmp", h.Place("ses_2") + ".tmp", filepath.Join(dir, "probe.tmp")} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, dir)
	has(t, h, record(1))
	if risks, err := h.Risks(t.Context()); err != nil || len(risks) != 0 {
		t.Errorf("risks %q, error %v", risks, err)
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("files left: %v", all)
	}
}

// damages are what may happen to the file of a session; the others stay.
func damages() map[string]func(t *testing.T, h placed, path string, data []byte) {
	write := func(t *testing.T, path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]func(*testing.T, placed, string, []byte){
		"empty":     func(t *testing.T, _ placed, path string, _ []byte) { write(t, path, nil) },
		"truncated": func(t *testing.T, _ placed, path string, data []byte) { write(t, path, data[:len(data)-40]) },
		"one bit":   func(t *testing.T, _ placed, path string, data []byte) { data[len(data)-60] ^= 1; write(t, path, data) },
		"another version": func(t *testing.T, _ placed, path string, data []byte) {
			write(t, path, bytes.Replace(data, []byte(`"version":1,`), []byte(`"version":2,`), 1))
		},
		"another user": func(t *testing.T, _ placed, path string, data []byte) {
			write(t, path, bytes.Replace(data, []byte("usr_2"), []byte("usr_3"), 1))
		},
		"twice": func(t *testing.T, _ placed, path string, data []byte) { write(t, path, append(data, data[102:]...)) },
		"too long": func(t *testing.T, _ placed, path string, data []byte) {
			write(t, path, append(data, bytes.Repeat([]byte{' '}, 1<<20)...))
		},
		"another's name": func(t *testing.T, _ placed, path string, _ []byte) { write(t, path, encode(t, record(9))) },
		"a copy": func(t *testing.T, h placed, path string, _ []byte) {
			data, err := os.ReadFile(h.Place("ses_1"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, data)
		},
		"a folder": func(t *testing.T, _ placed, path string, _ []byte) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
		"a link": func(t *testing.T, h placed, path string, _ []byte) {
			if err := errors.Join(os.Remove(path), os.Symlink(h.Place("ses_1"), path)); err != nil {
				t.Fatal(err)
			}
		},
		"not to be read": func(t *testing.T, _ placed, path string, _ []byte) {
			if os.Geteuid() == 0 {
				t.Skip("root reads everything")
			}
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestDamagedFileCountsAsNoneAndIsNamed(t *testing.T) {
	t.Parallel()
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "sessions")
			h := open(t, dir)
			add(t, h, record(1), record(2))
			path := h.Place("ses_2")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			damage(t, h, path, data)

			var log bytes.Buffer
			again, err := file.Open(t.Context(), file.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			closeAfter(t, again)
			has(t, again, record(1))
			risks, err := again.Risks(t.Context())
			if err != nil || len(risks) != 1 || !strings.Contains(risks[0], path) || !strings.Contains(log.String(), path) {
				t.Errorf("risks %q, error %v, log %q: want %s named", risks, err, log.String(), path)
			}
			if name == "a folder" {
				return
			}
			add(t, again, record(2))
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			has(t, open(t, dir), record(1), record(2))
		})
	}
}

func TestTwoFilesWithOneSecretAreOneSession(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	h := open(t, dir)
	add(t, h, record(1))
	twin := record(2)
	twin.Secret = record(1).Secret
	data, err := file.Encode(twin)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Close(), os.WriteFile(h.Place("ses_2"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	h = open(t, dir)
	risks, err := h.Risks(t.Context())
	if n, counted := h.Count(t.Context()); err != nil || counted != nil || n != 1 || len(risks) != 1 {
		t.Errorf("%d records, risks %q, errors %v, %v", n, risks, err, counted)
	}
}

func TestTouchOfALostOrDamagedFilePutsItBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	h := open(t, dir)
	add(t, h, record(1), record(2), record(3))
	if err := errors.Join(os.Remove(h.Place("ses_1")), os.Truncate(h.Place("ses_2"), 10)); err != nil {
		t.Fatal(err)
	}
	var touches []session.Touch
	var want []session.Record
	for n := 1; n <= 3; n++ {
		r := record(n)
		r.SeenAt, r.IdleUntil = start.Add(time.Minute), start.Add(2*time.Hour)
		want = append(want, r)
		touches = append(touches, session.Touch{ID: r.ID, Seen: r.SeenAt, IdleUntil: r.IdleUntil})
	}
	if n, err := h.Touch(t.Context(), touches); err != nil || n != 3 {
		t.Fatalf("touched %d, error %v", n, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, open(t, dir), want...)
}

func TestEndOfALostFileWorks(t *testing.T) {
	t.Parallel()
	h := open(t, filepath.Join(t.TempDir(), "sessions"))
	add(t, h, record(1))
	if err := os.Remove(h.Place("ses_1")); err != nil {
		t.Fatal(err)
	}
	ids, err := h.End(t.Context(), revoke.Ref{Kind: revoke.Session, Key: "ses_1"}, 100)
	if err != nil || !reflect.DeepEqual(ids, []string{"ses_1"}) {
		t.Errorf("ended %v, error %v", ids, err)
	}
	has(t, h)
}

func TestOpenStopsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sessions")
	h := open(t, dir)
	add(t, h, record(1))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := file.Open(ctx, file.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	has(t, open(t, dir), record(1))
}
