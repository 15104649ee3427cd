package storetest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/store"
)

func outboxCases() []testCase {
	return []testCase{
		{"TopicMovesOnWithItsMessagesOrNotAtAll", advanceTopic},
		{"RaceToMoveATopicOnAddsMessagesOnce", raceToAdvance},
		{"RaceThroughTheLogYieldsEveryEntryOnce", raceThroughLog},
		{"DueMessagesAreClaimedInOrder", claimInOrder},
		{"HeldReceiverIsNobodyElses", claimHeld},
		{"RaceToClaimHasOneWinner", raceToClaim},
		{"RaceToSettleHasOneWinner", raceToSettle},
		{"SettledMessagesAreGoneOrWaitOrAreGivenUp", settleMessages},
		{"OldMessagesAreGivenUpAndForgotten", purgeMessages},
		{"StreamsAreKeptAsTheyAre", keepStreams},
		{"RaceForTheStreamOfAClientHasOneWinner", raceForStream},
		{"RaceToChangeAStreamHasOneWinner", raceToChangeStream},
		{"OmissionsBelongToTheirStream", omissions},
		{"RaceToOmitStaysBelowTheBound", raceToOmit},
	}
}

func newMessage(id, to string, due time.Duration) outbox.Message {
	return outbox.Message{
		ID: id, Topic: "logout", To: to, Seq: 7, Body: []byte(`{"id":"` + id + `"}`), CreatedAt: at(0), DueAt: at(due), State: outbox.Waiting,
	}
}

func advance(from, to int64, add ...outbox.Message) outbox.Advance {
	return outbox.Advance{Topic: "logout", From: from, To: to, Add: add}
}

func place(t *testing.T, s store.Store) int64 {
	t.Helper()
	at, err := s.TopicPlace(t.Context(), "logout")
	must(t, err)
	return at
}

func queued(t *testing.T, s store.Store, w outbox.Which) (ids []string) {
	t.Helper()
	w.Limit = 1000
	all, err := s.Messages(t.Context(), w)
	must(t, err)
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

// fill adds messages to an empty queue.
func fill(t *testing.T, s store.Store, all ...outbox.Message) {
	t.Helper()
	ok, err := s.AdvanceTopic(t.Context(), advance(outbox.Unread, 1, all...))
	did(t, "AdvanceTopic", ok, err)
}

func claim(t *testing.T, s store.Store, c outbox.Claim) (ids []string) {
	t.Helper()
	c.Topic = "logout"
	if c.Limit == 0 {
		c.Limit = 100
	}
	all, err := s.ClaimMessages(t.Context(), c)
	must(t, err)
	for _, m := range all {
		same(t, "holder of "+m.ID, m.Holder, c.Holder)
		same(t, "held until", m.HeldUntil, c.Until)
		ids = append(ids, m.ID)
	}
	return ids
}

func advanceTopic(t *testing.T, s store.Store) {
	ctx := t.Context()
	same(t, "place at first", place(t, s), outbox.Unread)
	ok, err := s.AdvanceTopic(ctx, advance(0, 5, newMessage("m0", "web", 0)))
	refused(t, "from a place where it is not", ok, err)
	ok, err = s.AdvanceTopic(ctx, advance(outbox.Unread, 0))
	did(t, "first step", ok, err)
	ok, err = s.AdvanceTopic(ctx, advance(outbox.Unread, 3, newMessage("m0", "web", 0)))
	refused(t, "first step again", ok, err)
	ok, err = s.AdvanceTopic(ctx, advance(0, 5, newMessage("m1", "web", 0), newMessage("m2", "app", 0)))
	did(t, "second step", ok, err)
	ok, err = s.AdvanceTopic(ctx, advance(5, 6, newMessage("m3", "web", 0), newMessage("m1", "web", 0)))
	refused(t, "with an id that is taken", ok, err)
	same(t, "place", place(t, s), int64(5))
	other, err := s.TopicPlace(ctx, "ssf")
	must(t, err)
	same(t, "place of another topic", other, outbox.Unread)
	same(t, "messages", queued(t, s, outbox.Which{}), []string{"m1", "m2"})

	all, err := s.Messages(ctx, outbox.Which{To: "app", Topic: "logout", State: outbox.Waiting, Limit: 10})
	must(t, err)
	want := newMessage("m2", "app", 0)
	want.Number, want.HeldUntil, want.SettledAt = all[0].Number, time.Time{}, time.Time{}
	same(t, "message", all, []outbox.Message{want})
	same(t, "above a number", queued(t, s, outbox.Which{After: all[0].Number - 1}), []string{"m2"})
	same(t, "given up", queued(t, s, outbox.Which{State: outbox.GivenUp}), []string(nil))
	same(t, "of another topic", queued(t, s, outbox.Which{Topic: "ssf", To: "app"}), []string(nil))
}

func raceToAdvance(t *testing.T, s store.Store) {
	for step := range int64(2) { // the first makes the place, the second moves it
		from := step - 1
		won := race(t, func(i int) (bool, error) {
			return s.AdvanceTopic(t.Context(), advance(from, from+1, newMessage(fmt.Sprint("m", step, "-", i), "web", 0)))
		})
		same(t, "winners", won, 1)
		same(t, "messages", len(queued(t, s, outbox.Which{})), int(step)+1)
	}
}

// raceThroughLog: nodes that all read the log and add what it asks for.
func raceThroughLog(t *testing.T, s store.Store) {
	ctx := t.Context()
	fill(t, s)
	race(t, func(i int) (bool, error) {
		for {
			from, err := s.TopicPlace(ctx, "logout")
			if err != nil || from >= 40 {
				return true, err
			}
			to := min(from+3, 40)
			step := advance(from, to)
			for seq := from + 1; seq <= to; seq++ {
				step.Add = append(step.Add, newMessage(fmt.Sprintf("m%d by %d", seq, i), fmt.Sprint("to ", seq), 0))
			}
			if _, err := s.AdvanceTopic(ctx, step); err != nil {
				return false, err
			}
		}
	})
	all, err := s.Messages(ctx, outbox.Which{Limit: 1000})
	must(t, err)
	for i, m := range all {
		same(t, "receiver", m.To, fmt.Sprint("to ", i+2))
	}
	same(t, "messages", len(all), 39)
}

func claimInOrder(t *testing.T, s store.Store) {
	ctx := t.Context()
	fill(t, s, newMessage("late", "web", 2*time.Second), newMessage("b", "web", 0), newMessage("a", "web", 0), newMessage("first", "web", -time.Second),
		newMessage("x", "app", -time.Minute))
	due := func(now time.Duration) []string {
		all, err := s.DueReceivers(ctx, "logout", at(now), 10)
		must(t, err)
		return all
	}
	same(t, "receivers", due(0), []string{"app", "web"})
	same(t, "receivers before anything is due", due(-time.Hour), []string(nil))
	one, err := s.DueReceivers(ctx, "logout", at(0), 1)
	must(t, err)
	same(t, "one receiver", one, []string{"app"})
	none, err := s.DueReceivers(ctx, "ssf", at(0), 10)
	must(t, err)
	same(t, "receivers of another topic", none, []string(nil))

	same(t, "two", claim(t, s, outbox.Claim{To: "web", Holder: "n1", Now: at(0), Until: at(time.Minute), Limit: 2}), []string{"first", "b"})
	same(t, "receivers then", due(0), []string{"app", "web"}) // "a" is due and not held
	same(t, "the other", claim(t, s, outbox.Claim{To: "app", Holder: "n1", Now: at(0), Until: at(time.Minute)}), []string{"x"})
	same(t, "to nobody", claim(t, s, outbox.Claim{To: "we", Holder: "n1", Now: at(0), Until: at(time.Minute)}), []string(nil))
}

func claimHeld(t *testing.T, s store.Store) {
	fill(t, s, newMessage("a", "web", 0), newMessage("b", "web", 0))
	first := outbox.Claim{To: "web", Holder: "n1", Now: at(0), Until: at(time.Minute), Limit: 1}
	same(t, "claimed", claim(t, s, first), []string{"a"})
	second := outbox.Claim{To: "web", Holder: "n2", Now: at(time.Minute - 1), Until: at(2 * time.Minute)}
	second.Now = at(time.Minute - time.Microsecond)
	same(t, "while it is held", claim(t, s, second), []string(nil))
	second.Now = at(time.Minute)
	same(t, "when the claim has run out", claim(t, s, second), []string{"a", "b"})
	n, err := s.SettleMessages(t.Context(), []outbox.Settlement{{ID: "a", To: "web", Holder: "n1", Verdict: outbox.Done, At: at(0)}})
	must(t, err)
	same(t, "settled by who lost it", n, 0)
	same(t, "messages", queued(t, s, outbox.Which{}), []string{"a", "b"})
}

func raceToClaim(t *testing.T, s store.Store) {
	fill(t, s, newMessage("a", "web", 0), newMessage("b", "web", 0), newMessage("c", "web", 0))
	var claimed atomic.Int64
	won := race(t, func(i int) (bool, error) {
		all, err := s.ClaimMessages(t.Context(), outbox.Claim{
			Topic: "logout", To: "web", Holder: fmt.Sprint("n", i), Now: at(0), Until: at(time.Minute), Limit: 2,
		})
		claimed.Add(int64(len(all)))
		return len(all) > 0, err
	})
	same(t, "winners", won, 1)
	same(t, "claimed", claimed.Load(), int64(2))
}

func raceToSettle(t *testing.T, s store.Store) {
	fill(t, s, newMessage("a", "web", 0))
	claim(t, s, outbox.Claim{To: "web", Holder: "n1", Now: at(0), Until: at(time.Minute)})
	won := race(t, func(i int) (bool, error) {
		verdict := []outbox.Verdict{outbox.Done, outbox.Again, outbox.Giving}[i%3]
		n, err := s.SettleMessages(t.Context(), []outbox.Settlement{{ID: "a", To: "web", Holder: "n1", Verdict: verdict, DueAt: at(0), At: at(0)}})
		return n == 1, err
	})
	same(t, "winners", won, 1)
}

func settleMessages(t *testing.T, s store.Store) {
	ctx := t.Context()
	fill(t, s, newMessage("done", "web", 0), newMessage("again", "web", 0), newMessage("giving", "web", 0), newMessage("polled", "app", 0))
	claim(t, s, outbox.Claim{To: "web", Holder: "n1", Now: at(0), Until: at(time.Minute)})
	settle := func(want int, all ...outbox.Settlement) {
		t.Helper()
		n, err := s.SettleMessages(ctx, all)
		must(t, err)
		same(t, "settled", n, want)
	}
	settle(0, outbox.Settlement{ID: "done", To: "app", Holder: "n1", Verdict: outbox.Done},
		outbox.Settlement{ID: "done", To: "web", Holder: "", Verdict: outbox.Done},
		outbox.Settlement{ID: "other", To: "web", Holder: "n1", Verdict: outbox.Done},
		outbox.Settlement{ID: "done", To: "web", Holder: "n1"})
	settle(4, outbox.Settlement{ID: "done", To: "web", Holder: "n1", Verdict: outbox.Done},
		outbox.Settlement{ID: "again", To: "web", Holder: "n1", Verdict: outbox.Again, Attempts: 3, Problem: "down", DueAt: at(time.Hour), At: at(0)},
		outbox.Settlement{ID: "giving", To: "web", Holder: "n1", Verdict: outbox.Giving, Attempts: 4, Problem: "no", At: at(time.Minute)},
		outbox.Settlement{ID: "polled", To: "app", Verdict: outbox.Done})
	settle(0, outbox.Settlement{ID: "giving", To: "web", Verdict: outbox.Done}) // it is settled

	all, err := s.Messages(ctx, outbox.Which{Limit: 10})
	must(t, err)
	again, giving := newMessage("again", "web", time.Hour), newMessage("giving", "web", 0)
	again.Attempts, again.Problem, again.Number = 3, "down", all[0].Number
	giving.Attempts, giving.Problem, giving.Number, giving.State, giving.SettledAt = 4, "no", all[1].Number, outbox.GivenUp, at(time.Minute)
	same(t, "left", all, []outbox.Message{again, giving})
	same(t, "due too early", claim(t, s, outbox.Claim{To: "web", Holder: "n2", Now: at(time.Minute), Until: at(2 * time.Hour)}), []string(nil))
	same(t, "due", claim(t, s, outbox.Claim{To: "web", Holder: "n2", Now: at(time.Hour), Until: at(2 * time.Hour)}), []string{"again"})
}

func purgeMessages(t *testing.T, s store.Store) {
	ctx := t.Context()
	young := newMessage("young", "web", 0)
	young.CreatedAt = at(time.Hour)
	fill(t, s, newMessage("old", "app", 0), newMessage("held", "web", 0), young)
	claim(t, s, outbox.Claim{To: "web", Holder: "n1", Now: at(0), Until: at(30 * time.Hour), Limit: 1})
	step := func(now, giveUp, forget time.Duration, want int) {
		t.Helper()
		n, err := s.PurgeMessages(ctx, outbox.Purge{Now: at(now), GiveUp: at(giveUp), Forget: at(forget)})
		must(t, err)
		same(t, "purged", n, want)
	}
	step(24*time.Hour, 0, 0, 0)
	step(25*time.Hour, time.Hour, time.Hour, 1)
	same(t, "given up", queued(t, s, outbox.Which{State: outbox.GivenUp}), []string{"old"})
	same(t, "waiting", queued(t, s, outbox.Which{State: outbox.Waiting}), []string{"held", "young"})
	step(30*time.Hour, time.Hour, 25*time.Hour, 1)
	step(31*time.Hour, time.Hour, 25*time.Hour+time.Second, 1)
	same(t, "given up then", queued(t, s, outbox.Which{State: outbox.GivenUp}), []string{"held"})
	same(t, "left", queued(t, s, outbox.Which{}), []string{"held", "young"})
}

func newStream(id, clientID string) outbox.Stream {
	return outbox.Stream{
		ID: id, ClientID: clientID, Audience: clientID, Description: "of " + id, Method: outbox.Push, Endpoint: "https://" + id + ".example/events",
		Authorization: []byte{1, 2, 3}, Requested: []string{"a", "b"}, Status: outbox.Enabled, Reason: "", VerifiedAt: at(0),
		CreatedAt: at(-time.Hour), UpdatedAt: at(0), Version: 1,
	}
}

func stream(t *testing.T, s store.Store, id string) *outbox.Stream {
	t.Helper()
	one, found, err := s.StreamByID(t.Context(), id)
	must(t, err)
	if !found {
		return nil
	}
	return &one
}

func keepStreams(t *testing.T, s store.Store) {
	ctx := t.Context()
	first, second := newStream("s1", "web"), newStream("s2", "app")
	second.Authorization, second.Requested, second.VerifiedAt = nil, nil, time.Time{}
	must(t, s.AddStream(ctx, first, event("stream.add")))
	must(t, s.AddStream(ctx, second))
	same(t, "first", stream(t, s, "s1"), &first)
	same(t, "second", stream(t, s, "s2"), &second)
	same(t, "none", stream(t, s, "s3"), (*outbox.Stream)(nil))
	same(t, "events", ledgerOf(t, s).events, 1)
	conflict(t, "taken id", s.AddStream(ctx, newStream("s1", "third"), event("no")))
	conflict(t, "second of a client", s.AddStream(ctx, newStream("s3", "web"), event("no")))
	elsewhere := newStream("s3", "web")
	elsewhere.Audience = "https://elsewhere.example"
	must(t, s.AddStream(ctx, elsewhere))
	all, err := s.Streams(ctx, "s1", 10)
	must(t, err)
	same(t, "listed", all, []outbox.Stream{second, elsewhere})

	fill(t, s, newMessage("m1", "s1", 0), newMessage("m2", "s2", 0))
	next := first
	next.Status, next.Reason, next.Requested = outbox.Disabled, "enough", []string{"c"}
	change := outbox.StreamChange{Next: next, Add: []outbox.Message{newMessage("m3", "s1", 0)}, Empty: true, Audit: []audit.Event{event("stream.edit")}}
	ok, err := s.ChangeStream(ctx, change)
	did(t, "ChangeStream", ok, err)
	next.Version = 2
	same(t, "changed", stream(t, s, "s1"), &next)
	same(t, "messages", queued(t, s, outbox.Which{}), []string{"m2", "m3"})
	ok, err = s.ChangeStream(ctx, change)
	refused(t, "change of an old version", ok, err)
	same(t, "events", ledgerOf(t, s).events, 2)
	change.Next.Version = 2 // its message is there already
	ok, err = s.ChangeStream(ctx, outbox.StreamChange{Next: change.Next, Add: []outbox.Message{newMessage("m2", "s1", 0)}, Empty: true})
	refused(t, "change with a message that is there", ok, err)
	same(t, "messages", queued(t, s, outbox.Which{}), []string{"m2", "m3"})

	ok, err = s.RemoveStream(ctx, "s1", event("stream.remove"))
	did(t, "RemoveStream", ok, err)
	ok, err = s.RemoveStream(ctx, "s1", event("no"))
	refused(t, "removed twice", ok, err)
	same(t, "gone", stream(t, s, "s1"), (*outbox.Stream)(nil))
	same(t, "messages left", queued(t, s, outbox.Which{}), []string{"m2"})
	same(t, "events", ledgerOf(t, s).events, 3)
}

func raceForStream(t *testing.T, s store.Store) {
	won := race(t, func(i int) (bool, error) {
		return orConflict(s.AddStream(t.Context(), newStream(fmt.Sprint("s", i), "web")))
	})
	same(t, "winners", won, 1)
	all, err := s.Streams(t.Context(), "", 100)
	must(t, err)
	same(t, "streams", len(all), 1)
}

func raceToChangeStream(t *testing.T, s store.Store) {
	first := newStream("s1", "web")
	must(t, s.AddStream(t.Context(), first))
	won := race(t, func(i int) (bool, error) {
		next := first
		next.Description = fmt.Sprint(i)
		return s.ChangeStream(t.Context(), outbox.StreamChange{Next: next, Add: []outbox.Message{newMessage(fmt.Sprint("m", i), "s1", 0)}})
	})
	same(t, "winners", won, 1)
	same(t, "messages", queued(t, s, outbox.Which{}), []string{"m" + stream(t, s, "s1").Description})
}

func omit(t *testing.T, s store.Store, streamID, subject string, most int) (bool, error) {
	t.Helper()
	return s.Omit(t.Context(), outbox.Omission{Stream: streamID, Subject: subject, At: at(0)}, most)
}

func omissions(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i, c := range []string{"web", "app"} {
		must(t, s.AddStream(ctx, newStream(fmt.Sprint("s", i), c)))
	}
	by := func(subject string) []string {
		t.Helper()
		all, err := s.OmittedBy(ctx, subject)
		must(t, err)
		return slices.Clip(all)
	}
	for _, one := range [][2]string{{"s1", "ada"}, {"s0", "ada"}, {"s0", "ada"}, {"s0", "bob"}} {
		ok, err := omit(t, s, one[0], one[1], 2)
		did(t, "Omit", ok, err)
	}
	same(t, "ada", by("ada"), []string{"s0", "s1"})
	same(t, "bob", by("bob"), []string{"s0"})
	same(t, "eve", len(by("eve")), 0)
	ok, err := omit(t, s, "s0", "eve", 2)
	refused(t, "one too many", ok, err)
	ok, err = omit(t, s, "s2", "eve", 2)
	refused(t, "of no stream", ok, err)
	must(t, s.Include(ctx, "s0", "ada"))
	must(t, s.Include(ctx, "s0", "nobody"))
	same(t, "ada then", by("ada"), []string{"s1"})
	ok, err = s.RemoveStream(ctx, "s1")
	did(t, "RemoveStream", ok, err)
	same(t, "ada without the stream", len(by("ada")), 0)
}

func raceToOmit(t *testing.T, s store.Store) {
	must(t, s.AddStream(t.Context(), newStream("s1", "web")))
	won := race(t, func(i int) (bool, error) { return omit(t, s, "s1", fmt.Sprint("u", i), 10) })
	same(t, "winners", won, 10)
}
