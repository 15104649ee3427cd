package https_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logged is a log to look into.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logged) slog() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	c    *clock
	n    int64
}

func newAuthority(t *testing.T, c *clock) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: c.now().Add(-time.Hour), NotAfter: c.now().Add(10 * 365 * 24 * time.Hour), SerialNumber: big.NewInt(1),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{t: t, key: key, cert: cert, c: c, n: 1}
}

// order is what a certificate should be like.
type order struct {
	names      []string
	ips        []net.IP
	begin, end time.Duration // from now; both 0: from an hour ago for 90 days
	commonName string
}

// pair returns a certificate and its key as PEM.
func (a *authority) pair(o order) (cert, key []byte) {
	a.t.Helper()
	if o.end == 0 {
		o.begin, o.end = -time.Hour, 90*24*time.Hour
	}
	a.n++
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: o.commonName}, DNSNames: o.names, IPAddresses: o.ips,
		NotBefore: a.c.now().Add(o.begin), NotAfter: a.c.now().Add(o.end),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, private.Public(), a.key)
	must(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// site is a server behind a Front on loopback.
type site struct {
	t       *testing.T
	front   *https.Front
	c       *clock
	address string
	host    string // what clients call it
	roots   *x509.CertPool
}

// serveFront serves h until the test ends.
func serveFront(t *testing.T, front *https.Front, c *clock, h http.Handler) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: h, TLSConfig: front.TLSConfig(), ErrorLog: front.ErrorLog(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return &site{t: t, front: front, c: c, address: ln.Addr().String(), host: "id.example"}
}

func (s *site) tls() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: s.host, Time: s.c.now}
}

// client speaks HTTP/1.1 over at most one connection, which it keeps.
func (s *site) client() *http.Client {
	t := &http.Transport{TLSClientConfig: s.tls(), DialContext: s.dial, MaxConnsPerHost: 1}
	s.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (s *site) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.address)
}

func (s *site) url(path string) string { return "https://" + s.host + path }

// leaf is the certificate that a new connection gets.
func (s *site) leaf() *x509.Certificate {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.address, s.tls())
	must(s.t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	res, err := c.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(b)
}

// own is a certificate of one's own, in files.
type own struct {
	t         *testing.T
	cert, key string
	log       *logged
	c         *clock
	issuer    string
}

func newOwn(t *testing.T) (*own, *authority) {
	t.Helper()
	dir, c := t.TempDir(), newClock()
	o := &own{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), log: &logged{}, c: c, issuer: "https://id.example"}
	ca := newAuthority(t, c)
	o.put(ca.pair(order{names: []string{"id.example"}}))
	return o, ca
}

// put replaces the files as certificate tools do: by renaming.
func (o *own) put(cert, key []byte) {
	o.t.Helper()
	for file, b := range map[string][]byte{o.cert: cert, o.key: key} {
		must(o.t, os.WriteFile(file+".new", b, 0o600))
		must(o.t, os.Rename(file+".new", file))
	}
}

func (o *own) open() (*https.Front, error) {
	c := config.Config{TLSCert: o.cert, TLSKey: o.key, Issuer: o.issuer}.WithDefaults()
	return https.Open(https.Options{Config: c, Now: o.c.now, Log: o.log.slog()})
}

func (o *own) mustOpen() *https.Front {
	o.t.Helper()
	f, err := o.open()
	must(o.t, err)
	return f
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error is %v, want %q", err, says)
	}
}

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello over "+r.Proto) })
}
