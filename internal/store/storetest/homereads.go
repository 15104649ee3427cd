package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func homeReadCases() []homeCase {
	return []homeCase{
		{name: "ReadBackAsWritten", run: homeReadBack},
		{name: "PositionReadBackAsWritten", run: homePosition, notOwn: "a record has the position it was read at"},
		{name: "TimesAreKeptToTheMicrosecondInUTC", run: homeTimes},
		{name: "IdsAreAnyText", run: homeOddIDs},
		{name: "TheEmptyIDIsOneToo", run: homeEmptyID, notOwn: "its ids are never empty"},
		{name: "RecordsAreCopies", run: homeCopies},
		{name: "NothingThereIsNoError", run: homeEmpty},
		{name: "OfListsTheirsNewestFirst", run: homeOf},
		{name: "DeadByTheRealClockIsNoTrouble", run: homeLongDead},
		{name: "PagesHoldWhatStaysWhileOthersComeAndGo", run: homePages},
	}
}

func homeReadBack(t *testing.T, h session.Home) {
	full := newRecord("s1", "ada", "web")
	fields := reflect.ValueOf(full.Session)
	for i := range fields.NumField() {
		if fields.Field(i).IsZero() {
			t.Fatalf("this test writes no %s", fields.Type().Field(i).Name)
		}
	}
	full.AuthTime, full.SeenAt, full.AMR = far(time.Second), far(2*time.Second), []string{"pwd", "o,t p", `"`, ""}
	full.Agent = strings.Repeat("Mozilla/5.0 \t\"'\\é☃😀\u2028 ", 40)
	none := newRecord("s2", "ada", "")
	none.AMR, none.Address, none.Agent, none.Binding = nil, "", "", ""
	empty := newRecord("s3", "bob", "")
	empty.AMR = []string{}
	put(t, h, full, none, empty)
	holds(t, h, full, none, empty)
}

func homePosition(t *testing.T, h session.Home) {
	var all []session.Record
	for i, rsn := range []int64{0, 7, 1 << 40, 1<<63 - 1} {
		r := newRecord(fmt.Sprint("s", i), "ada", "web")
		r.RSN = rsn
		put(t, h, r)
		all = append(all, r)
	}
	holds(t, h, all...)

	next := renewed(all[1], "next")
	ok, err := h.Renew(t.Context(), all[1].Secret, next)
	did(t, "renewal", ok, err)
	ok, err = touchOne(t, h, "s1", far(time.Minute), far(2*time.Hour))
	did(t, "touch", ok, err)
	same(t, "position after a renewal and a touch", record(t, h, "s1").RSN, int64(7))
}

func homeTimes(t *testing.T, h session.Home) {
	zone := time.FixedZone("odd", 5*3600+1800)
	finer := func(d time.Duration) time.Time { return far(d + 789*time.Nanosecond).In(zone) }
	want := newRecord("s1", "ada", "web")
	want.AuthTime, want.SeenAt = far(time.Second), far(time.Minute)
	r := want
	r.CreatedAt, r.AuthTime, r.SeenAt = finer(0), finer(time.Second), finer(time.Minute)
	r.IdleUntil, r.ExpiresAt = finer(time.Hour), finer(24*time.Hour)
	put(t, h, r)
	holds(t, h, want)

	next := r.Session
	next.AuthTime, next.SeenAt, next.IdleUntil = finer(2*time.Minute), finer(3*time.Minute), finer(2*time.Hour)
	ok, err := h.Renew(t.Context(), r.Secret, next)
	did(t, "renewal that keeps the secret", ok, err)
	want.AuthTime, want.SeenAt, want.IdleUntil = far(2*time.Minute), far(3*time.Minute), far(2*time.Hour)
	holds(t, h, want)

	ok, err = touchOne(t, h, "s1", finer(4*time.Minute), finer(3*time.Hour))
	did(t, "touch", ok, err)
	want.SeenAt, want.IdleUntil = far(4*time.Minute), far(3*time.Hour)
	holds(t, h, want)
}

// oddIDs are told apart byte by byte.
func oddIDs() map[string]string {
	return map[string]string{
		"slash": "a/b", "backslash": `a\b`, "dots": "..", "path": "../../x", "dot": ".", "space": " ", "line": "a\nb", "long": strings.Repeat("x", 1000),
		"longer by one": strings.Repeat("x", 1001), "lower": "abc", "upper": "ABC", "one upper": "aBc", "accent": "caf\u00e9", "accent apart": "cafe\u0301",
		"emoji": "😀", "NUL": "a\x00b", "NUL alone": "\x00", "cut at NUL": "a", "percent": "%2e%2e", "like": "a%_*?", "quotes": `'";--`, "braces": "{s1}", "colon": "s:1",
		"hidden": ".hidden", "temporary": "x.tmp", "control": "\x01\x7f",
	}
}

func homeOddIDs(t *testing.T, h session.Home) {
	ctx := t.Context()
	var all []session.Record
	for _, id := range oddIDs() {
		r := newRecord(id, "u"+id, "c"+id)
		if err := h.Add(ctx, r); err != nil {
			t.Fatalf("id %q: %v", id, err)
		}
		all = append(all, r)
	}
	holds(t, h, all...)
	_, found, err := h.BySecret(ctx, opaque.Hash("guess"))
	refused(t, "a guess found something", found, err)
	var touches []session.Touch
	for i, r := range all {
		ok, err := h.Renew(ctx, r.Secret, renewed(r, "next "+r.ID))
		did(t, fmt.Sprintf("renewal of %q", r.ID), ok, err)
		all[i].Secret, all[i].IdleUntil = opaque.Hash("next "+r.ID), far(2*time.Hour)
		touches = append(touches, session.Touch{ID: r.ID, Seen: far(0), IdleUntil: far(2 * time.Hour)})
	}
	n, err := h.Touch(ctx, touches)
	must(t, err)
	same(t, "touched", n, len(all))
	holds(t, h, all...)
	for i, r := range all {
		left, found, err := h.Leave(ctx, r.ID)
		did(t, fmt.Sprintf("leaving of %q", r.ID), found, err)
		r.Leaving = true
		same(t, "left", left, r)
		ref := []revoke.Ref{refTo(revoke.Session, r.ID), refTo(revoke.User, r.UserID), refTo(revoke.Client, r.ClientID)}[i%3]
		ended, err := h.End(ctx, ref, 1)
		must(t, err)
		same(t, fmt.Sprintf("ended for %v", ref), ended, []string{r.ID})
		gone(t, h, r)
	}
	holds(t, h)
}

func homeEmptyID(t *testing.T, h session.Home) {
	ctx := t.Context()
	r, other := newRecord("", "ada", "web"), newRecord("s1", "ada", "web")
	put(t, h, r, other)
	holds(t, h, r, other)
	_, found, err := h.BySecret(ctx, opaque.Hash("guess"))
	refused(t, "a guess found something", found, err)
	ok, err := touchOne(t, h, "", far(time.Minute), far(2*time.Hour))
	did(t, "touch", ok, err)
	ended, err := h.End(ctx, refTo(revoke.Session, ""), 1)
	must(t, err)
	same(t, "ended", ended, []string{""})
	gone(t, h, r)
	holds(t, h, other)
}

func homeCopies(t *testing.T, h session.Home) {
	ctx := t.Context()
	want := newRecord("s1", "ada", "web")
	given := newRecord("s1", "ada", "web")
	put(t, h, given)
	given.AMR[0] = "changed"
	holds(t, h, want)
	got := record(t, h, "s1")
	got.AMR[0] = "changed"
	got, _, err := h.BySecret(ctx, want.Secret)
	must(t, err)
	got.AMR[0] = "changed"
	all, err := h.Of(ctx, refTo(revoke.User, "ada"))
	must(t, err)
	all[0].AMR[0] = "changed"
	pages(t, h, 10)[0].AMR[0] = "changed"
	holds(t, h, want)

	next := renewed(want, "next")
	next.AMR = []string{"otp"}
	ok, err := h.Renew(ctx, want.Secret, next)
	did(t, "renewal", ok, err)
	next.AMR[0] = "changed"
	want.Secret, want.AMR = next.Secret, []string{"otp"}
	holds(t, h, want)
	left, _, err := h.Leave(ctx, "s1")
	must(t, err)
	left.AMR[0] = "changed"
	want.Leaving = true
	holds(t, h, want)
}

func homeEmpty(t *testing.T, h session.Home) {
	ctx := t.Context()
	must(t, h.Ping(ctx))
	_, err := h.Risks(ctx)
	must(t, err)
	holds(t, h)
	gone(t, h, newRecord("s1", "ada", "web"))
	_, found, err := h.Leave(ctx, "s1")
	refused(t, "leaving", found, err)
	ok, err := h.Renew(ctx, opaque.Hash("secret of s1"), newRecord("s1", "ada", "web").Session)
	refused(t, "renewal", ok, err)
	for _, touches := range [][]session.Touch{nil, {{ID: "s1", Seen: far(0), IdleUntil: far(time.Hour)}}} {
		n, err := h.Touch(ctx, touches)
		must(t, err)
		same(t, "touched", n, 0)
	}
	for _, kind := range []revoke.Kind{revoke.Session, revoke.User, revoke.Client} {
		ended, err := h.End(ctx, refTo(kind, "s1"), 1)
		must(t, err)
		same(t, "ended", len(ended), 0)
	}
	purged, err := h.Purge(ctx, far(100*time.Hour), 10)
	must(t, err)
	same(t, "purged", len(purged), 0)
	holds(t, h)
}

func homeOf(t *testing.T, h session.Home) {
	ctx := t.Context()
	for i, age := range []time.Duration{2, 0, 1, 1} {
		r := newRecord(fmt.Sprint("s", i), "ada", "")
		r.CreatedAt = far(-age * time.Hour)
		if i%2 == 0 {
			r.ClientID = "web"
		}
		put(t, h, r)
	}
	put(t, h, newRecord("S9", "bob", "web"), newRecord("s8", "bob", ""), newRecord("s7", "bobby", "webber"), newRecord("s6", "web", "ada"))
	for _, c := range []struct {
		owner revoke.Ref
		want  []string
	}{
		{refTo(revoke.User, "ada"), []string{"s1", "s3", "s2", "s0"}},
		{refTo(revoke.User, "bob"), []string{"s8", "S9"}},
		{refTo(revoke.Client, "web"), []string{"S9", "s2", "s0"}},
		{refTo(revoke.Client, ""), nil},
		{refTo(revoke.User, "nobody"), nil},
		{refTo(revoke.User, "Ada"), nil},
		{refTo(revoke.Client, "nothing"), nil},
	} {
		all, err := h.Of(ctx, c.owner)
		must(t, err)
		var got []string
		for _, r := range all {
			got = append(got, r.ID)
		}
		same(t, "sessions of "+string(c.owner.Kind)+" "+c.owner.Key, got, c.want)
	}
}

// homeLongDead: a home may have dropped such a record by itself, but half of it
// is never left.
func homeLongDead(t *testing.T, h session.Home) {
	ctx := t.Context()
	r := newRecord("s1", "ada", "web")
	r.CreatedAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	r.AuthTime, r.SeenAt, r.IdleUntil, r.ExpiresAt = r.CreatedAt, r.CreatedAt, r.CreatedAt.Add(time.Hour), r.CreatedAt.Add(2*time.Hour)
	put(t, h, r, newRecord("s2", "ada", "web"))
	if got, found, err := h.ByID(ctx, "s1"); err != nil || found && !reflect.DeepEqual(got, r) {
		t.Errorf("dead record: %+v, error %v", got, err)
	}
	for _, ref := range []revoke.Ref{refTo(revoke.User, "ada"), refTo(revoke.Client, "web")} {
		same(t, "the live one listed", listedFor(t, h, ref)["s2"], true)
	}
	ok, err := touchOne(t, h, "s1", far(0), far(time.Hour))
	refused(t, "touch", ok, err)
	ok, err = h.Renew(ctx, r.Secret, renewed(newRecord("s1", "ada", "web"), "next"))
	refused(t, "renewal", ok, err)
	_, err = h.Purge(ctx, far(0), 10)
	must(t, err)
	holds(t, h, newRecord("s2", "ada", "web"))
	put(t, h, newRecord("s1", "ada", "web"))
	holds(t, h, newRecord("s1", "ada", "web"), newRecord("s2", "ada", "web"))
}

func homePages(t *testing.T, h session.Home) {
	ctx := t.Context()
	stays := map[string]bool{}
	var all []session.Record
	for i := range 200 {
		stays[fmt.Sprint("stays", i)] = true
		all = append(all, newRecord(fmt.Sprint("stays", i), "ada", ""), newRecord(fmt.Sprint("goes", i), fmt.Sprint("u", i), ""))
	}
	putMany(t, h, all)
	for _, limit := range []int{1, 7, 1000} {
		seen, cursor := map[string]bool{}, ""
		for n := 0; ; n++ {
			if n == 10_000 {
				t.Fatal("pages without an end")
			}
			some, next, err := h.Page(ctx, cursor, limit)
			must(t, err)
			for _, r := range some {
				seen[r.ID] = true
			}
			if next == "" {
				break
			}
			cursor = next
			if n < 200 {
				put(t, h, newRecord(fmt.Sprint("comes", limit, "-", n), "eve", ""))
				_, err = h.End(ctx, refTo(revoke.User, fmt.Sprint("u", n)), 1)
				must(t, err)
				ok, err := h.Renew(ctx, opaque.Hash(fmt.Sprint("secret of stays", n)), renewed(record(t, h, fmt.Sprint("stays", n)), fmt.Sprint("secret of stays", n)))
				did(t, "renewal", ok, err)
			}
		}
		for id := range stays {
			same(t, "on a page: "+id, seen[id], true)
		}
	}
}
