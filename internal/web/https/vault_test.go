package https_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/https"
)

// openVaults returns two nodes' views of one vault.
func openVaults(t *testing.T) (one, two https.Vault, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "vault")
	a, err := https.OpenFolder(path)
	must(t, err)
	b, err := https.OpenFolder(path)
	must(t, err)
	return a, b, path
}

func TestVaultKeepsWhatWasStored(t *testing.T) {
	t.Parallel()
	v, other, path := openVaults(t)
	ctx, now := t.Context(), newClock().now()
	if _, _, found, err := v.Load(ctx, "a/b"); found || err != nil {
		t.Errorf("what is not there: %v, %v", found, err)
	}
	for _, key := range []string{"a/b", "a/c/d", "ab", "z"} {
		must(t, v.Store(ctx, key, []byte("old "+key), now))
		must(t, v.Store(ctx, key, []byte("value of "+key), now))
	}
	value, stored, found, err := other.Load(ctx, "a/c/d")
	if err != nil || !found || string(value) != "value of a/c/d" || stored.IsZero() {
		t.Errorf("%q at %v, %v, %v", value, stored, found, err)
	}
	for _, folder := range []string{"a", "a/c", "ab/c"} {
		if _, _, found, err := v.Load(ctx, folder); found || err != nil {
			t.Errorf("%s is no value: %v, %v", folder, found, err)
		}
	}
	for prefix, want := range map[string][]string{"": {"a/b", "a/c/d", "ab", "z"}, "a": {"a/b", "a/c/d"}, "a/c": {"a/c/d"}, "z": nil, "none": nil} {
		got, err := other.List(ctx, prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v; want %v", prefix, got, err, want)
		}
	}
	must(t, v.Delete(ctx, "a"))
	must(t, v.Delete(ctx, "a"))
	if got, err := other.List(ctx, ""); err != nil || !slices.Equal(got, []string{"ab", "z"}) {
		t.Errorf("after delete: %v, %v", got, err)
	}
	must(t, filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		info, infoErr := d.Info()
		if err == nil && infoErr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %#o", p, info.Mode().Perm())
		}
		return errors.Join(err, infoErr)
	}))
}

// A name that a stranger chose, as part of a key, must not lead out of the folder.
func TestVaultKeyCannotLeaveTheFolder(t *testing.T) {
	t.Parallel()
	v, _, path := openVaults(t)
	must(t, os.WriteFile(filepath.Join(path, "secret"), []byte("x"), 0o600))
	for _, key := range []string{"../secret", "..", ".", "", "/etc/passwd", "a/../../secret", "a//b", "a\\..\\b", "a\x00b", ".new-1"} {
		_, _, _, loadErr := v.Load(t.Context(), key)
		if err := v.Store(t.Context(), key, []byte("y"), newClock().now()); err == nil || loadErr == nil {
			t.Errorf("key %q: store %v, load %v", key, err, loadErr)
		}
		if err := v.Delete(t.Context(), key); err == nil {
			t.Errorf("key %q is deleted", key)
		}
	}
	if b, err := os.ReadFile(filepath.Join(path, "secret")); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	must(t, v.Store(t.Context(), "a/..b", []byte("y"), newClock().now()))
}

func TestLeaseHasOneHolderAndEndsByItself(t *testing.T) {
	t.Parallel()
	v, other, _ := openVaults(t)
	c := newClock()
	lock := func(v https.Vault, holder string, want bool) {
		t.Helper()
		taken, err := v.Lock(t.Context(), "issue ../x", holder, c.now(), c.now().Add(time.Minute))
		if err != nil || taken != want {
			t.Errorf("%s: %v, %v; want %v", holder, taken, err, want)
		}
	}
	lock(v, "a", true)
	lock(other, "b", false)
	c.forward(40 * time.Second)
	lock(v, "a", true) // prolonged
	c.forward(40 * time.Second)
	lock(other, "b", false)
	c.forward(21 * time.Second)
	lock(other, "b", true) // a died
	must(t, v.Unlock(t.Context(), "issue ../x", "a"))
	lock(v, "a", false) // a gives nothing back that is no longer its own
	must(t, other.Unlock(t.Context(), "issue ../x", "b"))
	lock(v, "a", true)
}

func TestLeaseHasOneWinner(t *testing.T) {
	t.Parallel()
	v, other, _ := openVaults(t)
	now := newClock().now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []string
	for i := range 16 {
		node := []https.Vault{v, other}[i%2]
		wg.Go(func() {
			holder := fmt.Sprint(i)
			taken, err := node.Lock(t.Context(), "one", holder, now, now.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if taken {
				mu.Lock()
				won = append(won, holder)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("winners: %s", strings.Join(won, ", "))
	}
}
