package verify

import (
	"context"
	"time"
)

// Follow gives a context that ends when a credential does, for what outlives a
// request: a WebSocket, an event stream, a long download. context.Cause tells why:
// ErrRevoked when the credential, its session or its user was taken back or its
// rights changed, ErrExpired, or ErrStale under Strict when the feed has no lease: it
// is cut off for longer than that lasts, or has not had its first. Under the other
// policies a stream goes on without a lease, and ends as soon as the feed learns what
// it missed. Without a Feed it ends at the expiry alone. An open stream counts as use
// of its session. stop must be called.
func (v *Verifier) Follow(ctx context.Context, id *Identity) (followed context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stops := []func(){func() { cancel(context.Canceled) }}
	expiry := time.AfterFunc(id.ExpiresAt.Add(v.leeway).Sub(v.now()), func() { cancel(ErrExpired) })
	stops = append(stops, func() { expiry.Stop() })
	if v.feed != nil {
		stops = append(stops, v.feed.Watch(v.subject(id), id.RSN, func() { cancel(ErrRevoked) }))
		if v.stale == Strict {
			stops = append(stops, v.feed.WatchLease(func() { cancel(ErrStale) }))
		}
		if id.Kind == Session {
			go v.inUse(ctx, id)
		}
	}
	return ctx, func() {
		for _, s := range stops {
			s()
		}
	}
}

// inUse tells the server of the use of a session until ctx ends.
func (v *Verifier) inUse(ctx context.Context, id *Identity) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.feed.Used(id.SessionID, v.now())
		case <-ctx.Done():
			return
		}
	}
}
