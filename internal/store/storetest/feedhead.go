package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func epochRisesOnce(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i := range 3 {
		_, err := s.Record(ctx, takes(revoke.User, fmt.Sprint(i)))
		must(t, err)
	}
	won := race(t, func(int) (bool, error) { return s.RaiseEpoch(ctx, 1, 10) })
	same(t, "winners", won, 1)
	same(t, "head", feedHead(t, s), feed.Head{Epoch: 2, Seq: 10})
	ok, err := s.RaiseEpoch(ctx, 1, 20)
	must(t, err)
	same(t, "from an old epoch", ok, false)
	head, err := s.Head(ctx)
	must(t, err)
	same(t, "head of the log", head, int64(10))

	refs := []revoke.Ref{{Kind: revoke.User, Key: "2"}}
	_, found, err := s.Covered(ctx, 10, refs)
	must(t, err)
	same(t, "an entry of before covers what was minted after", found, false)
	seq, err := s.Record(ctx, takes(revoke.User, "2"))
	must(t, err)
	same(t, "next position", seq, int64(11))
	_, found, err = s.Covered(ctx, 10, refs)
	did(t, "covered by an entry of after", found, err)

	ok, err = s.RaiseEpoch(ctx, 2, 5)
	did(t, "once more, with a position long given", ok, err)
	same(t, "head", feedHead(t, s), feed.Head{Epoch: 3, Seq: 11})
	left, err := s.Revocations(ctx, 3, 10)
	must(t, err)
	same(t, "entries after the third", len(left), 1)
}

// epochAgainstRecords is I16: whatever was given before the epoch rose, the next
// position is above least, and every position is given once.
func epochAgainstRecords(t *testing.T, s store.Store) {
	ctx := t.Context()
	const least = 1000
	var mu sync.Mutex
	given := map[int64]string{}
	won := race(t, func(i int) (bool, error) {
		if i%5 == 0 {
			return s.RaiseEpoch(ctx, 1, least)
		}
		key := fmt.Sprint(i)
		seq, err := s.Record(ctx, takes(revoke.User, key))
		mu.Lock()
		defer mu.Unlock()
		if given[seq] != "" {
			return false, fmt.Errorf("position %d was given twice", seq)
		}
		given[seq] = key
		return false, err
	})
	same(t, "epochs", won, 1)
	log, err := s.Revocations(ctx, 0, least)
	must(t, err)
	same(t, "entries", len(log), len(given))
	next := int64(1)
	for _, r := range log {
		if r.Seq > least && next <= least {
			next = least + 1
		}
		same(t, "position", r.Seq, next)
		same(t, "entry", r.Key, given[r.Seq])
		next++
	}
	same(t, "head", feedHead(t, s), feed.Head{Epoch: 2, Seq: max(least, next-1)})
}

func wantAcks(t *testing.T, s store.Store) {
	ctx := t.Context()
	race(t, func(i int) (bool, error) { return true, s.WantAcks(ctx, at(time.Duration(i)*time.Second)) })
	latest := at((racers - 1) * time.Second)
	same(t, "head", feedHead(t, s), feed.Head{Epoch: 1, EagerUntil: latest})
	must(t, s.WantAcks(ctx, at(0)))
	must(t, s.WantAcks(ctx, time.Time{}))
	same(t, "after earlier ones", feedHead(t, s).EagerUntil, latest)
}

// waitLimit is how long a doorbell that rings at once may take.
const waitLimit = 30 * time.Second

// hears starts waiting for the log to go beyond a position, and returns what ends
// the wait: an error when nothing rang.
func hears(t *testing.T, s store.Store, after int64) (wait func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	heard := make(chan error, 1)
	go func() { heard <- s.AwaitRevocations(ctx, after) }()
	return func() error {
		defer cancel()
		return <-heard
	}
}

func doorbell(t *testing.T, s store.Store) {
	ctx := t.Context()
	var waits []func() error
	for range racers {
		waits = append(waits, hears(t, s, 0))
	}
	_, err := s.Record(ctx, takes(revoke.User, "ada"))
	must(t, err)
	for _, wait := range waits {
		must(t, wait())
	}
	must(t, s.AwaitRevocations(ctx, 0)) // it is there already

	left, leave := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.AwaitRevocations(left, 1_000) }()
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("a waiter who leaves: got %v", err)
	}
	if err := s.AwaitRevocations(left, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("one who has left: got %v", err)
	}
	wait := hears(t, s, 1_000)
	must(t, s.Close())
	if err := wait(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a waiter of a closed store: got %v, want that it is closed", err)
	}
}

// doorbellNews waits for a position that none of these comes to: only a ring ends
// the wait. A waiter may come too late for one, so each is done until it is heard.
func doorbellNews(t *testing.T, s store.Store) {
	ctx := t.Context()
	newWorld(t, s)
	for _, news := range []struct {
		name string
		do   func(n int64) (bool, error) // for the nth time, from 1
	}{
		{"Record", func(int64) (bool, error) {
			_, err := s.Record(ctx, takes(revoke.Token, "t"))
			return true, err
		}},
		{"ChangeUser", func(n int64) (bool, error) {
			u := newUser("ada")
			u.Version = n
			return s.ChangeUser(ctx, u, takes(revoke.User, "ada"))
		}},
		{"ChangeRole", func(n int64) (bool, error) {
			r := newRole("clerk")
			r.Version = n
			return s.ChangeRole(ctx, r, entry(revoke.Claims, ""), none)
		}},
		{"RaiseEpoch", func(n int64) (bool, error) { return s.RaiseEpoch(ctx, n, 0) }},
		{"WantAcks", func(n int64) (bool, error) { return true, s.WantAcks(ctx, at(time.Duration(n)*time.Second)) }},
	} {
		heard := make(chan error, 1)
		wait := hears(t, s, 1_000_000)
		go func() { heard <- wait() }()
		for n, rings := int64(1), true; rings; n++ {
			ok, err := news.do(n)
			did(t, news.name, ok, err)
			select {
			case err := <-heard:
				if err != nil {
					t.Fatalf("%s: %v", news.name, err)
				}
				rings = false
			default:
			}
		}
	}
}

func newVerifier(id string, registered time.Time) feed.Verifier {
	return feed.Verifier{
		ID: id, Kind: feed.PartVerifier, ClientID: "orders", Name: "host:1 " + id, Audience: "https://orders.example", Policy: "strict", Version: "1.0",
		Registered: registered,
		Note:       feed.Note{ID: id, Epoch: 1, Applied: 7, Staleness: -1, Entries: 3, Node: "n1", Seen: registered},
	}
}

func verifiers(t *testing.T, s store.Store) []feed.Verifier {
	t.Helper()
	all, err := s.Verifiers(t.Context())
	must(t, err)
	return all
}

func idsOf(all []feed.Verifier) string {
	var ids []string
	for _, v := range all {
		ids = append(ids, v.ID)
	}
	return strings.Join(ids, " ")
}

func verifiersReadBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	same(t, "at first", len(verifiers(t, s)), 0)
	hub := feed.Verifier{ID: "h1", Kind: feed.PartHub, Registered: at(time.Second), Note: feed.Note{ID: "h1"}}
	odd := newVerifier("odd\x00\xff", at(time.Second))
	odd.Name, odd.Node, odd.Kind = "größe\xff", "\x00", feed.PartRelay
	late := newVerifier("a", at(time.Minute))
	for _, v := range []feed.Verifier{late, odd, hub} {
		must(t, s.AddVerifier(ctx, v))
	}
	same(t, "by time and id", verifiers(t, s), []feed.Verifier{hub, odd, late})
	bare := newVerifier("b", at(time.Hour))
	bare.Note.ID = "" // it is the verifier's
	must(t, s.AddVerifier(ctx, bare))
	same(t, "note of the last", verifiers(t, s)[3].Note.ID, "b")

	other := newVerifier("h1", at(0))
	conflict(t, "taken id", s.AddVerifier(ctx, other))
	same(t, "after a conflict", verifiers(t, s)[0], hub)
	must(t, s.RemoveVerifiers(ctx, []string{"a", "nobody", "h1"}))
	must(t, s.RemoveVerifiers(ctx, nil))
	same(t, "left", idsOf(verifiers(t, s)), "odd\x00\xff b")
	must(t, s.AddVerifier(ctx, hub))
	same(t, "added again", verifiers(t, s)[0], hub)
}

func verifierRace(t *testing.T, s store.Store) {
	won := race(t, func(i int) (bool, error) {
		v := newVerifier("v", at(0))
		v.Name = fmt.Sprint(i)
		return orConflict(s.AddVerifier(t.Context(), v))
	})
	same(t, "winners", won, 1)
	same(t, "verifiers", len(verifiers(t, s)), 1)
}

func notesNeverBack(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := newVerifier("v", at(0))
	must(t, s.AddVerifier(ctx, first))
	must(t, s.AddVerifier(ctx, newVerifier("w", at(time.Second))))
	note := func(epoch, applied int64, seen time.Duration, node string) feed.Note {
		return feed.Note{ID: "v", Epoch: epoch, Applied: applied, Staleness: seen + 1, Entries: int64(seen), Node: node, Seen: at(seen)}
	}
	for _, c := range []struct {
		name  string
		notes []feed.Note
		want  feed.Note
	}{
		{"forward", []feed.Note{note(1, 9, time.Second, "n2")}, note(1, 9, time.Second, "n2")},
		{"none", nil, note(1, 9, time.Second, "n2")},
		{"a late one", []feed.Note{note(1, 8, 0, "n3")}, note(1, 9, time.Second, "n2")},
		{"a late one that went further", []feed.Note{note(1, 12, 0, "n3")}, withProgress(note(1, 9, time.Second, "n2"), 1, 12)},
		{"a later one that is behind", []feed.Note{note(1, 10, 2*time.Second, "n4")}, note(1, 12, 2*time.Second, "n4")},
		{"of the same moment", []feed.Note{note(1, 13, 2*time.Second, "n5")}, note(1, 13, 2*time.Second, "n5")},
		{"a new epoch begins lower", []feed.Note{note(2, 3, 3*time.Second, "n1")}, note(2, 3, 3*time.Second, "n1")},
		{"a word of the old epoch", []feed.Note{note(1, 99, 4*time.Second, "n2")}, note(2, 3, 4*time.Second, "n2")},
		{"several, of whom one is not there",
			[]feed.Note{{ID: "nobody", Epoch: 9, Seen: at(time.Hour)}, note(2, 4, 5*time.Second, "n1"), note(2, 5, 4*time.Second, "n2")},
			note(2, 5, 5*time.Second, "n1")},
	} {
		must(t, s.NoteVerifiers(ctx, c.notes))
		want := first
		want.Note = c.want
		got := verifiers(t, s)
		if len(got) != 2 {
			t.Fatalf("%s: %d verifiers, want 2", c.name, len(got))
		}
		same(t, c.name, got[0], want)
		same(t, c.name+": the other", got[1], newVerifier("w", at(time.Second)))
	}
}

func withProgress(n feed.Note, epoch, applied int64) feed.Note {
	n.Epoch, n.Applied = epoch, applied
	return n
}

func noteRace(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddVerifier(ctx, newVerifier("v", at(0))))
	race(t, func(i int) (bool, error) {
		applied := int64((i * 7) % racers) // grows in another order than Seen
		return true, s.NoteVerifiers(ctx, []feed.Note{{ID: "v", Epoch: 1 + int64(i%3), Applied: applied, Node: fmt.Sprint(i), Seen: at(time.Duration(i) * time.Second)}})
	})
	most := int64(0)
	for i := range racers {
		if i%3 == 2 {
			most = max(most, int64((i*7)%racers))
		}
	}
	last := racers - 1
	same(t, "note", verifiers(t, s)[0].Note,
		feed.Note{ID: "v", Epoch: 3, Applied: most, Node: fmt.Sprint(last), Seen: at(time.Duration(last) * time.Second)})
}

func purgeVerifiers(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i := range 5 {
		must(t, s.AddVerifier(ctx, newVerifier(fmt.Sprint("v", i), at(time.Duration(i)*time.Minute))))
	}
	must(t, s.NoteVerifiers(ctx, []feed.Note{{ID: "v0", Seen: at(time.Hour)}}))
	for _, c := range []struct {
		name   string
		before time.Duration
		limit  int
		want   int
		left   []string
	}{
		{"at the limit of time", time.Minute, 10, 0, []string{"v0", "v1", "v2", "v3", "v4"}},
		{"none", time.Hour, 0, 0, []string{"v0", "v1", "v2", "v3", "v4"}},
		{"all before", 3 * time.Minute, 10, 2, []string{"v0", "v3", "v4"}},
		{"at most one", time.Hour, 1, 1, nil},
		{"the rest", time.Hour, 10, 1, []string{"v0"}},
	} {
		n, err := s.PurgeVerifiers(ctx, at(c.before), c.limit)
		must(t, err)
		same(t, c.name+": removed", n, c.want)
		if c.left != nil {
			same(t, c.name+": left", idsOf(verifiers(t, s)), strings.Join(c.left, " "))
		}
	}
}
