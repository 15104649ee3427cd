package split

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
)

var _ store.Store = (*Store)(nil)

// DefaultLease is how long a node relies on what it read of the layout.
const DefaultLease = 5 * time.Second

// Config is what a Store is made of. Truth, Open, Seal and Now are needed.
type Config struct {
	Truth store.Truth
	// Open opens the home that a URL names. It is not asked for "", which is the
	// truth's own table.
	Open func(ctx context.Context, url string) (session.Home, error)
	// Sessions is the URL of the home that an operator asked for. "" is what is
	// recorded, and at first the truth's own table.
	Sessions string
	Seal     *opaque.Key // seals URLs, which may hold passwords, in the truth's settings
	Now      func() time.Time
	Log      *slog.Logger  // nil: nothing is logged
	Lease    time.Duration // default DefaultLease
	// Longest is the absolute limit of sessions. Entries of the log that may have
	// to cover a session are kept at least that long.
	Longest time.Duration
	Slice   int    // records that one Move takes at most; default 1000
	Node    string // names this process in the claim to move sessions; default: a random text
}

// Store is a store whose sessions may live in a home of their own. Make one with
// Open. Housekeeping calls Refresh, Sweep and Move every second.
type Store struct {
	store.Truth
	c    Config
	seen atomic.Pointer[view]

	reading  sync.Mutex // one reading of the layout at a time; guards lodgings
	lodgings map[string]*lodging

	sweeping sync.Mutex
	swept    int64

	moving sync.Mutex // one slice at a time in this process
}

// Open reads where sessions live, or records it at the first start, and opens
// their home. A Config.Sessions that names another home than the recorded one is
// refused (fault.Conflict) with a sentence that says what to run: else everybody
// would be signed out without a word. The home that sessions were moved from is
// accepted with a warning. The truth stays the caller's when Open fails, and is
// closed by Close when it does not.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Lease <= 0 {
		c.Lease = DefaultLease
	}
	if c.Slice <= 0 {
		c.Slice = 1000
	}
	if c.Node == "" {
		c.Node = opaque.Text(9)
	}
	s := &Store{Truth: c.Truth, c: c, lodgings: map[string]*lodging{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.closeLodgings())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.record(ctx); err != nil {
		return err
	}
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	v := s.seen.Load()
	if bad, is := v.a.(absent); is {
		return fmt.Errorf("open the home of sessions, %s: %w", label(v.from), bad.cause)
	}
	// What was recorded before this start and not swept by anybody stays in its
	// home as a leftover. The log goes on covering it (keep), so it is only room,
	// and its age removes it. Nothing older needs to be read again.
	head, err := s.Truth.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the log's position: %w", err)
	}
	s.swept = head
	return nil
}

// Risks are what an operator should know of how sessions are kept, one sentence
// each.
func (s *Store) Risks(ctx context.Context) ([]string, error) {
	v, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, h := range v.homes() {
		some, err := h.Risks(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask a home of sessions for its risks: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// Ping reports whether the truth and every home that sessions need now can be
// read and written. A home that sessions are only announced to is not needed yet.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.Truth.Ping(ctx); err != nil {
		return err
	}
	v, err := s.current(ctx)
	if err != nil {
		return err
	}
	if v.own() {
		return nil
	}
	needed := v.homes()
	if v.Stage == announced {
		needed = needed[:1]
	}
	for _, h := range needed {
		if err := h.Ping(ctx); err != nil {
			return fmt.Errorf("home of sessions: %w", err)
		}
	}
	return nil
}

// Close closes every home and then the truth.
func (s *Store) Close() error {
	return errors.Join(s.closeLodgings(), s.Truth.Close())
}

// A lodging is a home that was opened.
type lodging struct {
	session.Home
	needed time.Time // when a layout last named it, or it was opened
}

func (s *Store) closeLodgings() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	var errs []error
	for url, l := range s.lodgings {
		errs = append(errs, l.Close())
		delete(s.lodgings, url)
	}
	return errors.Join(errs...)
}

// lodge returns the home at a URL and opens it when it is not open. The caller
// holds s.reading.
func (s *Store) lodge(ctx context.Context, url string) (session.Home, error) {
	if url == "" {
		return s.Truth.Sessions(), nil
	}
	if l, found := s.lodgings[url]; found {
		l.needed = s.c.Now()
		return l.Home, nil
	}
	// Requests whose lease ends stand behind this: a home that does not answer
	// must not hold them for as long as a lease.
	ctx, cancel := context.WithTimeout(ctx, s.c.Lease/2)
	defer cancel()
	h, err := s.c.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	s.lodgings[url] = &lodging{Home: h, needed: s.c.Now()}
	return h, nil
}

// vacate closes homes that no layout has named for longer than any node may
// still be using them. The caller holds s.reading.
func (s *Store) vacate(v *view) {
	now := s.c.Now()
	for url, l := range s.lodgings {
		if url == v.from || v.Stage != settled && url == v.to {
			l.needed = now
			continue
		}
		if now.Sub(l.needed) < s.wait() {
			continue
		}
		delete(s.lodgings, url)
		if err := l.Close(); err != nil {
			s.c.Log.Warn("close a home that sessions have left", "home", label(url), "err", hide(err.Error(), url))
		}
	}
}

var errMoving = fault.New(fault.Unavailable, "Sessions are being moved. Try again.")
