package https_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// bubbleNow is the time inside a synctest bubble.
func bubbleNow() time.Time { return <-time.After(0) }

// openStorages returns two nodes' storages on one vault.
func openStorages(t *testing.T, now func() time.Time) (one, two certmagic.Storage, v https.Vault, path string) {
	t.Helper()
	v, other, path := openVaults(t)
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	open := func(v https.Vault) certmagic.Storage {
		return https.NewStorage(https.Options{Vault: v, Seal: root.Derive("tls vault"), Now: now, Log: (&logged{}).slog()})
	}
	return open(v), open(other), v, path
}

func TestStorageIsWhatCertmagicExpects(t *testing.T) {
	t.Parallel()
	s, other, _, _ := openStorages(t, newClock().now)
	ctx := t.Context()
	if _, err := s.Load(ctx, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of nothing: %v", err)
	}
	if _, err := s.Stat(ctx, "a"); !errors.Is(err, fs.ErrNotExist) || s.Exists(ctx, "a") {
		t.Errorf("stat of nothing: %v", err)
	}
	if _, err := s.List(ctx, "a", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list of nothing: %v", err)
	}
	for _, key := range []string{"a/b/c/d", "a/b/e", "a/f", "ab"} {
		must(t, s.Store(ctx, key, []byte(key)))
	}
	if b, err := other.Load(ctx, "a/b/e"); err != nil || string(b) != "a/b/e" {
		t.Errorf("%q, %v", b, err)
	}
	if i, err := other.Stat(ctx, "a/f"); err != nil || !i.IsTerminal || i.Size != 3 || i.Key != "a/f" || i.Modified.IsZero() {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := other.Stat(ctx, "a/b"); err != nil || i.IsTerminal || !other.Exists(ctx, "a/b") {
		t.Errorf("a folder: %+v, %v", i, err)
	}
	for _, tc := range []struct {
		prefix    string
		recursive bool
		want      string
	}{{"a", false, "a/b a/f"}, {"a", true, "a/b a/b/c a/b/c/d a/b/e a/f"}, {"", false, "a ab"}, {"a/b", false, "a/b/c a/b/e"}} {
		if got, err := other.List(ctx, tc.prefix, tc.recursive); err != nil || !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("list %q %v: %v, %v; want %s", tc.prefix, tc.recursive, got, err, tc.want)
		}
	}
	must(t, s.Delete(ctx, "a/b"))
	must(t, s.Delete(ctx, "a/b"))
	if other.Exists(ctx, "a/b/e") || !other.Exists(ctx, "a/f") {
		t.Error("delete took too little or too much")
	}
}

// Whoever can write to the vault, but has no master key, must not be able to put
// one value in the place of another.
func TestValueMovedInTheVaultIsRefused(t *testing.T) {
	t.Parallel()
	s, _, v, path := openStorages(t, newClock().now)
	must(t, s.Store(t.Context(), "mine", []byte("key of mine")))
	must(t, s.Store(t.Context(), "yours", []byte("key of yours")))
	moved, err := os.ReadFile(filepath.Join(path, "values", "yours"))
	must(t, err)
	must(t, v.Store(t.Context(), "mine", moved, newClock().now()))
	if b, err := s.Load(t.Context(), "mine"); !errors.Is(err, opaque.ErrSealed) {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := s.Load(t.Context(), "yours"); err != nil || string(b) != "key of yours" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLockIsProlongedUntilItIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, other, v, _ := openStorages(t, bubbleNow)
		ctx, cancel := context.WithCancel(t.Context())
		must(t, s.Lock(ctx, "order"))
		got := make(chan error, 1)
		go func() { got <- other.Lock(t.Context(), "order") }()
		cancel() // who ordered was given up on, but is still at it
		<-time.After(10 * time.Minute)
		select {
		case err := <-got:
			t.Fatalf("two have it: %v", err)
		default:
		}
		must(t, s.Unlock(ctx, "order"))
		must(t, <-got)
		if err := s.Unlock(t.Context(), "order"); err == nil {
			t.Error("unlocked what is another's")
		}
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := s.Lock(late, "order"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting beyond its time: %v", err)
		}
		must(t, other.Unlock(t.Context(), "order"))

		now := bubbleNow()
		taken, err := v.Lock(t.Context(), "order", "somebody who dies", now, now.Add(time.Minute))
		if err != nil || !taken {
			t.Fatal(taken, err)
		}
		must(t, s.Lock(t.Context(), "order"))
		if waited := bubbleNow().Sub(now); waited < time.Minute || waited > 61*time.Second {
			t.Errorf("waited %s for a dead one", waited)
		}
		must(t, s.Unlock(t.Context(), "order"))
	})
}
