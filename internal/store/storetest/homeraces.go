package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func homeRaces() []homeRace {
	return []homeRace{
		{"RaceToRenewHasOneWinner", homeRaceToRenew},
		{"RaceToAddAnIDHasOneWinner", homeRaceToAddID},
		{"RaceForASecretHasOneWinner", homeRaceForSecret},
		{"NoTouchRevivesAnEndedRecord", homeTouchAgainstEnd},
		{"NoRenewalRevivesAnEndedRecord", homeRenewAgainstEnd},
		{"AddAgainstEndLeavesNoHalves", homeAddAgainstEnd},
		{"TouchAgainstPurgeLeavesNoHalves", homeTouchAgainstPurge},
		{"NothingChangesAfterLeave", homeLeaveAgainstChanges},
		{"TouchesInAnyOrderLeaveTheLatest", homeTouchRace},
	}
}

func homeRaceToRenew(t *testing.T, h nodes) {
	first := newRecord("s1", "ada", "web")
	put(t, h[0], first)
	won := race(t, func(i int) (bool, error) {
		return h.of(i).Renew(t.Context(), first.Secret, renewed(first, fmt.Sprint("next ", i)))
	})
	same(t, "winners", won, 1)
	live := 0
	for i := range racers {
		_, found, err := h.of(i+1).BySecret(t.Context(), opaque.Hash(fmt.Sprint("next ", i)))
		must(t, err)
		if found {
			live++
			first.Secret = opaque.Hash(fmt.Sprint("next ", i))
		}
	}
	same(t, "live secrets", live, 1)
	holds(t, h[0], first)
	holds(t, h[1], first)
}

func homeRaceToAddID(t *testing.T, h nodes) {
	tried := func(i int) session.Record {
		r := newRecord("s1", fmt.Sprint("u", i), fmt.Sprint("c", i))
		r.Secret = opaque.Hash(fmt.Sprint("secret ", i))
		return r
	}
	won := race(t, func(i int) (bool, error) { return orConflict(h.of(i).Add(t.Context(), tried(i))) })
	same(t, "winners", won, 1)
	is := record(t, h[0], "s1")
	for i := range racers {
		if r := tried(i); r.UserID == is.UserID {
			holds(t, h[0], r)
			holds(t, h[1], r)
		} else {
			_, found, err := h.of(i).BySecret(t.Context(), r.Secret)
			refused(t, "loser found", found, err)
			same(t, "loser listed", len(listedFor(t, h.of(i), refTo(revoke.User, r.UserID)))+len(listedFor(t, h.of(i), refTo(revoke.Client, r.ClientID))), 0)
		}
	}
}

// homeRaceForSecret: half add with it, half renew to it.
func homeRaceForSecret(t *testing.T, h nodes) {
	wanted := opaque.Hash("wanted")
	tried := func(i int) session.Record { return newRecord(fmt.Sprint("s", i), "ada", "web") }
	for i := 0; i < racers; i += 2 {
		put(t, h[0], tried(i))
	}
	won := race(t, func(i int) (bool, error) {
		r := tried(i)
		old := r.Secret
		r.Secret = wanted
		if i%2 == 1 {
			return orConflict(h.of(i/2).Add(t.Context(), r))
		}
		ok, err := h.of(i/2).Renew(t.Context(), old, r.Session)
		if fault.Is(err, fault.Conflict) {
			return false, nil
		}
		return ok, err
	})
	same(t, "winners", won, 1)
	is, found, err := h[1].BySecret(t.Context(), wanted)
	did(t, "winner", found, err)
	want := []session.Record{is}
	for i := 0; i < racers; i += 2 {
		if r := tried(i); r.ID != is.ID {
			want = append(want, r)
		}
	}
	holds(t, h[0], want...)
	holds(t, h[1], want...)
}

func homeTouchAgainstEnd(t *testing.T, h nodes) {
	r := newRecord("s1", "ada", "web")
	put(t, h[0], r)
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := h.of(i).End(t.Context(), refTo(revoke.Session, "s1"), 1)
			return false, err
		}
		return touchOne(t, h.of(i), "s1", far(time.Minute), far(2*time.Hour))
	})
	for _, one := range h {
		gone(t, one, r)
		holds(t, one)
	}
	put(t, h[0], r)
	holds(t, h[1], r)
}

// homeRenewAgainstEnd: each winner hands the secret on, so that renewals go on
// until the end.
func homeRenewAgainstEnd(t *testing.T, h nodes) {
	r := newRecord("s1", "ada", "web")
	put(t, h[0], r)
	var mu sync.Mutex
	last, tried := r.Secret, []session.Record{r}
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := h.of(i).End(t.Context(), refTo(revoke.User, "ada"), 1)
			return false, err
		}
		next := renewed(r, fmt.Sprint("next ", i))
		mu.Lock()
		old := last
		tried = append(tried, session.Record{Session: next})
		mu.Unlock()
		ok, err := h.of(i).Renew(t.Context(), old, next)
		if ok {
			mu.Lock()
			last = next.Secret
			mu.Unlock()
		}
		return ok, err
	})
	for _, one := range h {
		gone(t, one, tried...)
		holds(t, one)
	}
}

func homeAddAgainstEnd(t *testing.T, h nodes) {
	ctx := t.Context()
	tried := func(i int) session.Record { return newRecord(fmt.Sprint("s", i), "ada", "web") }
	var mu sync.Mutex
	ended := map[string]bool{}
	end := func(one session.Home) error {
		some, err := one.End(ctx, refTo(revoke.User, "ada"), 1)
		mu.Lock()
		defer mu.Unlock()
		for _, id := range some {
			ended[id] = true
		}
		return err
	}
	race(t, func(i int) (bool, error) {
		if i%10 == 0 {
			return false, end(h.of(i / 10))
		}
		return true, h.of(i).Add(ctx, tried(i))
	})
	var stay, left []session.Record
	for i := range racers {
		switch r := tried(i); {
		case i%10 == 0:
		case ended[r.ID]:
			left = append(left, r)
		default:
			stay = append(stay, r)
		}
	}
	for _, one := range h {
		gone(t, one, left...)
		holds(t, one, stay...)
	}
	must(t, end(h[1]))
	holds(t, h[0])
}

func homeTouchAgainstPurge(t *testing.T, h nodes) {
	ctx := t.Context()
	tried := func(i int) session.Record { return newRecord(fmt.Sprint("s", i), "ada", "web") }
	for i := range racers {
		put(t, h.of(i), tried(i))
	}
	var mu sync.Mutex
	purged, touched := map[string]bool{}, map[string]bool{}
	race(t, func(i int) (bool, error) {
		if i%5 == 0 {
			some, err := h.of(i/5).Purge(ctx, far(time.Hour), 7)
			mu.Lock()
			defer mu.Unlock()
			for _, id := range some {
				purged[id] = true
			}
			return false, err
		}
		ok, err := touchOne(t, h.of(i), fmt.Sprint("s", i), far(time.Minute), far(2*time.Hour))
		mu.Lock()
		defer mu.Unlock()
		touched[fmt.Sprint("s", i)] = ok
		return ok, err
	})
	var stay, left []session.Record
	for i := range racers {
		r := tried(i)
		same(t, "touched and purged: "+r.ID, touched[r.ID] && purged[r.ID], false)
		if touched[r.ID] {
			r.SeenAt, r.IdleUntil = far(time.Minute), far(2*time.Hour)
		}
		if purged[r.ID] {
			left = append(left, r)
		} else {
			stay = append(stay, r)
		}
	}
	for _, one := range h {
		gone(t, one, left...)
		holds(t, one, stay...)
	}
}

func homeLeaveAgainstChanges(t *testing.T, h nodes) {
	ctx := t.Context()
	first := newRecord("s1", "ada", "web")
	put(t, h[0], first)
	var mu sync.Mutex
	var left []session.Record
	race(t, func(i int) (bool, error) {
		switch {
		case i%20 == 10:
			r, found, err := h.of(i/10).Leave(ctx, "s1")
			if err == nil && !found {
				err = errors.New("not found")
			}
			mu.Lock()
			defer mu.Unlock()
			left = append(left, r)
			return found, err
		case i%2 == 0:
			return h.of(i/2).Renew(ctx, first.Secret, renewed(first, fmt.Sprint("next ", i)))
		default:
			return touchOne(t, h.of(i/2), "s1", far(time.Duration(i)*time.Second), far(time.Hour+time.Duration(i)*time.Second))
		}
	})
	for _, r := range left {
		same(t, "leaving", r.Leaving, true)
		holds(t, h[0], r)
		holds(t, h[1], r)
	}
}

// homeTouchRace: batches name the same records in any order, and never wait for
// each other in a circle.
func homeTouchRace(t *testing.T, h nodes) {
	const many = 40
	for i := range many {
		put(t, h.of(i), newRecord(fmt.Sprint("s", i), "ada", ""))
	}
	race(t, func(i int) (bool, error) {
		by := time.Duration(i) * time.Second
		var batch []session.Touch
		for _, n := range rand.Perm(many) {
			batch = append(batch, session.Touch{ID: fmt.Sprint("s", n), Seen: far(by), IdleUntil: far(time.Hour + by)})
		}
		n, err := h.of(i).Touch(t.Context(), batch)
		if err == nil && n != many {
			err = fmt.Errorf("touched %d, want %d", n, many)
		}
		return true, err
	})
	latest := (racers - 1) * time.Second
	var want []session.Record
	for i := range many {
		r := newRecord(fmt.Sprint("s", i), "ada", "")
		r.SeenAt, r.IdleUntil = far(latest), far(time.Hour+latest)
		want = append(want, r)
	}
	holds(t, h[0], want...)
	holds(t, h[1], want...)
}
