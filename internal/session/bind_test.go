package session_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/bound"
)

func from(address, agent string) bound.Seen {
	return bound.Seen{Address: netip.MustParseAddr(address), Agent: agent, Language: "en"}
}

func (h *house) events(action string) int {
	h.t.Helper()
	all, err := h.store.Events(h.t.Context(), 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Action == action {
			n++
		}
	}
	return n
}

func TestStolenCookieShownFromAnotherNetwork(t *testing.T) {
	t.Parallel()
	for mode, accepted := range map[bound.Mode]bool{bound.Off: true, bound.Report: true, bound.StepUp: false, bound.Refuse: false} {
		limits := session.DefaultLimits()
		limits.Bind = bound.Policy{Network: mode}
		h := newHouse(t, limits)
		_, secret := h.start(session.Login{Seen: from("203.0.113.7", "Firefox")})
		find := func(seen bound.Seen) (bool, error) {
			_, _, found, err := h.Find(t.Context(), secret, seen)
			return found, err
		}
		for _, address := range []string{"203.0.113.7", "203.0.113.200"} {
			if found, err := find(from(address, "Firefox")); !found || err != nil {
				t.Errorf("%q: at home: %v, %v", mode, found, err)
			}
		}
		found, err := find(from("198.51.100.1", "Firefox"))
		if found != accepted || !accepted && !errors.Is(err, session.ErrElsewhere) {
			t.Errorf("%q: elsewhere: %v, %v", mode, found, err)
		}
		if found, err := find(from("203.0.113.7", "Firefox")); !found || err != nil {
			t.Errorf("%q: the owner was signed out: %v, %v", mode, found, err)
		}
	}
}

// A client's own policy goes before that of our pages, and a thief cannot fill the
// audit log.
func TestUseElsewhereIsToldOnceAnHour(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	_, secret := h.start(session.Login{ClientID: "shop", Bind: bound.Policy{Device: bound.Report}, Seen: from("203.0.113.7", "Firefox")})
	for _, step := range []struct {
		agent string
		after time.Duration
		want  int
	}{{"Firefox", 0, 0}, {"Chrome", 0, 1}, {"Chrome", 0, 1}, {"Chrome", 59 * time.Minute, 1}, {"Chrome", time.Minute, 2}} {
		h.now = h.now.Add(step.after)
		if _, _, found, err := h.Find(t.Context(), secret, from("203.0.113.7", step.agent)); !found || err != nil {
			t.Fatalf("%v, %v", found, err)
		}
		if n := h.events("session.elsewhere"); n != step.want {
			t.Errorf("%d events, want %d", n, step.want)
		}
	}
}
