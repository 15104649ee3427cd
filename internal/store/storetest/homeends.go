package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func homeEndCases() []homeCase {
	return []homeCase{
		{name: "EndTakesASessionAUserOrAClient", run: homeEnd},
		{name: "EndTakesOnlyWhatIsOlder", run: homeEndSeq, notOwn: "a record has the position it was read at"},
		{name: "EndOfManyTakesAllAndOnlyThem", run: homeEndMany},
		{name: "EndOfOtherKindsDoesNothing", run: homeEndOther},
		{name: "PurgeTakesTheDeadAlone", run: homePurge},
		{name: "PurgeIsLimited", run: homePurgeLimited},
		{name: "EverythingAgreesAfterAnything", run: homeAnything},
	}
}

func homeEnd(t *testing.T, h session.Home) {
	ctx := t.Context()
	one, two := newRecord("s1", "ada", "web"), newRecord("s2", "ada", "")
	three, four := newRecord("s3", "bob", "web"), newRecord("s4", "web", "ada")
	put(t, h, one, two, three, four)
	for _, c := range []struct {
		ref  revoke.Ref
		want []string
		left []session.Record
	}{
		{refTo(revoke.Client, ""), []string{}, []session.Record{one, two, three, four}},
		{refTo(revoke.Session, "ada"), []string{}, []session.Record{one, two, three, four}},
		{refTo(revoke.Session, "s1"), []string{"s1"}, []session.Record{two, three, four}},
		{refTo(revoke.User, "ada"), []string{"s2"}, []session.Record{three, four}},
		{refTo(revoke.User, "ada"), []string{}, []session.Record{three, four}},
		{refTo(revoke.Client, "web"), []string{"s3"}, []session.Record{four}},
	} {
		got, err := h.End(ctx, c.ref, 1)
		must(t, err)
		same(t, fmt.Sprint("ended for ", c.ref), asSet(got), c.want)
		holds(t, h, c.left...)
	}
	gone(t, h, one, two, three)

	// What was theirs is free: another session may take it.
	again := newRecord("s1", "eve", "app")
	again.Secret = two.Secret
	put(t, h, again)
	holds(t, h, again, four)
}

func homeEndSeq(t *testing.T, h session.Home) {
	ctx := t.Context()
	var all []session.Record
	for i := range 6 {
		r := newRecord(fmt.Sprint("s", i), "ada", "web")
		r.RSN = int64(i)
		put(t, h, r)
		all = append(all, r)
	}
	for _, c := range []struct {
		ref  revoke.Ref
		seq  int64
		want []string
		left []session.Record
	}{
		{refTo(revoke.User, "ada"), 0, []string{}, all},
		{refTo(revoke.User, "ada"), 2, []string{"s0", "s1"}, all[2:]},
		{refTo(revoke.Session, "s2"), 2, []string{}, all[2:]},
		{refTo(revoke.Session, "s2"), 3, []string{"s2"}, all[3:]},
		{refTo(revoke.Client, "web"), 4, []string{"s3"}, all[4:]},
		{refTo(revoke.Client, "web"), 1 << 40, []string{"s4", "s5"}, nil},
	} {
		got, err := h.End(ctx, c.ref, c.seq)
		must(t, err)
		same(t, fmt.Sprint("ended for ", c.ref, " at ", c.seq), asSet(got), c.want)
		holds(t, h, c.left...)
	}
	gone(t, h, all...)
}

func homeEndMany(t *testing.T, h session.Home) {
	ctx := t.Context()
	stays := newRecord("stays", "bob", "app")
	put(t, h, stays)
	for _, c := range []struct {
		many int
		kind revoke.Kind
	}{{25, revoke.User}, {1300, revoke.User}, {25, revoke.Client}, {1300, revoke.Client}} {
		var all []session.Record
		for i := range c.many {
			r := newRecord(fmt.Sprint("s", i), "ada", fmt.Sprint("c", i%3))
			if c.kind == revoke.Client {
				r.UserID, r.ClientID = fmt.Sprint("u", i%3), "ada"
			}
			all = append(all, r)
		}
		putMany(t, h, all)
		got, err := h.End(ctx, refTo(c.kind, "ada"), 1)
		must(t, err)
		same(t, fmt.Sprint(c.many, " ended by ", c.kind), asSet(got), ids(all))
		gone(t, h, all...)
		holds(t, h, stays)
	}
}

func homeEndOther(t *testing.T, h session.Home) {
	r := newRecord("x", "x", "x")
	put(t, h, r)
	for _, kind := range []revoke.Kind{revoke.Token, revoke.Grant, revoke.API, revoke.Key, revoke.Claims, ""} {
		got, err := h.End(t.Context(), refTo(kind, "x"), 1<<40)
		must(t, err)
		same(t, "ended by "+string(kind), len(got), 0)
	}
	holds(t, h, r)
}

func homePurge(t *testing.T, h session.Home) {
	ctx := t.Context()
	idle, old, moved := newRecord("idle", "ada", "web"), newRecord("old", "ada", ""), newRecord("moved", "bob", "web")
	old.IdleUntil, old.ExpiresAt = far(3*time.Hour), far(time.Hour)
	put(t, h, idle, old, moved)
	ok, err := touchOne(t, h, "moved", far(time.Minute), far(90*time.Minute))
	did(t, "touch", ok, err)
	moved.SeenAt, moved.IdleUntil = far(time.Minute), far(90*time.Minute)
	for _, c := range []struct {
		at    time.Duration
		limit int
		want  []string
		left  []session.Record
	}{
		{time.Hour - time.Microsecond, 10, []string{}, []session.Record{idle, old, moved}},
		{time.Hour, 0, []string{}, []session.Record{idle, old, moved}},
		{time.Hour, 10, []string{"idle", "old"}, []session.Record{moved}},
		{time.Hour, 10, []string{}, []session.Record{moved}},
		{90*time.Minute - time.Microsecond, 10, []string{}, []session.Record{moved}},
		{90 * time.Minute, 10, []string{"moved"}, nil},
	} {
		got, err := h.Purge(ctx, far(c.at), c.limit)
		must(t, err)
		same(t, fmt.Sprint("purged after ", c.at), asSet(got), c.want)
		holds(t, h, c.left...)
	}
	gone(t, h, idle, old, moved)
	put(t, h, idle)

	// A renewal may bring the idle limit nearer.
	next := renewed(idle, "next")
	next.IdleUntil = far(time.Minute)
	ok, err = h.Renew(ctx, idle.Secret, next)
	did(t, "renewal", ok, err)
	got, err := h.Purge(ctx, far(time.Minute), 10)
	must(t, err)
	same(t, "purged after a renewal", got, []string{"idle"})
	gone(t, h, session.Record{Session: next}, idle)
}

func homePurgeLimited(t *testing.T, h session.Home) {
	ctx := t.Context()
	var dead []session.Record
	for i := range 25 {
		r := newRecord(fmt.Sprint("s", i), "ada", "web")
		r.ExpiresAt = far(30 * time.Minute) // before the idle limit
		put(t, h, r)
		dead = append(dead, r)
	}
	live := newRecord("live", "ada", "web")
	put(t, h, live)
	var got []string
	for n := 0; len(got) < len(dead); n++ {
		some, err := h.Purge(ctx, far(30*time.Minute), 10)
		must(t, err)
		if len(some) == 0 || len(some) > 10 {
			t.Fatalf("purge %d took %d, want 1 to 10", n, len(some))
		}
		got = append(got, some...)
	}
	same(t, "purged", asSet(got), ids(dead))
	gone(t, h, dead...)
	holds(t, h, live)
}
