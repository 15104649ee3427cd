package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

const acmeHost = "id.wafer.test"

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func loopbackPort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func onLoopback(port int) string {
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
}

// acmeServer is Pebble, the ACME server that Let's Encrypt tests clients with. It
// validates for real, over the loopback.
type acmeServer struct {
	t         *testing.T
	directory string
	rootFile  string // what its own HTTPS is believed by
	roots     *x509.CertPool
	orders    atomic.Int32
	tls, http int // ports at which it looks for answers
}

// statusOf notes the status of an answer.
type statusOf struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes it.
func (s *statusOf) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// startACME starts one whose certificates are good for so many seconds.
func startACME(t *testing.T, seconds uint64) *acmeServer {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "20")
	s := &acmeServer{t: t, tls: loopbackPort(t), http: loopbackPort(t)}
	quiet := log.New(io.Discard, "", 0)
	dns := onLoopback(loopbackPort(t))
	names, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{dns}, Log: quiet})
	check(t, err)
	names.SetDefaultDNSIPv6("")
	go names.Run()
	t.Cleanup(names.Shutdown)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: seconds}})
	front := wfe.New(quiet, store, va.New(quiet, s.http, s.tls, true, dns, store), issuer, []string{"pebble.test"}, true, false, 0, 0)
	h := front.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := &statusOf{ResponseWriter: w}
		h.ServeHTTP(status, r)
		if r.URL.Path == "/order-plz" && status.code == http.StatusCreated { // some are sent twice: a nonce is refused now and then
			s.orders.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	s.directory = server.URL + wfe.DirectoryPath
	s.rootFile = filepath.Join(t.TempDir(), "root.pem")
	check(t, os.WriteFile(s.rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(issuer.GetRootCert(0).PEM()) {
		t.Fatal("no root")
	}
	return s
}

func (s *acmeServer) config(data string) config.Config {
	listen := onLoopback(s.tls)
	return config.Config{
		Data: data, Listen: listen, Issuer: "https://" + acmeHost, TLS: config.TLSACME, ACMEDirectory: s.directory, ACMERoot: s.rootFile,
		ACMEEmail: "ops@wafer.test", HTTPRedirect: config.NoHTTPRedirect,
	}
}

// node is an App that serves.
type node struct {
	t       *testing.T
	address string
	roots   *x509.CertPool
	stop    func()
}

func runNode(t *testing.T, cfg config.Config, vault https.Vault) *node {
	t.Helper()
	cfg = cfg.WithDefaults()
	check(t, cfg.Validate())
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Vault: vault})
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	up, done := make(chan app.Address, 1), make(chan error, 1)
	go func() { done <- a.Run(ctx, func(at app.Address) { up <- at }) }()
	n := &node{t: t}
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	select {
	case at := <-up:
		n.address = at.Listen
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return n
}

// leaf waits for a handshake that succeeds and passes.
func (n *node) leaf(c *tls.Config, passes func(*x509.Certificate) bool) *x509.Certificate {
	n.t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		conn, err := tls.Dial("tcp", n.address, c)
		if err == nil {
			leaf := conn.ConnectionState().PeerCertificates[0]
			conn.Close()
			if passes(leaf) {
				return leaf
			}
		}
		last = err
		<-time.After(20 * time.Millisecond)
	}
	n.t.Fatalf("no such handshake: %v", last)
	return nil
}

func anyLeaf(*x509.Certificate) bool { return true }

func (s *acmeServer) client() *tls.Config { return &tls.Config{RootCAs: s.roots, ServerName: acmeHost} }

func TestACMECertificateIsOrderedOnceAndKept(t *testing.T) {
	s := startACME(t, 0)
	data := filepath.Join(t.TempDir(), "data")
	n := runNode(t, s.config(data), nil)
	first := n.leaf(s.client(), anyLeaf)
	tr := &http.Transport{TLSClientConfig: s.client(), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", n.address)
	}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("https://" + acmeHost + "/login")
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if _, err := tls.Dial("tcp", n.address, &tls.Config{RootCAs: s.roots, ServerName: "evil.test"}); err == nil {
		t.Error("a certificate for any host")
	}
	n.stop()
	if got := s.orders.Load(); got != 1 {
		t.Errorf("%d orders, want 1", got)
	}

	n = runNode(t, s.config(data), nil)
	if again := n.leaf(s.client(), anyLeaf); !again.Equal(first) {
		t.Error("after a restart it is another certificate")
	}
	n.stop()
	if got := s.orders.Load(); got != 1 {
		t.Errorf("%d orders after a restart, want 1", got)
	}
	files := 0
	check(t, filepath.WalkDir(filepath.Join(data, "tls"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		info, infoErr := d.Info()
		check(t, infoErr)
		if strings.Contains(string(b), "PRIVATE KEY") || strings.Contains(string(b), "ops@") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %#o or is not sealed", path, info.Mode().Perm())
		}
		return err
	}))
	if files < 4 {
		t.Errorf("only %d files in the vault", files)
	}
}

// The challenge over plain HTTP is answered by the listener that redirects: TLS
// of the ACME server looks at a port where nobody is.
func TestACMECertificateThroughTheRedirectListener(t *testing.T) {
	s := startACME(t, 0)
	c := s.config(t.TempDir())
	c.Listen, c.HTTPRedirect = onLoopback(loopbackPort(t)), onLoopback(s.http)
	n := runNode(t, c, nil)
	n.leaf(s.client(), anyLeaf)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/login?a=b", "/.well-known/acme-challenge/nobodys"} {
		res, err := client.Get("http://" + c.HTTPRedirect + path)
		check(t, err)
		res.Body.Close()
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != "https://"+acmeHost+path {
			t.Errorf("%s: %s to %q", path, res.Status, got)
		}
	}
}

// gate is a vault at which nobody begins to order before it is open.
type gate struct {
	https.Vault
	waiting *sync.WaitGroup
	open    <-chan struct{}
}

// Lock waits for the gate.
func (g gate) Lock(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	if strings.HasPrefix(name, "issue_cert") {
		select {
		case <-g.open:
		default:
			g.waiting.Done()
			<-g.open
		}
	}
	return g.Vault.Lock(ctx, name, holder, now, until)
}

func TestTwoNodesOnOneVaultOrderOnce(t *testing.T) {
	s := startACME(t, 0)
	path, key := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "key")
	check(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	open := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(2)
	var nodes []*node
	for i := range 2 {
		folder, err := https.OpenFolder(path)
		check(t, err)
		c := s.config(t.TempDir())
		c.KeyFile = key
		if i > 0 {
			c.Listen = onLoopback(loopbackPort(t))
		}
		nodes = append(nodes, runNode(t, c, gate{folder, &waiting, open}))
	}
	waiting.Wait() // both found no certificate and want one
	close(open)
	first := nodes[0].leaf(s.client(), anyLeaf)
	if second := nodes[1].leaf(s.client(), anyLeaf); !second.Equal(first) {
		t.Error("they serve different certificates")
	}
	if got := s.orders.Load(); got != 1 {
		t.Errorf("%d orders, want 1", got)
	}
}

// A certificate of a minute is due as soon as it is there. The server keeps
// serving while the next one is ordered.
func TestACMECertificateThatIsDueIsRenewed(t *testing.T) {
	s := startACME(t, 60)
	n := runNode(t, s.config(t.TempDir()), nil)
	first := n.leaf(s.client(), anyLeaf)
	n.leaf(s.client(), func(c *x509.Certificate) bool { return !c.Equal(first) })
	if got := s.orders.Load(); got < 2 {
		t.Errorf("%d orders", got)
	}
}

// ownFiles is a certificate in files, from a CA that is forgotten.
func ownFiles(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	made := t.TempDir()
	c := config.Config{TLS: config.TLSDev, Data: made}.WithDefaults()
	front, err := https.Open(https.Options{Config: c, Folder: made, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	pair, err := front.TLSConfig().GetCertificate(nil)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	check(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	check(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

func TestHangupReadsTheCertificateAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := ownFiles(t, dir)
	n := runNode(t, config.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TLSCert: cert, TLSKey: key}, nil)
	blind := &tls.Config{InsecureSkipVerify: true}
	first := n.leaf(blind, anyLeaf)
	ownFiles(t, dir)
	check(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP))
	n.leaf(blind, func(c *x509.Certificate) bool { return !c.Equal(first) })
}

// CONFIG-001: what cannot be served safely is an error before anything listens.
func TestUselessCertificateIsRefusedByNew(t *testing.T) {
	t.Parallel()
	cert, key := ownFiles(t, t.TempDir())
	_, other := ownFiles(t, t.TempDir())
	notPEM := filepath.Join(t.TempDir(), "root.pem")
	check(t, os.WriteFile(notPEM, []byte("x"), 0o600))
	for _, tc := range []struct {
		name, says string
		c          config.Config
	}{
		{"good", "", config.Config{TLSCert: cert, TLSKey: key}},
		{"another host", "is not for the issuer's host", config.Config{TLSCert: cert, TLSKey: key, Issuer: "https://id.example"}},
		{"another key", "does not belong", config.Config{TLSCert: cert, TLSKey: other}},
		{"no roots in the file", "no certificate in PEM", config.Config{TLS: config.TLSACME, ACMERoot: notPEM, Issuer: "https://id.example"}},
		{"no file of roots", "acme-ca-root", config.Config{TLS: config.TLSACME, ACMERoot: notPEM + ".none", Issuer: "https://id.example"}},
	} {
		tc.c.Data = t.TempDir()
		a, err := app.New(t.Context(), app.Options{Config: tc.c.WithDefaults(), Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			check(t, a.Close())
		}
		if tc.says == "" {
			check(t, err)
			continue
		}
		refused(t, err, tc.says)
	}
}
