package https_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOwnCertificateServesTLS13AndHTTP2(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	s := serveFront(t, o.mustOpen(), o.c, hello())
	s.roots = ca.pool()
	tr := &http.Transport{TLSClientConfig: s.tls(), DialContext: s.dial, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, body := get(t, &http.Client{Transport: tr}, s.url("/"))
	if res.TLS.Version != tls.VersionTLS13 || res.ProtoMajor != 2 || body != "hello over HTTP/2.0" {
		t.Errorf("version %x, %s, %q", res.TLS.Version, res.Proto, body)
	}
	if res, body := get(t, s.client(), s.url("/")); res.ProtoMajor != 1 || body != "hello over HTTP/1.1" {
		t.Errorf("without HTTP/2: %s, %q", res.Proto, body)
	}
}

// A downgrade: an attacker in the middle, or an old client, asks for TLS 1.1
// (RFC 8996).
func TestDowngradeToTLS11IsRefused(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	s := serveFront(t, o.mustOpen(), o.c, hello())
	s.roots = ca.pool()
	for _, tc := range []struct {
		name    string
		version uint16
		good    bool
	}{{"1.2", tls.VersionTLS12, true}, {"1.1", tls.VersionTLS11, false}, {"1.0", tls.VersionTLS10, false}, {"1.3", tls.VersionTLS13, true}} {
		c := s.tls()
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tc.version
		conn, err := tls.Dial("tcp", s.address, c)
		if (err == nil) != tc.good {
			t.Errorf("TLS %s: %v", tc.name, err)
		}
		if !tc.good {
			refused(t, err, "protocol version")
			continue
		}
		conn.Close()
	}
	if o.log.count("level=ERROR") != 0 || o.log.count("TLS handshake error") == 0 {
		t.Error("a stranger's handshake is told at the wrong level")
	}
}

func TestPlainHTTPOnTheTLSPortIsToldSo(t *testing.T) {
	t.Parallel()
	o, _ := newOwn(t)
	s := serveFront(t, o.mustOpen(), o.c, hello())
	conn, err := net.Dial("tcp", s.address)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: id.example\r\n\r\n")
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), "HTTPS") {
		t.Errorf("%d %q", res.StatusCode, b)
	}
}

// CONFIG-001
func TestUselessOwnCertificateIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	ip := net.IPv4(192, 0, 2, 7)
	for _, tc := range []struct {
		name, says string // "" means that it starts
		issuer     string
		order      order
		spoil      func(o *own, ca *authority)
	}{
		{name: "good"},
		{name: "good for an address", issuer: "https://192.0.2.7:8443", order: order{ips: []net.IP{ip}}},
		{name: "good by wildcard", order: order{names: []string{"*.example"}}},
		{name: "expired", says: "ended at 2026-03-01T11:00:00Z", order: order{names: []string{"id.example"}, begin: -2 * hour, end: -hour}},
		{name: "of the future", says: "begins only at 2026-03-01T13:00:00Z", order: order{names: []string{"id.example"}, begin: hour, end: 2 * hour}},
		{name: "of another host", says: "is not for the issuer's host id.example, but for other.example", order: order{names: []string{"other.example"}}},
		{name: "of another address", says: "192.0.2.7", issuer: "https://192.0.2.8", order: order{ips: []net.IP{ip}}},
		{name: "with a common name only", says: "no name at all", order: order{commonName: "id.example"}},
		{name: "another's key", says: "does not belong", spoil: func(o *own, ca *authority) {
			_, other := ca.pair(order{names: []string{"id.example"}})
			must(t, os.WriteFile(o.key, other, 0o600))
		}},
		{name: "key for everybody", says: "chmod 600", spoil: func(o *own, _ *authority) { must(t, os.Chmod(o.key, 0o644)) }},
		{name: "key that a group can write", says: "chmod 600", spoil: func(o *own, _ *authority) { must(t, os.Chmod(o.key, 0o660)) }},
		{name: "key that a group can read", spoil: func(o *own, _ *authority) { must(t, os.Chmod(o.key, 0o640)) }},
		{name: "no key", says: "tls-key", spoil: func(o *own, _ *authority) { must(t, os.Remove(o.key)) }},
		{name: "no certificate", says: "tls-cert", spoil: func(o *own, _ *authority) { must(t, os.Remove(o.cert)) }},
		{name: "rubbish", says: "tls-cert", spoil: func(o *own, _ *authority) { must(t, os.WriteFile(o.cert, []byte("x"), 0o600)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, ca := newOwn(t)
			if tc.issuer != "" {
				o.issuer = tc.issuer
			}
			if tc.order.names != nil || tc.order.ips != nil || tc.order.commonName != "" {
				o.put(ca.pair(tc.order))
			}
			if tc.spoil != nil {
				tc.spoil(o, ca)
			}
			_, err := o.open()
			if tc.says == "" {
				must(t, err)
				return
			}
			refused(t, err, tc.says)
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// R24: a new certificate while connections are open. One is kept alive between
// two requests, one is in the middle of a long answer.
func TestNewCertificateDropsNoConnection(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	half, rest := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/", hello())
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "one half, ")
		http.NewResponseController(w).Flush()
		close(half)
		<-rest
		io.WriteString(w, "the other")
	})
	front := o.mustOpen()
	s := serveFront(t, front, o.c, mux)
	s.roots = ca.pool()
	first := s.leaf()
	kept := s.client()
	get(t, kept, s.url("/"))
	type answer struct {
		body string
		err  error
	}
	long := make(chan answer, 1)
	go func() {
		res, err := s.client().Get(s.url("/long"))
		if err != nil {
			long <- answer{err: err}
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		long <- answer{string(b), err}
	}()
	<-half

	must(t, front.Tick(t.Context()))
	if got := s.leaf(); !got.Equal(first) {
		t.Error("a tick without news changed the certificate")
	}
	o.put(ca.pair(order{names: []string{"id.example"}}))
	must(t, front.Tick(t.Context()))
	if got := s.leaf(); got.Equal(first) {
		t.Error("a new connection gets the old certificate")
	}
	close(rest)
	if a := <-long; a.err != nil || a.body != "one half, the other" {
		t.Errorf("the long answer: %q, %v", a.body, a.err)
	}
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.url("/"), nil)
	must(t, err)
	res, err := kept.Do(req)
	must(t, err)
	res.Body.Close()
	if !reused || !res.TLS.PeerCertificates[0].Equal(first) {
		t.Errorf("the connection that was kept alive: reused %v", reused)
	}
	if o.log.count("certificate replaced") != 1 {
		t.Error("the replacement is not in the log, or more than once")
	}
}

func TestBrokenNewCertificateLeavesTheOldInForce(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	front := o.mustOpen()
	s := serveFront(t, front, o.c, hello())
	s.roots = ca.pool()
	first := s.leaf()
	cert, key := ca.pair(order{names: []string{"id.example"}})
	expired, expiredKey := ca.pair(order{names: []string{"id.example"}, begin: -2 * time.Hour, end: -time.Hour})
	for _, tc := range []struct {
		name, says string
		change     func()
	}{
		{"half written", "does not belong", func() { must(t, os.WriteFile(o.cert, cert, 0o600)) }},
		{"rubbish", "cannot be used", func() { must(t, os.WriteFile(o.cert, []byte("rubbish"), 0o600)) }},
		{"expired", "ended at", func() { o.put(expired, expiredKey) }},
		{"open to everybody", "chmod 600", func() { o.put(cert, key); must(t, os.Chmod(o.key, 0o604)) }},
		{"gone", "no such file", func() { must(t, os.Remove(o.key)) }},
	} {
		tc.change()
		err := front.Tick(t.Context())
		refused(t, err, "the old one stays in force until 2026-05-30")
		refused(t, err, tc.says)
		if err := front.Tick(t.Context()); err != nil {
			t.Errorf("%s: told again: %v", tc.name, err)
		}
		refused(t, front.Reload(t.Context()), tc.says)
		if got := s.leaf(); !got.Equal(first) {
			t.Errorf("%s: the old certificate is not in force", tc.name)
		}
	}
	o.put(cert, key)
	must(t, front.Tick(t.Context()))
	if s.leaf().Equal(first) {
		t.Error("a good pair after broken ones is not taken")
	}
}

func TestCertificateThatEndsSoonIsToldOnceADay(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	front := o.mustOpen()
	for _, step := range []struct {
		forward time.Duration
		told    int
	}{{0, 0}, {84 * 24 * time.Hour, 1}, {time.Hour, 1}, {23 * time.Hour, 2}} {
		o.c.forward(step.forward)
		must(t, front.Tick(t.Context()))
		if got := o.log.count("ends soon"); got != step.told {
			t.Errorf("after %s: told %d times, want %d", step.forward, got, step.told)
		}
	}
	o.put(ca.pair(order{names: []string{"id.example"}}))
	must(t, front.Tick(t.Context()))
	o.c.forward(48 * time.Hour)
	must(t, front.Tick(t.Context()))
	if got := o.log.count("ends soon"); got > 3 {
		t.Errorf("told of a fresh certificate: %d", got)
	}
}
