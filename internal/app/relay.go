package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/feed"
	webfeed "github.com/wafer-auth/wafer/internal/web/feed"
	"github.com/wafer-auth/wafer/internal/web/https"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// RelayOptions is what a Relay is built from.
type RelayOptions struct {
	// Config says where the relay itself is served: Listen, Issuer (its own URL),
	// TLS with files or none, TrustedProxies. Nothing else of it matters.
	Config config.Config
	// Issuer is the Wafer whose feed it is, and Upstream the feed to follow: that of
	// the issuer when it is "", or another relay's.
	Issuer, Upstream string
	// ClientID and ClientSecret are the relay's own: a client with feed:read.
	ClientID, ClientSecret string
	Log                    *slog.Logger
	Now                    func() time.Time // nil: the clock of the machine
}

// Relay passes the revocation feed of a Wafer on to verifiers near it. It keeps
// nothing on disk.
type Relay struct {
	relay *feed.Relay
	front *https.Front // nil: plain HTTP
	serve http.Handler
	c     config.Config
	log   *slog.Logger
}

// NewRelay checks everything that can be checked before Run.
func NewRelay(o RelayOptions) (*Relay, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Config.TLS != config.TLSOff && o.Config.TLS != config.TLSFiles {
		return nil, errors.New("tls of a relay is files, or left out")
	}
	r := &Relay{c: o.Config, log: o.Log}
	if o.Config.TLS == config.TLSFiles {
		var err error
		if r.front, err = https.Open(https.Options{Config: o.Config, Now: o.Now, Log: o.Log}); err != nil {
			return nil, err
		}
	}
	// One client for all who register through us: each of its own would keep
	// connections of its own.
	shared := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	as := func(c feed.Credentials) (revocation.Hub, error) {
		hub, err := revocation.NewRemote(revocation.Config{
			Issuer: o.Issuer, URL: o.Upstream, ClientID: c.ID, ClientSecret: c.Secret, Client: shared, Now: o.Now, Logger: o.Log,
		})
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		return hub, nil
	}
	up, err := as(feed.Credentials{ID: o.ClientID, Secret: o.ClientSecret})
	if err != nil {
		return nil, err
	}
	r.relay, err = feed.NewRelay(feed.RelayConfig{Upstream: up, As: as, Issuer: o.Issuer, Node: nodeName(), Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return r, r.handler(o)
}

func (r *Relay) handler(o RelayOptions) (err error) {
	mux := http.NewServeMux()
	webfeed.New(webfeed.Config{Source: r.relay, Now: o.Now, Log: o.Log}).Mount(mux)
	type state struct {
		Status string `json:"status"`
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { respond.JSON(w, http.StatusOK, state{"ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !r.relay.Feed().Fresh(o.Now()) {
			respond.JSON(w, http.StatusServiceUnavailable, state{"not ready"})
			return
		}
		respond.JSON(w, http.StatusOK, state{"ready"})
	})
	r.serve, err = middleware.Chain(middleware.Config{
		Issuer: o.Config.Issuer, Hosts: loopbackHosts(o.Config.Listen), AnyHost: []string{"/healthz", "/readyz"}, Proxies: o.Config.TrustedProxies,
		Bodies: map[string]int64{webfeed.LeasePath: webfeed.LeaseBody}, Quiet: []string{webfeed.LeasePath}, Log: o.Log, Now: o.Now,
	}, mux)
	return err
}

// Run follows the upstream and serves until ctx ends. up is called once the
// listener is open, with its address.
func (r *Relay) Run(ctx context.Context, up func(listen string)) error {
	ln, err := net.Listen("tcp", r.c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := serving{server(r.serve), ln}
	if r.front != nil {
		s.TLSConfig, s.ErrorLog = r.front.TLSConfig(), r.front.ErrorLog()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- s.run() }()
	var background sync.WaitGroup
	background.Go(func() {
		if err := r.relay.Run(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("relay", "error", err)
		}
	})
	if r.front != nil {
		background.Go(func() { r.front.Manage(ctx) })
	}
	up(ln.Addr().String())
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	stop()
	end, cancel := context.WithTimeout(context.Background(), graceful)
	defer cancel()
	err = errors.Join(err, s.Shutdown(end))
	background.Wait()
	return err
}
