package split_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/split"
	"github.com/wafer-auth/wafer/internal/ticket"
)

var errBroken = errors.New("disk on fire")

func TestRefusedLoginLeavesNoRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	ctx := t.Context()
	_, err := s.Record(ctx, ends(revoke.User, "ada"))
	must(t, err)
	fx := revoke.Effects{Guard: &revoke.Guard{RSN: 0, Refs: []revoke.Ref{{Kind: revoke.User, Key: "ada"}}}}
	if err := s.StartSession(ctx, newSession("s1", "ada"), fx); !fault.Is(err, fault.Conflict) {
		t.Errorf("guarded by an old position: %v, want a conflict", err)
	}
	wantSecret(t, s, "secret of s1", false)
	if n := count(t, h.home("mem://a")); n != 0 {
		t.Errorf("%d records after a refusal", n)
	}
	h.home("mem://a").failEnd(true) // what cannot be removed again is of no use either
	if err := s.StartSession(ctx, newSession("s3", "ada"), fx); !fault.Is(err, fault.Conflict) {
		t.Errorf("guarded by an old position: %v, want a conflict", err)
	}
	h.home("mem://a").failEnd(false)
	wantSecret(t, s, "secret of s3", false)
	fx.Guard.RSN = 1
	h.truth.set(errBroken, nil)
	if err := s.StartSession(ctx, newSession("s2", "ada"), fx); !errors.Is(err, errBroken) {
		t.Errorf("the truth fails: %v", err)
	}
	h.truth.set(nil, nil)
	wantSecret(t, s, "secret of s2", false)
	fx.Audit = []audit.Event{{At: at(0), Action: "session.start"}}
	must(t, s.StartSession(ctx, newSession("s2", "ada"), fx))
	wantSecret(t, s, "secret of s2", true)
	events, err := s.Events(ctx, 0, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("events %v, %v; want the one of the login", events, err)
	}
}

// A login that was checked against a password, and the change of that password:
// the record carries the position of the check.
func TestLoginCheckedBeforeTheEndOfItsUserIsEndedByIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	ctx := t.Context()
	a := h.home("mem://a")
	a.set(nil, once("add", func() {
		_, err := s.Record(ctx, ends(revoke.User, "ada"))
		must(t, err)
	}))
	must(t, s.StartSession(ctx, newSession("s1", "ada"), revoke.Effects{}))
	wantSecret(t, s, "secret of s1", false)
	start(t, s, "s2")
	wantSecret(t, s, "secret of s2", true)
}

func TestRestoredRecordOfAnEndedSessionIsNotFound(t *testing.T) {
	t.Parallel()
	for _, kind := range []revoke.Ref{{Kind: revoke.Session, Key: "s1"}, {Kind: revoke.User, Key: "ada"}, {Kind: revoke.Client, Key: "web"}} {
		h := newHouse(t)
		s := h.open("mem://a")
		ctx := t.Context()
		start(t, s, "s1")
		a := h.home("mem://a")
		backup, _, err := a.ByID(ctx, "s1")
		must(t, err)
		_, err = s.Record(ctx, ends(kind.Kind, kind.Key))
		must(t, err)
		must(t, s.Sweep(ctx))
		if n := count(t, a); n != 0 {
			t.Fatalf("%v: %d records after the sweep", kind, n)
		}
		must(t, a.Add(ctx, backup)) // the home is restored
		h.forward(23 * time.Hour)   // and the log was purged as far as it may be
		_, err = s.PurgeRevocations(ctx, h.clock())
		must(t, err)
		wantSecret(t, s, "secret of s1", false)
		if _, found, err := s.SessionByID(ctx, "s1"); found || err != nil {
			t.Errorf("%v: found by id %v, %v", kind, found, err)
		}
		if all, err := s.SessionsOf(ctx, "ada"); len(all) != 0 || err != nil {
			t.Errorf("%v: listed %v, %v", kind, all, err)
		}
		if st, err := s.Snapshot(ctx, grant.Query{SessionID: "s1"}); st.Session != nil || err != nil {
			t.Errorf("%v: in a snapshot %v, %v", kind, st.Session, err)
		}
		next := newSession("s1", "ada")
		next.Secret = opaque.Hash("next")
		if ok, err := s.RenewSession(ctx, opaque.Hash("secret of s1"), next, revoke.Effects{}); ok || err != nil {
			t.Errorf("%v: renewed %v, %v", kind, ok, err)
		}
		start(t, s, "s2")
		wantSecret(t, s, "secret of s2", true)
	}
}

func TestEntriesOutliveTheSessionsTheyMayCover(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	short, long := at(time.Minute), at(24*time.Hour)
	u := account.User{ID: "ada", Login: "ada", Canonical: "ada", Version: 1}
	c := client.Client{ID: "web", Kind: client.Public, Version: 1}
	seq := int64(0)
	check := func(s *split.Store, what string, want map[revoke.Kind]time.Time) {
		t.Helper()
		log, err := s.Revocations(t.Context(), seq, 100)
		must(t, err)
		if len(log) == 0 {
			t.Fatalf("%s: nothing recorded", what)
		}
		for _, r := range log {
			if !r.KeepUntil.Equal(want[r.Kind]) {
				t.Errorf("%s: entry of kind %s is kept until %v, want %v", what, r.Kind, r.KeepUntil, want[r.Kind])
			}
			seq = r.Seq
		}
	}
	all := revoke.Effects{}
	asIs, raised := map[revoke.Kind]time.Time{}, map[revoke.Kind]time.Time{}
	for _, k := range []revoke.Kind{revoke.Session, revoke.User, revoke.Client, revoke.Token, revoke.Grant, revoke.API, revoke.Key, revoke.Claims} {
		all.Revoke = append(all.Revoke, ends(k, "x").Revoke...)
		asIs[k], raised[k] = short, short
	}
	raised[revoke.Session], raised[revoke.User], raised[revoke.Client] = long, long, long

	s := h.open("")
	ctx := t.Context()
	_, err := s.Record(ctx, all)
	must(t, err)
	check(s, "in the truth", asIs)
	h.move(s, "mem://a")
	did := func(ok bool, err error) error {
		if err == nil && !ok {
			err = errors.New("reported false")
		}
		return err
	}
	for what, do := range map[string]func() error{
		"Record":  func() error { _, err := s.Record(ctx, all); return err },
		"AddUser": func() error { return s.AddUser(ctx, u, all) },
		"AddClient, ChangeClient": func() error {
			return errors.Join(s.AddClient(ctx, c, all), did(s.ChangeClient(ctx, c, all)))
		},
		"StartSession": func() error { return s.StartSession(ctx, newSession("s1", "bob"), all) },
		"ChangeGrant": func() error {
			return s.ChangeGrant(ctx, "none", func(grant.State) grant.Change { return grant.Change{Effects: all} })
		},
	} {
		must(t, do())
		check(s, what, raised)
	}
	made := ticket.Ticket{Kind: ticket.Device, Key: opaque.Hash("t"), ExpiresAt: long}
	for _, step := range []struct {
		what string
		do   func() (bool, error)
	}{
		{"GiveConsent", func() (bool, error) {
			return s.GiveConsent(ctx, consent.Consent{UserID: "ada", ClientID: "web", APIID: "a"}, all)
		}},
		{"WithdrawConsent", func() (bool, error) {
			return s.WithdrawConsent(ctx, "ada", "web", func([]string) revoke.Effects { return all })
		}},
		{"AddTicket", func() (bool, error) { return s.AddTicket(ctx, made, all) }},
		{"ChangeTicket", func() (bool, error) { made.Version = 1; return s.ChangeTicket(ctx, made, all) }},
		{"AddInvited", func() (bool, error) {
			made.Version = 2
			return s.AddInvited(ctx, client.Client{ID: "invited", Kind: client.Public}, made, all)
		}},
	} {
		must(t, did(step.do()))
		check(s, step.what, raised)
	}
	if all.Revoke[0].KeepUntil != short {
		t.Error("the caller's entries were changed")
	}
	far := ends(revoke.User, "x")
	far.Revoke[0].KeepUntil = at(100 * time.Hour)
	_, err = s.Record(ctx, far)
	must(t, err)
	check(s, "longer already", map[revoke.Kind]time.Time{revoke.User: at(100 * time.Hour)})
}

// A node with a short limit ends what a node with a long one began.
func TestEntriesOutliveTheLongestLimitAnyNodeHad(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open("mem://a") // 24 hours
	c := h.config("mem://a")
	c.Longest = time.Hour
	s, err := split.Open(t.Context(), c)
	must(t, err)
	_, err = s.Record(t.Context(), ends(revoke.User, "ada"))
	must(t, err)
	log, err := s.Revocations(t.Context(), 0, 1)
	must(t, err)
	if !log[0].KeepUntil.Equal(at(24 * time.Hour)) {
		t.Errorf("kept until %v", log[0].KeepUntil)
	}
}

func TestFailureAfterARenewalCostsALoginAndNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	start(t, s, "s1")
	next := newSession("s1", "ada")
	next.Secret = opaque.Hash("next")
	h.home("mem://a").set(nil, once("renew", func() { h.truth.set(errBroken, nil) }))
	if ok, err := s.RenewSession(t.Context(), opaque.Hash("secret of s1"), next, revoke.Effects{}); ok || !errors.Is(err, errBroken) {
		t.Errorf("renewed %v, %v", ok, err)
	}
	h.truth.set(nil, nil)
	wantSecret(t, s, "secret of s1", false)
	start(t, s, "s2")
	next.ID, next.Secret = "s2", opaque.Hash("next of s2")
	if ok, err := s.RenewSession(t.Context(), opaque.Hash("secret of s2"), next, revoke.Effects{}); !ok || err != nil {
		t.Errorf("renewed %v, %v", ok, err)
	}
	wantSecret(t, s, "next of s2", true)
}

func family(t *testing.T, s *split.Store) grant.Grant {
	t.Helper()
	ctx := t.Context()
	must(t, s.AddUser(ctx, account.User{ID: "ada", Login: "ada", Canonical: "ada", Version: 1}, revoke.Effects{}))
	must(t, s.AddClient(ctx, client.Client{ID: "app", Kind: client.Public, Version: 1}, revoke.Effects{}))
	start(t, s, "s1") // at another client, so that its end is not the grant's own
	g := grant.Grant{ID: "g1", SessionID: "s1", UserID: "ada", ClientID: "app", APIID: "orders", CreatedAt: at(0), ExpiresAt: at(time.Hour), Gen: 1, RotatedAt: at(0)}
	if ok, err := s.AddGrant(ctx, g, revoke.Effects{}); !ok || err != nil {
		t.Fatalf("added %v, %v", ok, err)
	}
	return g
}

// The session ends between the readings of a snapshot (I3): nobody gets a state
// with a session and a position that its end does not cover.
func TestSnapshotBesideTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	for _, q := range []grant.Query{{SessionID: "s1"}, {SessionSecret: opaque.Hash("secret of s1")}, {GrantID: "g1"}} {
		h := newHouse(t)
		s := h.open("mem://a")
		family(t, s)
		st, err := s.Snapshot(t.Context(), q)
		if err != nil || st.Session == nil || st.User == nil {
			t.Fatalf("%+v: %+v, %v", q, st, err)
		}
		h.truth.set(nil, once("standing", func() {
			_, err := s.Record(t.Context(), ends(revoke.Session, "s1"))
			must(t, err)
		}))
		if st, err = s.Snapshot(t.Context(), q); err != nil || st.Session != nil || st.RSN != 1 {
			t.Errorf("%+v: session %v at position %d, %v", q, st.Session, st.RSN, err)
		}
	}
}

// R7: no refresh succeeds after the end of its session, however close.
func TestRefreshBesideTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	family(t, s)
	rotated := 0
	rotate := func(st grant.State) grant.Change {
		rotated = 0
		if st.Grant == nil || st.Session == nil {
			return grant.Change{}
		}
		rotated++
		next := *st.Grant
		next.Gen++
		return grant.Change{Next: &next}
	}
	must(t, s.ChangeGrant(t.Context(), "g1", rotate))
	if rotated != 1 {
		t.Fatal("a live session was not refreshed")
	}
	h.truth.set(nil, once("change grant", func() {
		_, err := s.Record(t.Context(), ends(revoke.Client, "other"))
		must(t, err)
	}))
	must(t, s.ChangeGrant(t.Context(), "g1", rotate))
	if rotated != 1 {
		t.Fatal("the end of something else stopped a refresh")
	}
	h.truth.set(nil, once("change grant", func() {
		_, err := s.Record(t.Context(), ends(revoke.Client, "web"))
		must(t, err)
	}))
	must(t, s.ChangeGrant(t.Context(), "g1", rotate))
	if rotated != 0 {
		t.Error("refreshed after the end of the session")
	}
	if ok, err := s.AddToken(t.Context(), grant.AccessToken{Digest: opaque.Hash("t"), ID: "t", SessionID: "s1", UserID: "ada", ClientID: "app"}); ok || err != nil {
		t.Errorf("token for an ended session: %v, %v", ok, err)
	}
}

func TestHomeThatFailsSignsNobodyOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	start(t, s, "s1")
	h.home("mem://a").set(errDown, nil)
	if _, _, found, err := s.SessionBySecret(t.Context(), opaque.Hash("secret of s1")); found || err == nil {
		t.Errorf("found %v, %v; want an error", found, err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("Ping: no error")
	}
	_, err := s.Record(t.Context(), ends(revoke.Session, "s2"))
	must(t, err) // an end needs no home
	if err := s.Sweep(t.Context()); err == nil {
		t.Error("Sweep: no error")
	}
	h.home("mem://a").set(nil, nil)
	must(t, s.Ping(t.Context()))
	wantSecret(t, s, "secret of s1", true)
}

func TestSweepGoesOnWhereItFailed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	a := h.home("mem://a")
	ids := names("s", 1200)
	for _, id := range ids {
		must(t, a.Add(t.Context(), session.Record{Session: newSession(id, "ada")}))
		_, err := s.Record(t.Context(), ends(revoke.Session, id))
		must(t, err)
	}
	left := 700
	a.set(nil, func(call string) {
		if left--; call == "end" && left == 0 {
			a.set(errDown, nil)
		}
	})
	if err := s.Sweep(t.Context()); err == nil {
		t.Error("Sweep: no error")
	}
	a.set(nil, nil)
	if n := count(t, a); n == 0 || n == int64(len(ids)) {
		t.Errorf("%d records after half a sweep", n)
	}
	must(t, s.Sweep(t.Context()))
	if n := count(t, a); n != 0 {
		t.Errorf("%d records after the sweep", n)
	}
}

func TestListLeavesOutTheEndedAmongTheLiving(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	start(t, s, "s1", "s2", "s3")
	_, err := s.Record(t.Context(), ends(revoke.Session, "s2"))
	must(t, err)
	all, err := s.SessionsOf(t.Context(), "ada")
	must(t, err)
	got := ""
	for _, one := range all {
		got += fmt.Sprint(one.ID, " ")
	}
	if got != "s3 s1 " {
		t.Errorf("listed %s", got)
	}
}
