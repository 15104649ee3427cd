package app_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestDatabaseVaultKeepsWhatNodesShare(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), memory.New()
	one, two := app.DatabaseVault(store), app.DatabaseVault(store)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, found, err := two.Load(ctx, "a/b"); found || err != nil {
		t.Errorf("what is not there: %v, %v", found, err)
	}
	for _, key := range []string{"a/b", "a/c/d", "ab", "z"} {
		check(one.Store(ctx, key, []byte("old"), noon))
		check(one.Store(ctx, key, []byte("value of "+key), noon))
	}
	value, stored, found, err := two.Load(ctx, "a/c/d")
	if err != nil || !found || string(value) != "value of a/c/d" || !stored.Equal(noon) {
		t.Errorf("%q at %v, %v, %v", value, stored, found, err)
	}
	for prefix, want := range map[string][]string{"": {"a/b", "a/c/d", "ab", "z"}, "a": {"a/b", "a/c/d"}, "a/c": {"a/c/d"}, "z": nil} {
		if got, err := two.List(ctx, prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v; want %v", prefix, got, err, want)
		}
	}
	check(two.Delete(ctx, "a"))
	check(two.Delete(ctx, "a"))
	if got, err := one.List(ctx, ""); err != nil || !slices.Equal(got, []string{"ab", "z"}) {
		t.Errorf("after delete: %v, %v", got, err)
	}
}

func TestDatabaseVaultLeaseHasOneHolderAndEndsByItself(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), memory.New()
	lock := func(holder string, now time.Time) bool {
		t.Helper()
		taken, err := app.DatabaseVault(store).Lock(ctx, "order", holder, now, now.Add(time.Minute))
		if err != nil {
			t.Error(err)
		}
		return taken
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if lock(fmt.Sprint("node ", i), noon) {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d nodes have the lease", won.Load())
	}
	if lock("late", noon.Add(59*time.Second)) {
		t.Error("a lease was taken from its holder")
	}
	if !lock("late", noon.Add(time.Minute)) || !lock("late", noon.Add(90*time.Second)) {
		t.Error("a lease whose holder is gone was not to be had, or not prolonged")
	}
	v := app.DatabaseVault(store)
	if err := v.Unlock(ctx, "order", "node 0"); err != nil || lock("next", noon.Add(91*time.Second)) {
		t.Errorf("a stranger ended a lease: %v", err)
	}
	if err := v.Unlock(ctx, "order", "late"); err != nil || !lock("next", noon.Add(92*time.Second)) {
		t.Errorf("a lease was not given back: %v", err)
	}
}
