package split_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/split"
)

func TestFlagIsHeldAgainstWhatIsRecorded(t *testing.T) {
	t.Parallel()
	const a, b, other = "redis://u:hunter2@a/0", "redis://u:hunter2@b/0", "redis://u:hunter2@other/0"
	for _, c := range []struct {
		name, first string
		prepare     func(h *house, s *split.Store)
		then        string
		taken       bool
	}{
		{"the same", a, nil, a, true},
		{"none", a, nil, "", true},
		{"another", a, nil, other, false},
		{"apart after own", "", nil, a, false},
		{"another password", a, nil, "redis://u:changed@a/0", true},
		{"moved from", a, func(h *house, s *split.Store) { h.move(s, b) }, a, true},
		{"moved to", a, func(h *house, s *split.Store) { h.move(s, b) }, b, true},
		{"moved elsewhere", a, func(h *house, s *split.Store) { h.move(s, b) }, other, false},
		{"under way, from", a, func(h *house, s *split.Store) { h.begin(s, b) }, a, true},
		{"under way, to", a, func(h *house, s *split.Store) { h.begin(s, b) }, b, true},
		{"under way, elsewhere", a, func(h *house, s *split.Store) { h.begin(s, b) }, other, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s := h.open(c.first)
			start(t, s, "s1")
			if c.prepare != nil {
				c.prepare(h, s)
			}
			if strings.Contains(c.then, "changed") {
				h.homes[c.then] = h.homes[a]
			}
			again, err := split.Open(t.Context(), h.config(c.then))
			if !c.taken {
				if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "wafer session move --to redis://u@") || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("opened: %v, want a refusal that says what to run", err)
				}
				wantSecret(t, s, "secret of s1", true)
				wantSecret(t, h.open(c.first), "secret of s1", true)
				return
			}
			must(t, err)
			wantSecret(t, again, "secret of s1", true)
			h.forward(time.Minute)
			wantSecret(t, s, "secret of s1", true) // the running node follows
		})
	}
}

func TestFirstFlagDoesNotLoseTheSessionsOfTheTruth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, h.truth.StartSession(t.Context(), newSession("s1", "ada"), revoke.Effects{}))
	if _, err := split.Open(t.Context(), h.config("mem://a")); !fault.Is(err, fault.Conflict) {
		t.Fatalf("opened: %v, want a refusal", err)
	}
	s := h.open("")
	wantSecret(t, s, "secret of s1", true)
	h.move(s, "mem://a")
	wantSecret(t, h.open("mem://a"), "secret of s1", true)
}

func TestURLsAreSealedAndNeverShown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("redis://u:hunter2@a/0?password=hunter2")
	start(t, s, "s1")
	h.begin(s, "redis://u:hunter2@r/0")
	h.home("redis://u:hunter2@r/0").set(errDown, nil)
	p, err := s.Move(t.Context())
	if err == nil || p.Error == "" || strings.Contains(p.Error+p.From+p.To, "hunter2") {
		t.Errorf("%+v, %v", p, err)
	}
	raw, err := h.truth.Truth.Setting(t.Context(), "sessions layout")
	if err != nil || raw == "" || strings.Contains(raw, "hunter2") || strings.Contains(raw, "@a") {
		t.Errorf("recorded %s, %v", raw, err)
	}
	c := h.config("")
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	c.Seal = root.Derive("layout")
	if _, err := split.Open(t.Context(), c); !errors.Is(err, opaque.ErrSealed) {
		t.Errorf("opened with another master key: %v", err)
	}
}

func TestHomeThatCannotBeOpenedStopsTheStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.home("mem://a").set(errDown, nil)
	if _, err := split.Open(t.Context(), h.config("mem://a")); err == nil {
		t.Fatal("opened")
	}
	h.home("mem://a").set(nil, nil)
	start(t, h.open("mem://a"), "s1")
	h.home("mem://a").set(errDown, nil)
	if _, err := split.Open(t.Context(), h.config("mem://a")); err == nil {
		t.Fatal("opened")
	}
	h.home("mem://a").set(nil, nil)
	wantSecret(t, h.open("mem://a"), "secret of s1", true)
}

// The layout is read when the lease has ended, and nothing is answered without it.
func TestNodeWithoutALeaseRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	start(t, s, "s1")
	look := func(ctx context.Context) error {
		_, _, found, err := s.SessionBySecret(ctx, opaque.Hash("secret of s1"))
		if err == nil && !found {
			err = errors.New("signed out")
		}
		return err
	}
	h.forward(split.DefaultLease - time.Microsecond)
	h.truth.set(nil, func(call string) {
		if call == "setting" {
			t.Error("read within the lease")
		}
	})
	must(t, look(t.Context()))
	h.truth.set(nil, nil)
	h.forward(time.Microsecond)
	h.truth.set(errBroken, nil)
	for what, err := range map[string]error{
		"SessionBySecret": look(t.Context()), "Ping": s.Ping(t.Context()), "Sweep": s.Sweep(t.Context()),
		"StartSession": s.StartSession(t.Context(), newSession("s2", "ada"), revoke.Effects{}),
	} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
	}
	// The answer took as long as the lease: it may be as old.
	h.truth.set(nil, func(call string) {
		if call == "setting" {
			h.forward(split.DefaultLease)
		}
	})
	if err := look(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an answer that took a whole lease: %v, want unavailable", err)
	}
	h.truth.set(nil, nil)
	must(t, look(t.Context()))
}
