package https

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/wafer-auth/wafer/internal/config"
)

// challengeProtocol is what an ACME server asks for when it validates over TLS
// (RFC 8737 section 6.2).
const challengeProtocol = "acme-tls/1"

// acme is a certificate from an ACME server (RFC 8555). certmagic orders and
// renews it, one node for all that share the vault. It reads the clock of the
// machine.
type acme struct {
	host   string
	log    *slog.Logger
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	stored atomic.Bool // the vault has had the certificate
	closed sync.Once
}

func openACME(o Options) (*acme, error) {
	roots, err := readRoots(o.Config.ACMERoot)
	if err != nil {
		return nil, err
	}
	if o.Vault == nil {
		if o.Vault, err = OpenFolder(filepath.Join(o.Folder, "acme")); err != nil {
			return nil, err
		}
	}
	template, err := issuerOf(o.Config)
	if err != nil {
		return nil, err
	}
	logger := zapTo(o.Log)
	template.TrustedRoots, template.Logger = roots, logger
	a := &acme{host: o.Config.IssuerHost(), log: o.Log}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil }, Logger: logger,
	})
	// Who sends no name, such as a probe, gets the only certificate there is.
	a.magic = certmagic.New(a.cache, certmagic.Config{Storage: newStorage(o), DefaultServerName: a.host, Logger: logger})
	a.issuer = certmagic.NewACMEIssuer(a.magic, template)
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

// issuerOf points certmagic at our listeners. It finds them taken, and leaves
// the answers to challenges to us.
func issuerOf(c config.Config) (certmagic.ACMEIssuer, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return certmagic.ACMEIssuer{}, fmt.Errorf("listen: %w", err)
	}
	i := certmagic.ACMEIssuer{CA: c.ACMEDirectory, Email: c.ACMEEmail, Agreed: true, ListenHost: host, DisableHTTPChallenge: !c.Redirects()}
	if i.AltTLSALPNPort, err = strconv.Atoi(port); err != nil {
		return certmagic.ACMEIssuer{}, fmt.Errorf("listen: %w", err)
	}
	if i.DisableHTTPChallenge {
		return i, nil
	}
	_, port, err = net.SplitHostPort(c.HTTPRedirect)
	if err != nil {
		return certmagic.ACMEIssuer{}, fmt.Errorf("http-redirect: %w", err)
	}
	if i.AltHTTPPort, err = strconv.Atoi(port); err != nil {
		return certmagic.ACMEIssuer{}, fmt.Errorf("http-redirect: %w", err)
	}
	return i, nil
}

// readRoots returns nil, the machine's own, for no file.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("acme-ca-root: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("acme-ca-root %s: there is no certificate in PEM in it", file)
	}
	return roots, nil
}

func (a *acme) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.magic.GetCertificate(hello)
}

func (a *acme) challenges(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// manage orders, if need be, and then stays as long as certmagic may renew.
func (a *acme) manage(ctx context.Context) {
	for wait := 10 * time.Second; ; wait = min(2*wait, time.Hour) {
		err := a.magic.ObtainCertAsync(ctx, a.host)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		a.log.ErrorContext(ctx, "no certificate; it is tried again", "host", a.host, "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	if err := a.magic.ManageAsync(ctx, []string{a.host}); err != nil {
		a.log.ErrorContext(ctx, "certificate", "host", a.host, "error", err)
	}
	a.stored.Store(true)
	<-ctx.Done()
}

// tick mends a start at which the vault did not answer at the wrong moment.
func (a *acme) tick(ctx context.Context) error {
	if !a.stored.Load() || len(a.cache.AllMatchingCertificates(a.host)) > 0 {
		return nil
	}
	if _, err := a.magic.CacheManagedCertificate(ctx, a.host); err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	return nil
}

func (a *acme) reload(ctx context.Context) error { return a.tick(ctx) }

func (a *acme) close() { a.closed.Do(a.cache.Stop) }
