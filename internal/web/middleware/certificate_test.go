package middleware_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

var certNow = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// issued makes certificates: of ca, or, without one, a CA.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func issue(t *testing.T, by *issued, change func(*x509.Certificate)) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "billing"}, NotBefore: certNow.Add(-time.Hour), NotAfter: certNow.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage, c.Subject.CommonName = true, true, x509.KeyUsageCertSign, nil, "CA"
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return issued{c, key}
}

func escaped(c issued) string {
	return url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
}

func bytesOf(c issued) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }

func pool(all ...issued) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range all {
		p.AddCert(c.Certificate)
	}
	return p
}

func TestCertificatesOfConnectionsAreChained(t *testing.T) {
	t.Parallel()
	ca, strange := issue(t, nil, nil), issue(t, nil, nil)
	middle := issue(t, &ca, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage, c.Subject.CommonName = true, true, x509.KeyUsageCertSign, nil, "middle"
	})
	good := issue(t, &ca, nil)
	deep := issue(t, &middle, nil)
	certs := &middleware.Certificates{Roots: pool(ca), Now: func() time.Time { return certNow }}
	for _, tt := range []struct {
		name  string
		shown []issued
		want  bool
	}{
		{"good", []issued{good}, true},
		{"with what is between", []issued{deep, middle}, true},
		{"without what is between", []issued{deep}, false},
		{"another CA", []issued{issue(t, &strange, nil)}, false},
		{"another CA, sent along", []issued{issue(t, &strange, nil), strange}, false},
		{"ended", []issued{issue(t, &ca, func(c *x509.Certificate) { c.NotAfter = certNow.Add(-time.Minute) })}, false},
		{"for servers", []issued{issue(t, &ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, false},
		{"self-signed", []issued{issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = "billing" })}, false},
	} {
		r := request("POST", "/here", nil)
		r.TLS = &tls.ConnectionState{}
		for _, c := range tt.shown {
			r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, c.Certificate)
		}
		got, err := certs.Of(r)
		if err != nil || got == nil || got.Leaf != tt.shown[0].Certificate || got.Chained != tt.want {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
	}
	plain := request("POST", "/here", nil)
	if got, err := certs.Of(plain); got != nil || err != nil {
		t.Errorf("no certificate: got %+v, %v", got, err)
	}
	if got, err := (*middleware.Certificates)(nil).Of(plain); got != nil || err != nil {
		t.Errorf("none are wanted: got %+v, %v", got, err)
	}
}

// CLIENT-008: everybody can write a header; only a trusted proxy is believed, and of
// it only the header that is configured.
func TestClientCertificateHeaderSpoof(t *testing.T) {
	t.Parallel()
	ca := issue(t, nil, nil)
	good, own := issue(t, &ca, nil), issue(t, &ca, func(c *x509.Certificate) { c.Subject.CommonName = "the proxy" })
	const proxy, stranger = "10.0.0.7:4711", "203.0.113.9:4711"
	certs := func(header string) *middleware.Certificates {
		return &middleware.Certificates{
			Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Header: header, Roots: pool(ca), Now: func() time.Time { return certNow },
		}
	}
	ask := func(c *middleware.Certificates, from string, own *issued, headers ...string) (string, error) {
		t.Helper()
		r := request("POST", "/here", nil)
		r.RemoteAddr = from
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		if own != nil {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{own.Certificate}}
		}
		got, err := c.Of(r)
		if got == nil {
			return "", err
		}
		if !got.Chained {
			t.Error("not chained")
		}
		return got.Leaf.Subject.CommonName, err
	}
	const header = "X-SSL-Client-Cert"
	believed := func() {
		t.Helper()
		for _, value := range []string{escaped(good), bytesOf(good), strings.ReplaceAll(escaped(good), "%2B", "+")} {
			if got, err := ask(certs(header), proxy, nil, header, value); got != "billing" || err != nil {
				t.Errorf("from the proxy: got %q, %v", got, err)
			}
		}
	}
	believed()
	for _, name := range []string{"X-SSL-Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "Ssl-Client-Cert"} {
		for _, value := range []string{escaped(good), bytesOf(good), "garbage"} {
			if got, err := ask(certs(header), stranger, nil, name, value); got != "" || err != nil {
				t.Errorf("%s from a stranger: got %q, %v", name, got, err)
			}
			if got, err := ask(certs(""), proxy, nil, name, value); got != "" || err != nil {
				t.Errorf("%s, which is not configured: got %q, %v", name, got, err)
			}
		}
	}
	if got, err := ask(certs(header), proxy, nil, "Client-Cert", bytesOf(good)); got != "" || err != nil {
		t.Errorf("another header: got %q, %v", got, err)
	}
	if got, err := ask(certs(header), proxy, nil, header, escaped(good), "X-Forwarded-For", "10.0.0.7"); got != "billing" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := ask(certs(header), stranger, nil, header, escaped(good), "X-Forwarded-For", "10.0.0.7"); got != "" || err != nil {
		t.Errorf("a stranger who says to be the proxy: got %q, %v", got, err)
	}
	// What the proxy itself shows is nobody's client.
	if got, err := ask(certs(header), proxy, &own); got != "" || err != nil {
		t.Errorf("the proxy's own: got %q, %v", got, err)
	}
	for name, headers := range map[string][]string{
		"two":       {header, escaped(good), header, escaped(good)},
		"garbage":   {header, "garbage"},
		"null":      {header, "(null)"},
		"two in it": {header, escaped(good) + escaped(own)},
		"broken":    {header, ":AAAA:"}, "half": {header, strings.TrimSuffix(bytesOf(good), ":")}, "escape": {header, "%zz"},
		"a key": {header, url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: good.Raw})))},
	} {
		if got, err := ask(certs(header), proxy, nil, headers...); got != "" || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got, err := ask(certs(header), proxy, nil, header, ""); got != "" || err != nil {
		t.Errorf("none: got %q, %v", got, err)
	}
	believed()
}
