package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

// One person is signed in with at most mostEach browsers, so that nobody can push
// out others; an entry unused for idle is forgotten, as Wafer ends its session.
const (
	mostEach = 16
	idle     = 12 * time.Hour
)

// early is how long before its end an access token is renewed, at most.
const early = 30 * time.Second

// key is the SHA-256 of a cookie's value: who reads the memory of this process
// cannot make a cookie of it.
type key [sha256.Size]byte

// entry is what is kept of one browser.
type entry struct {
	key    key
	user   string    // Wafer's id of the person
	cookie string    // Wafer's session cookie, for sign-out and to ask who it is
	ends   time.Time // the session's end
	seen   time.Time // guarded by the store

	mu      sync.Mutex
	tokens  tokens
	renewAt time.Time // when to get the next access token
	goodTo  time.Time // when this one expires
	flight  *flight   // a refresh under way
}

// flight is one refresh that many wait for.
type flight struct {
	done chan struct{}
	err  error
}

// take keeps new tokens. asked is when they were asked for.
func (e *entry) take(t tokens, asked time.Time) {
	life := time.Duration(t.ExpiresIn) * time.Second
	e.tokens, e.goodTo = t, asked.Add(life)
	e.renewAt = e.goodTo.Add(-min(early, life/4))
}

// renewal is how an entry renews its tokens.
type renewal struct {
	now   func() time.Time
	renew func(ctx context.Context, refresh string) (tokens, error)
}

// bearer returns an access token other than the one that was refused ("" for
// none), and renews it when its time comes. However many callers ask at once, one
// refresh goes out and all get what it brings: a refresh token is for one use, and
// a second use looks like a theft. errOver says that the session has ended.
func (e *entry) bearer(ctx context.Context, refused string, how renewal) (string, error) {
	e.mu.Lock()
	if e.tokens.Access != refused && how.now().Before(e.renewAt) {
		defer e.mu.Unlock()
		return e.tokens.Access, nil
	}
	f := e.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		e.flight = f
		// The refresh goes on when this caller leaves: others wait for it, and its
		// answer holds the only refresh token that is good from now on.
		go e.fly(context.WithoutCancel(ctx), f, how)
	}
	e.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	// While Wafer cannot be asked, a token that is still good goes on working.
	var p *problem
	refusal := errors.As(f.err, &p) && p.status != errUpstream.status
	if f.err != nil && (refusal || e.tokens.Access == refused || !how.now().Before(e.goodTo)) {
		return "", f.err
	}
	return e.tokens.Access, nil
}

func (e *entry) fly(ctx context.Context, f *flight, how renewal) {
	e.mu.Lock()
	old := e.tokens.Refresh
	e.mu.Unlock()
	asked := how.now()
	got, err := how.renew(ctx, old)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.take(got, asked)
	}
	e.flight, f.err = nil, err
	close(f.done)
}

// secrets are what must never reach the page.
func (e *entry) secrets() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return []string{e.tokens.Access, e.tokens.Refresh, e.cookie}
}

// store is the memory of who is signed in.
type store struct {
	now  func() time.Time
	most int
	mu   sync.Mutex
	all  map[key]*entry
}

// add keeps an entry under a new random value, and returns that value for the
// cookie, and the entries it had to push out.
func (m *store) add(e *entry) (value string, pushed []*entry) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	value = base64.RawURLEncoding.EncodeToString(raw)
	m.mu.Lock()
	defer m.mu.Unlock()
	pushed = m.makeRoom(e.user)
	e.key, e.seen = sha256.Sum256([]byte(value)), m.now()
	m.all[e.key] = e
	return value, pushed
}

// makeRoom forgets what is over, and the longest unused entry of the person, or
// of all, when there is no room for one more.
func (m *store) makeRoom(user string) (pushed []*entry) {
	var oldest, oldestOfUser *entry
	ofUser := 0
	for k, e := range m.all {
		if m.over(e) {
			delete(m.all, k)
			continue
		}
		if oldest == nil || e.seen.Before(oldest.seen) {
			oldest = e
		}
		if e.user != user {
			continue
		}
		ofUser++
		if oldestOfUser == nil || e.seen.Before(oldestOfUser.seen) {
			oldestOfUser = e
		}
	}
	switch {
	case ofUser >= mostEach:
		oldest = oldestOfUser
	case len(m.all) < m.most:
		return nil
	}
	delete(m.all, oldest.key)
	return []*entry{oldest}
}

func (m *store) over(e *entry) bool {
	now := m.now()
	return !now.Before(e.ends) || now.Sub(e.seen) >= idle
}

// find returns the entry of a cookie's value, nil when there is none.
func (m *store) find(value string) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.all[sha256.Sum256([]byte(value))]
	if e == nil {
		return nil
	}
	if m.over(e) {
		delete(m.all, e.key)
		return nil
	}
	e.seen = m.now()
	return e
}

// drop forgets an entry, and reports whether it was there.
func (m *store) drop(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.all[e.key]
	delete(m.all, e.key)
	return there
}

// dropUser forgets every entry of a person.
func (m *store) dropUser(user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, e := range m.all {
		if e.user == user {
			delete(m.all, k)
		}
	}
}
