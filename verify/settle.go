package verify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/verify/revocation"
)

// subject is what a credential hangs from, as the issuer's log names it.
func (v *Verifier) subject(id *Identity) revocation.Subject {
	return revocation.Subject{
		TokenID: id.TokenID, SessionID: id.SessionID, GrantID: id.GrantID, Subject: id.Subject,
		ClientID: id.ClientID, API: v.audience, KeyID: id.keyID,
	}
}

// standing is what can be said here of a credential that is valid by itself.
type standing int

const (
	good standing = iota
	revoked
	uncertain // only the server can tell
)

// standing looks a credential up in the feed, without a lock. How fresh that is
// comes first: who sees a lease sees all that it vouches for.
func (v *Verifier) standing(h *held, now time.Time) standing {
	if v.feed == nil {
		return uncertain
	}
	fresh := v.feed.Fresh(now)
	version := v.feed.Version()
	if version == 0 || h.live.Load() != version {
		switch v.feed.Check(&h.keys, h.id.RSN) {
		case revocation.Revoked:
			return revoked
		case revocation.Unknown:
			return uncertain
		case revocation.Live:
			h.live.Store(version) // read before the check: an entry that came since changes it again
		}
	}
	if !fresh {
		return uncertain
	}
	return good
}

// settle decides about a JWT that is valid by itself: by the feed, and by the policy
// when that does not say. Cached and new tokens pass it alike.
func (v *Verifier) settle(ctx context.Context, h *held, now time.Time) error {
	switch v.standing(h, now) {
	case good:
		return nil
	case revoked:
		v.cache.drop(h)
		return ErrRevoked
	case uncertain:
	}
	switch {
	case v.stale == Open:
		if v.feed != nil {
			v.counts.accepted.Add(1)
		}
		return nil
	case v.stale == Strict && v.feed != nil:
		v.counts.stale.Add(1)
		return ErrStale
	}
	err := v.confirm(ctx, h.signed, &h.id, question{})
	if errors.Is(err, ErrRevoked) {
		v.cache.drop(h)
	}
	return err
}

// counts are what a verifier counts beside the path of what is cached and good.
type counts struct {
	first, asked, accepted, stale atomic.Int64
}

// Stats is how a verifier is doing.
type Stats struct {
	Remembered int   // credentials in the cache
	First      int64 // credentials that were verified whole
	Asked      int64 // questions to the server
	Accepted   int64 // credentials accepted under Open while nobody knew
	Stale      int64 // credentials refused under Strict because nobody knew
}

// Stats reads all figures. It looks through the cache: it is for metrics, not for
// every request.
func (v *Verifier) Stats() Stats {
	return Stats{
		Remembered: v.cache.len(), First: v.counts.first.Load(), Asked: v.counts.asked.Load(),
		Accepted: v.counts.accepted.Load(), Stale: v.counts.stale.Load(),
	}
}

// breaker spares a server that does not answer, and those who wait for it, while a
// feed is there to tell most of what there is to know. It opens after breakAfter
// failures in a row and lets one question through in every breakFor.
type breaker struct {
	mu       sync.Mutex
	failures int
	probeAt  time.Time
}

const (
	breakAfter = 5
	breakFor   = 500 * time.Millisecond
)

var errBroken = errors.New("it did not answer lately")

func (b *breaker) allow(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return nil
	}
	if now.Before(b.probeAt) {
		return unavailable("ask the issuer", errBroken)
	}
	b.probeAt = now.Add(breakFor)
	return nil
}

func (b *breaker) done(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures = 0
		return
	}
	b.failures++
	b.probeAt = now.Add(breakFor)
}
