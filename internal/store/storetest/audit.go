package storetest

import (
	"fmt"
	"testing"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/store"
)

func auditCases() []testCase {
	return []testCase{
		{"EventsReadBackAsWritten", events},
		{"EventsAreNumberedByTheStore", eventsNumbered},
	}
}

func events(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.Audit(ctx))
	must(t, s.Audit(ctx, event("a"), audit.Event{At: at(0), Action: "b"}))
	must(t, s.Audit(ctx, event("it's \"c\"; -- \x00 \u2028")))
	want := []audit.Event{event("a"), {At: at(0), Action: "b"}, event("it's \"c\"; -- \x00 \u2028")}
	for i := range want {
		want[i].Seq = int64(i + 1)
	}
	for _, page := range []struct {
		after int64
		limit int
		want  []audit.Event
	}{{0, 100, want}, {0, 2, want[:2]}, {1, 1, want[1:2]}, {3, 10, nil}, {0, 0, nil}} {
		got, err := s.Events(ctx, page.after, page.limit)
		must(t, err)
		if len(got) != len(page.want) {
			t.Fatalf("after %d, at most %d: got %d events, want %d", page.after, page.limit, len(got), len(page.want))
		}
		for i := range got {
			same(t, "event", got[i], page.want[i])
		}
	}
}

func eventsNumbered(t *testing.T, s store.Store) {
	forged := event("a")
	forged.Seq = 77
	must(t, s.Audit(t.Context(), forged))
	won := race(t, func(i int) (bool, error) {
		return true, s.Audit(t.Context(), event(fmt.Sprint(i, "a")), event(fmt.Sprint(i, "b")))
	})
	same(t, "writers", won, racers)
	all, err := s.Events(t.Context(), 0, 1000)
	must(t, err)
	same(t, "events", len(all), 2*racers+1)
	for i, e := range all {
		same(t, "position", e.Seq, int64(i+1))
	}
	for i := 1; i < len(all); i += 2 {
		a, b := all[i].Action, all[i+1].Action
		same(t, "one call's events stay together", a[:len(a)-1], b[:len(b)-1])
	}
}
