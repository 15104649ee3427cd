package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

func open(t *testing.T, data, keyFile string) (*app.App, error) {
	t.Helper()
	cfg := config.Config{Data: data, KeyFile: keyFile, Listen: "127.0.0.1:0", Issuer: "http://localhost"}.WithDefaults()
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return a, err
}

func mustOpen(t *testing.T, data string) *app.App {
	t.Helper()
	a, err := open(t, data, "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error is %v, want %q", err, says)
	}
}

func TestDataFolderIsForTheOwnerAndOneProcess(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	mustOpen(t, data)
	for name, want := range map[string]os.FileMode{".": 0o700, "master.key": 0o600, "wafer.db": 0o600, "wafer.lock": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
	if _, err := open(t, data, ""); !errors.Is(err, app.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
}

// CONFIG-001: a master key that others can read, that is missing beside its
// database, or that is another one.
func TestMasterKeyMustBeTheRightOneAndPrivate(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	a := mustOpen(t, data)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(data, "master.key")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	change := func(do error) {
		t.Helper()
		if do != nil {
			t.Fatal(do)
		}
	}
	change(os.Chmod(key, 0o644))
	_, err = open(t, data, "")
	refused(t, err, "chmod 600")
	change(os.Remove(key))
	_, err = open(t, data, "")
	refused(t, err, "put the key back")
	change(os.WriteFile(key, []byte(strings.Repeat("A", 43)), 0o600))
	_, err = open(t, data, "")
	refused(t, err, "not the one")
	change(os.WriteFile(key, []byte("short"), 0o600))
	_, err = open(t, data, "")
	refused(t, err, "want 32 bytes")
	change(os.Remove(key))
	elsewhere := filepath.Join(t.TempDir(), "key")
	change(os.WriteFile(elsewhere, text, 0o600))
	if _, err := open(t, data, elsewhere); err != nil {
		t.Errorf("the right key elsewhere: %v", err)
	}
}

// A socket's path is limited to about a hundred bytes; a data folder's is not.
func TestControlSocketWorksInADeepFolder(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	a := mustOpen(t, data)
	if _, running := app.Dial(data); running {
		t.Error("something runs before Run")
	}
	ctx, stop := context.WithCancel(t.Context())
	up, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- a.Run(ctx, func(app.Address) { close(up) }) }()
	<-up
	rt, running := app.Dial(data)
	if !running {
		t.Fatal("the server is not found")
	}
	res, err := (&http.Client{Transport: rt}).Get("http://localhost/api/v1/users")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !json.Valid(b) {
		t.Errorf("%d %s %v", res.StatusCode, b, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, running := app.Dial(data); running {
		t.Error("something runs after Run")
	}
}

// The management API is open to the owner of the data folder, never to the network.
func TestLocalScopesAreNotForTheNetwork(t *testing.T) {
	t.Parallel()
	a := mustOpen(t, t.TempDir())
	for name, want := range map[string]struct {
		h      http.Handler
		status int
	}{"local": {a.Local(), http.StatusOK}, "public": {a.Public(), http.StatusUnauthorized}} {
		c := http.Client{Transport: app.InProcess(want.h)}
		res, err := c.Get("http://localhost/api/v1/users")
		if err != nil || res.StatusCode != want.status {
			t.Errorf("%s: %v, %v; want %d", name, res.Status, err, want.status)
		}
		res.Body.Close()
	}
}

func TestReadyTellsOfABrokenStore(t *testing.T) {
	t.Parallel()
	a := mustOpen(t, t.TempDir())
	c := http.Client{Transport: app.InProcess(a.Public())}
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := c.Get("http://localhost" + path)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, res, err)
		}
		res.Body.Close()
	}
	h := a.Public()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	c = http.Client{Transport: app.InProcess(h)}
	res, err := c.Get("http://localhost/readyz")
	if err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz without a store: %v %v", res, err)
	}
}
