package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func homeLifeCases() []homeCase {
	return []homeCase{
		{name: "DoneContextChangesNothing", run: homeDoneContext},
		{name: "NothingWorksAfterClose", run: homeClosed, notOwn: "it is not closed by this"},
		{name: "CloseWaitsForWhatIsBeingWritten", run: homeCloseUnderLoad, notOwn: "it is not closed by this"},
	}
}

// calls does everything once, and returns what came of it.
func calls(ctx context.Context, h session.Home, r session.Record) map[string]error {
	out := map[string]error{}
	fresh := newRecord("fresh", "ada", "web")
	out["Add"] = h.Add(ctx, fresh)
	_, _, out["BySecret"] = h.BySecret(ctx, r.Secret)
	_, _, out["ByID"] = h.ByID(ctx, r.ID)
	_, out["Of"] = h.Of(ctx, refTo(revoke.User, r.UserID))
	_, out["Renew"] = h.Renew(ctx, r.Secret, renewed(r, "next"))
	_, out["Touch"] = h.Touch(ctx, []session.Touch{{ID: r.ID, Seen: far(time.Minute), IdleUntil: far(2 * time.Hour)}})
	_, out["End"] = h.End(ctx, refTo(revoke.User, r.UserID), 1)
	_, out["Purge"] = h.Purge(ctx, far(100*time.Hour), 10)
	_, _, out["Page"] = h.Page(ctx, "", 10)
	_, out["Count"] = h.Count(ctx)
	_, _, out["Leave"] = h.Leave(ctx, r.ID)
	out["Ping"] = h.Ping(ctx)
	return out
}

func homeDoneContext(t *testing.T, h session.Home) {
	r := newRecord("s1", "ada", "web")
	put(t, h, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range calls(ctx, h, r) {
		if err == nil {
			t.Errorf("%s with a done context: no error", name)
		}
	}
	holds(t, h, r)
	gone(t, h, newRecord("fresh", "ada", "web"))
	put(t, h, newRecord("fresh", "ada", "web"))
}

func homeClosed(t *testing.T, h session.Home) {
	r := newRecord("s1", "ada", "web")
	put(t, h, r)
	must(t, h.Ping(t.Context()))
	must(t, h.Close())
	must(t, h.Close())
	for name, err := range calls(t.Context(), h, r) {
		if err == nil {
			t.Errorf("%s after Close: no error", name)
		}
	}
	_, err := h.Risks(t.Context())
	if err == nil {
		t.Error("Risks after Close: no error")
	}
}

// homeCloseUnderLoad: nothing hangs, and nothing panics.
func homeCloseUnderLoad(t *testing.T, h session.Home) {
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			return true, h.Close()
		}
		return h.Add(t.Context(), newRecord(fmt.Sprint("s", i), "ada", "web")) == nil, nil
	})
	must(t, h.Close())
}

func eachSeesTheOther(t *testing.T, h nodes) {
	ctx := t.Context()
	for i, one := range h {
		other := h[1-i]
		r, more := newRecord(fmt.Sprint("s", i), "ada", "web"), newRecord(fmt.Sprint("more", i), "ada", "web")
		put(t, one, r, more)
		holds(t, other, r, more)
		conflict(t, "id taken on the other node", other.Add(ctx, r))
		next := renewed(r, fmt.Sprint("next", i))
		ok, err := other.Renew(ctx, r.Secret, next)
		did(t, "renewal", ok, err)
		_, found, err := one.BySecret(ctx, r.Secret)
		refused(t, "found by the old secret", found, err)
		r.Session = next
		holds(t, one, r, more)
		ok, err = touchOne(t, one, r.ID, far(time.Minute), far(2*time.Hour))
		did(t, "touch", ok, err)
		r.SeenAt, r.IdleUntil = far(time.Minute), far(2*time.Hour)
		holds(t, other, r, more)
		left, found, err := one.Leave(ctx, more.ID)
		did(t, "leaving", found, err)
		ok, err = touchOne(t, other, more.ID, far(time.Minute), far(2*time.Hour))
		refused(t, "touch of what is leaving", ok, err)
		holds(t, other, r, left)
		_, err = other.End(ctx, refTo(revoke.User, "ada"), 1)
		must(t, err)
		gone(t, one, r, left)
		holds(t, one)
	}
	must(t, h[1].Close())
	put(t, h[0], newRecord("s9", "ada", "web"))
}

// Whether a touch that was acknowledged may be lost.
type touches int

const (
	keepsTouches touches = iota
	mayLoseTouches
)

// homeSurvives fills a home, takes it through again, and finds all that was
// acknowledged.
func homeSurvives(t *testing.T, h session.Home, again func(*testing.T, session.Home) session.Home, kept touches) {
	ctx := t.Context()
	var want []session.Record
	var mu sync.Mutex
	race(t, func(i int) (bool, error) {
		r := newRecord(fmt.Sprint("s", i), fmt.Sprint("u", i%7), []string{"", "web", "app"}[i%3])
		r.RSN = int64(i)
		mu.Lock()
		want = append(want, r)
		mu.Unlock()
		return true, h.Add(ctx, r)
	})
	for id := range oddIDs() {
		r := newRecord(oddIDs()[id], "odd", "odd")
		put(t, h, r)
		want = append(want, r)
	}
	ended := []session.Record{newRecord("ended", "eve", "web"), newRecord("ended too", "eve", ""), newRecord("ended alone", "u1", "")}
	put(t, h, ended...)
	_, err := h.End(ctx, refTo(revoke.User, "eve"), 1)
	must(t, err)
	_, err = h.End(ctx, refTo(revoke.Session, "ended alone"), 1)
	must(t, err)
	dead := newRecord("dead", "ada", "web")
	dead.IdleUntil = far(time.Second)
	put(t, h, dead)
	_, err = h.Purge(ctx, far(time.Second), 10)
	must(t, err)

	next := want[0]
	next.Secret, next.AMR, next.IdleUntil = opaque.Hash("next"), []string{"otp"}, far(90*time.Minute)
	ok, err := h.Renew(ctx, want[0].Secret, next.Session)
	did(t, "renewal", ok, err)
	old := want[0]
	want[0] = next
	left, found, err := h.Leave(ctx, want[1].ID)
	did(t, "leaving", found, err)
	want[1] = left
	ok, err = touchOne(t, h, want[2].ID, far(time.Minute), far(2*time.Hour))
	did(t, "touch", ok, err)

	h = again(t, h)
	touched := want[2]
	touched.SeenAt, touched.IdleUntil = far(time.Minute), far(2*time.Hour)
	if is := record(t, h, touched.ID); kept == keepsTouches || is.SeenAt.Equal(touched.SeenAt) {
		want[2] = touched
	}
	holds(t, h, want...)
	gone(t, h, append(ended, dead)...)
	_, found, err = h.BySecret(ctx, old.Secret)
	refused(t, "found by the old secret", found, err)

	ok, err = touchOne(t, h, left.ID, far(time.Minute), far(2*time.Hour))
	refused(t, "touch of what was leaving", ok, err)
	conflict(t, "taken id", h.Add(ctx, want[0]))
	put(t, h, ended...)
	holds(t, h, append(want, ended...)...)
}
