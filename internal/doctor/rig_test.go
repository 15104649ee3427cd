package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/doctor"
)

const (
	issuer   = "https://id.example.com"
	origin   = "https://shop.example"
	login    = "ada@example.com"
	password = "correct-horse-battery-staple"
)

const setup = `
apis: [{id: https://orders.example, scopes: [orders:read]}]
clients:
  - {id: shop, kind: public, first_party: true, origins: [https://shop.example], apis: {https://orders.example: [orders:read]}}
users: [{login: ada@example.com, password: correct-horse-battery-staple}]
`

// quiet is where servers complain of what is done to them on purpose.
var quiet = log.New(io.Discard, "", 0)

// newLocal serves a Wafer that people on this machine call themselves.
func newLocal(t *testing.T) string {
	t.Helper()
	return newWafer(t, func(c *config.Config) { c.Issuer, c.TrustedProxies = "http://"+c.Listen, nil })
}

// newWafer serves a real Wafer by plain HTTP on loopback, and returns its URL.
func newWafer(t *testing.T, change func(*config.Config)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config{
		Listen: ln.Addr().String(), Data: t.TempDir(), Issuer: issuer, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	if change != nil {
		change(&c)
	}
	a, err := app.New(t.Context(), app.Options{Config: c.WithDefaults(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Apply(t.Context(), "setup.yaml", []byte(setup)); err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: a.Public(), ErrorLog: quiet}}
	s.Start()
	t.Cleanup(func() {
		s.Close()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.URL
}

// authority is a CA of our own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	return authority{}.issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = "Authority of this test", nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

// issue makes a certificate for id.example.com, with changes; signed by itself
// when the authority is empty.
func (a authority) issue(t *testing.T, change func(*x509.Certificate)) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "id.example.com"}, DNSNames: []string{"id.example.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a authority) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// front is a proxy before a Wafer: healthy, but for what is set.
type front struct {
	wafer    string                               // URL behind it
	request  func(in, out *http.Request)          // changes what is passed on
	response func(*http.Response)                 // changes what comes back
	wrap     func(next http.Handler) http.Handler // stands before it all
	cert     *authority
	tls      func(*tls.Config)
	port80   http.Handler // nil: redirects to https; the front itself when it is same
}

var same = http.HandlerFunc(nil)

// house is where a front stands: its authority, and what was dialed.
type house struct {
	t     *testing.T
	ca    authority
	good  authority
	wafer string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	if !sourceWorks() {
		if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
			t.Fatal("this machine cannot call from 127.0.0.2, and WAFER_REQUIRE_SERVICES=1")
		}
		t.Skip("this machine cannot call from 127.0.0.2: what a proxy on another address does is NOT tested here")
	}
	ca := newAuthority(t)
	return &house{t: t, ca: ca, good: ca.issue(t, nil), wafer: newWafer(t, nil)}
}

func sourceWorks() bool {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// serve starts a front and returns the addresses of its two ports.
func (h *house) serve(t *testing.T, f front) (https, http80 string) {
	t.Helper()
	if f.wafer == "" {
		f.wafer = h.wafer
	}
	to, err := url.Parse(f.wafer)
	if err != nil {
		t.Fatal(err)
	}
	through := &http.Transport{DisableCompression: true}
	t.Cleanup(through.CloseIdleConnections)
	var proxy http.Handler = &httputil.ReverseProxy{
		ErrorLog: quiet, Transport: through,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			p.Out.Header.Del("X-Forwarded-Host")
			p.Out.Header.Del("X-Forwarded-Proto")
			if f.request != nil {
				f.request(p.In, p.Out)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if f.response != nil {
				f.response(r)
			}
			return nil
		},
	}
	if f.wrap != nil {
		proxy = f.wrap(proxy)
	}
	cert := h.good
	if f.cert != nil {
		cert = *f.cert
	}
	s := httptest.NewUnstartedServer(proxy)
	s.Config.ErrorLog = quiet
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert.tls()}, MinVersion: tls.VersionTLS12}
	if f.tls != nil {
		f.tls(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	plain := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, issuer+r.URL.RequestURI(), http.StatusPermanentRedirect)
	}))
	if f.port80 != nil {
		plain = f.port80
		if hf, ok := f.port80.(http.HandlerFunc); ok && hf == nil {
			plain = proxy
		}
	}
	p := httptest.NewServer(plain)
	t.Cleanup(p.Close)
	return s.Listener.Addr().String(), p.Listener.Addr().String()
}

// dialer leads id.example.com to where the test wants it, from an address that is
// not the proxy's, and notes who was called.
type dialer struct {
	mu     sync.Mutex
	to     map[string]string
	called []string
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.called = append(d.called, address)
	to := d.to[address]
	d.mu.Unlock()
	if to == "" {
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	}
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, to)
}

// target is a whole examination of id.example.com at the two addresses.
func (h *house) target(https, http80 string) (doctor.Target, *dialer) {
	d := &dialer{to: map[string]string{"id.example.com:443": https, "id.example.com:80": http80}}
	roots := x509.NewCertPool()
	roots.AddCert(h.ca.cert)
	return doctor.Target{
		URL: issuer, CA: roots, Origin: origin, Login: login, Password: password, Now: time.Now, Dial: d.dial,
		Resolve: func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil },
	}, d
}

// examine runs the doctor on a front.
func (h *house) examine(t *testing.T, f front, change func(*doctor.Target)) doctor.Report {
	t.Helper()
	target, _ := h.target(h.serve(t, f))
	if change != nil {
		change(&target)
	}
	return doctor.Run(t.Context(), target)
}

// wantFine fails unless every check was made and none found anything.
func wantFine(t *testing.T, r doctor.Report) {
	t.Helper()
	for _, c := range r.Checks {
		if c.Status != doctor.OK {
			t.Errorf("healthy, but %s %s: %s\n  %s", c.Status, c.ID, c.Found, c.Fix)
		}
	}
	if r.Unreachable || len(r.Checks) < 40 {
		t.Errorf("unreachable: %t, %d checks", r.Unreachable, len(r.Checks))
	}
}

// bad lists the checks that ended with fail or warn.
func bad(r doctor.Report) []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Status == doctor.Fail || c.Status == doctor.Warn {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func find(t *testing.T, r doctor.Report, id string) doctor.Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c doctor.Check) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no check %s", id)
	}
	return r.Checks[i]
}

// want is one check as it must end.
type want struct {
	id     string
	status doctor.Status
	found  string // part of it
	fix    string // part of it
	also   string // further checks that end badly for the same cause, with spaces between
}

func (w want) in(t *testing.T, r doctor.Report) {
	t.Helper()
	c := find(t, r, w.id)
	if c.Status != w.status || !strings.Contains(c.Found, w.found) || !strings.Contains(c.Fix, w.fix) {
		t.Errorf("%s is %s\n  found %s\n  fix   %s\nwant %s, %q, %q", w.id, c.Status, c.Found, c.Fix, w.status, w.found, w.fix)
	}
	if c.Status != doctor.Skip && c.Fix == "" {
		t.Errorf("%s has no fix", w.id)
	}
	wants := append(strings.Fields(w.also), w.id)
	got := bad(r)
	slices.Sort(wants)
	slices.Sort(got)
	if c.Status != doctor.Skip && !slices.Equal(got, wants) {
		t.Errorf("faults and warnings: %v, want %v", got, wants)
		for _, id := range got {
			t.Logf("%+v", find(t, r, id))
		}
	}
}
