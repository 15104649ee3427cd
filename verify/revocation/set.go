package revocation

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// Entry is one thing taken back, in a set.
type Entry struct {
	Kind      Kind
	Key       uint64
	Seq       int64 // its position; kinds that are Always cover whatever the rsn
	KeepUntil int64 // seconds since 1970
}

// covers is the highest rsn that an entry covers, and one more.
func (e Entry) covers() int64 {
	if e.Kind.Always() {
		return math.MaxInt64
	}
	return e.Seq
}

// Set holds what was taken back. It has one writer, which calls Add, Expire and
// Entries; any number of readers call the rest at the same time without a lock. It
// only ever says more: an entry is never lowered, and one that is there stays for
// every reader until it has expired.
type Set struct {
	table atomic.Pointer[table]
	n     atomic.Int64
}

// slot is a key and the position below which credentials are covered. Open
// addressing: a slot without a key ends a search.
type slot struct {
	key   atomic.Uint64
	value atomic.Int64
}

// table is one generation of a set. What readers need comes first.
type table struct {
	filter []atomic.Uint64 // a Bloom filter whose blocks are single words: most keys are absent, and cost one line
	shift  uint8           // of a key to its word
	mask   uint64          // of a key to its slot
	slots  []slot
	most   int // keys that fit
	notes  []note
}

// note is what only the writer needs of a slot.
type note struct {
	keepUntil int64
	seq       int64
	kind      Kind
}

const smallest = 1 << 6

// NewSet makes an empty set.
func NewSet() *Set {
	s := &Set{}
	s.table.Store(newTable(smallest))
	return s
}

// newTable makes a table with a number of slots that is a power of two. At its
// fullest it has 3 slots for 2 keys, and 12 bits of the filter for each.
func newTable(slots int) *table {
	words := slots / 8
	return &table{
		filter: make([]atomic.Uint64, words), shift: uint8(64 - bits.TrailingZeros(uint(words))),
		mask: uint64(slots - 1), slots: make([]slot, slots), most: slots / 3 * 2, notes: make([]note, slots),
	}
}

// bitsOf are the bits of a key in its word. Keys are hashes: their bits are as
// good as any. The word is chosen by the highest ones, the slot by those between.
func bitsOf(key uint64) uint64 {
	return 1<<(key&63) | 1<<(key>>6&63) | 1<<(key>>12&63) | 1<<(key>>18&63)
}

func (t *table) home(key uint64) uint64 { return key >> 24 & t.mask }

// mayHold is false for most keys that are absent, at the cost of one line of memory.
func (t *table) mayHold(key uint64) bool {
	want := bitsOf(key)
	return t.filter[key>>t.shift].Load()&want == want
}

// find gives the value of a key, 0 when it is absent.
func (t *table) find(key uint64) int64 {
	for at := t.home(key); ; at = (at + 1) & t.mask {
		switch s := &t.slots[at]; s.key.Load() {
		case key:
			return s.value.Load()
		case 0:
			return 0
		}
	}
}

// Covers reports whether something covers a credential minted at rsn.
func (s *Set) Covers(k *Keys, rsn int64) bool {
	t := s.table.Load()
	for _, key := range k.key[:k.n] {
		if t.mayHold(key) && t.find(key) > rsn {
			return true
		}
	}
	return false
}

// CoversKey is Covers for a single key.
func (s *Set) CoversKey(key uint64, rsn int64) bool {
	t := s.table.Load()
	return t.mayHold(key) && t.find(key) > rsn
}

// Len is the number of keys in the set.
func (s *Set) Len() int { return int(s.n.Load()) }

// Add puts an entry into the set. Of entries with one key the highest position and
// the latest KeepUntil stay. Readers that come after it returned see it.
func (s *Set) Add(e Entry) {
	if e.Kind == None || e.Key == 0 {
		return
	}
	t := s.table.Load()
	if int(s.n.Load()) >= t.most {
		t = t.copy(len(t.slots)*2, math.MinInt64)
		s.table.Store(t)
	}
	if t.put(e) {
		s.n.Add(1)
	}
}

// put reports whether the key is new. The value is there before the key is, and
// the key before the filter lets readers look for it.
func (t *table) put(e Entry) bool {
	for at := t.home(e.Key); ; at = (at + 1) & t.mask {
		s, n := &t.slots[at], &t.notes[at]
		switch s.key.Load() {
		case e.Key:
			if e.covers() > s.value.Load() {
				s.value.Store(e.covers())
				n.kind = e.Kind
			}
			n.seq, n.keepUntil = max(n.seq, e.Seq), max(n.keepUntil, e.KeepUntil)
			return false
		case 0:
			s.value.Store(e.covers())
			s.key.Store(e.Key)
			*n = note{keepUntil: e.KeepUntil, seq: e.Seq, kind: e.Kind}
			word := &t.filter[e.Key>>t.shift]
			word.Store(word.Load() | bitsOf(e.Key)) // there is one writer
			return true
		}
	}
}

// copy makes a table with everything that is to be kept until after a time.
func (t *table) copy(slots int, after int64) *table {
	next := newTable(slots)
	for at := range t.slots {
		if e, ok := t.entry(at); ok && e.KeepUntil > after {
			next.put(e)
		}
	}
	return next
}

func (t *table) entry(at int) (Entry, bool) {
	key := t.slots[at].key.Load()
	if key == 0 {
		return Entry{}, false
	}
	n := t.notes[at]
	return Entry{Kind: n.kind, Key: key, Seq: n.seq, KeepUntil: n.keepUntil}, true
}

// Expire drops what is kept until now or earlier, in seconds since 1970. Readers
// go on with the old table until the new one is whole.
func (s *Set) Expire(now int64) {
	t := s.table.Load()
	kept := 0
	for at := range t.slots {
		if e, ok := t.entry(at); ok && e.KeepUntil > now {
			kept++
		}
	}
	if kept == int(s.n.Load()) {
		return
	}
	slots := smallest
	for slots/3*2 <= kept {
		slots *= 2
	}
	s.table.Store(t.copy(slots, now))
	s.n.Store(int64(kept))
}

// Entries copies everything out.
func (s *Set) Entries() []Entry {
	t := s.table.Load()
	all := make([]Entry, 0, s.Len())
	for at := range t.slots {
		if e, ok := t.entry(at); ok {
			all = append(all, e)
		}
	}
	return all
}
