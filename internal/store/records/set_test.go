package records_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

var start = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func record(id string) session.Record {
	return session.Record{Session: session.Session{
		ID: id, Secret: opaque.Hash(id), UserID: "ada", ClientID: "web", IdleUntil: start.Add(time.Hour), ExpiresAt: start.Add(24 * time.Hour),
	}}
}

func ids(some []*session.Record) (out []string) {
	for _, r := range some {
		out = append(out, r.ID)
	}
	return out
}

// TestWalkMissesNothingThatStays walks while others come and go at every step.
func TestWalkMissesNothingThatStays(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		set, stays, goes := records.New(), map[string]bool{}, []string{}
		for i := range 60 {
			id := fmt.Sprint("s", i)
			set.Add(record(id))
			if rnd.IntN(2) == 0 {
				stays[id] = true
			} else {
				goes = append(goes, id)
			}
		}
		walks := []func(from int) ([]*session.Record, int){
			func(from int) ([]*session.Record, int) { return set.Walk(from, 1+rnd.IntN(9)) },
			func(from int) ([]*session.Record, int) {
				return set.WalkOf(revoke.Ref{Kind: revoke.User, Key: "ada"}, from, 1+rnd.IntN(9))
			},
			func(from int) ([]*session.Record, int) {
				return set.WalkOf(revoke.Ref{Kind: revoke.Client, Key: "web"}, from, 1+rnd.IntN(9))
			},
		}
		walk := walks[round%len(walks)]
		seen := map[string]bool{}
		for next := records.Start; next > 0; {
			var part []*session.Record
			part, next = walk(next)
			for _, id := range ids(part) {
				seen[id] = true
			}
			for range rnd.IntN(6) {
				if len(goes) > 0 {
					set.Remove(goes[0])
					goes = goes[1:]
				}
				set.Add(record(fmt.Sprint("new", rnd.IntN(40))))
			}
		}
		for id := range stays {
			if !seen[id] {
				t.Fatalf("round %d: %s was missed", round, id)
			}
		}
	}
}

func TestDeadAreFoundWhateverMovedTheirLimits(t *testing.T) {
	t.Parallel()
	set := records.New()
	for i := range 20 {
		set.Add(record(fmt.Sprint("s", i)))
	}
	for i := range 20 {
		r := record(fmt.Sprint("s", i))
		switch i % 4 {
		case 0:
			r.IdleUntil = start.Add(3 * time.Hour) // used
		case 1:
			r.IdleUntil = start.Add(time.Minute) // renewed, with a nearer limit
		case 2:
			set.Remove(r.ID)
		}
		set.Change(r)
	}
	dead := func(at time.Duration) []string {
		var out []string
		for more := true; more; {
			var some []*session.Record
			some, more = set.Dead(start.Add(at), 3)
			out = append(out, ids(some)...)
			for _, r := range some {
				set.Remove(r.ID)
			}
		}
		slices.Sort(out)
		return out
	}
	for _, c := range []struct {
		at   time.Duration
		want []string
	}{
		{time.Minute - time.Microsecond, nil},
		{time.Minute, []string{"s1", "s13", "s17", "s5", "s9"}},
		{time.Hour, []string{"s11", "s15", "s19", "s3", "s7"}},
		{3*time.Hour - time.Microsecond, nil},
		{3 * time.Hour, []string{"s0", "s12", "s16", "s4", "s8"}},
		{1000 * time.Hour, nil},
	} {
		if got := dead(c.at); !reflect.DeepEqual(got, c.want) {
			t.Errorf("dead after %v: %v, want %v", c.at, got, c.want)
		}
	}
}

func TestDeadComeBackWhenMissed(t *testing.T) {
	t.Parallel()
	set := records.New()
	set.Add(record("s1"))
	set.Add(record("s2"))
	at := start.Add(time.Hour)
	first, _ := set.Dead(at, 10)
	if again, more := set.Dead(at, 10); len(first) != 2 || len(again) != 0 || more {
		t.Fatalf("dead %v, then %v, more %v", ids(first), ids(again), more)
	}
	set.Remove("s1")
	set.Missed(first)
	if again, _ := set.Dead(at, 10); !reflect.DeepEqual(ids(again), []string{"s2"}) {
		t.Errorf("missed: %v, want s2", ids(again))
	}
	if later, _ := set.Dead(at.Add(2*time.Minute), 10); !reflect.DeepEqual(ids(later), []string{"s2"}) {
		t.Errorf("later: %v, want s2", ids(later))
	}
}

func TestCursorOfAnotherOpeningBeginsAgain(t *testing.T) {
	t.Parallel()
	one, two := records.NewShared(), records.NewShared()
	for _, s := range []*records.Shared{one, two} {
		for i := range 9 {
			err := s.Write(t.Context(), func(set *records.Set) error {
				if !set.Add(record(fmt.Sprint("s", i))) {
					return errors.New("taken")
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_, cursor, err := one.Page(t.Context(), "", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		of     *records.Shared
		cursor string
		want   int
	}{
		{"ours", one, cursor, 4},
		{"another's", two, cursor, 9},
		{"no number", one, cursor + "x", 9},
		{"nonsense", one, "-1", 9},
	} {
		if some, _, err := c.of.Page(t.Context(), c.cursor, 9); err != nil || len(some) != c.want {
			t.Errorf("%s: %d records, error %v, want %d", c.name, len(some), err, c.want)
		}
	}
}
