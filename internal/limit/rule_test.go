package limit_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/limit"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWaitDoublesPastTheFreeAttempts(t *testing.T) {
	t.Parallel()
	r := limit.AccountRule("u1")
	now, c := start, limit.Counter{}
	want := []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900}
	for i, w := range want {
		w *= time.Second
		var wait time.Duration
		c, wait = r.Next(c, now)
		if wait != 0 || c.Failures != i+1 || c.Key != r.Key {
			t.Fatalf("attempt %d: %+v, wait %v; want it counted", i+1, c, wait)
		}
		if w == 0 {
			if !c.Until.IsZero() {
				t.Fatalf("attempt %d: waits until %v, want no wait", i+1, c.Until)
			}
			continue
		}
		for _, early := range []time.Duration{0, w / 2, w - 1} {
			same, wait := r.Next(c, now.Add(early))
			if wait != w-early || same != c {
				t.Fatalf("%v after attempt %d: %+v, wait %v; want it unchanged and %v", early, i+1, same, wait, w-early)
			}
		}
		now = now.Add(w)
	}
}

func TestQuietTimeForgets(t *testing.T) {
	t.Parallel()
	r := limit.Rule{Key: "k", Free: 1, Base: time.Second, Max: time.Minute, Forget: time.Hour}
	c, _ := r.Next(limit.Counter{}, start)
	c, _ = r.Next(c, start)
	kept, wait := r.Next(c, start.Add(time.Hour-1))
	if wait != 0 || kept.Failures != 3 {
		t.Errorf("just before: %+v, want a third failure", kept)
	}
	fresh, wait := r.Next(c, start.Add(time.Hour))
	if wait != 0 || fresh.Failures != 1 || !fresh.Until.IsZero() {
		t.Errorf("after the quiet time: %+v, want a new counter", fresh)
	}
}

// A wait that was stored while the clock was a year ahead must not last a year.
func TestWrongClockDoesNotLockOut(t *testing.T) {
	t.Parallel()
	r := limit.AccountRule("u1")
	c := limit.Counter{Key: r.Key, Failures: 9, Last: start.AddDate(1, 0, 0)}
	c, _ = r.Next(c, start.AddDate(1, 0, 0))
	c, wait := r.Next(c, start)
	if wait != 0 || c.Failures != 11 {
		t.Fatalf("%+v, wait %v; want the attempt counted", c, wait)
	}
	if _, wait = r.Next(c, start); wait != 32*time.Second {
		t.Errorf("next wait %v, want the ordinary 32 s", wait)
	}
}

func TestManyFailuresWaitNoLongerThanMax(t *testing.T) {
	t.Parallel()
	r := limit.Rule{Key: "k", Base: time.Nanosecond, Max: 365 * 24 * time.Hour, Forget: 400 * 24 * time.Hour}
	for _, n := range []int{60, 1000, 1 << 30} {
		c, _ := r.Next(limit.Counter{Key: "k", Failures: n, Last: start}, start)
		if d := c.Until.Sub(start); d != r.Max {
			t.Errorf("after %d failures: %v, want %v", n, d, r.Max)
		}
	}
}

// LOGIN-004: 500 attempts at once, and the same under several rules.
func TestParallelAttemptsCannotPassTheLimitTogether(t *testing.T) {
	t.Parallel()
	store := newFake()
	account := limit.AccountRule("u1")
	rules := append(limit.NetworkRules(netip.MustParseAddr("192.0.2.7")), account)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			wait, err := store.Attempt(t.Context(), rules, start)
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != int32(account.Free)+1 {
		t.Errorf("%d attempts passed, want %d", n, account.Free+1)
	}
	for _, r := range rules {
		if n := store.failures(r.Key); n != account.Free+1 {
			t.Errorf("%s counts %d, want what passed, %d", r.Key, n, account.Free+1)
		}
	}
	// The victim waits a second and is in.
	if wait, err := store.Attempt(t.Context(), rules, start.Add(time.Second)); wait != 0 || err != nil {
		t.Errorf("a second later: wait %v, %v", wait, err)
	}
}

func TestOneWaitingRuleCountsNothingAndTheLongestWaitIsReturned(t *testing.T) {
	t.Parallel()
	short := limit.Rule{Key: "short", Base: time.Second, Max: time.Second, Forget: time.Minute}
	long := limit.Rule{Key: "long", Base: 3 * time.Second, Max: 3 * time.Second, Forget: time.Minute}
	free := limit.Rule{Key: "free", Free: 9, Base: time.Second, Max: time.Second, Forget: time.Minute}
	store := newFake()
	rules := []limit.Rule{short, long, free}
	if wait, err := store.Attempt(t.Context(), rules, start); wait != 0 || err != nil {
		t.Fatalf("first attempt: wait %v, %v", wait, err)
	}
	for _, tt := range []struct{ after, want time.Duration }{{0, 3 * time.Second}, {2 * time.Second, time.Second}} {
		if wait, err := store.Attempt(t.Context(), rules, start.Add(tt.after)); wait != tt.want || err != nil {
			t.Errorf("after %v: wait %v, %v; want %v", tt.after, wait, err, tt.want)
		}
	}
	for _, r := range rules {
		if n := store.failures(r.Key); n != 1 {
			t.Errorf("%s counts %d, want 1", r.Key, n)
		}
	}
	if wait, err := store.Attempt(t.Context(), rules, start.Add(3*time.Second)); wait != 0 || err != nil {
		t.Errorf("at the end of the wait: %v, %v", wait, err)
	}
}

func TestSuccessClearsTheAccountAndRefundsTheNetwork(t *testing.T) {
	t.Parallel()
	store := newFake()
	account := limit.AccountRule("u1")
	network := limit.NetworkRules(netip.MustParseAddr("192.0.2.7"))
	keys := []string{network[0].Key, network[1].Key}
	for i := range 3 {
		if wait, err := store.Attempt(t.Context(), append(network, account), start); wait != 0 || err != nil {
			t.Fatalf("attempt %d: wait %v, %v", i, wait, err)
		}
	}
	if err := store.Refund(t.Context(), []string{account.Key, "no such"}, append(keys, "no such either")); err != nil {
		t.Fatal(err)
	}
	if n := store.failures(account.Key); n != 0 {
		t.Errorf("account counts %d after a success, want 0", n)
	}
	for _, k := range keys {
		if n := store.failures(k); n != 2 {
			t.Errorf("%s counts %d, want the two failures before", k, n)
		}
	}
	if n, err := store.PurgeCounters(t.Context(), start.Add(time.Second)); n != 2 || err != nil {
		t.Errorf("purged %d, %v; want the two that are left", n, err)
	}
}

// Many people behind one address who all sign in rightly must not be slowed down.
func TestSuccessesFromOneNetworkNeverAddUp(t *testing.T) {
	t.Parallel()
	store := newFake()
	rules := limit.NetworkRules(netip.MustParseAddr("2001:db8::1"))
	keys := limit.NetworkKeys(netip.MustParseAddr("2001:db8::1"))
	for i := range 1000 {
		if wait, err := store.Attempt(t.Context(), rules, start); wait != 0 || err != nil {
			t.Fatalf("login %d: wait %v, %v", i, wait, err)
		}
		if err := store.Refund(t.Context(), nil, keys); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.failures(keys[0]); n != 0 {
		t.Errorf("%d failures, want 0", n)
	}
}

func TestTakeBackHalvesTheWait(t *testing.T) {
	t.Parallel()
	r := limit.AccountRule("u1")
	c := limit.Counter{Key: r.Key, Failures: 7, Last: start}
	eight, _ := r.Next(c, start)
	got, keep := limit.TakeBack(eight)
	if want := (limit.Counter{Key: r.Key, Failures: 7, Last: start, Until: start.Add(2 * time.Second)}); !keep || got != want {
		t.Errorf("%+v, %v; want %+v", got, keep, want)
	}
	for _, n := range []int{1, 0, -3} {
		if got, keep := limit.TakeBack(limit.Counter{Key: "k", Failures: n}); keep {
			t.Errorf("%d failures taken back: %+v, want nothing left", n, got)
		}
	}
}

func TestNetworkKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, address, narrow, wide string }{
		{"IPv4", "192.0.2.77", "network/192.0.2.77/32", "network/192.0.2.0/24"},
		{"IPv4 inside IPv6", "::ffff:192.0.2.77", "network/192.0.2.77/32", "network/192.0.2.0/24"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "network/2001:db8:1:2::/64", "network/2001:db8:1::/48"},
		{"IPv6 with a zone", "fe80::1%eth0", "network/fe80::/64", "network/fe80::/48"},
		{"loopback", "127.0.0.1", "network/127.0.0.1/32", "network/127.0.0.0/24"},
		{"none", "", "network/unknown", "network/unknown/wide"},
	} {
		var address netip.Addr
		if tt.address != "" {
			address = netip.MustParseAddr(tt.address)
		}
		got := limit.NetworkKeys(address)
		if len(got) != 2 || got[0] != tt.narrow || got[1] != tt.wide {
			t.Errorf("%s: %v, want %s and %s", tt.name, got, tt.narrow, tt.wide)
		}
	}
}

func TestDefaultRulesAreValidAndBadOnesAreNot(t *testing.T) {
	t.Parallel()
	for _, r := range append(limit.NetworkRules(netip.Addr{}), limit.AccountRule("u1")) {
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
		if r.Forget > limit.KeepFor {
			t.Errorf("%s remembers longer than KeepFor", r.Key)
		}
	}
	for _, tt := range []struct {
		name string
		bad  func(*limit.Rule)
	}{
		{"no key", func(r *limit.Rule) { r.Key = "" }},
		{"negative free", func(r *limit.Rule) { r.Free = -1 }},
		{"no base", func(r *limit.Rule) { r.Base = 0 }},
		{"max below base", func(r *limit.Rule) { r.Max = r.Base - 1 }},
		{"forgets within its wait", func(r *limit.Rule) { r.Forget = r.Max }},
	} {
		r := limit.AccountRule("u1")
		tt.bad(&r)
		if err := r.Validate(); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}
