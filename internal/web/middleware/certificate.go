package middleware

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
)

// Certificates finds the certificate that a client made its connection with: in the
// connection, or, behind a proxy that ends TLS, in a header of its. A nil one finds
// none.
type Certificates struct {
	Proxies []netip.Prefix // whose header is believed; nobody else's is
	Header  string         // that proxies pass the certificate in; "" for none
	Roots   *x509.CertPool // that clients' certificates lead to; nil: none does
	Now     func() time.Time
}

// Of returns the certificate of a request, nil for none. Chains are checked here,
// whatever a proxy says that it did. Of two headers, or of what is no certificate,
// nobody can tell what is meant: fault.Invalid.
func (c *Certificates) Of(r *http.Request) (*grant.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	var leaf *x509.Certificate
	var between []*x509.Certificate
	peer := remote(r)
	if slices.ContainsFunc(c.Proxies, func(p netip.Prefix) bool { return peer.IsValid() && p.Contains(peer) }) {
		// The certificate of the connection, if there is one, is the proxy's own.
		var err error
		if leaf, err = c.passed(r); err != nil {
			return nil, err
		}
	} else if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		leaf, between = r.TLS.PeerCertificates[0], r.TLS.PeerCertificates[1:]
	}
	if leaf == nil {
		return nil, nil
	}
	return &grant.Certificate{Leaf: leaf, Chained: c.chained(leaf, between)}, nil
}

// passed reads the header of a trusted proxy.
func (c *Certificates) passed(r *http.Request) (*x509.Certificate, error) {
	if c.Header == "" {
		return nil, nil
	}
	values := r.Header.Values(c.Header)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, fault.New(fault.Invalid, "There is more than one client certificate.")
	}
	leaf, err := parseCertificate(values[0])
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The client certificate cannot be read.")
	}
	return leaf, nil
}

// parseCertificate reads what proxies pass on: DER as RFC 9440 writes it, between
// colons, or PEM with its spaces and line breaks escaped, as nginx and others do.
func parseCertificate(value string) (*x509.Certificate, error) {
	if inner, ok := strings.CutPrefix(value, ":"); ok {
		inner, ok = strings.CutSuffix(inner, ":")
		der, err := base64.StdEncoding.DecodeString(inner)
		if err != nil || !ok {
			return nil, errors.New("not a byte sequence of RFC 8941")
		}
		return x509.ParseCertificate(der)
	}
	text, err := url.PathUnescape(value) // it leaves a plus alone, which base64 needs
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("not one certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// chained reports whether a certificate for clients leads to one of the roots.
func (c *Certificates) chained(leaf *x509.Certificate, between []*x509.Certificate) bool {
	if c.Roots == nil {
		return false
	}
	pool := x509.NewCertPool()
	for _, one := range between {
		pool.AddCert(one)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.Roots, Intermediates: pool, CurrentTime: c.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}
