package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/store"
)

func statusCases() []testCase {
	return []testCase{
		{"StatusNumberIsSharedByOneHolderAndWindow", statusShared},
		{"StatusOfATokenOfItsOwnIsNeverShared", statusOwn},
		{"StatusListsFillUpAndAnotherIsOpened", statusFull},
		{"StatusIsRefusedToWhatWasTakenBack", statusRefused},
		{"StatusThatWasTakenBackIsNotGivenAgain", statusAnew},
		{"StatusMarksFollowTheLog", statusMarks},
		{"StatusMarksAreNotLostBetweenSteps", statusSteps},
		{"StatusMarkedByHand", statusByHand},
		{"StatusListsArePurgedWhenTheyAreOver", statusPurge},
		{"RaceForAStatusGivesNoNumberTwice", raceForStatus},
		{"RaceOfOneHolderForAStatusGivesOne", raceOfHolder},
		{"NoStatusSurvivesTheEndOfItsHolder", statusAgainstEnd},
	}
}

func newStatus(user, session string) statuslist.Request {
	return statuslist.Request{
		Holder: statuslist.Holder{
			UserID: user, SessionID: session, GrantID: "g of " + session, ClientID: "web", APIID: "orders", KeyID: "k1",
		},
		Ends: at(time.Hour), Capacity: 1000, NewList: "list", Now: at(0),
	}
}

func assign(t *testing.T, s store.Store, r statuslist.Request) statuslist.Slot {
	t.Helper()
	slot, given, err := s.AssignStatus(t.Context(), r)
	did(t, "AssignStatus", given, err)
	return slot
}

// marked marks all there is to mark, and returns what is marked in a list.
func marked(t *testing.T, s store.Store, list string) []int {
	t.Helper()
	for more := true; more; {
		var err error
		more, err = s.MarkStatuses(t.Context(), 100)
		must(t, err)
	}
	all, err := s.EndedStatuses(t.Context(), list, 0, 10_000)
	must(t, err)
	slices.Sort(all)
	return all
}

func statusShared(t *testing.T, s store.Store) {
	one := newStatus("ada", "s1")
	first := assign(t, s, one)
	same(t, "the first number", first, statuslist.Slot{List: "list", N: 0})
	same(t, "again", assign(t, s, one), first)
	for i, change := range []func(*statuslist.Request){
		func(r *statuslist.Request) { r.SessionID = "s2" },
		func(r *statuslist.Request) { r.GrantID = "" },
		func(r *statuslist.Request) { r.ClientID = "app" },
		func(r *statuslist.Request) { r.APIID = "vault" },
		func(r *statuslist.Request) { r.KeyID = "k2" },
	} {
		other := one
		change(&other)
		same(t, fmt.Sprint("holder ", i), assign(t, s, other), statuslist.Slot{List: "list", N: i + 1})
	}
	later := one
	later.Ends, later.NewList = at(2*time.Hour), "later"
	same(t, "another window", assign(t, s, later), statuslist.Slot{List: "later", N: 0})
	same(t, "the first one still", assign(t, s, one), first)
	lists, err := s.StatusLists(t.Context())
	must(t, err)
	same(t, "lists", lists, []statuslist.List{
		{ID: "list", Opened: at(0), Ends: at(time.Hour), Given: 6}, {ID: "later", Opened: at(0), Ends: at(2 * time.Hour), Given: 1},
	})
}

func statusOwn(t *testing.T, s store.Store) {
	r := newStatus("", "")
	r.GrantID = ""
	for i := range 3 {
		r.TokenID = fmt.Sprint("t", i)
		same(t, "number", assign(t, s, r), statuslist.Slot{List: "list", N: i})
	}
	_, err := s.Record(t.Context(), takes(revoke.Token, "t1"))
	must(t, err)
	same(t, "marked", marked(t, s, "list"), []int{1})
	r.TokenID = "t1"
	_, given, err := s.AssignStatus(t.Context(), r)
	refused(t, "a token that was taken back before", given, err)
}

func statusFull(t *testing.T, s store.Store) {
	for i := range 5 {
		r := newStatus("ada", fmt.Sprint("s", i))
		r.Capacity, r.NewList = 2, fmt.Sprint("list", i)
		same(t, "slot", assign(t, s, r), statuslist.Slot{List: fmt.Sprint("list", i/2*2), N: i % 2})
	}
	r := newStatus("ada", "s9")
	r.Ends, r.NewList = at(3*time.Hour), "list0"
	_, _, err := s.AssignStatus(t.Context(), r)
	conflict(t, "the id of another list", err)
}

func statusRefused(t *testing.T, s store.Store) {
	for i, e := range []revoke.Entry{
		entry(revoke.User, "ada"), entry(revoke.Claims, "ada"), entry(revoke.Session, "s1"), entry(revoke.Grant, "g of s1"),
		entry(revoke.Client, "web"), entry(revoke.API, "orders"),
	} {
		r := newStatus("ada", "s1")
		r.RSN = int64(i)
		before := assign(t, s, r)
		seq, err := s.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{e}})
		must(t, err)
		_, given, err := s.AssignStatus(t.Context(), r)
		refused(t, "state from before "+string(e.Kind), given, err)
		r.RSN = seq
		if after := assign(t, s, r); after == before {
			t.Errorf("%s: the number that was taken back is given again", e.Kind)
		}
	}
	_, err := s.Record(t.Context(), takes(revoke.Key, "k1"))
	must(t, err)
	r := newStatus("ada", "s1")
	r.RSN = 100
	_, given, err := s.AssignStatus(t.Context(), r)
	refused(t, "a key that was taken back, whatever the position", given, err)
	r.KeyID = "k2"
	assign(t, s, r)
}

// statusAnew is a change of roles: the session lives on, its tokens do not, and its
// next token is not refused for it.
func statusAnew(t *testing.T, s store.Store) {
	old := newStatus("ada", "s1")
	first := assign(t, s, old)
	seq, err := s.Record(t.Context(), takes(revoke.Claims, "ada"))
	must(t, err)
	fresh := old
	fresh.RSN = seq
	second := assign(t, s, fresh) // before anything is marked
	same(t, "marked", marked(t, s, "list"), []int{first.N})
	same(t, "the fresh number stays", assign(t, s, fresh), second)
	_, given, err := s.AssignStatus(t.Context(), old)
	refused(t, "a state that was read before", given, err)
}

func statusMarks(t *testing.T, s store.Store) {
	type pair struct {
		entry revoke.Entry
		want  []int
	}
	for i, r := range []struct{ user, session, client, api, key string }{
		{"ada", "s1", "web", "orders", "k1"},  // 0
		{"ada", "s2", "app", "orders", "k1"},  // 1
		{"bob", "s3", "web", "vault", "k2"},   // 2
		{"bob", "s4", "app", "vault", "k3"},   // 3
		{"eve", "s5", "spa", "notes", "k4"},   // 4
		{"eve", "s6", "spa", "notes", "k4"},   // 5
		{"dan", "s7", "spa", "ledger", "k5"},  // 6
		{"fay", "s8", "cli", "billing", "k6"}, // 7
	} {
		a := newStatus(r.user, r.session)
		a.ClientID, a.APIID, a.KeyID = r.client, r.api, r.key
		same(t, "number", assign(t, s, a).N, i)
	}
	for _, step := range []pair{
		{entry(revoke.Session, "s1"), []int{0}},
		{entry(revoke.Session, ""), []int{0}},
		{entry(revoke.Grant, "g of s2"), []int{0, 1}},
		{entry(revoke.Key, "k2"), []int{0, 1, 2}},
		{entry(revoke.User, "bob"), []int{0, 1, 2, 3}},
		{entry(revoke.Token, "s5"), []int{0, 1, 2, 3}},
		{entry(revoke.Claims, "eve"), []int{0, 1, 2, 3, 4, 5}},
		{entry(revoke.API, "ledger"), []int{0, 1, 2, 3, 4, 5, 6}},
		{entry(revoke.Client, "cli"), []int{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		_, err := s.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{step.entry}})
		must(t, err)
		same(t, "marked after "+string(step.entry.Kind), marked(t, s, "list"), step.want)
	}
	order, err := s.EndedStatuses(t.Context(), "list", 2, 3)
	must(t, err)
	same(t, "a page in the order of the marks", len(order), 3)
	same(t, "its first", order[0], 2)
	lists, err := s.StatusLists(t.Context())
	must(t, err)
	same(t, "list", lists, []statuslist.List{{ID: "list", Opened: at(0), Ends: at(time.Hour), Given: 8, Ended: 8}})
}

func statusSteps(t *testing.T, s store.Store) {
	const holders = 20
	want := []int{}
	for i := range holders {
		want = append(want, assign(t, s, newStatus("ada", fmt.Sprint("s", i))).N)
	}
	other := assign(t, s, newStatus("bob", "b"))
	_, err := s.Record(t.Context(), takes(revoke.User, "ada"))
	must(t, err)
	_, err = s.Record(t.Context(), takes(revoke.User, "bob"))
	must(t, err)
	steps := 0
	for more := true; more; steps++ {
		if more, err = s.MarkStatuses(t.Context(), 3); err != nil || steps > 100 {
			t.Fatalf("step %d: %v", steps, err)
		}
	}
	same(t, "marked", marked(t, s, "list"), append(want, other.N))
	// What was marked is marked for good, also when the log has forgotten why.
	_, err = s.PurgeRevocations(t.Context(), at(1000*time.Hour))
	must(t, err)
	same(t, "marked after the log was purged", marked(t, s, "list"), append(want, other.N))
}

func statusByHand(t *testing.T, s store.Store) {
	r := newStatus("ada", "s1")
	slot := assign(t, s, r)
	there, err := s.EndStatus(t.Context(), statuslist.Slot{List: slot.List, N: slot.N + 1})
	refused(t, "a number that nobody was given", there, err)
	there, err = s.EndStatus(t.Context(), statuslist.Slot{List: "other", N: slot.N})
	refused(t, "a number of no list", there, err)
	for range 2 {
		there, err = s.EndStatus(t.Context(), slot)
		did(t, "EndStatus", there, err)
	}
	same(t, "marked", marked(t, s, "list"), []int{slot.N})
	if next := assign(t, s, r); next == slot {
		t.Error("the number that was taken back is given again")
	}
}

func statusPurge(t *testing.T, s store.Store) {
	for i := range 250 {
		r := newStatus("ada", fmt.Sprint("s", i))
		assign(t, s, r)
	}
	later := newStatus("ada", "s1")
	later.Ends, later.NewList = at(2*time.Hour), "later"
	kept := assign(t, s, later)
	n, err := s.PurgeStatuses(t.Context(), at(time.Hour))
	must(t, err)
	same(t, "purged at the end", n, 0)
	n, err = s.PurgeStatuses(t.Context(), at(time.Hour+time.Minute))
	must(t, err)
	same(t, "purged", n, 250)
	lists, err := s.StatusLists(t.Context())
	must(t, err)
	same(t, "lists", len(lists), 1)
	same(t, "the other list", assign(t, s, later), kept)
	_, err = s.Record(t.Context(), takes(revoke.User, "ada"))
	must(t, err)
	same(t, "marked", marked(t, s, "later"), []int{kept.N})
}

func raceForStatus(t *testing.T, s store.Store) {
	var mu sync.Mutex
	given := map[statuslist.Slot]int{}
	won := race(t, func(i int) (bool, error) {
		r := newStatus("ada", fmt.Sprint("s", i))
		r.Capacity, r.NewList = 7, fmt.Sprint("list", i)
		slot, ok, err := s.AssignStatus(t.Context(), r)
		mu.Lock()
		defer mu.Unlock()
		given[slot]++
		return ok, err
	})
	same(t, "given", won, racers)
	same(t, "different numbers", len(given), racers)
	lists, err := s.StatusLists(t.Context())
	must(t, err)
	same(t, "lists", len(lists), (racers+6)/7)
}

func raceOfHolder(t *testing.T, s store.Store) {
	var mu sync.Mutex
	given := map[statuslist.Slot]bool{}
	race(t, func(int) (bool, error) {
		slot, ok, err := s.AssignStatus(t.Context(), newStatus("ada", "s1"))
		mu.Lock()
		defer mu.Unlock()
		given[slot] = true
		return ok, err
	})
	same(t, "different numbers", len(given), 1)
}

// statusAgainstEnd is I3 for lists: whoever was given a number on a state from
// before the end finds it marked.
func statusAgainstEnd(t *testing.T, s store.Store) {
	var mu sync.Mutex
	given := []int{}
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(t.Context(), takes(revoke.User, "ada"))
			return false, err
		}
		if i%5 == 0 {
			_, err := s.MarkStatuses(t.Context(), 2)
			return false, err
		}
		slot, ok, err := s.AssignStatus(t.Context(), newStatus("ada", fmt.Sprint("s", i)))
		if ok {
			mu.Lock()
			defer mu.Unlock()
			given = append(given, slot.N)
		}
		return ok, err
	})
	slices.Sort(given)
	got := marked(t, s, "list")
	if len(given) == 0 {
		got = given // nobody was quick enough
	}
	same(t, "marked", got, given)
}
