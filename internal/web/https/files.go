package https

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

// files is a certificate that the operator brings, and replaces while we run.
type files struct {
	cert, key string
	hosts     []string // that it must serve, the issuer's first
	now       func() time.Time
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // of those below
	seen   [2]fs.FileInfo
	warned time.Time
}

func openFiles(o Options) (*files, error) {
	f := &files{cert: o.Config.TLSCert, key: o.Config.TLSKey, hosts: []string{o.Config.IssuerHost()}, now: o.Now, log: o.Log}
	if more := o.Config.MTLSHost(); more != "" && more != f.hosts[0] {
		f.hosts = append(f.hosts, more)
	}
	f.seen = f.look()
	pair, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	return f, nil
}

func (f *files) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

func (f *files) tick(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warn()
	if now := f.look(); !same(now[0], f.seen[0]) || !same(now[1], f.seen[1]) {
		return f.replace(ctx, now)
	}
	return nil
}

func (f *files) reload(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replace(ctx, f.look())
}

// replace reads what was seen. It is seen even if it is broken, so that this is
// told once; whoever mends it changes it again.
func (f *files) replace(ctx context.Context, seen [2]fs.FileInfo) error {
	f.seen = seen
	pair, err := f.read()
	if err != nil {
		return fmt.Errorf("the new certificate cannot be used, the old one stays in force until %s: %w", day(f.current.Load().Leaf.NotAfter), err)
	}
	f.current.Store(pair)
	f.warned = time.Time{}
	f.log.InfoContext(ctx, "certificate replaced", "file", f.cert, "until", day(pair.Leaf.NotAfter))
	return nil
}

// look is taken before the files are read: a change in between is seen next time.
func (f *files) look() [2]fs.FileInfo {
	var seen [2]fs.FileInfo
	for i, file := range []string{f.cert, f.key} {
		if info, err := os.Stat(file); err == nil {
			seen[i] = info
		}
	}
	return seen
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *files) read() (*tls.Certificate, error) {
	if err := config.CheckTLSKeyMode(f.key); err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, fmt.Errorf("tls-cert: %w", err)
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("tls-key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil && strings.Contains(err.Error(), "does not match") {
		return nil, fmt.Errorf("tls-key %s does not belong to tls-cert %s; the file must begin with our own certificate", f.key, f.cert)
	}
	if err != nil {
		return nil, fmt.Errorf("tls-cert %s and tls-key %s: %w", f.cert, f.key, err)
	}
	return &pair, f.check(pair.Leaf)
}

// check says what a client would refuse anyway.
func (f *files) check(leaf *x509.Certificate) error {
	now := f.now()
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("tls-cert %s ended at %s; get a new one", f.cert, day(leaf.NotAfter))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("tls-cert %s begins only at %s; is the clock right?", f.cert, day(leaf.NotBefore))
	}
	var names x509.HostnameError
	for i, host := range f.hosts {
		whose, flag := "the issuer's host", "--issuer"
		if i > 0 {
			whose, flag = "the host", "--mtls"
		}
		if err := leaf.VerifyHostname(host); errors.As(err, &names) {
			return fmt.Errorf("tls-cert %s is not for %s %s, but for %s; get one that is, or change %s", f.cert, whose, host, namesOf(leaf), flag)
		} else if err != nil {
			return fmt.Errorf("tls-cert %s: %w", f.cert, err)
		}
	}
	return nil
}

func namesOf(leaf *x509.Certificate) string {
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name at all (a common name does not count)"
	}
	return strings.Join(names, ", ")
}

// warn tells once a day of a certificate that is about to end: whoever should
// have replaced it may not know.
func (f *files) warn() {
	now, end := f.now(), f.current.Load().Leaf.NotAfter
	if end.Sub(now) > 7*24*time.Hour || now.Sub(f.warned) < 24*time.Hour {
		return
	}
	f.warned = now
	f.log.Warn("the certificate ends soon; replace the files, they are read without a restart", "file", f.cert, "until", day(end))
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }
