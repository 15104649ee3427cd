package https_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// devFront opens a development Front on a folder.
func devFront(folder, issuer string, c *clock) (*https.Front, error) {
	cfg := config.Config{TLS: config.TLSDev, Issuer: issuer}.WithDefaults()
	return https.Open(https.Options{Config: cfg, Folder: folder, Now: c.now, Log: (&logged{}).slog()})
}

func rootsOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		t.Fatalf("no certificate in %s", file)
	}
	return p
}

func TestDevelopmentCertificateIsTrustedThroughItsCAAlone(t *testing.T) {
	t.Parallel()
	c, folder := newClock(), filepath.Join(t.TempDir(), "tls")
	front, err := devFront(folder, "https://id.test:8443", c)
	must(t, err)
	if front.Trust() != filepath.Join(folder, "ca.pem") {
		t.Errorf("trust %s", front.Trust())
	}
	for _, name := range []string{"ca.key", "ca.pem"} {
		info, err := os.Stat(filepath.Join(folder, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %#o", name, info.Mode().Perm())
		}
	}
	s := serveFront(t, front, c, hello())
	s.roots = rootsOf(t, front.Trust())
	for _, host := range []string{"id.test", "localhost", "127.0.0.1", "::1"} {
		s.host = host
		s.leaf()
	}
	s.host = "evil.test"
	if _, err := tls.Dial("tcp", s.address, s.tls()); err == nil {
		t.Error("the certificate is good for any host")
	}
	s.host, s.roots = "id.test", newAuthority(t, c).pool()
	if _, err := tls.Dial("tcp", s.address, s.tls()); err == nil {
		t.Error("it is trusted without its CA")
	}

	must(t, os.Remove(front.Trust()))
	again, err := devFront(folder, "https://id.test:8443", c)
	must(t, err)
	s = serveFront(t, again, c, hello())
	s.host, s.roots = "id.test", rootsOf(t, front.Trust())
	s.leaf()
	if _, err := devFront(folder, "https://other.test", c); err == nil {
		t.Error("a CA for one host certifies another")
	} else {
		refused(t, err, "remove "+filepath.Join(folder, "ca.key"))
	}
	must(t, os.Chmod(filepath.Join(folder, "ca.key"), 0o640))
	_, err = devFront(folder, "https://id.test:8443", c)
	refused(t, err, "chmod 600")
}

// Whoever steals the key of a CA that a developer trusts must not be able to play
// the web to them.
func TestStolenDevelopmentCACannotPlayOtherSites(t *testing.T) {
	t.Parallel()
	c, folder := newClock(), t.TempDir()
	_, err := devFront(folder, "https://id.test", c)
	must(t, err)
	b, err := os.ReadFile(filepath.Join(folder, "ca.key"))
	must(t, err)
	ca, err := tls.X509KeyPair(b, b)
	must(t, err)
	for _, tc := range []struct {
		name string
		tmpl x509.Certificate
		good bool
	}{
		{"id.test", x509.Certificate{DNSNames: []string{"id.test"}}, true},
		{"bank.example", x509.Certificate{DNSNames: []string{"bank.example"}}, false},
		{"192.0.2.1", x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, false},
		{"127.0.0.1", x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, true},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		tc.tmpl.SerialNumber, tc.tmpl.NotBefore, tc.tmpl.NotAfter = big.NewInt(9), c.now().Add(-time.Hour), c.now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, &tc.tmpl, ca.Leaf, key.Public(), ca.PrivateKey)
		must(t, err)
		leaf, err := x509.ParseCertificate(der)
		must(t, err)
		_, err = leaf.Verify(x509.VerifyOptions{Roots: rootsOf(t, filepath.Join(folder, "ca.pem")), DNSName: tc.name, CurrentTime: c.now()})
		if (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestDevelopmentCertificateRenewsItself(t *testing.T) {
	t.Parallel()
	c, folder := newClock(), t.TempDir()
	front, err := devFront(folder, "https://id.test", c)
	must(t, err)
	s := serveFront(t, front, c, hello())
	s.host, s.roots = "id.test", rootsOf(t, front.Trust())
	first := s.leaf()
	c.forward(19 * 24 * time.Hour)
	must(t, front.Tick(t.Context()))
	if !s.leaf().Equal(first) {
		t.Error("renewed too early")
	}
	for range 10 {
		c.forward(20 * 24 * time.Hour)
		must(t, front.Tick(t.Context()))
		next := s.leaf() // the client checks it at this time
		if next.Equal(first) {
			t.Error("not renewed")
		}
		first = next
	}
}
