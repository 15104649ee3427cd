package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
)

func sessionCases() []testCase {
	return []testCase{
		{"SessionReadBackAsWritten", sessionReadBack},
		{"SessionTakenIDOrSecretIsAConflict", sessionTaken},
		{"SessionReplacesAnother", sessionReplaces},
		{"SessionsOfAUserNewestFirst", sessionsOf},
		{"RenewSessionSwapsTheSecret", renew},
		{"RenewSessionNeverRevives", renewDead},
		{"TouchSessionsTakesManyAtOnce", touchMany},
		{"TouchSessionNeverMovesBack", touchForward},
		{"TouchSessionNeverRevives", touchDead},
		{"PurgeSessionsTakesTheDeadAndWhatHangsFromThem", purgeSessions},
		{"PurgeSessionsIsLimited", purgeSessionsLimited},
	}
}

func find(t *testing.T, s store.Store, id string) (session.Session, bool) {
	t.Helper()
	got, found, err := s.SessionByID(t.Context(), id)
	must(t, err)
	return got, found
}

// touch notes one use, and reports whether the session was live.
func touch(ctx context.Context, s store.Store, id string, seen, idleUntil time.Time) (bool, error) {
	n, err := s.TouchSessions(ctx, []session.Touch{{ID: id, Seen: seen, IdleUntil: idleUntil}})
	return n == 1, err
}

func sessionReadBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	want := newSession("s1", "ada", "web")
	must(t, s.StartSession(ctx, want, none))
	got, found := find(t, s, "s1")
	same(t, "found", found, true)
	same(t, "by id", got, want)
	got, rsn, found, err := s.SessionBySecret(ctx, want.Secret)
	must(t, err)
	same(t, "found", found, true)
	same(t, "by secret", got, want)
	same(t, "rsn", rsn, int64(0))

	_, err = s.Record(ctx, takes(revoke.Key, "k"))
	must(t, err)
	_, rsn, _, err = s.SessionBySecret(ctx, want.Secret)
	must(t, err)
	same(t, "rsn after an entry", rsn, int64(1))
	_, rsn, found, err = s.SessionBySecret(ctx, opaque.Hash("guess"))
	must(t, err)
	same(t, "a guess found", found, false)
	same(t, "rsn for a guess", rsn, int64(1))
	_, found = find(t, s, "s2")
	same(t, "another found", found, false)
}

func sessionTaken(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := newSession("s1", "ada", "web")
	must(t, s.StartSession(ctx, first, none))
	again := newSession("s1", "bob", "web")
	again.Secret = opaque.Hash("fresh")
	conflict(t, "taken id", s.StartSession(ctx, again, none))
	again = newSession("s2", "bob", "web")
	again.Secret = first.Secret
	conflict(t, "taken secret", s.StartSession(ctx, again, none))
	must(t, s.StartSession(ctx, newSession("s2", "bob", "web"), none))
	next := newSession("s2", "bob", "web")
	next.Secret = first.Secret
	_, err := s.RenewSession(ctx, opaque.Hash("secret of s2"), next, none)
	conflict(t, "renewal to a taken secret", err)
	got, _ := find(t, s, "s1")
	same(t, "untouched", got, first)
}

func sessionReplaces(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	w.sessions["s9"] = newSession("s9", "ada", "web")
	must(t, s.StartSession(t.Context(), w.sessions["s9"], takes(revoke.Session, "s1")))
	same(t, "gone", w.gone(t), []string{"g1", "g2", "s1", "t1", "t2"})
}

func sessionsOf(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i, age := range []time.Duration{2, 0, 1, 1} {
		one := newSession(fmt.Sprint("s", i), "ada", "web")
		one.CreatedAt = at(-age * time.Hour)
		must(t, s.StartSession(ctx, one, none))
	}
	must(t, s.StartSession(ctx, newSession("s9", "bob", "web"), none))
	all, err := s.SessionsOf(ctx, "ada")
	must(t, err)
	var ids []string
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	same(t, "newest first", ids, []string{"s1", "s3", "s2", "s0"})
	all, err = s.SessionsOf(ctx, "nobody")
	must(t, err)
	same(t, "of nobody", len(all), 0)
}

func renew(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := newSession("s1", "ada", "web")
	must(t, s.StartSession(ctx, first, none))
	next := first
	next.Secret, next.AuthTime, next.AMR = opaque.Hash("next"), at(time.Minute), []string{"pwd", "otp"}
	next.SeenAt, next.IdleUntil = at(time.Minute), at(2*time.Hour)
	ok, err := s.RenewSession(ctx, opaque.Hash("guess"), next, none)
	refused(t, "renewal by a guess", ok, err)
	ok, err = s.RenewSession(ctx, first.Secret, next, none)
	did(t, "renewal", ok, err)
	ok, err = s.RenewSession(ctx, first.Secret, next, none)
	refused(t, "renewal by the old secret", ok, err)
	got, _ := find(t, s, "s1")
	same(t, "renewed", got, next)
	_, _, found, err := s.SessionBySecret(ctx, first.Secret)
	must(t, err)
	same(t, "old secret found", found, false)
	_, _, found, err = s.SessionBySecret(ctx, next.Secret)
	must(t, err)
	same(t, "new secret found", found, true)

	moved := next
	moved.Secret, moved.UserID, moved.ClientID, moved.ExpiresAt = opaque.Hash("third"), "eve", "evil", at(1000*time.Hour)
	ok, err = s.RenewSession(ctx, next.Secret, moved, none)
	did(t, "renewal", ok, err)
	next.Secret = moved.Secret
	got, _ = find(t, s, "s1")
	same(t, "owner and absolute limit stay", got, next)
}

func renewDead(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := newSession("s1", "ada", "web")
	must(t, s.StartSession(ctx, first, none))
	next := first
	next.Secret, next.SeenAt, next.IdleUntil = opaque.Hash("next"), at(time.Hour), at(2*time.Hour)
	ok, err := s.RenewSession(ctx, first.Secret, next, none)
	refused(t, "renewal at the idle limit", ok, err)
	got, _ := find(t, s, "s1")
	same(t, "untouched", got, first)
	next.SeenAt = at(time.Hour - time.Microsecond)
	ok, err = s.RenewSession(ctx, first.Secret, next, none)
	did(t, "renewal just in time", ok, err)
}

func touchForward(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.StartSession(ctx, newSession("s1", "ada", "web"), none))
	for _, step := range []struct{ seen, idle, wantSeen, wantIdle time.Duration }{
		{10, 70, 10, 70},
		{5, 65, 10, 70},  // an older touch that comes late
		{12, 60, 12, 70}, // idle limits were shortened meanwhile
		{11, 80, 12, 80},
	} {
		ok, err := touch(ctx, s, "s1", at(step.seen*time.Minute), at(step.idle*time.Minute))
		did(t, "touch", ok, err)
		got, _ := find(t, s, "s1")
		want := newSession("s1", "ada", "web")
		want.SeenAt, want.IdleUntil = at(step.wantSeen*time.Minute), at(step.wantIdle*time.Minute)
		same(t, "touched", got, want)
	}
	ok, err := touch(ctx, s, "s2", at(0), at(time.Hour))
	refused(t, "touch of what is not there", ok, err)
}

func touchMany(t *testing.T, s store.Store) {
	ctx := t.Context()
	var touches []session.Touch
	for i := range 1200 {
		id := fmt.Sprint("s", i)
		if i%3 > 0 {
			must(t, s.StartSession(ctx, newSession(id, "ada", "web"), none))
		}
		touches = append(touches, session.Touch{ID: id, Seen: at(time.Minute), IdleUntil: at(2 * time.Hour)})
	}
	n, err := s.TouchSessions(ctx, touches)
	must(t, err)
	same(t, "touched", n, 800)
	got, _ := find(t, s, "s1199")
	same(t, "idle until", got.IdleUntil, at(2*time.Hour))
	n, err = s.TouchSessions(ctx, nil)
	must(t, err)
	same(t, "touched by nothing", n, 0)
}

func touchDead(t *testing.T, s store.Store) {
	ctx := t.Context()
	idle := newSession("idle", "ada", "web")
	old := newSession("old", "ada", "web")
	old.IdleUntil, old.ExpiresAt = at(3*time.Hour), at(2*time.Hour)
	must(t, s.StartSession(ctx, idle, none))
	must(t, s.StartSession(ctx, old, none))
	ok, err := touch(ctx, s, "idle", idle.IdleUntil, at(5*time.Hour))
	refused(t, "touch at the idle limit", ok, err)
	ok, err = touch(ctx, s, "old", old.ExpiresAt, at(5*time.Hour))
	refused(t, "touch at the absolute limit", ok, err)
	for _, want := range []session.Session{idle, old} {
		got, _ := find(t, s, want.ID)
		same(t, "untouched", got, want)
	}
	ok, err = touch(ctx, s, "idle", idle.IdleUntil.Add(-time.Microsecond), at(5*time.Hour))
	did(t, "touch just in time", ok, err)
	_, err = s.Record(ctx, takes(revoke.Session, "idle"))
	must(t, err)
	settle(t, s)
	ok, err = touch(ctx, s, "idle", at(0), at(time.Hour))
	refused(t, "touch of an ended session", ok, err)
	_, found := find(t, s, "idle")
	same(t, "ended session found", found, false)
}

func purgeSessions(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	ok, err := touch(ctx, s, "s2", at(30*time.Minute), at(90*time.Minute))
	did(t, "touch", ok, err)
	n, err := s.PurgeSessions(ctx, at(time.Hour-time.Microsecond), 10)
	must(t, err)
	same(t, "purged before any limit", n, 0)
	n, err = s.PurgeSessions(ctx, at(time.Hour), 10)
	must(t, err)
	same(t, "purged", n, 2)
	same(t, "gone", w.gone(t), []string{"g1", "g2", "g4", "s1", "s3", "t1", "t2", "t4"})
	n, err = s.PurgeSessions(ctx, at(90*time.Minute), 10)
	must(t, err)
	same(t, "purged at the limit that was moved", n, 1)
	same(t, "logs", ledgerOf(t, s), ledger{})
}

func purgeSessionsLimited(t *testing.T, s store.Store) {
	ctx := t.Context()
	const all = 25
	for i := range all {
		one := newSession(fmt.Sprint("s", i), "ada", "web")
		one.ExpiresAt = at(30 * time.Minute) // before the idle limit
		must(t, s.StartSession(ctx, one, none))
	}
	for _, want := range []int{10, 10, 5, 0} {
		n, err := s.PurgeSessions(ctx, at(30*time.Minute), 10)
		must(t, err)
		same(t, "purged", n, want)
	}
}
