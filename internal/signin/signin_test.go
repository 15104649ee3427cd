package signin_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

// gate stands in for the hash gate: what matters here is what is asked of it.
type gate struct {
	calls atomic.Int64
	known atomic.Int64
	dummy atomic.Int64
	busy  atomic.Bool
}

// Verify matches when the stored text is "hash:" and the password.
func (g *gate) Verify(_ context.Context, a password.Attempt) (password.Result, error) {
	g.calls.Add(1)
	if a.Known {
		g.known.Add(1)
	}
	if a.Encoded == "" {
		g.dummy.Add(1)
	}
	if g.busy.Load() {
		return password.Result{}, &password.BusyError{RetryAfter: 2 * time.Second}
	}
	return password.Result{OK: a.Encoded == "hash:"+a.Password || a.Encoded == "old:"+a.Password, Rehash: strings.HasPrefix(a.Encoded, "old:")}, nil
}

// Rehash makes the current form.
func (g *gate) Rehash(_ context.Context, plain string) (string, error) { return "hash:" + plain, nil }

type house struct {
	*signin.Service
	t     *testing.T
	store store.Store
	gate  *gate
	mu    sync.Mutex
	at    time.Time
}

const phrase = "orange tricycle on the roof"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, store: memory.New(), gate: &gate{}, at: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	h.Service = signin.New(signin.Config{
		Store: h.store, Counters: h.store, Passwords: h.gate, Names: root.Derive("n"), Devices: root.Derive("d"), Now: h.now,
	})
	h.add("ada@example.com", "hash:"+phrase, false)
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) forward(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func (h *house) add(login, hash string, disabled bool) account.User {
	h.t.Helper()
	u := account.User{ID: opaque.ID(opaque.UserID, h.at), Login: login, Canonical: login, PasswordHash: hash, Disabled: disabled, PasswordChangedAt: h.at}
	if err := h.store.AddUser(h.t.Context(), u, revoke.Effects{}); err != nil {
		h.t.Fatal(err)
	}
	return u
}

func (h *house) try(login, pw string) error {
	_, err := h.Password(context.WithoutCancel(h.t.Context()), signin.Attempt{Login: login, Password: pw, Address: netip.MustParseAddr("192.0.2.7")})
	return err
}

// LOGIN-001: one answer for a wrong password, an unknown user and a disabled one.
func TestRefusalsAreOneAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("off@example.com", "hash:"+phrase, true)
	if err := h.try("ada@example.com", phrase); err != nil {
		t.Fatal(err)
	}
	want := ""
	for name, err := range map[string]error{
		"wrong password": h.try("ada@example.com", "wrong"), "unknown": h.try("nobody@example.com", phrase), "disabled": h.try("off@example.com", phrase),
	} {
		if !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("%s: %v", name, err)
		}
		if want == "" {
			want = err.Error()
		}
		if err.Error() != want {
			t.Errorf("%s answers %q, others %q", name, err, want)
		}
	}
	if h.gate.calls.Load() != 4 || h.gate.dummy.Load() != 1 {
		t.Errorf("%d hashes, %d of them for nobody: each attempt must cost one", h.gate.calls.Load(), h.gate.dummy.Load())
	}
	if err := h.try("ada@example.com", phrase); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// LOGIN-004: parallel attempts cannot pass the limit before it is counted.
func TestParallelGuessesCannotPassTheLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { _ = h.try("ada@example.com", fmt.Sprint("guess", i)) })
	}
	wg.Wait()
	if n := h.gate.calls.Load(); n == 0 || n > 7 {
		t.Errorf("%d hashes were computed", n)
	}
}

// CONTROL-008: right attempts are not refused for coming together.
func TestParallelLoginsAreNotPunished(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := h.try("ada@example.com", phrase); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// LOGIN-005: every spelling of one login has one counter.
func TestSpellingsShareOneCounter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	spellings := []string{"ada@example.com", "ADA@example.com", " ada@EXAMPLE.com ", "ａda@example.com", "Ada@Example.Com"}
	refused := 0
	for i := range 20 {
		err := h.try(spellings[i%len(spellings)], "guess")
		if fault.Is(err, fault.TooMany) {
			refused++
		}
	}
	if h.gate.calls.Load() > 7 || refused < 13 {
		t.Errorf("%d guesses were checked, %d refused", h.gate.calls.Load(), refused)
	}
}

// The delay ends by itself, and a stranger's guesses do not delay a known device.
func TestDelayNeverLocksTheOwnerOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, err := h.Password(t.Context(), signin.Attempt{Login: "ada@example.com", Password: phrase})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		_ = h.try("ada@example.com", fmt.Sprint("guess", i))
	}
	if err := h.try("ada@example.com", phrase); !fault.Is(err, fault.TooMany) {
		t.Fatalf("after thirty guesses: %v", err)
	}
	known := signin.Attempt{Login: "ada@example.com", Password: phrase, Device: first.Device}
	if _, err := h.Password(t.Context(), known); err != nil {
		t.Errorf("the owner's own browser is delayed: %v", err)
	}
	if h.gate.known.Load() != 1 {
		t.Error("the known device did not get its lane")
	}
	h.forward(16 * time.Minute)
	if err := h.try("ada@example.com", phrase); err != nil {
		t.Errorf("after the longest delay: %v", err)
	}
}

func TestForgedDeviceIsNotKnown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.add("bob@example.com", "hash:"+phrase, false)
	res, err := h.Password(t.Context(), signin.Attempt{Login: bob.Login, Password: phrase})
	if err != nil {
		t.Fatal(err)
	}
	for name, device := range map[string]string{"another user's": res.Device, "bent": res.Device + "A", "empty code": "1.", "junk": "x", "no number": "x." + res.Device} {
		if _, err := h.Password(t.Context(), signin.Attempt{Login: "ada@example.com", Password: phrase, Device: device}); err != nil {
			t.Fatal(err)
		}
		if h.gate.known.Load() != 0 {
			t.Fatalf("%s device is known", name)
		}
	}
	h.forward(181 * 24 * time.Hour)
	if _, err := h.Password(t.Context(), signin.Attempt{Login: bob.Login, Password: phrase, Device: res.Device}); err != nil || h.gate.known.Load() != 0 {
		t.Errorf("an old device is known: %v", err)
	}
}

// LOGIN-010, LOGIN-011, LOGIN-012: refused before anything is computed.
func TestOddInputIsRefusedWithoutHashing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, in := range map[string][2]string{
		"empty password": {"ada@example.com", ""}, "1 MiB password": {"ada@example.com", strings.Repeat("x", 1<<20)}, "1025 bytes": {"ada@example.com", strings.Repeat("x", 1025)},
		"empty login": {"", phrase}, "64 KiB login": {strings.Repeat("a", 64<<10), phrase}, "NUL in login": {"ada\x00@example.com", phrase}, "line break in login": {"ada\r\n@example.com", phrase},
		"broken UTF-8": {"ada\xff", phrase},
	} {
		if err := h.try(in[0], in[1]); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, login := range []string{"' OR 1=1--", `{"$ne":null}`, "*)(uid=*", "../../etc/passwd", "${jndi:ldap://x}"} {
		if err := h.try(login, phrase); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", login, err)
		}
	}
	if h.gate.calls.Load() != 5 {
		t.Errorf("%d hashes", h.gate.calls.Load())
	}
	if err := h.try("ada@example.com", phrase); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestBusyGateIsNotTheCallersFault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.gate.busy.Store(true)
	for range 50 {
		if err := h.try("ada@example.com", phrase); !fault.Is(err, fault.Busy) {
			t.Fatalf("while busy: %v", err)
		}
	}
	h.gate.busy.Store(false)
	if err := h.try("ada@example.com", phrase); err != nil {
		t.Errorf("the shed attempts were counted: %v", err)
	}
}

func TestOldHashIsRenewedAtLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("old@example.com", "old:"+phrase, false)
	if err := h.try(u.Login, phrase); err != nil {
		t.Fatal(err)
	}
	got, _, err := h.store.UserByID(t.Context(), u.ID)
	if err != nil || got.PasswordHash != "hash:"+phrase {
		t.Errorf("hash is %q, %v", got.PasswordHash, err)
	}
}

// LOGIN-016: nothing of the password, and no login, is in the audit log.
func TestAuditHoldsNoCredentials(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_ = h.try("marker-login@example.com", "marker-password")
	_ = h.try("ada@example.com", "marker-password")
	events, err := h.store.Events(t.Context(), 0, 100)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if s := fmt.Sprintf("%+v", events); strings.Contains(s, "marker") {
		t.Errorf("audit log holds a marker: %s", s)
	}
}
