package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func consentCases() []testCase {
	return []testCase{
		{"ConsentGrowsAndKeepsItsDate", consentGrows},
		{"ConsentsAreCopies", consentCopies},
		{"ConsentToNothing", consentToNothing},
		{"GiveConsentNeedsUserAndClient", giveNeeds},
		{"ConsentsAreListedByClientAndAPI", consentsListed},
		{"WithdrawConsentTakesAllOfThePair", withdraw},
		{"WithdrawConsentSeesExactlyTheGrantsOfThePair", withdrawGrants},
		{"WithdrawConsentOfNothingWritesNothing", withdrawNothing},
		{"WithdrawConsentBesideANewerEntryIsAConflict", withdrawGuarded},
		{"ConsentsGoWithTheirUserOrClient", consentsGo},
		{"RaceToGiveConsentKeepsEveryScope", raceToGive},
		{"RaceToWithdrawConsentHasOneWinner", raceToWithdraw},
		{"NoConsentSurvivesItsUser", giveAgainstRemoval},
		{"ConsentedGrantNeedsItsConsent", consentedGrant},
		{"NoGrantSurvivesAWithdrawalUnnoticed", grantAgainstWithdrawal},
		{"NoConsentedGrantSurvivesAWithdrawal", consentedAgainstWithdrawal},
		{"NoCodeComesToLifeAfterAWithdrawal", codeAgainstWithdrawal},
	}
}

func newConsent(userID, clientID, apiID string, scopes ...string) consent.Consent {
	return consent.Consent{UserID: userID, ClientID: clientID, APIID: apiID, Scopes: scopes, GivenAt: at(0), UpdatedAt: at(0)}
}

func give(t *testing.T, s store.Store, c consent.Consent) {
	t.Helper()
	ok, err := s.GiveConsent(t.Context(), c, none)
	did(t, "GiveConsent", ok, err)
}

func consentsOf(t *testing.T, s store.Store, userID string) []consent.Consent {
	t.Helper()
	all, err := s.ConsentsOf(t.Context(), userID)
	must(t, err)
	return all
}

func consentGrows(t *testing.T, s store.Store) {
	ctx := t.Context()
	newWorld(t, s)
	step := func(minute int, scopes ...string) {
		t.Helper()
		c := newConsent("ada", "web", "orders", scopes...)
		c.GivenAt = at(time.Duration(minute) * time.Minute).Add(789)
		c.UpdatedAt = c.GivenAt.Add(time.Second).In(time.FixedZone("CEST", 2*60*60))
		give(t, s, c)
	}
	want := func(minute int, scopes ...string) {
		t.Helper()
		c := newConsent("ada", "web", "orders", scopes...)
		c.UpdatedAt = at(time.Duration(minute)*time.Minute + time.Second)
		got, found, err := s.ConsentFor(ctx, "ada", "web", "orders")
		did(t, "ConsentFor", found, err)
		same(t, fmt.Sprint("consent of minute ", minute), got, c)
	}
	_, found, err := s.ConsentFor(ctx, "ada", "web", "orders")
	must(t, err)
	same(t, "found before it is given", found, false)
	step(0, "write", "read", "write")
	want(0, "read", "write")
	step(1, "read")
	want(0, "read", "write")
	step(2)
	want(0, "read", "write")
	step(3, "write", "admin \"<&>\"", "read")
	want(3, "admin \"<&>\"", "read", "write")
	for _, other := range [][3]string{{"bob", "web", "orders"}, {"ada", "app", "orders"}, {"ada", "web", "vault"}, {"", "", ""}} {
		_, found, err := s.ConsentFor(ctx, other[0], other[1], other[2])
		must(t, err)
		same(t, fmt.Sprint("found of ", other), found, false)
	}
}

func consentCopies(t *testing.T, s store.Store) {
	newWorld(t, s)
	c := newConsent("ada", "web", "orders", "write", "read")
	give(t, s, c)
	same(t, "what was given", c.Scopes, []string{"write", "read"})
	want := newConsent("ada", "web", "orders", "read", "write")
	for range 2 {
		got, _, err := s.ConsentFor(t.Context(), "ada", "web", "orders")
		must(t, err)
		same(t, "consent", got, want)
		got.Scopes[0] = "evil"
		all := consentsOf(t, s, "ada")
		same(t, "consents", all, []consent.Consent{want})
		all[0].Scopes[0] = "evil"
		c.Scopes[0] = "evil"
	}
}

func consentToNothing(t *testing.T, s store.Store) {
	newWorld(t, s)
	for api, scopes := range map[string][]string{"orders": nil, "vault": {}} {
		c := newConsent("ada", "web", api, scopes...)
		for range 2 {
			give(t, s, c)
			got, found, err := s.ConsentFor(t.Context(), "ada", "web", api)
			did(t, "ConsentFor", found, err)
			same(t, "consent", got, newConsent("ada", "web", api))
			c.UpdatedAt = at(time.Hour)
		}
		c.Scopes = []string{"read"}
		give(t, s, c)
		got, _, err := s.ConsentFor(t.Context(), "ada", "web", api)
		must(t, err)
		same(t, "grown", got, c)
	}
}

func giveNeeds(t *testing.T, s store.Store) {
	newWorld(t, s)
	fx := takes(revoke.Session, "s1")
	fx.Audit = []audit.Event{event("give")}
	for _, c := range []consent.Consent{
		newConsent("eve", "web", "orders", "read"), newConsent("ada", "evil", "orders", "read"), newConsent("", "", "", "read"),
	} {
		ok, err := s.GiveConsent(t.Context(), c, fx)
		refused(t, "consent of "+c.UserID+" to "+c.ClientID, ok, err)
		same(t, "consents", consentsOf(t, s, c.UserID), []consent.Consent(nil))
	}
	same(t, "logs", ledgerOf(t, s), ledger{})
	ok, err := s.GiveConsent(t.Context(), newConsent("ada", "web", "unknown", "read"), fx)
	did(t, "GiveConsent", ok, err)
	ok, err = s.GiveConsent(t.Context(), newConsent("ada", "web", "unknown", "read"), fx)
	did(t, "GiveConsent of nothing new", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{2, 2})
}

func consentsListed(t *testing.T, s store.Store) {
	newWorld(t, s)
	want := []consent.Consent{
		newConsent("ada", "app", "orders", "read"), newConsent("ada", "app", "vault", "read"), newConsent("ada", "web", "Z", "read"),
		newConsent("ada", "web", "orders", "read", "write"), newConsent("ada", "web", "é", "read"),
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		give(t, s, want[i])
	}
	give(t, s, newConsent("bob", "app", "orders", "read"))
	same(t, "of ada", consentsOf(t, s, "ada"), want)
	same(t, "of bob", consentsOf(t, s, "bob"), []consent.Consent{newConsent("bob", "app", "orders", "read")})
	same(t, "of nobody", consentsOf(t, s, "eve"), []consent.Consent(nil))
}

func withdraw(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	left := []consent.Consent{newConsent("ada", "app", "orders", "read"), newConsent("ada", "app", "vault", "read")}
	for _, c := range append(slices.Clone(left), newConsent("ada", "web", "orders", "read"), newConsent("ada", "web", "vault", "read"),
		newConsent("bob", "web", "orders", "read")) {
		give(t, s, c)
	}
	var seen []string
	ok, err := s.WithdrawConsent(t.Context(), "ada", "web", func(ids []string) revoke.Effects {
		seen = ids
		fx := takes(revoke.Grant, ids[0])
		fx.Audit = []audit.Event{event("withdraw")}
		return fx
	})
	did(t, "WithdrawConsent", ok, err)
	same(t, "grants seen", seen, []string{"g1"})
	same(t, "left of ada", consentsOf(t, s, "ada"), left)
	same(t, "left of bob", len(consentsOf(t, s, "bob")), 1)
	same(t, "gone", w.gone(t), []string{"g1", "t1"})
	same(t, "logs", ledgerOf(t, s), ledger{1, 1})
	log, err := s.Revocations(t.Context(), 0, 10)
	must(t, err)
	same(t, "who is told", log[0].Clients, []string{"web"})
}

// withdrawGrants: what it sees are the grants of the pair, codes among them, whatever
// their session and whether or not a consent is remembered.
func withdrawGrants(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, id := range []string{"h3", "h1", "h2"} {
		one := newGrant(id, w.sessions["s2"], "web", "vault")
		one.Gen = 0
		w.grant(t, one)
		w.token(t, newToken("t"+id, one))
	}
	for _, c := range []struct {
		user, client string
		want         []string
	}{
		{"ada", "web", []string{"g1", "h1", "h2", "h3"}}, {"ada", "app", []string{"g2", "g3"}}, {"bob", "app", []string{"g4"}},
	} {
		var seen []string
		ok, err := s.WithdrawConsent(t.Context(), c.user, c.client, func(ids []string) revoke.Effects {
			seen = ids
			return none
		})
		did(t, "WithdrawConsent", ok, err)
		same(t, "grants of "+c.user+" and "+c.client, seen, c.want)
	}
	same(t, "gone without effects", w.gone(t), []string{})
	withdrawAll(t, s, "ada", "web")
	same(t, "gone", w.gone(t), []string{"g1", "h1", "h2", "h3", "t1", "th1", "th2", "th3"})
	same(t, "logs", ledgerOf(t, s), ledger{4, 1})
}

// withdrawAll withdraws like a person does, and returns the grants that ended.
func withdrawAll(t *testing.T, s store.Store, userID, clientID string) (ended []string) {
	t.Helper()
	ok, err := s.WithdrawConsent(t.Context(), userID, clientID, func(ids []string) revoke.Effects {
		ended = ids
		fx := revoke.Effects{Audit: []audit.Event{event("withdraw")}}
		for _, id := range ids {
			fx.Revoke = append(fx.Revoke, entry(revoke.Grant, id))
		}
		return fx
	})
	did(t, "WithdrawConsent", ok, err)
	return ended
}

func withdrawNothing(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	give(t, s, newConsent("ada", "app", "orders", "read"))
	for _, pair := range [][2]string{{"bob", "web"}, {"eve", "web"}, {"ada", "evil"}, {"", ""}} {
		asked := false
		ok, err := s.WithdrawConsent(t.Context(), pair[0], pair[1], func([]string) revoke.Effects {
			asked = true
			return takes(revoke.User, "ada")
		})
		must(t, err)
		same(t, fmt.Sprint("withdrew of ", pair), ok, false)
		same(t, fmt.Sprint("asked for effects of ", pair), asked, false)
	}
	same(t, "logs", ledgerOf(t, s), ledger{})
	same(t, "gone", w.gone(t), []string{})
	same(t, "left", len(consentsOf(t, s, "ada")), 1)
}

func withdrawGuarded(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	give(t, s, newConsent("ada", "web", "orders", "read"))
	_, err := s.Record(ctx, takes(revoke.User, "eve"))
	must(t, err)
	fx := takes(revoke.Grant, "g1")
	fx.Guard = &revoke.Guard{RSN: 0, Refs: []revoke.Ref{{Kind: revoke.User, Key: "eve"}}}
	ok, err := s.WithdrawConsent(ctx, "ada", "web", func([]string) revoke.Effects { return fx })
	same(t, "withdrew", ok, false)
	conflict(t, "WithdrawConsent", err)
	same(t, "left", len(consentsOf(t, s, "ada")), 1)
	same(t, "gone", w.gone(t), []string{})
	same(t, "logs", ledgerOf(t, s), ledger{1, 0})
}

func consentsGo(t *testing.T, s store.Store) {
	ctx := t.Context()
	newWorld(t, s)
	for _, c := range []consent.Consent{
		newConsent("ada", "app", "orders", "read"), newConsent("ada", "web", "orders", "read"), newConsent("ada", "web", "vault", "read"),
		newConsent("bob", "app", "orders", "read"), newConsent("bob", "web", "orders", "read"),
	} {
		give(t, s, c)
	}
	ok, err := s.RemoveClient(ctx, "web", 7, none)
	refused(t, "RemoveClient of a version that never was", ok, err)
	same(t, "left of ada", len(consentsOf(t, s, "ada")), 3)
	ok, err = s.RemoveClient(ctx, "web", 1, none)
	did(t, "RemoveClient", ok, err)
	same(t, "left of ada", consentsOf(t, s, "ada"), []consent.Consent{newConsent("ada", "app", "orders", "read")})
	same(t, "left of bob", consentsOf(t, s, "bob"), []consent.Consent{newConsent("bob", "app", "orders", "read")})
	must(t, s.AddClient(ctx, newClient("web"), none))
	_, found, err := s.ConsentFor(ctx, "ada", "web", "orders")
	must(t, err)
	same(t, "found for another client of that id", found, false)

	ok, err = s.RemoveUser(ctx, "ada", 7, none)
	refused(t, "RemoveUser of a version that never was", ok, err)
	same(t, "left of ada", len(consentsOf(t, s, "ada")), 1)
	ok, err = s.RemoveUser(ctx, "ada", 1, none)
	did(t, "RemoveUser", ok, err)
	same(t, "left of ada", consentsOf(t, s, "ada"), []consent.Consent(nil))
	same(t, "left of bob", len(consentsOf(t, s, "bob")), 1)
}

func raceToGive(t *testing.T, s store.Store) {
	newWorld(t, s)
	var want []string
	for i := range racers {
		want = append(want, fmt.Sprintf("s%02d", i))
	}
	won := race(t, func(i int) (bool, error) {
		c := newConsent("ada", "web", "orders", want[i], want[(i+1)%racers])
		return s.GiveConsent(t.Context(), c, revoke.Effects{Audit: []audit.Event{event("give")}})
	})
	same(t, "given", won, racers)
	got := consentsOf(t, s, "ada")
	same(t, "consents", len(got), 1)
	same(t, "scopes", got[0].Scopes, want)
	same(t, "logs", ledgerOf(t, s), ledger{0, racers})
}

func raceToWithdraw(t *testing.T, s store.Store) {
	newWorld(t, s)
	give(t, s, newConsent("bob", "web", "orders", "read"))
	won := race(t, func(int) (bool, error) {
		return s.WithdrawConsent(t.Context(), "bob", "web", func([]string) revoke.Effects {
			return revoke.Effects{Audit: []audit.Event{event("withdraw")}}
		})
	})
	same(t, "winners", won, 1)
	same(t, "logs", ledgerOf(t, s), ledger{0, 1})
}

func giveAgainstRemoval(t *testing.T, s store.Store) {
	newWorld(t, s)
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			return s.RemoveUser(t.Context(), "bob", 1, none)
		}
		return s.GiveConsent(t.Context(), newConsent("bob", "web", fmt.Sprint("api", i), "read"), none)
	})
	same(t, "left", consentsOf(t, s, "bob"), []consent.Consent(nil))
}

// consentedGrant is what a grant rests on that was opened without asking.
func consentedGrant(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	one := newGrant("g9", w.sessions["s1"], "web", "orders")
	one.Details.Consented, one.Scopes = true, []string{"read", "write"}
	try := func(what string) {
		t.Helper()
		ok, err := s.AddGrant(ctx, one, revoke.Effects{Audit: []audit.Event{event("grant")}})
		must(t, err)
		same(t, "added "+what, ok, false)
	}
	try("without a consent")
	for _, c := range []consent.Consent{
		newConsent("bob", "web", "orders", "read", "write"), newConsent("ada", "app", "orders", "read", "write"),
		newConsent("ada", "web", "vault", "read", "write"),
	} {
		give(t, s, c)
	}
	try("with the consents of others")
	give(t, s, newConsent("ada", "web", "orders", "read"))
	try("with a consent to less")
	nothing := one
	nothing.ID, nothing.Scopes = "g8", nil
	give(t, s, newConsent("ada", "web", "orders", "more", "write"))
	for _, g := range []grant.Grant{one, nothing} {
		ok, err := s.AddGrant(ctx, g, none)
		did(t, "AddGrant", ok, err)
		same(t, "grant", *w.grantNow(ctx, t, g.ID), g)
	}
	same(t, "ended", withdrawAll(t, s, "ada", "web"), []string{"g1", "g8", "g9"})
	try("after the withdrawal")
	one = nothing
	try("for nothing after the withdrawal")
	same(t, "events", ledgerOf(t, s).events, 1)
}

// opened adds a code of its own for each racer but one, who withdraws, and returns
// what the withdrawal ended and which were added.
func opened(t *testing.T, w *world, consented bool) (ended []string, added [racers]bool) {
	t.Helper()
	give(t, w.Store, newConsent("ada", "web", "orders", "read"))
	var mu sync.Mutex
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			ids := withdrawAll(t, w.Store, "ada", "web")
			mu.Lock()
			defer mu.Unlock()
			ended = ids
			return true, nil
		}
		one := newGrant(fmt.Sprint("h", i), w.sessions["s1"], "web", "orders")
		one.Gen, one.Details.Consented = 0, consented
		e := event("grant")
		e.Target = one.ID
		ok, err := w.AddGrant(t.Context(), one, revoke.Effects{Audit: []audit.Event{e}})
		added[i] = ok
		return ok, err
	})
	return ended, added
}

// grantAgainstWithdrawal: every grant of before the withdrawal is ended by it. What was
// before is what the audit log says, which is written with each change.
func grantAgainstWithdrawal(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	ended, added := opened(t, w, false)
	events, err := s.Events(t.Context(), 0, 10*racers)
	must(t, err)
	want, after := []string{"g1"}, false
	for _, e := range events {
		if e.Action == "withdraw" {
			after = true
			continue
		}
		same(t, "left "+e.Target, w.grantNow(t.Context(), t, e.Target) != nil, after)
		if !after {
			want = append(want, e.Target)
		}
	}
	slices.Sort(want)
	same(t, "ended", ended, want)
	for i, ok := range added {
		same(t, fmt.Sprint("added ", i), ok, i != racers/2) // nothing but a consent can refuse it
	}
}

// consentedAgainstWithdrawal: who looked for the consent before it was withdrawn opens
// nothing after that.
func consentedAgainstWithdrawal(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	ended, added := opened(t, w, true)
	n := 0
	for i, ok := range added {
		id := fmt.Sprint("h", i)
		same(t, "ended of what was added, "+id, slices.Contains(ended, id), ok)
		if w.grantNow(t.Context(), t, id) != nil {
			t.Errorf("grant %d survived the withdrawal of what it rests on", i)
		}
		if ok {
			n++
		}
	}
	same(t, "ended", len(ended), n+1)
}

// codeAgainstWithdrawal: a code comes to life before the withdrawal and goes with it,
// or it finds no grant.
func codeAgainstWithdrawal(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	give(t, s, newConsent("ada", "web", "orders", "read"))
	for i := range racers {
		one := newGrant(fmt.Sprint("h", i), w.sessions["s1"], "web", "orders")
		one.Gen, one.Details.Consented = 0, true
		w.grant(t, one)
	}
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			return true, expect(withdrawAll(t, s, "ada", "web"), racers+1)
		}
		lived := false
		err := s.ChangeGrant(t.Context(), fmt.Sprint("h", i), func(st grant.State) grant.Change {
			lived = st.Grant != nil
			if !lived {
				return grant.Change{}
			}
			next := *st.Grant
			next.Gen = 1
			return grant.Change{Next: &next}
		})
		return lived, err
	})
	for i := range racers {
		if w.grantNow(t.Context(), t, fmt.Sprint("h", i)) != nil {
			t.Errorf("code %d survived the withdrawal", i)
		}
	}
}

func expect(ended []string, want int) error {
	if len(ended) != want {
		return fault.New(fault.Invalid, fmt.Sprintf("%d grants ended, want %d", len(ended), want))
	}
	return nil
}
