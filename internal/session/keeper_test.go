package session_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/verify/bound"
)

type house struct {
	*session.Keeper
	t     *testing.T
	store store.Store
	now   time.Time
	user  string
}

func newHouse(t *testing.T, l session.Limits) *house {
	t.Helper()
	h := &house{t: t, store: memory.New(), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	h.Keeper = session.NewKeeper(h.store, l, func() time.Time { return h.now })
	h.user = h.addUser("ada@example.com")
	return h
}

func (h *house) addUser(login string) string {
	h.t.Helper()
	u := account.User{ID: opaque.ID(opaque.UserID, h.now), Login: login, Canonical: login}
	if err := h.store.AddUser(h.t.Context(), u, revoke.Effects{}); err != nil {
		h.t.Fatal(err)
	}
	return u.ID
}

func (h *house) start(l session.Login) (session.Session, string) {
	h.t.Helper()
	if l.UserID == "" {
		l.UserID = h.user
	}
	s, secret, err := h.Start(h.t.Context(), l)
	if err != nil {
		h.t.Fatal(err)
	}
	return s, secret
}

func (h *house) flush() {
	h.t.Helper()
	if err := h.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) wantFound(secret string, want bool) {
	h.t.Helper()
	_, _, found, err := h.Find(h.t.Context(), secret, bound.Seen{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.flush()
	if found != want {
		h.t.Errorf("found is %v, want %v", found, want)
	}
}

// SESS-007
func TestIdleAndAbsoluteLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.Limits{Idle: time.Hour, Absolute: 5 * time.Hour, Touch: time.Minute})
	_, secret := h.start(session.Login{})
	h.now = h.now.Add(59 * time.Minute)
	h.wantFound(secret, true)
	h.now = h.now.Add(59 * time.Minute)
	h.wantFound(secret, true)
	h.now = h.now.Add(time.Hour)
	h.wantFound(secret, false)
	h.now = h.now.Add(-time.Minute) // a clock that goes back revives nothing that was used meanwhile, and nothing else
	_, secret = h.start(session.Login{})
	for range 11 {
		h.now = h.now.Add(25 * time.Minute)
		h.wantFound(secret, true)
	}
	h.now = h.now.Add(25 * time.Minute)
	h.wantFound(secret, false)
}

func TestUseIsWrittenAtMostOnceATouch(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.Limits{Idle: time.Hour, Absolute: 5 * time.Hour, Touch: time.Minute})
	s, secret := h.start(session.Login{})
	h.now = h.now.Add(59 * time.Second)
	h.wantFound(secret, true)
	h.flush()
	if got, _, _ := h.store.SessionByID(t.Context(), s.ID); !got.SeenAt.Equal(s.SeenAt) {
		t.Error("use was written within the touch time")
	}
	h.now = h.now.Add(time.Second)
	h.wantFound(secret, true)
	h.flush()
	if got, _, _ := h.store.SessionByID(t.Context(), s.ID); !got.SeenAt.Equal(h.now) {
		t.Error("use was not written after the touch time")
	}
}

func TestTouchIsAtMostATenthOfIdle(t *testing.T) {
	t.Parallel()
	k := session.NewKeeper(memory.New(), session.Limits{Idle: time.Minute, Absolute: time.Hour, Touch: time.Minute}, time.Now)
	if got := k.Limits().Touch; got != 6*time.Second {
		t.Errorf("touch is %s (S1)", got)
	}
}

// SESS-001, SESS-002
func TestSecretChangesWithPrivilege(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	s, old := h.start(session.Login{AMR: []string{"pwd"}})
	next, fresh, err := h.Renew(t.Context(), s, []string{"pwd", "otp"})
	if err != nil {
		t.Fatal(err)
	}
	h.wantFound(old, false)
	h.wantFound(fresh, true)
	if next.ID != s.ID {
		t.Error("the sid changed")
	}
	if _, _, err := h.Renew(t.Context(), s, nil); err == nil {
		t.Error("an old state renewed the session again")
	}
	h.wantFound(fresh, true)
}

func TestLoginInTheSameBrowserEndsTheOldSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	first, old := h.start(session.Login{})
	_, fresh := h.start(session.Login{Replaces: first.ID})
	h.wantFound(old, false)
	h.wantFound(fresh, true)
}

// SESS-011
func TestForgedCookieIsNoSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	s, secret := h.start(session.Login{})
	flipped := []byte(secret)
	flipped[3] ^= 1
	for _, bad := range []string{"", "x", s.ID, secret[:42], secret + "A", string(flipped), secret + "\n", " " + secret} {
		h.wantFound(bad, false)
	}
	h.wantFound(secret, true)
}

func TestEndingSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	bob := h.addUser("bob@example.com")
	mine, one := h.start(session.Login{})
	_, two := h.start(session.Login{})
	_, three := h.start(session.Login{})
	_, bobs := h.start(session.Login{UserID: bob})
	if done, err := h.End(t.Context(), session.EndOne{ID: mine.ID, UserID: bob, Actor: bob, Reason: "x"}); done || err != nil {
		t.Errorf("somebody else ended the session: %v, %v", done, err)
	}
	h.wantFound(one, true)
	others, err := h.OthersEnding(t.Context(), h.user, mine.ID, h.user, "password")
	if err != nil || len(others.Revoke) != 2 {
		t.Errorf("%d others end, %v", len(others.Revoke), err)
	}
	if _, err := h.store.Record(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	h.wantFound(one, true)
	h.wantFound(two, false)
	h.wantFound(three, false)
	if _, err := h.EndAll(t.Context(), h.user, "cli", "ban"); err != nil {
		t.Fatal(err)
	}
	h.wantFound(one, false)
	h.wantFound(bobs, true)
	if done, err := h.End(t.Context(), session.EndOne{ID: mine.ID, Actor: "x", Reason: "x"}); done || err != nil {
		t.Errorf("a session ended twice: %v, %v", done, err)
	}
}

func TestPurgeRemovesOnlyTheDead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.Limits{Idle: time.Hour, Absolute: 5 * time.Hour, Touch: time.Minute})
	for range 20 {
		h.start(session.Login{})
	}
	h.now = h.now.Add(2 * time.Hour)
	_, alive := h.start(session.Login{})
	n, err := h.Purge(t.Context(), h.now)
	if err != nil || n != 20 {
		t.Errorf("purged %d, %v; want 20", n, err)
	}
	h.wantFound(alive, true)
}

// A password that was changed, or an account that was banned, while its hash was
// being computed starts no session.
func TestLoginOvertakenByABanStartsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	head, err := h.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guard := &revoke.Guard{RSN: head, Refs: []revoke.Ref{{Kind: revoke.User, Key: h.user}}}
	_, before := h.start(session.Login{Guard: guard})
	h.wantFound(before, true)
	if _, err := h.EndAll(t.Context(), h.user, "cli", "ban"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Start(t.Context(), session.Login{UserID: h.user, Guard: guard}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a login from before the ban: %v", err)
	}
	guard.RSN++
	_, after := h.start(session.Login{Guard: guard})
	h.wantFound(after, true)
}

// A service that checks cookies by itself tells of their use by sid (S5).
func TestUseToldByAServiceKeepsASessionAlive(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.Limits{Idle: time.Hour, Absolute: 5 * time.Hour, Touch: time.Minute})
	s, secret := h.start(session.Login{})
	h.now = h.now.Add(50 * time.Minute)
	h.TouchByID(s.ID, h.now.Add(-time.Minute))
	h.flush()
	h.now = h.now.Add(50 * time.Minute)
	h.wantFound(secret, true)

	h.now = h.now.Add(61 * time.Minute)
	h.TouchByID(s.ID, h.now) // too late: it never revives
	h.flush()
	h.wantFound(secret, false)
}

func TestUseToldFromTheFutureCountsAsNow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.Limits{Idle: time.Hour, Absolute: 5 * time.Hour, Touch: time.Minute})
	s, secret := h.start(session.Login{})
	h.now = h.now.Add(10 * time.Minute)
	h.TouchByID(s.ID, h.now.Add(4*time.Hour))
	h.flush()
	h.now = h.now.Add(59 * time.Minute)
	h.wantFound(secret, true)
	h.now = h.now.Add(61 * time.Minute)
	h.wantFound(secret, false)
}
