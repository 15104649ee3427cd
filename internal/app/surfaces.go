package app

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/logout"
	webfeed "github.com/wafer-auth/wafer/internal/web/feed"
	"github.com/wafer-auth/wafer/internal/web/manage"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/oauth"
	"github.com/wafer-auth/wafer/internal/web/pages"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/internal/web/sessions"
	weblists "github.com/wafer-auth/wafer/internal/web/statuslist"
)

// surfaces builds the two handlers: one for the network, one for the control
// socket.
func (a *App) surfaces(o Options) error {
	origins := &middleware.Origins{List: a.allClients, Now: a.now, Fresh: 5 * time.Second, Log: a.log}
	management := manage.New(manage.Config{
		Issuer: a.config.Issuer, Tokens: a.grants, Users: a.admin, Clients: a.admin, APIs: a.admin, Roles: a.admin,
		Keys: a.ring, Sessions: a.sessions, Setup: a.admin, Moves: moves{a.store}, Logs: a.store, Messages: a.store, Feed: a.hub, Now: a.now, Log: a.log,
	})
	ui, err := pages.New(pages.Config{
		Issuer: a.config.Issuer, SignIn: a.signin, Sessions: a.sessions, Accounts: a.admin, Authorize: a.requests, Devices: a.grants, Hints: a.grants,
		Front: logout.Front{Issuer: a.config.Issuer, Sessions: a.sessions, Log: a.store, Clients: a.store}, Forms: a.root.Derive("forms"),
		Now: a.now, Log: a.log, Links: links(o.Links), Setup: func() bool { return a.bootstrap != "" },
	})
	if err != nil {
		return err
	}
	certificates, err := a.certificates()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	oauth.New(a.registers(oauth.Config{
		Issuer: a.config.Issuer, Grants: a.grants, Requests: a.requests, Keys: a.ring, Registered: origins.Registered,
		Certificates: certificates, MTLS: a.config.MTLS, Log: a.log, Locales: pages.Locales(),
	})).Mount(mux)
	sessions.New(sessions.Config{
		SignIn: a.signin, Sessions: a.sessions, Grants: a.grants, Accounts: a.admin, FirstParty: origins.FirstParty, Log: a.log,
	}).Mount(mux)
	webfeed.New(webfeed.Config{Source: a.hub, Now: a.now, Log: a.log}).Mount(mux)
	weblists.New(weblists.Config{Lists: a.lists, Now: a.now, Log: a.log}).Mount(mux)
	a.receiver().Mount(mux)
	a.signals().Mount(mux)
	management.Mount(mux)
	ui.Mount(mux)
	a.operations(mux)
	a.public, err = middleware.Chain(middleware.Config{
		Issuer: a.config.Issuer, Hosts: a.hosts(), AnyHost: []string{"/healthz", "/readyz"}, Proxies: a.config.TrustedProxies,
		Bodies: map[string]int64{manage.ApplyPath: manage.ApplyBody, webfeed.LeasePath: webfeed.LeaseBody}, Quiet: []string{webfeed.LeasePath}, Log: a.log, Now: a.now,
		Sharing: middleware.Sharing{
			Methods: []string{"DELETE", "GET", "PATCH", "POST", "PUT"}, Trusted: origins.Registered, Cookies: origins.FirstParty,
		},
	}, mux)
	if err != nil {
		return err
	}
	return a.localSurface(management)
}

func links(in []Link) []pages.Link {
	out := make([]pages.Link, 0, len(in))
	for _, l := range in {
		out = append(out, pages.Link(l))
	}
	return out
}

func (a *App) localSurface(management *manage.Surface) error {
	mux := http.NewServeMux()
	management.Mount(mux)
	chain, err := middleware.Chain(middleware.Config{
		Issuer: a.config.Issuer, Hosts: []string{"localhost"}, Bodies: map[string]int64{manage.ApplyPath: manage.ApplyBody}, Log: a.log, Now: a.now,
	}, mux)
	if err != nil {
		return err
	}
	a.local = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chain.ServeHTTP(w, r.WithContext(manage.Local(r.Context())))
	})
	return nil
}

// hosts are the names of ours besides the issuer's.
func (a *App) hosts() []string {
	all := loopbackHosts(a.config.Listen)
	if host, ok := strings.CutPrefix(a.config.MTLS, "https://"); ok {
		all = append(all, host)
	}
	return all
}

// loopbackHosts are the names by which this machine reaches a server that
// listens on loopback.
func loopbackHosts(listen string) []string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !config.IsLoopback(host) {
		return nil
	}
	return []string{net.JoinHostPort("localhost", port), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}

// operations are for whoever runs the server. They tell nothing about anybody.
func (a *App) operations(mux *http.ServeMux) {
	type state struct {
		Status string `json:"status"`
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		respond.JSON(w, http.StatusOK, state{"ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.ready(r.Context()); err != nil {
			a.log.Error("not ready", "error", err)
			respond.JSON(w, http.StatusServiceUnavailable, state{"not ready"})
			return
		}
		respond.JSON(w, http.StatusOK, state{"ready"})
	})
}

// ready reports why requests that need the store would fail, if they would.
func (a *App) ready(ctx context.Context) error { return a.store.Ping(ctx) }
