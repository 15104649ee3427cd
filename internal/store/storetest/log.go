package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func logCases() []testCase {
	return []testCase{
		{"LogReadBackAsWritten", logReadBack},
		{"LogPositionsAreDenseUnderParallelWriters", logDense},
		{"LogReadersSeeNoHoles", logPrefix},
		{"CoveredByTheNewestLaterEntry", covered},
		{"PurgedPositionsAreNeverGivenAgain", purgeLog},
	}
}

func logReadBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	head, err := s.Head(ctx)
	must(t, err)
	same(t, "head at first", head, int64(0))
	seq, err := s.Record(ctx, revoke.Effects{Audit: []audit.Event{event("a")}})
	must(t, err)
	same(t, "position without an entry", seq, int64(0))
	fx := revoke.Effects{Revoke: []revoke.Entry{entry(revoke.User, "ada"), entry(revoke.Key, "k")}}
	fx.Revoke[0].Subject = "ada"
	seq, err = s.Record(ctx, fx)
	must(t, err)
	same(t, "position of the last of two", seq, int64(2))
	third := revoke.Entry{Kind: revoke.Token, Key: "t", At: at(time.Second), KeepUntil: at(time.Minute), Reason: "other", Subject: "ada",
		Clients: []string{"app", "web"}}
	seq, err = s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{third}})
	must(t, err)
	same(t, "position of the third", seq, int64(3))
	fx.Revoke[0].Subject = "ada" // as the store adds
	want := []revoke.Recorded{{Seq: 1, Entry: fx.Revoke[0]}, {Seq: 2, Entry: fx.Revoke[1]}, {Seq: 3, Entry: third}}
	for _, page := range []struct {
		after int64
		limit int
		want  []revoke.Recorded
	}{{0, 100, want}, {1, 1, want[1:2]}, {2, 5, want[2:]}, {3, 5, nil}, {0, 0, nil}} {
		got, err := s.Revocations(ctx, page.after, page.limit)
		must(t, err)
		if len(got) != len(page.want) {
			t.Fatalf("after %d, at most %d: got %d entries, want %d", page.after, page.limit, len(got), len(page.want))
		}
		for i := range got {
			same(t, "entry", got[i], page.want[i])
		}
	}
}

// logDense is I1 under load: parallel writers, of whom every third is refused
// after it was given a position.
func logDense(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("taken"), none))
	const each = 4
	race(t, func(i int) (bool, error) {
		for n := range each {
			fx := revoke.Effects{
				Revoke: []revoke.Entry{entry(revoke.Token, fmt.Sprintf("%d.%d.a", i, n)), entry(revoke.Token, fmt.Sprintf("%d.%d.b", i, n))},
				Audit:  []audit.Event{event(fmt.Sprint(i)), event(fmt.Sprint(i)), event(fmt.Sprint(i))},
			}
			if i%3 == 0 {
				if _, err := orConflict(s.AddUser(ctx, newUser("taken"), fx)); err != nil {
					return false, err
				}
				continue
			}
			seq, err := s.Record(ctx, fx)
			if err != nil {
				return false, err
			}
			mine, err := s.Revocations(ctx, seq-2, 2)
			if err != nil {
				return false, err
			}
			for k, suffix := range []string{"a", "b"} {
				if want := fmt.Sprintf("%d.%d.%s", i, n, suffix); mine[k].Key != want {
					return false, fmt.Errorf("at %d: got %s, want %s", mine[k].Seq, mine[k].Key, want)
				}
			}
		}
		return true, nil
	})
	writers := int64(racers - (racers+2)/3)
	all, err := s.Revocations(ctx, 0, 10_000)
	must(t, err)
	same(t, "entries", int64(len(all)), 2*each*writers)
	for i, r := range all {
		same(t, "position", r.Seq, int64(i+1))
	}
	events, err := s.Events(ctx, 0, 10_000)
	must(t, err)
	same(t, "events", int64(len(events)), 3*each*writers)
	for i, e := range events {
		same(t, "event position", e.Seq, int64(i+1))
	}
	head, err := s.Head(ctx)
	must(t, err)
	same(t, "head", head, int64(len(all)))
}

// logPrefix is I1 for readers: who reads position n can read all before it.
func logPrefix(t *testing.T, s store.Store) {
	ctx := t.Context()
	won := race(t, func(i int) (bool, error) {
		if i%2 == 0 {
			_, err := s.Record(ctx, takes(revoke.Token, fmt.Sprint(i)))
			return err == nil, err
		}
		head, err := s.Head(ctx)
		if err != nil {
			return false, err
		}
		log, err := s.Revocations(ctx, 0, 1000)
		if err != nil {
			return false, err
		}
		if int64(len(log)) < head || len(log) > 0 && log[len(log)-1].Seq != int64(len(log)) {
			return false, fmt.Errorf("head %d, but %d entries: %v", head, len(log), log)
		}
		return false, nil
	})
	same(t, "writers", won, racers/2)
}

func covered(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, e := range []revoke.Entry{ // positions 1 to 6
		entry(revoke.User, "ada"), entry(revoke.Token, "t1"), entry(revoke.Session, "s1"),
		entry(revoke.User, "ada"), entry(revoke.Key, "k1"), entry(revoke.Claims, "bob"),
	} {
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{e}})
		must(t, err)
	}
	refs := func(pairs ...string) []revoke.Ref {
		var all []revoke.Ref
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, revoke.Ref{Kind: revoke.Kind(pairs[i]), Key: pairs[i+1]})
		}
		return all
	}
	for _, c := range []struct {
		name string
		rsn  int64
		refs []revoke.Ref
		want int64 // 0: not covered
	}{
		{"no refs", 0, nil, 0},
		{"a stranger", 0, refs("user", "eve", "session", "s2"), 0},
		{"the key of another kind", 0, refs("session", "ada", "user", "s1", "claims", "ada"), 0},
		{"before both", 0, refs("user", "ada"), 4},
		{"between both", 3, refs("user", "ada"), 4},
		{"minted at the position of the entry", 4, refs("user", "ada"), 0},
		{"minted after", 6, refs("user", "ada", "session", "s1", "claims", "bob"), 0},
		{"the newest of several", 0, refs("session", "s1", "user", "ada", "token", "t9"), 4},
		{"an older one when the newer does not cover", 2, refs("claims", "eve", "session", "s1"), 3},
		{"a token whatever the rsn", 100, refs("token", "t1"), 2},
		{"a key whatever the rsn", 100, refs("user", "ada", "key", "k1"), 5},
		{"claims", 5, refs("claims", "bob"), 6},
	} {
		got, found, err := s.Covered(ctx, c.rsn, c.refs)
		must(t, err)
		same(t, c.name+": found", found, c.want != 0)
		same(t, c.name+": position", got.Seq, c.want)
		if found {
			one, err := s.Revocations(ctx, got.Seq-1, 1)
			must(t, err)
			same(t, c.name, got, one[0])
		}
	}
}

func purgeLog(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, keep := range []time.Duration{1, 3, 2, 1} {
		e := entry(revoke.User, fmt.Sprint(keep))
		e.KeepUntil = at(keep * time.Hour)
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{e}})
		must(t, err)
	}
	n, err := s.PurgeRevocations(ctx, at(time.Hour))
	must(t, err)
	same(t, "purged at the limit", n, 0)
	n, err = s.PurgeRevocations(ctx, at(2*time.Hour))
	must(t, err)
	same(t, "purged", n, 2)
	left, err := s.Revocations(ctx, 0, 10)
	must(t, err)
	same(t, "left", len(left), 2)
	same(t, "first left", left[0].Seq, int64(2))
	same(t, "second left", left[1].Seq, int64(3))
	_, found, err := s.Covered(ctx, 0, []revoke.Ref{{Kind: revoke.User, Key: "1"}})
	must(t, err)
	same(t, "purged entry covers", found, false)
	n, err = s.PurgeRevocations(ctx, at(100*time.Hour))
	must(t, err)
	same(t, "purged the rest", n, 2)
	head, err := s.Head(ctx)
	must(t, err)
	same(t, "head", head, int64(4))
	seq, err := s.Record(ctx, takes(revoke.User, "ada"))
	must(t, err)
	same(t, "next position", seq, int64(5))
}
