package jwks

import (
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// snapshot is the set as one fetch saw it. It never changes; a nil one holds nothing.
type snapshot struct {
	keys  jose.KeySet
	byID  map[string]jose.KeySet
	etag  string
	limit time.Duration // max-age as granted

	refreshAt time.Time // a background refresh is due
	expires   time.Time // max-age is over
	deadline  time.Time // not to be trusted any longer
}

func newSnapshot(keys jose.KeySet) *snapshot {
	s := &snapshot{keys: keys, byID: make(map[string]jose.KeySet, len(keys))}
	for _, k := range keys {
		s.byID[k.ID()] = append(s.byID[k.ID()], k)
	}
	return s
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
