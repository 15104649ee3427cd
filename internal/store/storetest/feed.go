package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func feedCases() []testCase {
	return []testCase{
		{"PositionsAreDenseWhateverChanges", denseWhatever},
		{"AbortedChangeTakesNoPosition", abortedTakesNone},
		{"StateAndEntryAreSeenTogether", togetherOrNeither},
		{"EntriesNameWhoIsToBeTold", namesWhom},
		{"EntriesNameWhatTheirTransactionEnds", namesInTransaction},
		{"EpochRisesOnce", epochRisesOnce},
		{"NoPositionIsGivenTwiceAcrossEpochs", epochAgainstRecords},
		{"WantedAcksNeverGoBack", wantAcks},
		{"DoorbellWakesWhoWaits", doorbell},
		{"DoorbellRingsForEveryKindOfNews", doorbellNews},
		{"VerifiersReadBackAsWritten", verifiersReadBack},
		{"VerifierIdsAreTakenOnce", verifierRace},
		{"NotesNeverGoBack", notesNeverBack},
		{"NotesInAnyOrderLeaveTheLatest", noteRace},
		{"PurgeRemovesVerifiersNotSeen", purgeVerifiers},
	}
}

func feedHead(t *testing.T, s store.Store) feed.Head {
	t.Helper()
	h, err := s.FeedHead(t.Context())
	must(t, err)
	return h
}

// wholeLog reads the log and fails unless its positions are 1 to at least head.
func wholeLog(ctx context.Context, s store.Store) ([]revoke.Recorded, error) {
	head, err := s.FeedHead(ctx)
	if err != nil {
		return nil, err
	}
	log, err := s.Revocations(ctx, 0, 10_000)
	if err != nil {
		return nil, err
	}
	for i, r := range log {
		if r.Seq != int64(i+1) {
			return nil, fmt.Errorf("position %d follows %d", r.Seq, i)
		}
	}
	if int64(len(log)) < head.Seq {
		return nil, fmt.Errorf("head %d, but %d entries", head.Seq, len(log))
	}
	return log, nil
}

// denseWhatever is I1: every kind of change at once, of which many are refused, and
// whoever reads a position reads all before it.
func denseWhatever(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	must(t, s.AddRole(ctx, newRole("pair"), none))
	for _, id := range []string{"one", "two"} {
		u := newUser(id)
		u.Roles = []string{"pair"}
		must(t, s.AddUser(ctx, u, none))
	}
	all := verbs()
	for _, v := range all {
		if v.prepare != nil {
			_, err := orRefused(v.prepare(ctx, w))
			must(t, err)
		}
	}
	all = append(all, verb{name: "ChangeRole of two users", do: func(ctx context.Context, w *world, fx revoke.Effects) (bool, error) {
		return w.ChangeRole(ctx, newRole("pair"), entry(revoke.Claims, ""), fx)
	}})
	var mu sync.Mutex
	var made []string
	race(t, func(i int) (bool, error) {
		v, key := all[i%len(all)], fmt.Sprint("entry ", i)
		fx := takes(revoke.Token, key)
		fx.Audit = []audit.Event{event(key)}
		ok, err := orRefused(v.do(ctx, w, fx))
		if err != nil {
			return false, fmt.Errorf("%s: %w", v.name, err)
		}
		log, err := wholeLog(ctx, s)
		if err != nil {
			return false, fmt.Errorf("%s: %w", v.name, err)
		}
		if there := slices.ContainsFunc(log, func(r revoke.Recorded) bool { return r.Key == key }); there != ok {
			return false, fmt.Errorf("%s: reported %v, entry there: %v", v.name, ok, there)
		}
		if ok {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, key)
			if i%len(all) == len(all)-1 {
				made = append(made, "one", "two")
			}
		}
		return ok, nil
	})
	log, err := wholeLog(ctx, s)
	must(t, err)
	var there []string
	for _, r := range log {
		there = append(there, r.Key)
	}
	slices.Sort(there)
	slices.Sort(made)
	same(t, "entries", there, made)
	same(t, "head", feedHead(t, s).Seq, int64(len(made)))
	if len(made) < len(all)/2 || len(made) > racers {
		t.Fatalf("%d of %d changes went through: the race tests too little", len(made), racers)
	}
}

// orRefused turns a conflict into a refusal.
func orRefused(ok bool, err error) (bool, error) {
	if _, err := orConflict(err); err != nil {
		return false, err
	}
	return ok && err == nil, nil
}

func abortedTakesNone(t *testing.T, s store.Store) {
	ctx := t.Context()
	same(t, "head at first", feedHead(t, s), feed.Head{Epoch: 1})
	newWorld(t, s)
	_, err := s.Record(ctx, takes(revoke.User, "eve"))
	must(t, err)
	before := feedHead(t, s)
	same(t, "head", before, feed.Head{Epoch: 1, Seq: 1})

	conflict(t, "taken id", s.AddUser(ctx, newUser("ada"), takes(revoke.User, "bob")))
	old := newUser("ada")
	old.Version = 7
	ok, err := s.ChangeUser(ctx, old, takes(revoke.User, "ada"))
	refused(t, "old version", ok, err)
	guarded := takes(revoke.User, "ada")
	guarded.Guard = &revoke.Guard{RSN: 0, Refs: []revoke.Ref{{Kind: revoke.User, Key: "eve"}}}
	_, err = s.Record(ctx, guarded)
	conflict(t, "guarded", err)
	err = s.ChangeGrant(ctx, "g1", func(grant.State) grant.Change { return grant.Change{Effects: guarded} })
	conflict(t, "guarded decision", err)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = s.Record(gone, takes(revoke.User, "ada")); !errors.Is(err, context.Canceled) {
		t.Fatalf("done context: got %v", err)
	}
	ok, err = s.RaiseEpoch(ctx, 2, 100)
	refused(t, "epoch that is not", ok, err)

	same(t, "head after what was aborted", feedHead(t, s), before)
	seq, err := s.Record(ctx, takes(revoke.User, "zoe"))
	must(t, err)
	same(t, "next position", seq, int64(2))
}

// togetherOrNeither is I2: whose session is gone finds the entry that ended it, and
// who reads an entry finds no session that it ends.
func togetherOrNeither(t *testing.T, s store.Store) {
	ctx := t.Context()
	id := func(i int) string { return fmt.Sprint("s", i) }
	for i := range racers {
		must(t, s.StartSession(ctx, newSession(id(i), "ada", "web"), none))
	}
	race(t, func(i int) (bool, error) {
		if i%2 == 0 {
			_, err := s.Record(ctx, takes(revoke.Session, id(i)))
			return err == nil, err
		}
		log, err := wholeLog(ctx, s)
		if err != nil {
			return false, err
		}
		for _, r := range log {
			if _, found, err := s.SessionByID(ctx, r.Key); found || err != nil {
				return false, fmt.Errorf("session of entry %d: found %v, error %w", r.Seq, found, err)
			}
		}
		for k := range racers {
			_, found, err := s.SessionByID(ctx, id(k))
			if err != nil {
				return false, err
			}
			if found {
				continue
			}
			if log, err = wholeLog(ctx, s); err != nil {
				return false, err
			}
			if !slices.ContainsFunc(log, func(r revoke.Recorded) bool { return r.Key == id(k) }) {
				return false, fmt.Errorf("session %s is gone, and no entry ended it", id(k))
			}
		}
		return false, nil
	})
}

func namesWhom(t *testing.T, s store.Store) {
	ctx := t.Context()
	known := entry(revoke.Session, "s1")
	known.Subject, known.Clients = "ada", []string{"zeta", "web", "", "web", "odd\xff\x00\"<"}
	other := entry(revoke.Grant, "g1")
	other.Subject = "somebody" // the caller's word counts
	token := entry(revoke.Token, "t1")
	token.Subject, token.Clients = "ada", []string{"web"}
	empty := entry(revoke.Key, "k1")
	empty.Clients = []string{}
	for _, c := range []struct {
		name    string
		entries []revoke.Entry
		subject []string
		clients [][]string
	}{
		{"a session with grants of two clients", []revoke.Entry{entry(revoke.Session, "s1")}, []string{"ada"}, [][]string{{"app", "web"}}},
		{"a session of no client", []revoke.Entry{entry(revoke.Session, "s2")}, []string{"ada"}, [][]string{{"app"}}},
		{"a grant", []revoke.Entry{entry(revoke.Grant, "g2")}, []string{"ada"}, [][]string{{"app"}}},
		{"a user", []revoke.Entry{entry(revoke.User, "ada")}, []string{"ada"}, [][]string{{"app", "web"}}},
		{"a user beside whom others stand", []revoke.Entry{entry(revoke.User, "bob")}, []string{"bob"}, [][]string{{"app"}}},
		{"nobody", []revoke.Entry{entry(revoke.User, "nobody"), entry(revoke.Session, "nobody"), entry(revoke.Grant, "")},
			[]string{"nobody", "", ""}, [][]string{nil, nil, nil}},
		{"kinds that name themselves", []revoke.Entry{entry(revoke.Client, "web"), entry(revoke.API, "vault"), entry(revoke.Claims, "ada")},
			[]string{"", "", ""}, [][]string{nil, nil, nil}},
		{"what the caller knows comes first", []revoke.Entry{known, other, token, empty}, []string{"ada", "somebody", "ada", ""},
			[][]string{{"app", "odd\xff\x00\"<", "web", "zeta"}, nil, {"web"}, nil}},
		{"two entries of one change", []revoke.Entry{entry(revoke.Grant, "g2"), entry(revoke.User, "ada")}, []string{"ada", "ada"},
			[][]string{{"app"}, {"app", "web"}}},
	} {
		newWorld(t, s)
		given := slices.Clone(c.entries)
		seq, err := s.Record(ctx, revoke.Effects{Revoke: c.entries})
		must(t, err)
		same(t, c.name+": what the caller holds", c.entries, given)
		log, err := s.Revocations(ctx, seq-int64(len(c.entries)), len(c.entries))
		must(t, err)
		for i, r := range log {
			same(t, c.name+": subject", r.Subject, c.subject[i])
			same(t, c.name+": clients", r.Clients, c.clients[i])
			if len(r.Clients) > 0 {
				r.Clients[0] = "changed by the caller"
			}
		}
		last := c.entries[len(c.entries)-1]
		if last.Key != "" {
			got, found, err := s.Covered(ctx, seq-1, []revoke.Ref{{Kind: last.Kind, Key: last.Key}})
			did(t, c.name+": Covered", found, err)
			same(t, c.name+": clients, from Covered", got.Clients, c.clients[len(c.clients)-1])
		}
		emptyWorld(t, s)
	}
}

// namesInTransaction: a client whose grant was acknowledged before the entry is
// named by it, one whose grant was refused is not.
func namesInTransaction(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := newWorld(t, s)
	id := func(i int) string { return fmt.Sprintf("c%02d", i) }
	for i := range racers {
		must(t, s.AddClient(ctx, newClient(id(i)), none))
	}
	var mu sync.Mutex
	want := []string{"app", "web"}
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(ctx, takes(revoke.User, "ada"))
			return false, err
		}
		ok, err := s.AddGrant(ctx, newGrant("h"+id(i), w.sessions["s1"], id(i), "orders"), none)
		if ok {
			mu.Lock()
			defer mu.Unlock()
			want = append(want, id(i))
		}
		return ok, err
	})
	log, err := s.Revocations(ctx, 0, 10)
	must(t, err)
	slices.Sort(want)
	same(t, "clients", log[0].Clients, want)
}
