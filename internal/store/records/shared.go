package records

import (
	"context"
	"errors"
	"sync"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// ErrClosed means that the home was closed.
var ErrClosed = errors.New("home of sessions is closed")

// Few is how many records are looked at while others wait.
const Few = 256

// Shared is a set for many at once, and the part of session.Home that reads. Make
// one with NewShared.
type Shared struct {
	mu  sync.RWMutex
	set *Set // nil once closed
	tag string
}

// NewShared returns an empty set.
func NewShared() *Shared { return &Shared{set: New(), tag: opaque.Text(16)} }

// Shut forgets everything, and makes all that comes later fail with ErrClosed.
func (s *Shared) Shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = nil
}

// Read looks at the set. It must not change it.
func (s *Shared) Read(ctx context.Context, look func(*Set)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.set == nil {
		return ErrClosed
	}
	look(s.set)
	return nil
}

// Write changes the set while nobody looks, and returns what change does.
func (s *Shared) Write(ctx context.Context, change func(*Set) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		return ErrClosed
	}
	return change(s.set)
}

// BySecret implements session.Home.
func (s *Shared) BySecret(ctx context.Context, d opaque.Digest) (session.Record, bool, error) {
	var r *session.Record
	err := s.Read(ctx, func(set *Set) { r = set.BySecret(d) })
	return found(r, err)
}

// ByID implements session.Home.
func (s *Shared) ByID(ctx context.Context, id string) (session.Record, bool, error) {
	var r *session.Record
	err := s.Read(ctx, func(set *Set) { r = set.ByID(id) })
	return found(r, err)
}

func found(r *session.Record, err error) (session.Record, bool, error) {
	if r == nil || err != nil {
		return session.Record{}, false, err
	}
	return Copy(r), true, nil
}

// Of implements session.Home.
func (s *Shared) Of(ctx context.Context, owner revoke.Ref) ([]session.Record, error) {
	var all []*session.Record
	for next := Start; next > 0; {
		var part []*session.Record
		err := s.Read(ctx, func(set *Set) { part, next = set.WalkOf(owner, next, Few) })
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return newestFirst(all), nil
}

// Page implements session.Home.
func (s *Shared) Page(ctx context.Context, cursor string, limit int) (some []session.Record, next string, err error) {
	var part []*session.Record
	at := parseCursor(s.tag, cursor)
	if err := s.Read(ctx, func(set *Set) { part, at = set.Walk(at, limit) }); err != nil {
		return nil, "", err
	}
	for _, r := range part {
		some = append(some, Copy(r))
	}
	return some, formatCursor(s.tag, at), nil
}

// Count implements session.Home.
func (s *Shared) Count(ctx context.Context) (n int64, err error) {
	err = s.Read(ctx, func(set *Set) { n = int64(set.Len()) })
	return n, err
}
