package records

import (
	"container/heap"
	"math"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Set is a set of records. Its zero value is not useful: make one with New. It is
// not safe for concurrent use.
//
// What it returns by pointer is never changed, neither by the set nor by callers:
// it may be read after whatever guards the set was let go.
type Set struct {
	byID     map[string]*entry
	bySecret map[opaque.Digest]*entry
	all      lane
	users    map[string]*lane
	clients  map[string]*lane
	deaths   deaths
}

type entry struct {
	record *session.Record
	place  [lanes]int // in each lane
	turn   int        // in deaths
	// due is when to look whether the record is dead, in microseconds. A touch
	// does not move it: that costs nothing, and is found when it is due.
	due int64
}

// The lanes of an entry.
const (
	inAll = iota
	inUser
	inClient
	lanes
)

// New returns an empty set.
func New() *Set {
	return &Set{
		byID: map[string]*entry{}, bySecret: map[opaque.Digest]*entry{}, users: map[string]*lane{}, clients: map[string]*lane{},
	}
}

// Len returns how many records there are.
func (s *Set) Len() int { return len(s.byID) }

// ByID returns a record, nil when there is none.
func (s *Set) ByID(id string) *session.Record { return s.byID[id].read() }

// BySecret returns a record, nil when there is none.
func (s *Set) BySecret(d opaque.Digest) *session.Record { return s.bySecret[d].read() }

func (e *entry) read() *session.Record {
	if e == nil {
		return nil
	}
	return e.record
}

// Add adds a record, which becomes the set's. It reports false, and changes
// nothing, when the id or the secret is taken.
func (s *Set) Add(r session.Record) bool {
	if s.byID[r.ID] != nil || s.bySecret[r.Secret] != nil {
		return false
	}
	e := &entry{record: &r, due: death(&r)}
	s.byID[r.ID], s.bySecret[r.Secret] = e, e
	s.all.add(e, inAll)
	laneOf(s.users, r.UserID).add(e, inUser)
	if r.ClientID != "" {
		laneOf(s.clients, r.ClientID).add(e, inClient)
	}
	heap.Push(&s.deaths, e)
	return true
}

// Change puts a record, which becomes the set's, in the place of the one with its
// id. Who it belongs to must not change. It reports false, and changes nothing,
// when there is none, or its secret is another's.
func (s *Set) Change(r session.Record) bool {
	e := s.byID[r.ID]
	if owner := s.bySecret[r.Secret]; e == nil || owner != nil && owner != e {
		return false
	}
	if e.record.Secret != r.Secret {
		delete(s.bySecret, e.record.Secret)
		s.bySecret[r.Secret] = e
	}
	e.record = &r
	if d := death(&r); d < e.due {
		s.deaths.move(e, d)
	}
	return true
}

// Remove removes a record, and reports whether there was one.
func (s *Set) Remove(id string) bool {
	e := s.byID[id]
	if e == nil {
		return false
	}
	delete(s.byID, id)
	delete(s.bySecret, e.record.Secret)
	s.all.drop(e, inAll)
	dropFrom(s.users, e.record.UserID, e, inUser)
	if e.record.ClientID != "" {
		dropFrom(s.clients, e.record.ClientID, e, inClient)
	}
	heap.Remove(&s.deaths, e.turn)
	return true
}

// Start is where a walk begins.
const Start = math.MaxInt

// Walk returns at most some records and where to go on, 0 at the end. A record
// that is there from Start to the end is returned, whatever is added, changed and
// removed between two calls; it may be returned twice.
func (s *Set) Walk(from, some int) (part []*session.Record, next int) {
	return s.all.walk(from, some)
}

// WalkOf is Walk for what a user (revoke.User) or a client (revoke.Client) has, or
// for one session (revoke.Session); other kinds have nothing.
func (s *Set) WalkOf(owner revoke.Ref, from, some int) (part []*session.Record, next int) {
	var l *lane
	switch owner.Kind {
	case revoke.Session:
		if e := s.byID[owner.Key]; e != nil {
			part = append(part, e.record)
		}
		return part, 0
	case revoke.User:
		l = s.users[owner.Key]
	case revoke.Client:
		l = s.clients[owner.Key]
	}
	if l == nil {
		return nil, 0
	}
	return l.walk(from, some)
}

// again is when a dead record is looked at again that nobody removed.
const again = time.Minute

// Dead looks at a few records at most and returns those that are past a limit at
// now, and whether there may be more. One that is returned is not returned again
// for a minute: remove it, or say that it was Missed.
func (s *Set) Dead(now time.Time, few int) (dead []*session.Record, more bool) {
	at := now.UnixMicro()
	for range few {
		if len(s.deaths) == 0 || s.deaths[0].due > at {
			return dead, false
		}
		e := s.deaths[0]
		due := death(e.record)
		if !e.record.Live(now) {
			dead = append(dead, e.record)
			due = at + again.Microseconds()
		}
		s.deaths.move(e, due)
	}
	return dead, true
}

// Missed makes Dead return again what it returned and nobody removed.
func (s *Set) Missed(dead []*session.Record) {
	for _, r := range dead {
		if e := s.byID[r.ID]; e != nil {
			s.deaths.move(e, death(e.record))
		}
	}
}

// death is when a record dies, in microseconds.
func death(r *session.Record) int64 {
	return min(r.IdleUntil.UnixMicro(), r.ExpiresAt.UnixMicro())
}

// A lane is entries in no order. One that is removed leaves its place to the
// last: entries move down, never up.
type lane struct{ entries []*entry }

func laneOf(lanes map[string]*lane, key string) *lane {
	l := lanes[key]
	if l == nil {
		l = &lane{}
		lanes[key] = l
	}
	return l
}

func dropFrom(lanes map[string]*lane, key string, e *entry, which int) {
	l := lanes[key]
	l.drop(e, which)
	if len(l.entries) == 0 {
		delete(lanes, key)
	}
}

func (l *lane) add(e *entry, which int) {
	e.place[which] = len(l.entries)
	l.entries = append(l.entries, e)
}

func (l *lane) drop(e *entry, which int) {
	end := len(l.entries) - 1
	last := l.entries[end]
	l.entries[e.place[which]], last.place[which] = last, e.place[which]
	l.entries[end] = nil
	l.entries = l.entries[:end]
}

// walk goes from the top down: whatever it has not come to yet stays below.
func (l *lane) walk(from, some int) (part []*session.Record, next int) {
	from = min(from, len(l.entries))
	next = max(0, from-max(1, some))
	for i := from - 1; i >= next; i-- {
		part = append(part, l.entries[i].record)
	}
	return part, next
}

// deaths is a heap of entries, the first due on top.
type deaths []*entry

func (d *deaths) move(e *entry, due int64) {
	e.due = due
	heap.Fix(d, e.turn)
}

// Len implements heap.Interface.
func (d deaths) Len() int { return len(d) }

// Less implements heap.Interface.
func (d deaths) Less(i, j int) bool { return d[i].due < d[j].due }

// Swap implements heap.Interface.
func (d deaths) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].turn, d[j].turn = i, j
}

// Push implements heap.Interface.
func (d *deaths) Push(e any) {
	one := e.(*entry)
	one.turn = len(*d)
	*d = append(*d, one)
}

// Pop implements heap.Interface.
func (d *deaths) Pop() any {
	end := len(*d) - 1
	e := (*d)[end]
	(*d)[end] = nil
	*d = (*d)[:end]
	return e
}
