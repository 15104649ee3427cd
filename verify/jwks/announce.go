package jwks

import (
	"crypto/sha256"
	"encoding/base64"
	"time"
)

const (
	announcedMost  = 64 // bytes of a version
	announcedKept  = 8  // versions that need no fetch any more
	announcedTries = 2
	announcedAgain = time.Second
)

// DocumentVersion names a key set document in an announcement: half of its SHA-256,
// so that it is the same on whatever way the document came.
func DocumentVersion(document []byte) string {
	digest := sha256.Sum256(document)
	return base64.RawURLEncoding.EncodeToString(digest[:sha256.Size/2])
}

// Announced implements verify.AnnouncedKeySet. It waits for nothing. A version that
// is held, was held before, or was fetched for in vain is passed over: nodes that
// have not heard of a change yet go on announcing the document before it.
func (s *Set) Announced(version string) {
	snap := s.current.Load()
	if snap == nil || snap.document == version || version == "" || len(version) > announcedMost {
		return
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	// A flight under way may have read the set before it changed: the next lease
	// announces the version again.
	if s.flight != nil || s.current.Load() != snap || now.Before(s.retryAt) || !s.heard.due(version, now) {
		return
	}
	if s.extra.take(now, bucketWhole) {
		s.heard.tried(version, now)
		s.launch()
	}
}

// announcements are the versions of late, oldest first: those that were held, and
// those that were announced and fetched for.
type announcements []announcement

type announcement struct {
	version string
	tries   int
	last    time.Time // of the tries
}

func (a announcements) find(version string) *announcement {
	for i := range a {
		if a[i].version == version {
			return &a[i]
		}
	}
	return nil
}

// due reports whether a version is worth a fetch now. Behind one address are several
// nodes: the first fetch may reach one that has the document of before.
func (a announcements) due(version string, now time.Time) bool {
	known := a.find(version)
	return known == nil || known.tries < announcedTries && now.Sub(known.last) >= announcedAgain
}

func (a *announcements) tried(version string, now time.Time) {
	known := a.put(version)
	known.tries++
	known.last = now
}

// had notes that a version is held: it is not worth a fetch again.
func (a *announcements) had(version string) { a.put(version).tries = announcedTries }

func (a *announcements) put(version string) *announcement {
	if known := a.find(version); known != nil {
		return known
	}
	if len(*a) >= announcedKept {
		*a = append((*a)[:0:0], (*a)[1:]...)
	}
	*a = append(*a, announcement{version: version})
	return &(*a)[len(*a)-1]
}
