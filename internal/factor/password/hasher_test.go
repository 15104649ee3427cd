package password_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

func TestHashIsVerifiedAndSalted(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{Params: password.DefaultParams(), Workers: 1})
	one, err := h.Hash(t.Context(), "orange tricycle on the roof")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q, want the OWASP parameters", one)
	}
	two, err := h.Hash(t.Context(), "orange tricycle on the roof")
	if err != nil || one == two {
		t.Errorf("the same password twice: equal hashes, %v", err)
	}
	res, err := h.Verify(t.Context(), password.Attempt{Encoded: one, Password: "orange tricycle on the roof"})
	if want := (password.Result{OK: true}); err != nil || res != want {
		t.Errorf("right password: %+v, %v; want %+v", res, err, want)
	}
	res, err = h.Verify(t.Context(), password.Attempt{Encoded: one, Password: "orange tricycle on the rooF"})
	if err != nil || res != (password.Result{}) {
		t.Errorf("wrong password: %+v, %v", res, err)
	}
}

// LOGIN-010: odd and long passwords. Only the one that was set matches.
func TestOnlyTheExactBytesMatch(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{})
	set := []string{
		"plain", " leading", "trailing ", "tab\t", "nul\x00inside", "nul at end\x00", "\x00", "emoji \U0001f510\U0001f9c7",
		"caf\u00e9", "cafe\u0301", // NFC and NFD are two passwords
		strings.Repeat("x", 64), strings.Repeat("x", 71), strings.Repeat("x", 72), strings.Repeat("x", 73),
		strings.Repeat("x", 128), strings.Repeat("x", password.MaxBytes-1), "not utf-8 \xff",
	}
	for _, p := range set {
		encoded, err := h.Hash(t.Context(), p)
		if err != nil {
			t.Fatalf("%.20q: %v", p, err)
		}
		tries := append([]string{p + "x", p + " ", p + "\x00", " " + p, p[:len(p)-1], strings.ToUpper(p), strings.TrimSpace(p)}, set...)
		for _, try := range tries {
			res, err := h.Verify(t.Context(), password.Attempt{Encoded: encoded, Password: try})
			if errors.Is(err, password.ErrEmpty) && try == "" {
				continue
			}
			if err != nil || res.OK != (try == p) {
				t.Errorf("set %.20q (%d bytes), tried %.20q (%d bytes): %+v, %v", p, len(p), try, len(try), res, err)
			}
		}
	}
}

// LOGIN-010, LOGIN-011: nothing is computed for what cannot be a password.
func TestEmptyAndOversizedAreRefusedWithoutHashing(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{})
	var computed atomic.Int32
	password.Observe(h, func() { computed.Add(1) })
	longest := strings.Repeat("x", password.MaxBytes)
	encoded, err := h.Hash(t.Context(), longest)
	if err != nil {
		t.Fatal(err)
	}
	computed.Store(0)
	for _, tt := range []struct {
		name     string
		password string
		want     error
	}{
		{"empty", "", password.ErrEmpty},
		{"one byte over the cap", longest + "x", password.ErrTooLong},
		{"a mebibyte", strings.Repeat("x", 1<<20), password.ErrTooLong},
	} {
		for _, stored := range []string{encoded, ""} {
			if _, err := h.Verify(t.Context(), password.Attempt{Encoded: stored, Password: tt.password}); !errors.Is(err, tt.want) {
				t.Errorf("%s: verify: %v, want %v", tt.name, err, tt.want)
			}
		}
		if _, err := h.Hash(t.Context(), tt.password); !errors.Is(err, tt.want) {
			t.Errorf("%s: hash: %v, want %v", tt.name, err, tt.want)
		}
		if _, err := h.Rehash(t.Context(), tt.password); !errors.Is(err, tt.want) {
			t.Errorf("%s: rehash: %v, want %v", tt.name, err, tt.want)
		}
	}
	if n := computed.Load(); n != 0 {
		t.Errorf("%d hashes computed, want none", n)
	}
	res, err := h.Verify(t.Context(), password.Attempt{Encoded: encoded, Password: longest})
	if err != nil || !res.OK || computed.Load() != 1 {
		t.Errorf("afterwards the right password: %+v, %v", res, err)
	}
}

// LOGIN-001: no user, no usable hash and a wrong password are one answer and one
// computation.
func TestUnknownUserCostsOneComputationAndNeverMatches(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{})
	var computed atomic.Int32
	password.Observe(h, func() { computed.Add(1) })
	encoded, err := h.Hash(t.Context(), "the right one")
	if err != nil {
		t.Fatal(err)
	}
	bcrypt := "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	for _, tt := range []struct{ name, encoded, password string }{
		{"wrong password", encoded, "wrong"},
		{"unknown user", "", "wrong"},
		{"unknown user and the password of the dummy", "", "\x00"},
		{"malformed hash", "$argon2id$v=19$m=8,t=1", "wrong"},
		{"plain text in place of a hash", "secret", "secret"},
		{"unusable marker", "!", "!"},
		{"hostile cost", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "wrong"},
		{"bcrypt and 73 bytes", bcrypt, strings.Repeat("x", 73)},
		{"bcrypt and NUL", bcrypt, "U*U\x00U*U"},
	} {
		computed.Store(0)
		res, err := h.Verify(t.Context(), password.Attempt{Encoded: tt.encoded, Password: tt.password})
		if res != (password.Result{}) || err != nil || computed.Load() != 1 {
			t.Errorf("%s: %+v, %v after %d computations; want a zero result after 1", tt.name, res, err, computed.Load())
		}
	}
	if res, err := h.Verify(t.Context(), password.Attempt{Encoded: encoded, Password: "the right one"}); err != nil || !res.OK {
		t.Errorf("the right one: %+v, %v", res, err)
	}
}

func TestRehashIsDueWhenParametersChange(t *testing.T) {
	t.Parallel()
	old := newHasher(t, password.Config{})
	encoded, err := old.Hash(t.Context(), "unchanged")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		params password.Params
		want   bool
	}{
		{"same", cheap, false},
		{"more memory", password.Params{Memory: 16, Time: 1, Threads: 1}, true},
		{"less memory", password.Params{Memory: 9, Time: 1, Threads: 1}, true},
		{"more time", password.Params{Memory: 8, Time: 2, Threads: 1}, true},
		{"more threads", password.Params{Memory: 16, Time: 1, Threads: 2}, true},
	} {
		h := newHasher(t, password.Config{Params: tt.params})
		res, err := h.Verify(t.Context(), password.Attempt{Encoded: encoded, Password: "unchanged"})
		if err != nil || !res.OK || res.Rehash != tt.want {
			t.Errorf("%s: %+v, %v; want OK, Rehash %v", tt.name, res, err, tt.want)
		}
		res, err = h.Verify(t.Context(), password.Attempt{Encoded: encoded, Password: "wrong"})
		if err != nil || res.Rehash {
			t.Errorf("%s: a wrong password asks for a rehash", tt.name)
		}
	}
}

func TestNewRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	now := newClock().now
	for _, tt := range []struct {
		name   string
		config password.Config
		want   string
	}{
		{"no clock", password.Config{}, "clock"},
		{"negative workers", password.Config{Now: now, Workers: -1}, "negative"},
		{"no threads", password.Config{Now: now, Params: password.Params{Memory: 64, Time: 1}}, "threads"},
		{"memory below eight blocks a lane", password.Config{Now: now, Params: password.Params{Memory: 15, Time: 1, Threads: 2}}, "memory"},
		{"a gibibyte", password.Config{Now: now, Params: password.Params{Memory: 1 << 20, Time: 1, Threads: 1}}, "memory"},
		{"hundred passes", password.Config{Now: now, Params: password.Params{Memory: 64, Time: 100, Threads: 1}}, "time"},
		{"seconds of work", password.Config{Now: now, Params: password.Params{Memory: 128 << 10, Time: 60, Threads: 1}}, "out of bounds"},
		{"over a quarter of the memory", password.Config{Now: now, Workers: 8, MemoryLimit: 512 << 20}, "quarter"},
		{"one worker over a quarter of the memory", password.Config{Now: now, MemoryLimit: 64 << 20}, "quarter"},
	} {
		if _, err := password.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error about %q", tt.name, err, tt.want)
		}
	}
	h, err := password.New(password.Config{Now: now, MemoryLimit: 80 << 20, Cost: 28 * time.Millisecond})
	if err != nil || h.Stats().Workers != 1 {
		t.Errorf("80 MiB with the default number of workers: %v; want the one that fits", err)
	}
	h, err = password.New(password.Config{Now: now, Workers: 2, MemoryLimit: 512 << 20, Cost: 28 * time.Millisecond})
	if err != nil || h.Stats().Places != 142 || int(h.Stats().Rate()) != 71 {
		t.Errorf("two workers: %v, want 142 places (2 workers x 2 s / 28 ms) and 71 hashes/s", err)
	}
	if !password.DefaultParams().Strong() || cheap.Strong() {
		t.Error("the defaults are strong, the test parameters are not")
	}
}
