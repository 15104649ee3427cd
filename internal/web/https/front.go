package https

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// Options is what a Front is made of.
type Options struct {
	Config config.Config // validated; TLS is not TLSOff
	Folder string        // of ours alone; made if need be
	Vault  Vault         // of certificates from an ACME server; nil: files in Folder
	Seal   *opaque.Key   // what is in the vault is sealed with it; the same on every node
	Now    func() time.Time
	Log    *slog.Logger
}

// Front is what strangers meet first: the certificate, and the way from plain
// HTTP to HTTPS.
type Front struct {
	source source
	now    func() time.Time
	log    *slog.Logger
	issuer string
	mtls   string // the host whose connections are asked for certificates, "" for none
	only   bool   // and those to other hosts are not
	trust  string
}

// A source has the certificate in force.
type source interface {
	certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// tick looks whether there is a newer one. An error means that the old one
	// stays, and is told once for each cause.
	tick(ctx context.Context) error
	// reload looks without asking whether anything changed.
	reload(ctx context.Context) error
}

// Open makes a Front. A certificate of one's own that could not serve the issuer
// is an error. One from an ACME server is ordered by Manage.
func Open(o Options) (*Front, error) {
	f := &Front{now: o.Now, log: o.Log, issuer: o.Config.Issuer, mtls: o.Config.MTLSHost()}
	f.only = f.mtls != o.Config.IssuerHost()
	var err error
	switch o.Config.TLS {
	case config.TLSFiles:
		f.source, err = openFiles(o)
	case config.TLSDev:
		f.source, f.trust, err = openDevelopment(o)
	case config.TLSACME:
		f.source, err = openACME(o)
	default:
		err = fmt.Errorf("tls %q: there is no such source of certificates", o.Config.TLS)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// TLSConfig returns the settings of the server. TLS 1.2 is the least, what else
// is negotiated is what Go thinks best (RFC 9325).
func (f *Front) TLSConfig() *tls.Config {
	protos := []string{"h2", "http/1.1"}
	if _, ok := f.source.(*acme); ok {
		protos = append(protos, challengeProtocol)
	}
	plain := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protos, GetCertificate: f.source.certificate, Time: f.now}
	if f.mtls == "" {
		return plain
	}
	// A certificate is asked for, never required, and judged by those who need one: a
	// connection may be of another client.
	asking := plain.Clone()
	asking.ClientAuth = tls.RequestClientCert
	if !f.only {
		return asking
	}
	plain.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if strings.EqualFold(hello.ServerName, f.mtls) {
			return asking, nil
		}
		return nil, nil // as it is
	}
	return plain
}

// Plain returns the handler of plain HTTP: challenges of the ACME server, and
// for everything else Redirect.
func (f *Front) Plain() http.Handler {
	to := Redirect(f.issuer)
	if a, ok := f.source.(*acme); ok {
		return a.challenges(to)
	}
	return to
}

// Manage orders a certificate if there is none and keeps it fresh until ctx
// ends. It waits for that, when there is an ACME server, and otherwise returns
// at once. Both listeners must be open, since challenges come in through them.
func (f *Front) Manage(ctx context.Context) {
	if a, ok := f.source.(*acme); ok {
		a.manage(ctx)
	}
}

// Tick takes a newer certificate into use, if there is one. An error says why it
// could not be; the one in force stays.
func (f *Front) Tick(ctx context.Context) error { return f.source.tick(ctx) }

// Reload is Tick for an operator who says that there is something new.
func (f *Front) Reload(ctx context.Context) error { return f.source.reload(ctx) }

// Close ends what works in the background. A second call does nothing.
func (f *Front) Close() {
	if a, ok := f.source.(*acme); ok {
		a.close()
	}
}

// Trust returns the file of the development CA, which clients have to be told to
// believe. It is "" when they need not be told.
func (f *Front) Trust() string { return f.trust }

// ErrorLog is for http.Server. Strangers make handshakes fail as often as they
// like, so that is told to who debugs only.
func (f *Front) ErrorLog() *log.Logger { return log.New(serverLog{f.log}, "", 0) }

type serverLog struct{ log *slog.Logger }

// Write logs one line of the server.
func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelError
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "server", "line", string(bytes.TrimSpace(line)))
	return len(line), nil
}
