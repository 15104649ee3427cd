package doctor_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/internal/doctor"
)

func TestFaultsOfCertificates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other, self := newAuthority(t), authority{}.issue(t, nil)
	issued := func(by authority, change func(*x509.Certificate)) front {
		c := by.issue(t, change)
		return front{cert: &c}
	}
	for _, f := range []fault{
		{"another name", issued(h.ca, func(c *x509.Certificate) { c.DNSNames = []string{"www.example.com"} }), nil,
			want{id: "reach.tls", status: doctor.Fail, found: `for "www.example.com", not for "id.example.com"`, fix: "names the host"}},
		{"expired", issued(h.ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil,
			want{id: "reach.tls", status: doctor.Fail, found: "is good from", fix: "Renew", also: "reach.expiry"}},
		{"not yet good", issued(h.ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), nil,
			want{id: "reach.tls", status: doctor.Fail, found: "is good from", fix: "clock is wrong"}},
		{"soon over", issued(h.ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(13 * 24 * time.Hour) }), nil,
			want{id: "reach.expiry", status: doctor.Warn, found: "in 12 day(s)", fix: "Renew"}},
		{"self-signed", front{cert: &self}, nil,
			want{id: "reach.tls", status: doctor.Fail, found: "self-signed", fix: "--ca FILE"}},
		{"unknown authority", issued(other, nil), nil,
			want{id: "reach.tls", status: doctor.Fail, found: `signed by "CN=Authority of this test", which is not known`, fix: "fullchain.pem"}},
		{"old TLS too", front{tls: func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 }}, nil,
			want{id: "reach.oldtls", status: doctor.Fail, found: "TLS 1.0 or 1.1 is accepted", fix: "ssl_protocols TLSv1.2 TLSv1.3"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.want.in(t, h.examine(t, f.front, f.target))
		})
	}
	wantFine(t, h.examine(t, front{}, nil))
}

func TestAuthorityOfOnesOwnIsTrusted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := newAuthority(t)
	cert := other.issue(t, nil)
	roots, err := doctor.Roots(other.pem())
	if err != nil {
		t.Fatal(err)
	}
	wantFine(t, h.examine(t, front{cert: &cert}, func(x *doctor.Target) { x.CA = roots }))
	if _, err := doctor.Roots([]byte("no certificate")); err == nil {
		t.Error("a file without a certificate is taken")
	}
}

func TestHTTP2IsSeen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.examine(t, front{tls: func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }}, nil)
	if wantFine(t, r); find(t, r, "reach.http2").Found != "Offered." {
		t.Errorf("%+v", find(t, r, "reach.http2"))
	}
	r = h.examine(t, front{}, nil)
	if wantFine(t, r); !strings.HasPrefix(find(t, r, "reach.http2").Found, "Not offered.") {
		t.Errorf("%+v", find(t, r, "reach.http2"))
	}
}

func plainTarget(url string) doctor.Target { return doctor.Target{URL: url, Now: time.Now} }

func TestURLsThatCannotBeIssuers(t *testing.T) {
	t.Parallel()
	for url, found := range map[string]string{
		"": "does not begin with", "id.example.com": "does not begin with", "ftp://id.example.com": "does not begin with", "https://": "does not begin with",
		"https://[::1": "is no URL", "https://id.example.com\x7f": "is no URL", "https://id.example.com/auth": "more than a scheme",
		"https://ada@id.example.com": "more than a scheme", "https://id.example.com?": "more than a scheme", "https://id.example.com#x": "more than a scheme",
	} {
		x := plainTarget(url)
		x.Resolve = func(context.Context, string) ([]string, error) { t.Errorf("%q is looked up", url); return nil, nil }
		r := doctor.Run(t.Context(), x)
		if !r.Unreachable {
			t.Errorf("%q was reached", url)
		}
		want{id: "reach.url", status: doctor.Fail, found: found, fix: "scheme://host[:port]"}.in(t, r)
	}
}

func TestWhatCannotBeReached(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	plain := httptest.NewServer(html(200))
	t.Cleanup(plain.Close)
	old := httptest.NewUnstartedServer(html(200))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{h.good.tls()}}
	old.Config.ErrorLog = quiet
	old.StartTLS()
	t.Cleanup(old.Close)
	dns := func(e net.DNSError) func(*doctor.Target) {
		return func(x *doctor.Target) { x.Resolve = func(context.Context, string) ([]string, error) { return nil, &e } }
	}
	for _, tt := range []struct {
		name   string
		at     string
		change func(*doctor.Target)
		want   want
	}{
		{"no such name", "", dns(net.DNSError{IsNotFound: true}),
			want{id: "reach.name", status: doctor.Fail, found: `no name "id.example.com"`, fix: "AAAA record"}},
		{"no name server", "", dns(net.DNSError{Err: "server misbehaving", IsTemporary: true}),
			want{id: "reach.name", status: doctor.Fail, found: "server misbehaving", fix: "name server"}},
		{"no address", "", func(x *doctor.Target) {
			x.Resolve = func(context.Context, string) ([]string, error) { return nil, nil }
		},
			want{id: "reach.name", status: doctor.Fail, found: "no address", fix: "AAAA record"}},
		{"nothing listens", "127.0.0.1:1", nil,
			want{id: "reach.connect", status: doctor.Fail, found: "connection refused", fix: "listening on this port"}},
		{"no TLS", plain.Listener.Addr().String(), nil,
			want{id: "reach.tls", status: doctor.Fail, found: "no TLS", fix: "let a proxy do TLS"}},
		{"TLS 1.1 only", old.Listener.Addr().String(), nil,
			want{id: "reach.tls", status: doctor.Fail, found: "neither TLS 1.2 nor 1.3", fix: "ssl_protocols"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target, _ := h.target(tt.at, "")
			if tt.change != nil {
				tt.change(&target)
			}
			r := doctor.Run(t.Context(), target)
			if !r.Unreachable {
				t.Error("it was reached")
			}
			tt.want.in(t, r)
		})
	}
}

func TestOtherServersAreNoWafer(t *testing.T) {
	t.Parallel()
	tlsOnly := httptest.NewUnstartedServer(html(200))
	tlsOnly.Config.ErrorLog = quiet
	tlsOnly.StartTLS()
	t.Cleanup(tlsOnly.Close)
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	issuing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"issuer":"https://sso.example.com","token_endpoint":"https://sso.example.com/token","jwks_uri":"https://sso.example.com/keys"}`)
	})
	for _, tt := range []struct{ name, url, found, fix string }{
		{"a web site", serve(html(200)), "GET /session: 200 text/html", "Some other server"},
		{"another issuer", serve(issuing), "GET /session: 200 application/json", "Some other server"},
		{"nothing behind the proxy", serve(html(502)), "502", "Wafer running"},
		{"plain HTTP to a TLS port", strings.Replace(tlsOnly.URL, "https", "http", 1), "400", "https://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := doctor.Run(t.Context(), plainTarget(tt.url))
			if r.Unreachable {
				t.Error("it answers")
			}
			want{id: "reach.wafer", status: doctor.Fail, found: tt.found, fix: tt.fix}.in(t, r)
		})
	}
}

// The other servers above are told from a Wafer on loopback by plain HTTP.
func TestPlainWaferOnLoopback(t *testing.T) {
	t.Parallel()
	url := newLocal(t)
	x := plainTarget(url)
	x.Origin, x.Login, x.Password = origin, login, password
	r := doctor.Run(t.Context(), x)
	skipped := 0
	for _, c := range r.Checks {
		switch {
		case c.Status == doctor.Skip && c.Found == "The URL is plain http.":
			skipped++
		case c.Status != doctor.OK:
			t.Errorf("%+v", c)
		}
	}
	if skipped != 5 {
		t.Errorf("%d checks of TLS are skipped", skipped)
	}
}

func TestPlainHTTPOutsideLoopbackIsAFault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	https, http80 := h.serve(t, front{port80: same})
	target, _ := h.target(https, http80)
	target.URL = "http://id.example.com"
	r := doctor.Run(t.Context(), target)
	if c := find(t, r, "reach.url"); c.Status != doctor.Fail || !strings.Contains(c.Found, "shows passwords") || !strings.Contains(c.Fix, "https") {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "cookie.form"); c.Status != doctor.Fail || !strings.Contains(c.Found, "not taken over plain http") {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "cookie.signin"); c.Status != doctor.Skip || !strings.Contains(c.Found, "in the clear") {
		t.Errorf("%+v", c)
	}
}

// A server that never answers, by a clock that runs when all wait.
func TestProbesEndAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		x := plainTarget("http://127.0.0.1:1")
		x.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r := doctor.Run(t.Context(), x)
		if took := time.Since(start); took != 5*time.Second || !r.Unreachable {
			t.Errorf("took %s, unreachable: %t", took, r.Unreachable)
		}
		want{id: "reach.connect", status: doctor.Fail, found: "nothing came within 5s", fix: "firewall"}.in(t, r)
	})
}

// A server that answers every question, but slowly.
func TestExaminationEndsAfterThirtySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all sync.WaitGroup
		start := time.Now()
		x := plainTarget("http://127.0.0.1:1")
		x.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			all.Go(func() { slowly(theirs) })
			return ours, nil
		}
		r := doctor.Run(t.Context(), x)
		took := time.Since(start)
		all.Wait()
		if took > 30*time.Second || took < 20*time.Second || r.Unreachable {
			t.Errorf("took %s, unreachable: %t", took, r.Unreachable)
		}
		if c := find(t, r, "clock.date"); c.Status != doctor.Skip || !strings.Contains(c.Found, "time") {
			t.Errorf("%+v", c)
		}
	})
}

// slowly answers every request on a connection like a Wafer, after 2 s.
func slowly(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		<-time.After(2 * time.Second)
		body := `{"error":"unauthenticated","status":"ok"}`
		if r.Body != nil {
			r.Body.Close()
		}
		_, err = fmt.Fprintf(c, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err != nil {
			return
		}
	}
}

func writeFile(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
