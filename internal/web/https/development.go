package https

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
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
	backdated     = time.Hour // for clocks that are not quite right
)

// development is a certificate signed by a CA of our own. The CA stays, so that
// it is trusted once; the certificate lives in memory.
type development struct {
	ca      *tls.Certificate
	host    string
	mtls    string // another name of ours, "" for none
	now     func() time.Time
	log     *slog.Logger
	mu      sync.Mutex // one renewal at a time
	current atomic.Pointer[tls.Certificate]
}

// openDevelopment returns the source and the file that clients should trust.
func openDevelopment(o Options) (*development, string, error) {
	d := &development{host: o.Config.IssuerHost(), mtls: o.Config.MTLSHost(), now: o.Now, log: o.Log}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, "", fmt.Errorf("development CA: %w", err)
	}
	file, trust := filepath.Join(o.Folder, "ca.key"), filepath.Join(o.Folder, "ca.pem")
	var err error
	if d.ca, err = readAuthority(file); errors.Is(err, fs.ErrNotExist) {
		d.ca, err = d.makeAuthority(file)
	}
	if err != nil {
		return nil, "", fmt.Errorf("development CA: %w", err)
	}
	if err := d.reload(context.Background()); err != nil {
		return nil, "", fmt.Errorf("%w; remove %s to have another one made, and trust that", err, file)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.ca.Certificate[0]})
	if there, err := os.ReadFile(trust); err == nil && bytes.Equal(there, public) {
		return d, trust, nil
	}
	if err := writeFile(trust, public); err != nil {
		return nil, "", fmt.Errorf("development CA: %w", err)
	}
	return d, trust, nil
}

func (d *development) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return d.current.Load(), nil
}

// tick renews when a third of the life is left.
func (d *development) tick(ctx context.Context) error {
	if d.current.Load().Leaf.NotAfter.Sub(d.now()) > leafLife/3 {
		return nil
	}
	return d.reload(ctx)
}

func (d *development) reload(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	leaf, err := d.sign()
	if err != nil {
		return fmt.Errorf("development certificate: %w", err)
	}
	if d.current.Swap(leaf) != nil {
		d.log.InfoContext(ctx, "certificate replaced", "until", day(leaf.Leaf.NotAfter))
	}
	return nil
}

// sign makes a certificate, and checks it as a client would: the CA may have
// been made for another host.
func (d *development) sign() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := d.now()
	names, addrs := d.names()
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Wafer development"}, DNSNames: names, IPAddresses: addrs,
		NotBefore: now.Add(-backdated), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, d.ca.Leaf, key.Public(), d.ca.PrivateKey)
	if err != nil {
		return nil, err
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(d.ca.Leaf)
	for _, host := range []string{d.host, d.mtls} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
			return nil, fmt.Errorf("the CA is not for %s: %w", host, err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// names are those by which this machine reaches itself, and the issuer's host.
func (d *development) names() ([]string, []net.IP) {
	names, addrs := []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, host := range []string{d.host, d.mtls} {
		if ip := net.ParseIP(host); ip == nil && host != "" && !slices.Contains(names, host) {
			names = append(names, host)
		} else if ip != nil && !ip.IsLoopback() {
			addrs = append(addrs, ip)
		}
	}
	return names, addrs
}

// makeAuthority makes a CA that can certify our own names and no others: who
// steals its key cannot play the rest of the web to those who trust it
// (RFC 5280 section 4.2.1.10).
func (d *development) makeAuthority(file string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := d.now()
	names, addrs := d.names()
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Wafer development CA of " + now.UTC().Format(time.DateOnly)},
		IsCA:    true, BasicConstraintsValid: true, MaxPathLenZero: true,
		NotBefore: now.Add(-backdated), NotAfter: now.Add(authorityLife), KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names, PermittedIPRanges: rangesOf(addrs),
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := writeFile(file, both); err != nil {
		return nil, err
	}
	return readAuthority(file)
}

func rangesOf(addrs []net.IP) []*net.IPNet {
	var all []*net.IPNet
	for _, ip := range addrs {
		if four := ip.To4(); four != nil {
			ip = four
		}
		bits := 8 * len(ip)
		all = append(all, &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)})
	}
	return all
}

// readAuthority reads key and certificate from one file: they are there both, or
// neither is.
func readAuthority(file string) (*tls.Certificate, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o: others can read it; run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &pair, nil
}
