package courier_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/web/courier"
)

const (
	public = "https://auth.example"
	local  = "http://localhost:8080"
)

func newCourier(t *testing.T, c courier.Config) *courier.Courier {
	t.Helper()
	k, err := courier.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// a receiver counts what it gets.
type receiver struct {
	*httptest.Server
	got atomic.Int64
}

func newReceiver(t *testing.T, h http.HandlerFunc) (*receiver, *x509.CertPool) {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.got.Add(1)
		h(w, q)
	}))
	t.Cleanup(r.Close)
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return r, pool
}

func post(t *testing.T, k *courier.Courier, url string) (outbox.Reply, error) {
	t.Helper()
	return k.Post(t.Context(), outbox.Letter{
		URL: url, ContentType: "text/plain", Accept: "application/json", Authorization: "Bearer secret", Body: []byte("hello"),
	})
}

func TestLettersArriveAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	r, pool := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		h := q.Header
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
		_, _ = fmt.Fprint(w, q.Method, " ", q.URL.RequestURI(), " ", h.Get("Content-Type"), " ", h.Get("Accept"), " ", h.Get("Authorization"), " ", string(body))
	})
	k := newCourier(t, courier.Config{Issuer: local, Roots: pool})
	got, err := post(t, k, r.URL+"/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 503 || got.After != 2*time.Minute || string(got.Body) != "POST /a?b=c text/plain application/json Bearer secret hello" {
		t.Errorf("got %d, after %s: %s", got.Status, got.After, got.Body)
	}
	if _, err := post(t, newCourier(t, courier.Config{Issuer: local}), r.URL); err == nil {
		t.Error("a certificate nobody vouches for was believed")
	}
}

// ADMIN-009, DCR-001: an address that a client registered leads to our own network.
func TestAddressesOfOurOwnNetworkAreRefused(t *testing.T) {
	t.Parallel()
	r, pool := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := strings.Cut(strings.TrimPrefix(r.URL, "https://"), ":")
	allowed := newCourier(t, courier.Config{Issuer: public, Roots: pool, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if _, err := post(t, allowed, r.URL); err != nil {
		t.Fatalf("allowed by the operator: %v", err)
	}
	before := r.got.Load()
	k := newCourier(t, courier.Config{Issuer: public, Roots: pool})
	for _, url := range []string{
		r.URL, "https://localhost:" + port, "https://LOCALHOST:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://0.0.0.0:" + port, "https://[::]:" + port,
		"https://169.254.169.254/latest/meta-data", "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[fe80::1]/",
		"https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/", "https://[fd00::1]/", "https://100.64.0.1/",
		"http://127.0.0.1:" + port, "http://localhost:" + port, "http://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:25/", "https:127.0.0.1", "",
	} {
		_, err := post(t, k, url)
		if !errors.Is(err, courier.ErrForbidden) {
			t.Errorf("%s: got %v, want it forbidden", url, err)
		}
	}
	if r.got.Load() != before {
		t.Errorf("%d letters arrived", r.got.Load()-before)
	}
	if _, err := post(t, allowed, r.URL); err != nil {
		t.Fatalf("allowed by the operator, again: %v", err)
	}
}

// In development the issuer is on loopback, and so are the applications; the rest of
// the network is no more open than elsewhere.
func TestDevelopmentOpensLoopbackAlone(t *testing.T) {
	t.Parallel()
	dev, live := newCourier(t, courier.Config{Issuer: local}), newCourier(t, courier.Config{Issuer: public})
	allowing := newCourier(t, courier.Config{Issuer: public, Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	for address, want := range map[string][3]bool{ // dev, live, allowing
		"1.1.1.1": {true, true, true}, "2606:4700::1111": {true, true, true}, "64:ff9b::101:101": {true, true, true},
		"127.0.0.1": {true, false, false}, "127.9.9.9": {true, false, false}, "::1": {true, false, false}, "::ffff:127.0.0.1": {true, false, false},
		"10.1.2.3": {false, false, true}, "::ffff:10.1.2.3": {false, false, true}, "10.2.0.1": {},
		"169.254.169.254": {}, "fe80::1%eth0": {}, "0.0.0.0": {}, "::": {}, "224.0.0.1": {}, "ff02::1": {}, "255.255.255.255": {},
		"64:ff9b::7f00:1": {}, "64:ff9b::a00:1": {}, "2002:a00:1::": {}, "2002:7f00:1::1": {}, "2001:0:1::1": {}, "::127.0.0.1": {}, "fec0::1": {}, "fd12::1": {},
		"172.16.0.1": {}, "192.168.1.1": {}, "fd00:ec2::254": {}, "2001:db8::1": {}, "192.0.0.8": {}, "fc00::1": {},
		"192.0.66.1": {true, true, true}, "100.128.0.1": {true, true, true}, "::ffff:1.1.1.1": {true, true, true},
		"100.100.100.200": {}, "192.0.0.192": {}, "198.18.0.1": {}, "240.0.0.1": {}, "0.1.2.3": {},
	} {
		a := netip.MustParseAddr(address)
		if got := [3]bool{dev.Open(a), live.Open(a), allowing.Open(a)}; got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}

// CVE-2026-4366: the address that was checked sends us on to one that was not.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	inside, pool := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		r, _ := newReceiver(t, func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, inside.URL, status) })
		pool.AddCert(r.Certificate())
		got, err := post(t, newCourier(t, courier.Config{Issuer: local, Roots: pool}), r.URL)
		if err != nil || got.Status != status {
			t.Errorf("got %d, %v, want %d as any other answer", got.Status, err, status)
		}
	}
	if inside.got.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestReceiversThatHangOrTalkTooMuchAreBounded(t *testing.T) {
	t.Parallel()
	hang := func(q *http.Request) {
		_, _ = io.ReadAll(q.Body) // only then does the server hear that the other side has left
		<-q.Context().Done()
	}
	hangs, pool := newReceiver(t, func(_ http.ResponseWriter, q *http.Request) { hang(q) })
	k := newCourier(t, courier.Config{Issuer: local, Roots: pool, Timeout: 200 * time.Millisecond})
	if _, err := post(t, k, hangs.URL+"/?secret=1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a receiver that hangs: %v", err)
	}
	stops, _ := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "and then")
		_ = http.NewResponseController(w).Flush()
		hang(q)
	})
	pool.AddCert(stops.Certificate())
	if _, err := post(t, k, stops.URL); err == nil {
		t.Error("a receiver that stops in the middle was waited for")
	}
	talks, _ := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	pool.AddCert(talks.Certificate())
	k = newCourier(t, courier.Config{Issuer: local, Roots: pool})
	got, err := post(t, k, talks.URL)
	if err != nil || got.Status != 200 || len(got.Body) != 4<<10 {
		t.Errorf("a receiver that talks: %d, %d bytes, %v", got.Status, len(got.Body), err)
	}
	heads, _ := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) })
	pool.AddCert(heads.Certificate())
	if _, err := post(t, newCourier(t, courier.Config{Issuer: local, Roots: pool}), heads.URL); err == nil {
		t.Error("a header of 64 KiB was read")
	}
}
