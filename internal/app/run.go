package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// The time-outs of a server that strangers speak to. A slow client holds one
// connection, not a worker.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 120 * time.Second
	maxHeader     = 32 << 10
	graceful      = 10 * time.Second
)

// Address says where an App serves.
type Address struct {
	Listen   string // host:port, with the port that was really taken
	Issuer   string
	Data     string
	Trust    string   // the file of the development CA, "" for none
	Database string   // what the database is, for people
	Sessions string   // where sessions live when that is not the database
	Risks    []string // what an operator should know of how things are kept, a sentence each
	Redirect string   // host:port where plain HTTP is sent to the issuer, "" for nowhere
}

// Run serves until ctx ends, then finishes the requests in flight. up is called
// once all listeners are open. A one-time administrator token is put on offer
// first, when there is no administrator.
func (a *App) Run(ctx context.Context, up func(Address)) error {
	if err := a.OfferBootstrap(ctx); err != nil {
		return err
	}
	servers, at, err := a.listen()
	if err != nil {
		return err
	}
	control, cleanup, err := a.dir.listenControl(a.config.Issuer)
	if err != nil {
		closeAll(servers)
		return err
	}
	defer cleanup()
	hangup, deaf := a.hangup()
	defer deaf()
	if err := a.describeStores(ctx, &at); err != nil {
		closeAll(servers)
		return err
	}
	up(at)
	return a.serve(ctx, append(servers, serving{server(a.local), control}), hangup)
}

func (a *App) serve(ctx context.Context, servers []serving, hangup <-chan os.Signal) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.run() }()
	}
	var background sync.WaitGroup
	background.Go(func() { a.warm(ctx) })
	background.Go(func() { a.KeepHouse(ctx) })
	background.Go(func() { a.follow(ctx) })
	background.Go(func() { a.outward.outbox.Run(ctx) })
	background.Go(func() { a.reloads(ctx, hangup) })
	if a.front != nil {
		background.Go(func() { a.front.Manage(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	stop() // with it ends the hub, and every stream of it, which nobody would wait for
	end, cancel := context.WithTimeout(context.Background(), graceful)
	defer cancel()
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(end))
	}
	background.Wait()
	return err
}

func server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
}

// follow runs the hub of the revocation feed.
func (a *App) follow(ctx context.Context) {
	if err := a.hub.Run(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("revocation feed", "error", err)
	}
}

// A chore is what is done again and again in the background.
type chore struct {
	every time.Duration
	do    func(context.Context) error
}

// chores lists them. Each has a clock of its own: none waits for another.
func (a *App) chores() []chore {
	keys := 30 * time.Second
	if a.config.Database != "" {
		keys = 2 * time.Second // other nodes change them too
	}
	return []chore{
		{time.Second, a.store.Refresh},
		{time.Second, a.sessions.Flush},
		{time.Second, a.store.Sweep},
		{time.Second, a.moveSessions},
		{keys, a.tickKeys},
		{10 * time.Second, a.tickCertificate},
		{2 * time.Second, a.lists.Refresh},
		{time.Minute, a.purge},
		{time.Minute, a.lists.Purge},
		{time.Minute, a.tidyOutward},
	}
}

// KeepHouse does the chores until ctx ends. A failure is logged, and tried again
// the next time.
func (a *App) KeepHouse(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range a.chores() {
		all.Go(func() { a.again(ctx, c) })
	}
	all.Wait()
}

func (a *App) again(ctx context.Context, c chore) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.do(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("housekeeping", "error", err)
		}
	}
}

// moveSessions does a part of a move of sessions that is under way, and again as
// long as that goes on.
func (a *App) moveSessions(ctx context.Context) error {
	for last := int64(-1); ctx.Err() == nil; {
		p, err := a.store.Move(ctx)
		if err != nil || p.Done || p.Copied <= last {
			return err
		}
		last = p.Copied
	}
	return nil
}

// reloads gets the certificate again whenever it is asked to.
func (a *App) reloads(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := a.front.Reload(ctx); err != nil {
				a.log.Error("reload certificate", "error", err)
			}
		}
	}
}

// warm measures the password hash and makes the keys that clients will need once the
// server is up, and gives the memory that this took back: an idle server should be
// small.
func (a *App) warm(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		if err := a.makeIssuerKeys(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("make the keys that clients need", "error", err)
		}
	})
	all.Go(func() {
		if _, err := a.passwords.get(); err != nil {
			a.log.Error("password hashing is not possible", "error", err)
		}
	})
	all.Wait()
	debug.FreeOSMemory()
}

// purge removes what no longer matters, in small steps.
func (a *App) purge(ctx context.Context) error {
	const step = 500
	now := a.now()
	_, err := a.sessions.Purge(ctx, now)
	if err != nil {
		return fmt.Errorf("purge sessions: %w", err)
	}
	for what, some := range map[string]func(context.Context, time.Time, int) (int, error){
		"tokens": a.store.PurgeTokens, "tickets": a.store.PurgeTickets,
	} {
		for n := step; n == step; {
			if n, err = some(ctx, now, step); err != nil {
				return fmt.Errorf("purge %s: %w", what, err)
			}
		}
	}
	if _, err := a.store.PurgeRevocations(ctx, now); err != nil {
		return fmt.Errorf("purge revocations: %w", err)
	}
	if _, err := a.store.PurgeCounters(ctx, now.Add(-24*time.Hour)); err != nil {
		return fmt.Errorf("purge counters: %w", err)
	}
	return nil
}
