package revocation_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wafer-auth/wafer/verify/revocation"
)

const forever = 1 << 40

func user(i int) revocation.Subject {
	return revocation.Subject{
		TokenID: fmt.Sprintf("tok_%d", i), SessionID: fmt.Sprintf("ses_%d", i), GrantID: fmt.Sprintf("gra_%d", i),
		Subject: fmt.Sprintf("usr_%d", i), ClientID: "shop", API: "https://orders.example", KeyID: "key_1",
	}
}

func TestEachKindCoversWhatHangsFromIt(t *testing.T) {
	t.Parallel()
	secret := revocation.Secret{7}
	for _, c := range []struct {
		kind   revocation.Kind
		id     string
		always bool
	}{
		{revocation.Token, "tok_1", true}, {revocation.Session, "ses_1", false}, {revocation.Grant, "gra_1", false},
		{revocation.User, "usr_1", false}, {revocation.Claims, "usr_1", false}, {revocation.Client, "shop", false},
		{revocation.API, "https://orders.example", false}, {revocation.SignKey, "key_1", true},
	} {
		set, keys, other := revocation.NewSet(), secret.Keys(user(1)), secret.Keys(revocation.Subject{Subject: "usr_9", SessionID: "ses_9"})
		if set.Covers(&keys, 0) {
			t.Fatal("an empty set covers something")
		}
		set.Add(revocation.Entry{Kind: c.kind, Key: secret.Key(c.kind, c.id), Seq: 10, KeepUntil: forever})
		if !set.Covers(&keys, 9) {
			t.Errorf("kind %d does not cover what was minted before it", c.kind)
		}
		// I11: what was minted with the knowledge of an entry is not refused for it.
		if got := set.Covers(&keys, 10); got != c.always {
			t.Errorf("kind %d covers what was minted after it: %t, want %t", c.kind, got, c.always)
		}
		if set.Covers(&other, 0) {
			t.Errorf("kind %d covers somebody else", c.kind)
		}
	}
}

// I4, I13: whatever the order and however often, the same entries make the same set.
func TestSetDoesNotDependOnOrderOrRepetition(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		entries := make([]revocation.Entry, 300)
		for i := range entries {
			entries[i] = revocation.Entry{Kind: revocation.User, Key: uint64(r.IntN(100)+1) * 0x9e3779b97f4a7c15, Seq: int64(i + 1), KeepUntil: int64(1000 + r.IntN(50))}
		}
		straight, mixed := revocation.NewSet(), revocation.NewSet()
		for _, e := range entries {
			straight.Add(e)
		}
		for _, i := range r.Perm(3 * len(entries)) {
			mixed.Add(entries[i%len(entries)])
		}
		a, b := map[uint64]revocation.Entry{}, map[uint64]revocation.Entry{}
		for _, e := range straight.Entries() {
			a[e.Key] = e
		}
		for _, e := range mixed.Entries() {
			b[e.Key] = e
		}
		if len(a) != len(b) || straight.Len() != len(a) || mixed.Len() != len(b) {
			t.Fatalf("%d and %d keys", len(a), len(b))
		}
		for key, e := range a {
			if b[key] != e {
				t.Fatalf("key %x: %v and %v", key, e, b[key])
			}
		}
	}
}

// I4: an older entry that comes late lowers nothing.
func TestLateEntryLowersNothing(t *testing.T) {
	t.Parallel()
	set := revocation.NewSet()
	for _, seq := range []int64{20, 5} {
		set.Add(revocation.Entry{Kind: revocation.User, Key: 42, Seq: seq, KeepUntil: forever})
	}
	if !set.CoversKey(42, 19) {
		t.Error("an older entry lowered a newer one")
	}
	set.Add(revocation.Entry{Kind: revocation.None, Key: 43, Seq: 30, KeepUntil: forever})
	if set.CoversKey(43, 0) || set.Len() != 1 {
		t.Error("an entry of no kind was kept")
	}
}

func TestExpiryDropsOnlyWhatIsPast(t *testing.T) { // I9
	t.Parallel()
	set := revocation.NewSet()
	const n = 10_000
	for i := range n {
		set.Add(revocation.Entry{Kind: revocation.Session, Key: hash(i), Seq: int64(i + 1), KeepUntil: int64(i)})
	}
	set.Expire(4_999)
	if set.Len() != n-5_000 {
		t.Errorf("%d entries are left, want %d", set.Len(), n-5_000)
	}
	for i := range n {
		if got, want := set.CoversKey(hash(i), 0), i > 4_999; got != want {
			t.Fatalf("entry kept until %d is there: %t, want %t", i, got, want)
		}
	}
	set.Expire(forever)
	if set.Len() != 0 {
		t.Error("something outlived its time")
	}
}

func hash(i int) uint64 { return (revocation.Secret{3}).Key(revocation.Session, fmt.Sprint(i)) }

// A reader never misses an entry that was there before it asked, while the set
// grows and is swept.
func TestReadersNeverMissWhatWasThere(t *testing.T) {
	t.Parallel()
	set := revocation.NewSet()
	const n = 20_000
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = hash(i)
	}
	var there atomic.Int64
	var done atomic.Bool
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(3, 4))
			for !done.Load() {
				if have := there.Load(); have > 0 {
					if i := r.Int64N(have); !set.CoversKey(keys[i], 0) {
						t.Errorf("entry %d of %d was missed", i, have)
						return
					}
				}
				runtime.Gosched()
			}
		})
	}
	for i, key := range keys {
		set.Add(revocation.Entry{Kind: revocation.User, Key: key, Seq: int64(i + 1), KeepUntil: forever})
		there.Store(int64(i + 1))
		if i%1000 == 999 {
			set.Add(revocation.Entry{Kind: revocation.User, Key: key + 1, Seq: 1, KeepUntil: 1})
			set.Expire(2)
		}
	}
	done.Store(true)
	all.Wait()
	if set.Len() != n {
		t.Errorf("%d entries, want %d", set.Len(), n)
	}
}

func BenchmarkCoversAllKeysOfAToken(b *testing.B) {
	for _, n := range []int{0, 1_000, 1_000_000} {
		for _, writing := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d entries/writer=%t", n, writing), func(b *testing.B) { benchCovers(b, n, writing) })
		}
	}
}

func benchCovers(b *testing.B, n int, writing bool) {
	set := revocation.NewSet()
	for i := range n {
		set.Add(revocation.Entry{Kind: revocation.Session, Key: hash(i), Seq: 5, KeepUntil: forever})
	}
	keys := make([]revocation.Keys, 1024)
	for i := range keys {
		keys[i] = (revocation.Secret{3}).Keys(user(n + i))
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	if writing {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				set.Add(revocation.Entry{Kind: revocation.Session, Key: hash(i % max(n, 1)), Seq: 6, KeepUntil: forever})
				runtime.Gosched()
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if set.Covers(&keys[i&1023], 1) {
			b.Fatal("covered")
		}
	}
	b.StopTimer()
	close(stop)
	all.Wait()
}
