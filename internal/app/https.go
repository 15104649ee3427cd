package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// openFront gets the certificate ready, unless plain HTTP is served.
func (a *App) openFront(o Options) error {
	if a.config.TLS == config.TLSOff {
		return nil
	}
	var err error
	a.front, err = https.Open(https.Options{
		Config: a.config, Folder: a.dir.file("tls"), Vault: a.vaultFor(o), Seal: a.root.Derive("tls vault"), Now: a.now, Log: a.log,
	})
	return err
}

// serving is a server and where it listens.
type serving struct {
	*http.Server
	at net.Listener
}

// run serves until Shutdown.
func (s serving) run() error {
	if s.TLSConfig != nil {
		return s.ServeTLS(s.at, "", "")
	}
	return s.Serve(s.at)
}

// listen opens what the network sees: the address served, and with HTTPS perhaps
// a second one for plain HTTP.
func (a *App) listen() ([]serving, Address, error) {
	ln, err := net.Listen("tcp", a.config.Listen)
	if err != nil {
		return nil, Address{}, fmt.Errorf("listen: %w", err)
	}
	servers := []serving{{server(a.public), ln}}
	at := Address{Listen: ln.Addr().String(), Issuer: a.config.Issuer, Data: a.dir.path}
	if a.front == nil {
		return servers, at, nil
	}
	servers[0].TLSConfig, servers[0].ErrorLog = a.front.TLSConfig(), a.front.ErrorLog()
	at.Trust = a.front.Trust()
	if !a.config.Redirects() {
		return servers, at, nil
	}
	plain, err := net.Listen("tcp", a.config.HTTPRedirect)
	if err != nil {
		closeAll(servers)
		return nil, Address{}, fmt.Errorf("http-redirect: %w; name another address with --http-redirect, or off", err)
	}
	at.Redirect = plain.Addr().String()
	return append(servers, serving{server(a.front.Plain()), plain}), at, nil
}

func closeAll(servers []serving) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.at.Close())
	}
	return errors.Join(errs...)
}

// hangup hears SIGHUP, with which operators and their tools say that there is a
// new certificate. Without one to replace the signal ends us, as always.
func (a *App) hangup() (heard <-chan os.Signal, stop func()) {
	if a.front == nil {
		return nil, func() {}
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// tickCertificate takes a new certificate into use, if there is one.
func (a *App) tickCertificate(ctx context.Context) error {
	if a.front == nil {
		return nil
	}
	return a.front.Tick(ctx)
}
