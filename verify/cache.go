package verify

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	defaultCacheSize = 1 << 16
	ways             = 4 // places that one credential may have
)

// held is a credential that was fully verified, and what that rests on. Only the
// atomics change.
type held struct {
	credential string // as it was presented: what stands in the cache under a hash is compared whole
	hash       uint64 // of it; set before it is shared
	signed     string // what the server is shown when it is asked about a JWT
	id         Identity
	keys       revocation.Keys
	from       int64  // the latest of iat and nbf, less leeway, in nanoseconds since 1970
	until      int64  // exp and leeway, in nanoseconds since 1970
	keyset     uint64 // version of the keys that its signature was checked with; JWTs only

	asked       int64         // when the server answered for it, in nanoseconds; 0 for JWTs
	idle, touch time.Duration // of a session, see claims
	used, told  atomic.Int64  // of a session: last used here, and last told so to the server

	live atomic.Uint64 // version of the feed at which nothing covered it

	lists [6]string // room for what is in the lists of id
}

// cache remembers verified credentials in a fixed number of places. The hash only
// picks a place, by a seed of this process: who can choose their tokens cannot aim
// at the places of others. What is found there has to be the same credential,
// byte for byte. Nothing but verified credentials gets in, so that garbage pushes
// nothing out; and no subject, however many good tokens it mints, pushes out all others:
// see victim.
type cache struct {
	seed maphash.Seed
	mask uint64
	sets [][ways]atomic.Pointer[held]
}

func newCache(size int) *cache {
	if size == 0 {
		size = defaultCacheSize
	}
	sets := 1 << bits.Len(uint((size-1)/ways))
	return &cache{seed: maphash.MakeSeed(), mask: uint64(sets - 1), sets: make([][ways]atomic.Pointer[held], sets)}
}

// hash picks a place. It is what find and keep ask for, so that it is made once.
func (c *cache) hash(credential string) uint64 {
	if c == nil {
		return 0
	}
	return maphash.String(c.seed, credential)
}

// find returns what is remembered of a credential of a kind, or nil.
func (c *cache) find(hash uint64, credential string, kind Kind) *held {
	if c == nil {
		return nil
	}
	set := &c.sets[hash&c.mask]
	for i := range set {
		if h := set[i].Load(); h != nil && h.hash == hash && h.credential == credential && h.id.Kind == kind {
			return h
		}
	}
	return nil
}

// keep remembers a credential. It takes no lock: of two that want one place at once,
// the first gets it, and the other is remembered when it is shown again.
func (c *cache) keep(hash uint64, h *held, now time.Time) {
	if c == nil {
		return
	}
	h.hash = hash
	set := &c.sets[hash&c.mask]
	var old [ways]*held
	for i := range set {
		old[i] = set[i].Load()
	}
	i := place(&old, h, now.UnixNano())
	set[i].CompareAndSwap(old[i], h)
}

// place is where a credential goes: where it stands, where nothing stands, or what
// is expired, or in the place of a victim.
func place(set *[ways]*held, h *held, now int64) int {
	free := -1
	for i, old := range set {
		switch {
		case old == nil || old.until <= now:
			free = i
		case old.hash == h.hash && old.credential == h.credential && old.id.Kind == h.id.Kind:
			return i
		}
	}
	if free >= 0 {
		return free
	}
	return victim(set, h)
}

// victim is the place that a full set gives up. The subject that would have most of
// the set gives one up, in doubt the newcomer; of its own the one that ends first.
// So one subject takes from all others together no more than one place of each full
// set, a quarter of the cache, and what it took while there was room goes first.
func victim(set *[ways]*held, h *held) int {
	most, share := 0, 0
	for i, old := range set {
		n := 0
		for _, o := range set {
			if o.id.Subject == old.id.Subject {
				n += 2
			}
		}
		if old.id.Subject == h.id.Subject {
			n += 2 + 1 // itself, and the doubt
		}
		if n > share || n == share && old.until < set[most].until {
			most, share = i, n
		}
	}
	return most
}

// drop forgets what is known not to be good any more.
func (c *cache) drop(h *held) {
	if c == nil {
		return
	}
	set := &c.sets[h.hash&c.mask]
	for i := range set {
		set[i].CompareAndSwap(h, nil)
	}
}

// len counts what is remembered.
func (c *cache) len() int {
	n := 0
	if c != nil {
		for i := range c.sets {
			for j := range c.sets[i] {
				if c.sets[i][j].Load() != nil {
					n++
				}
			}
		}
	}
	return n
}
