package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	Listen string // host:port, with the port that was really taken
	Issuer string
	Data   string
}

// Run serves until ctx ends, then finishes the requests in flight. up is called
// once both listeners are open. A one-time administrator token is put on offer
// first, when there is no administrator.
func (a *App) Run(ctx context.Context, up func(Address)) error {
	if err := a.OfferBootstrap(ctx); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", a.config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	control, cleanup, err := a.dir.listenControl(a.config.Issuer)
	if err != nil {
		ln.Close()
		return err
	}
	defer cleanup()
	up(Address{Listen: ln.Addr().String(), Issuer: a.config.Issuer, Data: a.dir.path})
	return a.serve(ctx, ln, control)
}

func (a *App) serve(ctx context.Context, ln, control net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	servers := []*http.Server{server(a.public), server(a.local)}
	failed := make(chan error, len(servers))
	for i, l := range []net.Listener{ln, control} {
		go func() { failed <- servers[i].Serve(l) }()
	}
	var background sync.WaitGroup
	background.Go(func() { a.housekeeping(ctx) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	stop()
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

// housekeeping moves keys that are due and removes what has expired, until ctx
// ends. A failure is logged and tried again the next time.
func (a *App) housekeeping(ctx context.Context) {
	uses, keys, purge := time.NewTicker(time.Second), time.NewTicker(30*time.Second), time.NewTicker(time.Minute)
	defer uses.Stop()
	defer keys.Stop()
	defer purge.Stop()
	a.warm()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-uses.C:
			err = a.sessions.Flush(ctx)
		case <-keys.C:
			err = a.tickKeys(ctx)
		case <-purge.C:
			err = a.purge(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Error("housekeeping", "error", err)
		}
	}
}

// warm measures the password hash once the server is up, and gives the memory
// that this took back: an idle server should be small.
func (a *App) warm() {
	if _, err := a.passwords.get(); err != nil {
		a.log.Error("password hashing is not possible", "error", err)
	}
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
	for n := step; n == step; {
		if n, err = a.store.PurgeTokens(ctx, now, step); err != nil {
			return fmt.Errorf("purge tokens: %w", err)
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
