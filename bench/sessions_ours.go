package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/redis"
	apart "github.com/wafer-auth/wafer/internal/store/split"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/verify/bound"
)

// house is our store as the server opens it, and who keeps sessions in it.
type house struct {
	kind   sessionKind
	tables string // see rig.places
	store  *apart.Store
	home   session.Home // where the records are
	keeper *session.Keeper
	base   time.Time
	ahead  atomic.Int64 // how far the keeper's clock is ahead of base

	turn    atomic.Int64
	ids     []string // of live sessions, and their cookies
	secrets []string
}

// open makes a new, empty house.
func (r *rig) open(ctx context.Context) (*house, error) {
	truth, home, tables, err := r.places(ctx)
	if err != nil {
		return nil, err
	}
	t, err := sqlstore.Open(ctx, truth)
	if err != nil {
		return nil, err
	}
	h := &house{kind: r.kind, tables: tables, base: time.Now(), home: t.Sessions()}
	key, err := opaque.NewRoot(opaque.Bytes(32))
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	h.store, err = apart.Open(ctx, apart.Config{
		Truth: t, Sessions: home, Seal: key.Derive("session homes"), Now: time.Now, Longest: session.DefaultLimits().Absolute,
		Open: func(ctx context.Context, url string) (home session.Home, err error) {
			home, err = openHome(ctx, url)
			h.home = home
			return home, err
		},
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	h.keeper = session.NewKeeper(h.store, session.DefaultLimits(), h.now)
	keep, stop := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { h.refresh(keep) })
	r.ends = append(r.ends, func() error {
		stop()
		kept.Wait()
		return h.store.Close()
	})
	return h, nil
}

// openHome opens what internal/app would.
func openHome(ctx context.Context, url string) (session.Home, error) {
	p, err := config.ParsePlace(url)
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case config.PlaceMemory:
		return memory.NewHome(), nil
	case config.PlaceFile:
		return file.Open(ctx, file.Config{Dir: p.Path})
	case config.PlaceSQLite:
		return sqlstore.OpenSessions(ctx, sqlstore.Config{Path: p.Path})
	case config.PlacePostgres:
		return sqlstore.OpenSessions(ctx, sqlstore.Config{URL: p.URL})
	case config.PlaceRedis:
		return redis.Open(ctx, redis.Config{URL: p.URL, Now: time.Now})
	}
	return nil, fmt.Errorf("no home at %q", url)
}

// refresh is what a server does every second besides.
func (h *house) refresh(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.store.Refresh(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "refresh:", err)
		}
	}
}

// now is the keeper's clock. It stands still until it is moved.
func (h *house) now() time.Time { return h.base.Add(time.Duration(h.ahead.Load())) }

// load is a request whose session is not due to be touched.
func (h *house) load(ctx context.Context) func() error {
	return func() error {
		return h.find(ctx, h.secrets[h.turn.Add(1)%int64(len(h.secrets))])
	}
}

func (h *house) find(ctx context.Context, secret string) error {
	s, _, found, err := h.keeper.Find(ctx, secret, bound.Seen{})
	if err == nil && (!found || s.UserID == "") {
		err = errors.New("a live session was not found")
	}
	return err
}

// use is a request whose session is due: the clock goes on by a little more than
// a touch lasts each time everybody had a turn.
func (h *house) use(ctx context.Context) func() error {
	return func() error {
		n := h.turn.Add(1) % int64(len(h.secrets))
		if n == 0 {
			h.ahead.Add(int64(h.keeper.Limits().Touch + time.Second))
		}
		return h.find(ctx, h.secrets[n])
	}
}

// proveTouches makes sure that the store has what was flushed.
func (h *house) proveTouches(ctx context.Context) error {
	h.ahead.Add(int64(h.keeper.Limits().Touch + time.Second))
	if err := h.find(ctx, h.secrets[0]); err != nil {
		return err
	}
	if err := h.keeper.Flush(ctx); err != nil {
		return err
	}
	s, _, err := h.store.SessionByID(ctx, h.ids[0])
	if want := h.now().Truncate(time.Microsecond); err == nil && !s.SeenAt.Equal(want) {
		err = fmt.Errorf("a session was seen at %v, and the store says %v", want, s.SeenAt)
	}
	return err
}

// ended makes sure that none of these cookies is accepted.
func (h *house) ended(ctx context.Context, secrets []string) error {
	for _, secret := range secrets {
		if _, _, found, err := h.keeper.Find(ctx, secret, bound.Seen{}); err != nil || found {
			return fmt.Errorf("a session that was ended: found %t, %w", found, err)
		}
	}
	return nil
}

func userRef(user string) revoke.Ref { return revoke.Ref{Kind: revoke.User, Key: user} }
