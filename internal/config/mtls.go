package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// defaultMTLS fills what was left empty about client certificates. Whoever names a CA
// or a header means them.
func (c Config) defaultMTLS() Config {
	if c.MTLS == "" && (c.ClientCA != "" || c.ClientCertHeader != "") {
		c.MTLS = c.Issuer
	}
	return c
}

// MTLSHost is the host of MTLS without its port, "" for none.
func (c Config) MTLSHost() string {
	u, err := url.Parse(c.MTLS)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// ClientRoots reads ClientCA. It is nil when there is none.
func (c Config) ClientRoots() (*x509.CertPool, error) {
	if c.ClientCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("client-ca %s: there is no certificate in PEM in it", c.ClientCA)
	}
	return pool, nil
}

func (c Config) checkMTLS() error {
	if c.MTLS == "" {
		return nil
	}
	u, err := url.Parse(c.MTLS)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || c.MTLS != "https://"+u.Host || c.MTLS != strings.ToLower(c.MTLS) || u.User != nil:
		return fmt.Errorf("mtls %q: write https://host[:port] in lower case, without path, where clients show their certificates", c.MTLS)
	case c.TLS == TLSOff && c.ClientCertHeader == "":
		return fmt.Errorf("mtls %q: nothing shows the certificates of clients; serve HTTPS with --tls, or name the header of your proxy with --client-cert-header", c.MTLS)
	case c.TLS == TLSACME && c.MTLSHost() != c.IssuerHost():
		return fmt.Errorf("mtls %q: with --tls acme there is a certificate for the issuer's host only; use --tls-cert with one for both names, or a proxy", c.MTLS)
	}
	if _, err := netip.ParseAddr(c.MTLSHost()); err == nil && c.MTLSHost() != c.IssuerHost() {
		return fmt.Errorf("mtls %q: connections by address do not say where they want to go; write a name", c.MTLS)
	}
	return errors.Join(c.checkCertHeader(), c.checkClientCA())
}

func (c Config) checkClientCA() error {
	_, err := c.ClientRoots()
	return err
}

// ownHeaders mean something else already.
var ownHeaders = []string{"authorization", "connection", "content-length", "content-type", "cookie", "dpop", "host", "origin", "x-forwarded-for", "x-request-id"}

func (c Config) checkCertHeader() error {
	h := strings.ToLower(c.ClientCertHeader)
	if h == "" {
		return nil
	}
	if len(c.TrustedProxies) == 0 {
		return fmt.Errorf("client-cert-header %s: everybody could write it; name the network of the proxy that does with --trusted-proxy", c.ClientCertHeader)
	}
	if strings.Trim(h, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("client-cert-header %q: write the name of a header, of letters, digits and '-'", c.ClientCertHeader)
	}
	for _, own := range ownHeaders {
		if h == own {
			return fmt.Errorf("client-cert-header %s: this header has another meaning", c.ClientCertHeader)
		}
	}
	return nil
}
