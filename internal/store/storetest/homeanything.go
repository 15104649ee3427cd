package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// homeAnything does at random, but always the same, whatever can be done, and
// compares the home with a map.
func homeAnything(t *testing.T, h session.Home) {
	m := &mirror{t: t, h: h, rnd: rand.New(rand.NewPCG(1, 2)), now: far(0), want: map[string]session.Record{}}
	for n := range 1500 {
		m.anything(fmt.Sprint("s", m.rnd.IntN(40)))
		if n%50 == 0 {
			holds(t, h, slices.Collect(maps.Values(m.want))...)
		}
	}
}

// A mirror is a home and what it should hold.
type mirror struct {
	t    *testing.T
	h    session.Home
	rnd  *rand.Rand
	now  time.Time
	want map[string]session.Record
}

func (m *mirror) anything(id string) {
	switch n := m.rnd.IntN(160); {
	case n < 60:
		m.add(id)
	case n < 90:
		m.renew(id)
	case n < 110:
		m.touch(id)
	case n < 120:
		m.leave(id)
	case n < 130:
		m.end(refTo(revoke.Session, id))
	case n < 132:
		m.end(refTo(revoke.User, fmt.Sprint("u", m.rnd.IntN(4))))
	case n < 134:
		m.end(refTo(revoke.Client, "web"))
	case n < 145:
		m.now = m.now.Add(time.Minute)
	default:
		m.purge()
	}
}

func (m *mirror) secret() opaque.Digest { return opaque.Hash(fmt.Sprint("secret ", m.rnd.IntN(80))) }

func (m *mirror) idleUntil() time.Time {
	return m.now.Add(time.Duration(1+m.rnd.IntN(60)) * time.Minute)
}

// taken reports whether a session other than id has the secret.
func (m *mirror) taken(d opaque.Digest, id string) bool {
	for _, r := range m.want {
		if r.Secret == d && r.ID != id {
			return true
		}
	}
	return false
}

func (m *mirror) add(id string) {
	r := newRecord(id, fmt.Sprint("u", m.rnd.IntN(4)), []string{"", "web", "app"}[m.rnd.IntN(3)])
	r.Secret, r.CreatedAt, r.IdleUntil = m.secret(), m.now, m.idleUntil()
	_, known := m.want[id]
	err := m.h.Add(m.t.Context(), r)
	if known || m.taken(r.Secret, id) {
		conflict(m.t, "taken", err)
		return
	}
	must(m.t, err)
	m.want[id] = r
}

func (m *mirror) renew(id string) {
	r, known := m.want[id]
	next := r.Session
	next.ID, next.Secret, next.SeenAt, next.IdleUntil = id, m.secret(), m.now, m.idleUntil()
	ok, err := m.h.Renew(m.t.Context(), r.Secret, next)
	if !known || r.Leaving || !r.Live(m.now) || m.taken(next.Secret, id) {
		refused(m.t, "renewal", ok, err)
		return
	}
	did(m.t, "renewal", ok, err)
	r.Session = next
	m.want[id] = r
}

func (m *mirror) touch(id string) {
	r, known := m.want[id]
	idleUntil := m.idleUntil()
	ok, err := touchOne(m.t, m.h, id, m.now, idleUntil)
	must(m.t, err)
	same(m.t, "touch of "+id, ok, known && !r.Leaving && r.Live(m.now))
	if !ok {
		return
	}
	r.SeenAt = m.now // time goes forward only
	if idleUntil.After(r.IdleUntil) {
		r.IdleUntil = idleUntil
	}
	m.want[id] = r
}

func (m *mirror) leave(id string) {
	r, known := m.want[id]
	got, found, err := m.h.Leave(m.t.Context(), id)
	must(m.t, err)
	same(m.t, "left", found, known)
	if found {
		r.Leaving = true
		same(m.t, "as it left", got, r)
		m.want[id] = r
	}
}

func (m *mirror) end(ref revoke.Ref) {
	got, err := m.h.End(m.t.Context(), ref, 1)
	must(m.t, err)
	same(m.t, fmt.Sprint("ended for ", ref), asSet(got), m.drop(func(r session.Record) bool { return slices.Contains(r.Refs(), ref) }))
}

func (m *mirror) purge() {
	got, err := m.h.Purge(m.t.Context(), m.now, 1000)
	must(m.t, err)
	same(m.t, "purged", asSet(got), m.drop(func(r session.Record) bool { return !r.Live(m.now) }))
}

func (m *mirror) drop(which func(session.Record) bool) []string {
	out := []string{}
	for id, r := range m.want {
		if which(r) {
			out = append(out, id)
			delete(m.want, id)
		}
	}
	return asSet(out)
}
