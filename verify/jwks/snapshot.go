package jwks

import (
	"slices"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// snapshot is the set as one fetch saw it. It never changes; a nil one holds nothing.
type snapshot struct {
	keys jose.KeySet
	byID map[string]jose.KeySet
	etag string
	// document names what was read, as announcements do: see DocumentVersion.
	document string
	limit    time.Duration // max-age as granted
	// version is another one, and a higher one, whenever the keys are others. 1 at first.
	version uint64

	refreshAt time.Time // a background refresh is due
	expires   time.Time // max-age is over
	deadline  time.Time // not to be trusted any longer
}

// newSnapshot makes one of what was fetched after last.
func newSnapshot(keys jose.KeySet, last *snapshot) *snapshot {
	s := &snapshot{keys: keys, byID: make(map[string]jose.KeySet, len(keys)), version: 1}
	if last != nil {
		s.version = last.version
		if !slices.EqualFunc(keys, last.keys, same) {
			s.version++
		}
	}
	for _, k := range keys {
		s.byID[k.ID()] = append(s.byID[k.ID()], k)
	}
	return s
}

func same(a, b *jose.Key) bool {
	return a.ID() == b.ID() && a.Algorithm() == b.Algorithm() && a.Thumbprint() == b.Thumbprint()
}

// at gives the same keys as confirmed by a fetch that began at this time.
func (s *snapshot) at(began time.Time, limit time.Duration, jitter float64) *snapshot {
	next := *s
	next.limit = limit
	next.refreshAt = began.Add(time.Duration(float64(limit) * (0.5 + 0.4*jitter)))
	next.expires = began.Add(limit)
	next.deadline = began.Add(staleIfError)
	return &next
}

func (s *snapshot) trusted(now time.Time) bool { return s != nil && now.Before(s.deadline) }

func (s *snapshot) has(kid string) bool { return len(s.byID[kid]) > 0 }

func (s *snapshot) find(kid string, alg jose.Algorithm) (*jose.Key, bool) {
	if kid == "" {
		return s.keys.Find("", alg)
	}
	return s.byID[kid].Find(kid, alg)
}
