package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func homeChangeCases() []homeCase {
	return []homeCase{
		{name: "TakenIDOrSecretIsAConflictAndChangesNothing", run: homeTaken},
		{name: "RenewSwapsTheSecret", run: homeRenew},
		{name: "RenewNeverMovesOwnerOrLimits", run: homeRenewMoves, notOwn: "a record has the position it was read at"},
		{name: "RenewNeverRevives", run: homeRenewDead},
		{name: "TouchTakesManyAtOnce", run: homeTouchMany},
		{name: "TouchNeverMovesBack", run: homeTouchForward},
		{name: "TouchNeverRevives", run: homeTouchDead},
		{name: "LeavingChangesNoMore", run: homeLeave},
	}
}

func homeTaken(t *testing.T, h session.Home) {
	ctx := t.Context()
	one, two := newRecord("s1", "ada", "web"), newRecord("s2", "bob", "app")
	put(t, h, one, two)
	again := newRecord("s1", "eve", "evil")
	again.Secret = opaque.Hash("fresh")
	conflict(t, "taken id", h.Add(ctx, again))
	same(t, "listed for who tried", listedFor(t, h, refTo(revoke.User, "eve")), map[string]bool{})
	same(t, "listed for what tried", listedFor(t, h, refTo(revoke.Client, "evil")), map[string]bool{})
	_, found, err := h.BySecret(ctx, again.Secret)
	refused(t, "found by the fresh secret", found, err)
	third := newRecord("s3", "eve", "evil")
	third.Secret = one.Secret
	conflict(t, "taken secret", h.Add(ctx, third))
	same(t, "listed for who tried", listedFor(t, h, refTo(revoke.User, "eve")), map[string]bool{})
	_, found, err = h.ByID(ctx, "s3")
	refused(t, "found by the fresh id", found, err)
	conflict(t, "the same again", h.Add(ctx, one))
	next := two.Session
	next.Secret, next.SeenAt, next.IdleUntil = one.Secret, far(time.Minute), far(2*time.Hour)
	_, err = h.Renew(ctx, two.Secret, next)
	conflict(t, "renewal to a taken secret", err)
	holds(t, h, one, two)

	third.Secret = again.Secret
	put(t, h, third)
	holds(t, h, one, two, third)
}

func homeRenew(t *testing.T, h session.Home) {
	ctx := t.Context()
	first := newRecord("s1", "ada", "web")
	put(t, h, first)
	next := renewed(first, "next")
	next.AuthTime, next.AMR = far(time.Minute), []string{"pwd", "otp"}
	next.SeenAt, next.IdleUntil = far(time.Minute), far(30*time.Minute)
	ok, err := h.Renew(ctx, opaque.Hash("guess"), next)
	refused(t, "renewal by a guess", ok, err)
	ok, err = h.Renew(ctx, opaque.Digest{}, next)
	refused(t, "renewal by no secret", ok, err)
	other := next
	other.ID = "s2"
	ok, err = h.Renew(ctx, first.Secret, other)
	refused(t, "renewal of another by this secret", ok, err)
	holds(t, h, first)

	ok, err = h.Renew(ctx, first.Secret, next)
	did(t, "renewal", ok, err)
	now := session.Record{Session: next}
	holds(t, h, now)
	_, found, err := h.BySecret(ctx, first.Secret)
	refused(t, "found by the old secret", found, err)
	ok, err = h.Renew(ctx, first.Secret, renewed(now, "third"))
	refused(t, "renewal by the old secret", ok, err)
	holds(t, h, now)

	other = newRecord("s2", "bob", "").Session
	other.Secret = first.Secret
	put(t, h, session.Record{Session: other})
	holds(t, h, now, session.Record{Session: other})
}

func homeRenewMoves(t *testing.T, h session.Home) {
	want := newRecord("s1", "ada", "web")
	want.RSN = 7
	put(t, h, want)
	moved := renewed(want, "next")
	moved.UserID, moved.ClientID, moved.CreatedAt, moved.ExpiresAt = "eve", "evil", far(time.Minute), far(1000*time.Hour)
	moved.Address, moved.Agent, moved.Binding = "203.0.113.9", "other", "other"
	ok, err := h.Renew(t.Context(), want.Secret, moved)
	did(t, "renewal", ok, err)
	want.Secret = moved.Secret
	holds(t, h, want)
	same(t, "listed for eve", listedFor(t, h, refTo(revoke.User, "eve")), map[string]bool{})
}

func homeRenewDead(t *testing.T, h session.Home) {
	ctx := t.Context()
	idle, old := newRecord("idle", "ada", "web"), newRecord("old", "ada", "web")
	old.IdleUntil, old.ExpiresAt = far(3*time.Hour), far(2*time.Hour)
	put(t, h, idle, old)
	for _, r := range []session.Record{idle, old} {
		limit := r.IdleUntil
		if r.ExpiresAt.Before(limit) {
			limit = r.ExpiresAt
		}
		next := renewed(r, "next of "+r.ID)
		next.SeenAt, next.IdleUntil = limit, far(5*time.Hour)
		ok, err := h.Renew(ctx, r.Secret, next)
		refused(t, "renewal at the limit", ok, err)
		same(t, "untouched", record(t, h, r.ID), r)
		next.SeenAt = limit.Add(-time.Microsecond)
		ok, err = h.Renew(ctx, r.Secret, next)
		did(t, "renewal just in time", ok, err)
	}
	ended, err := h.End(ctx, refTo(revoke.Session, "idle"), 1)
	must(t, err)
	same(t, "ended", ended, []string{"idle"})
	ok, err := h.Renew(ctx, opaque.Hash("next of idle"), renewed(idle, "third"))
	refused(t, "renewal of an ended session", ok, err)
	_, found, err := h.ByID(ctx, "idle")
	refused(t, "found", found, err)
}

func homeTouchMany(t *testing.T, h session.Home) {
	ctx := t.Context()
	var touches []session.Touch
	var there []session.Record
	for i := range 1200 {
		id := fmt.Sprint("s", i)
		if i%3 > 0 {
			there = append(there, newRecord(id, "ada", "web"))
		}
		touches = append(touches, session.Touch{ID: id, Seen: far(time.Minute), IdleUntil: far(2 * time.Hour)})
	}
	putMany(t, h, there)
	n, err := h.Touch(ctx, touches)
	must(t, err)
	same(t, "touched", n, 800)
	all := pages(t, h, 100)
	same(t, "records", len(all), 800)
	for _, r := range all {
		same(t, "seen", r.SeenAt, far(time.Minute))
		same(t, "idle until", r.IdleUntil, far(2*time.Hour))
	}
}

func homeTouchForward(t *testing.T, h session.Home) {
	want := newRecord("s1", "ada", "web")
	put(t, h, want)
	for _, step := range []struct{ seen, idle, wantSeen, wantIdle time.Duration }{
		{10, 70, 10, 70},
		{5, 65, 10, 70},  // an older touch that comes late
		{12, 60, 12, 70}, // idle limits were shortened meanwhile
		{11, 80, 12, 80},
		{12, 80, 12, 80},
		{20, 5000, 20, 5000}, // past the absolute limit, which still ends it
	} {
		ok, err := touchOne(t, h, "s1", far(step.seen*time.Minute), far(step.idle*time.Minute))
		did(t, "touch", ok, err)
		want.SeenAt, want.IdleUntil = far(step.wantSeen*time.Minute), far(step.wantIdle*time.Minute)
		holds(t, h, want)
	}
	ok, err := touchOne(t, h, "s2", far(0), far(time.Hour))
	refused(t, "touch of what is not there", ok, err)
	ok, err = touchOne(t, h, "s1", want.ExpiresAt, far(6000*time.Minute))
	refused(t, "touch at the absolute limit", ok, err)
	holds(t, h, want)
}

func homeTouchDead(t *testing.T, h session.Home) {
	ctx := t.Context()
	idle, old := newRecord("idle", "ada", "web"), newRecord("old", "ada", "web")
	old.IdleUntil, old.ExpiresAt = far(3*time.Hour), far(2*time.Hour)
	put(t, h, idle, old)
	ok, err := touchOne(t, h, "idle", idle.IdleUntil, far(5*time.Hour))
	refused(t, "touch at the idle limit", ok, err)
	ok, err = touchOne(t, h, "old", old.ExpiresAt, far(5*time.Hour))
	refused(t, "touch at the absolute limit", ok, err)
	holds(t, h, idle, old)
	ok, err = touchOne(t, h, "idle", idle.IdleUntil.Add(-time.Microsecond), far(5*time.Hour))
	did(t, "touch just in time", ok, err)
	_, err = h.End(ctx, refTo(revoke.Session, "idle"), 1)
	must(t, err)
	ok, err = touchOne(t, h, "idle", far(0), far(time.Hour))
	refused(t, "touch of an ended session", ok, err)
	gone(t, h, idle)
	_, err = h.Purge(ctx, old.ExpiresAt, 10)
	must(t, err)
	ok, err = touchOne(t, h, "old", far(0), far(time.Hour))
	refused(t, "touch of a purged session", ok, err)
	gone(t, h, old)
	holds(t, h)
}

func homeLeave(t *testing.T, h session.Home) {
	ctx := t.Context()
	r, stays := newRecord("s1", "ada", "web"), newRecord("s2", "ada", "web")
	put(t, h, r, stays)
	left := r
	left.Leaving = true
	for range 2 {
		got, found, err := h.Leave(ctx, "s1")
		did(t, "leaving", found, err)
		same(t, "left", got, left)
	}
	holds(t, h, left, stays)
	next := renewed(r, "next")
	ok, err := h.Renew(ctx, r.Secret, next)
	refused(t, "renewal of what is leaving", ok, err)
	n, err := h.Touch(ctx, []session.Touch{
		{ID: "s1", Seen: far(time.Minute), IdleUntil: far(2 * time.Hour)}, {ID: "s2", Seen: far(time.Minute), IdleUntil: far(2 * time.Hour)},
	})
	must(t, err)
	same(t, "touched", n, 1)
	stays.SeenAt, stays.IdleUntil = far(time.Minute), far(2*time.Hour)
	conflict(t, "id of what is leaving", h.Add(ctx, session.Record{Session: next}))
	holds(t, h, left, stays)

	ended, err := h.End(ctx, refTo(revoke.User, "ada"), 1)
	must(t, err)
	same(t, "ended", asSet(ended), []string{"s1", "s2"})
	gone(t, h, left, stays)
	put(t, h, r)
	ok, err = touchOne(t, h, "s1", far(time.Minute), far(2*time.Hour))
	did(t, "touch of one that came back", ok, err)
	ok, err = h.Renew(ctx, r.Secret, next)
	did(t, "renewal of one that came back", ok, err)
	left, _, err = h.Leave(ctx, "s1")
	must(t, err)
	purged, err := h.Purge(ctx, far(100*time.Hour), 10)
	must(t, err)
	same(t, "purged while leaving", purged, []string{"s1"})
	gone(t, h, left)
	holds(t, h)
}
