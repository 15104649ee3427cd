package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/redistest"
	"github.com/wafer-auth/wafer/internal/store/redis"
)

// refusedWith opens what must not open, and returns the error.
func refusedWith(t *testing.T, url string) string {
	t.Helper()
	h, err := redis.Open(t.Context(), redis.Config{URL: url, Now: time.Now})
	if err == nil {
		h.Close()
		t.Fatalf("%s was opened", url)
	}
	return err.Error()
}

func TestURLsThatAreWrongAreRefusedWithoutTellingThePassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, want string }{
		{"no scheme", "localhost:6379", "want redis://"},
		{"empty", "", "begin with redis://"},
		{"another scheme", "http://:s3cret@localhost", "begin with redis://"},
		{"no host", "redis://:s3cret@/0", "no host"},
		{"slash in the password", "redis://:s3cret/s3cret@localhost", "%XX"},
		{"slash after digits", "redis://user:12/s3cret@localhost", "number from 0"},
		{"hash in the password", "redis://:12#s3cret@localhost", "%XX"},
		{"question mark in the password", "redis://user:12?s3cret@localhost", "option that is not known"},
		{"percent in the password", "redis://:s3cret%zz@localhost", "%XX"},
		{"user alone", "redis://s3cret@localhost", "redis://:password@host"},
		{"negative database", "redis://:s3cret@localhost/-1", "number from 0"},
		{"unknown option", "redis://:s3cret@localhost?tls=s3cret", "option that is not known"},
		{"empty prefix", "redis://localhost?prefix=", "1 to 64"},
		{"pattern as a prefix", "redis://localhost?prefix=*", "ASCII"},
		{"no certificates", "rediss://localhost?ca=/does/not/exist.pem", "certificates"},
		{"certificates without TLS", "redis://localhost?ca=x.pem", "option that is not known"},
		{"socket without a path", "unix://localhost", "unix:///path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := refusedWith(t, c.url)
			if !strings.Contains(got, c.want) || strings.Contains(got, "s3cret") {
				t.Errorf("got %q, want %q in it and no password", got, c.want)
			}
		})
	}
}

func TestServersThatWillNotDoAreRefused(t *testing.T) {
	t.Parallel()
	locked := redistest.Start(t, "requirepass right")
	openURL(t, "redis://:right@"+locked.Address())
	primary := redistest.Start(t)
	host, port, _ := net.SplitHostPort(primary.Address())
	replica := redistest.Start(t, "replicaof "+host+" "+port)
	cluster := redistest.Start(t, "cluster-enabled yes")
	foreign := redistest.Start(t)
	raw(t, foreign)("SET", "wafer:format", "2")
	for _, c := range []struct{ name, url, want string }{
		{"wrong password", "redis://:s3cret@" + locked.Address(), "password in the URL is wrong"},
		{"wrong user", "redis://ada:s3cret@" + locked.Address(), "password in the URL is wrong"},
		{"no password", locked.URL(), "wants a password"},
		{"a replica", replica.URL(), "only be read"},
		{"a cluster", cluster.URL(), "cluster"},
		{"TLS where there is none", "rediss://:s3cret@" + primary.Address(), "TLS"},
		{"no such database", primary.URL() + "/99", "database"},
		{"written by another version", foreign.URL(), "another version"},
		{"nobody there", "redis://:s3cret@127.0.0.1:1", "refused"},
		{"no such host", "redis://:s3cret@nowhere.invalid:6379", "nowhere.invalid"},
		{"no such socket", "unix://:s3cret@/does/not/exist.sock", "exist.sock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := refusedWith(t, c.url)
			at := strings.SplitAfter(c.url, "@")
			place, _, _ := strings.Cut(strings.TrimPrefix(at[len(at)-1], "redis://"), "/99")
			if !strings.Contains(got, c.want) || strings.Contains(got, "s3cret") || !strings.Contains(got, place) {
				t.Errorf("got %q, want %q and %q in it, and no password", got, c.want, place)
			}
		})
	}
	openURL(t, primary.URL())
	openURL(t, foreign.URL()+"?prefix=other:")
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := redis.Open(ctx, redis.Config{URL: s.URL(), Now: time.Now})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
		t.Errorf("frozen server: error %v after %v", err, time.Since(began))
	}
	s.Resume()
	openURL(t, s.URL())
}

func TestSocketsDatabasesAndPrefixesAreKeptApart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := record("s1", "ada")
	first := openURL(t, s.URL())
	add(t, first, r)
	if !there(t, openURL(t, "unix://"+s.Socket()), r) || !there(t, openURL(t, s.URL()+"/0?prefix=wafer:"), r) {
		t.Error("not found by another way to the same place")
	}
	for _, url := range []string{s.URL() + "/3", s.URL() + "?prefix=wafer:b:", "unix://" + s.Socket() + "?db=4"} {
		h := openURL(t, url)
		if there(t, h, r) {
			t.Errorf("%s sees another's", url)
		}
		add(t, h, r)
		if n, err := h.Count(t.Context()); n != 1 || err != nil {
			t.Errorf("%s counts %d, %v", url, n, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := certificate(t, dir)
	s := redistest.Start(t, "tls-port 0", "tls-cert-file "+ca, "tls-key-file "+filepath.Join(dir, "key.pem"), "tls-ca-cert-file "+ca, "tls-auth-clients no")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	if err := raw(t, s)("CONFIG", "SET", "tls-port", port).Error(); err != nil {
		if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
			t.Fatalf("this redis-server does not speak TLS, and WAFER_REQUIRE_SERVICES=1: %v", err)
		}
		t.Skipf("this redis-server does not speak TLS, which is NOT tested here: %v", err)
	}
	h := openURL(t, "rediss://"+address+"?ca="+ca)
	r := record("s1", "ada")
	add(t, h, r)
	if !there(t, h, r) {
		t.Error("not found over TLS")
	}
	if got := refusedWith(t, "rediss://"+address); !strings.Contains(got, "certificate") {
		t.Errorf("a certificate of nobody's: got %q", got)
	}
}

// certificate writes cert.pem, which is its own authority, and key.pem.
func certificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem")
}
