package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// What Config.TLS may say.
const (
	TLSOff   = ""      // plain HTTP, on loopback or behind a trusted proxy
	TLSDev   = "dev"   // a certificate of our own development CA
	TLSACME  = "acme"  // a certificate from an ACME server (RFC 8555)
	TLSFiles = "files" // the certificate in TLSCert with the key in TLSKey
)

// The defaults of --tls acme, and how the redirect is turned off.
const (
	DefaultACMEDirectory = "https://acme-v02.api.letsencrypt.org/directory"
	DefaultHTTPRedirect  = ":80"
	NoHTTPRedirect       = "off"
)

// defaultTLS fills what was left empty about HTTPS. Files that are named say
// that they are meant.
func (c Config) defaultTLS() Config {
	if c.TLS == TLSOff && (c.TLSCert != "" || c.TLSKey != "") {
		c.TLS = TLSFiles
	}
	if c.TLS != TLSACME {
		return c
	}
	if c.ACMEDirectory == "" {
		c.ACMEDirectory = DefaultACMEDirectory
	}
	if c.HTTPRedirect == "" {
		c.HTTPRedirect = DefaultHTTPRedirect
	}
	return c
}

// Redirects reports whether a second listener sends plain HTTP to HTTPS.
func (c Config) Redirects() bool { return c.HTTPRedirect != "" && c.HTTPRedirect != NoHTTPRedirect }

// IssuerHost is the issuer's host as it stands in a certificate: without port
// and brackets. It is "" when the issuer is no URL.
func (c Config) IssuerHost() string {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (c Config) checkTLS() error {
	return errors.Join(c.checkMode(), c.checkSecureIssuer(), c.checkTLSFiles(), c.checkACME(), c.checkRedirect())
}

func (c Config) checkMode() error {
	switch c.TLS {
	case TLSOff, TLSDev, TLSACME, TLSFiles:
		return nil
	}
	return fmt.Errorf("tls %q: write dev, acme or files, or leave --tls out for plain HTTP", c.TLS)
}

func (c Config) checkSecureIssuer() error {
	if c.TLS == TLSOff || !strings.HasPrefix(c.Issuer, "http://") {
		return nil
	}
	return fmt.Errorf("issuer %q: with --tls it must be https, for nothing else is served", c.Issuer)
}

func (c Config) checkTLSFiles() error {
	named := c.TLSCert != "" || c.TLSKey != ""
	switch {
	case c.TLS != TLSFiles && named:
		return fmt.Errorf("tls %s: makes its own certificate; leave --tls-cert and --tls-key out, or --tls", c.TLS)
	case c.TLS == TLSFiles && (c.TLSCert == "" || c.TLSKey == ""):
		return errors.New("tls files: name both the certificate with --tls-cert and its key with --tls-key")
	case !named:
		return nil
	}
	return CheckTLSKeyMode(c.TLSKey)
}

// checkKeyFile refuses a named master key that is not its owner's alone.
func (c Config) checkKeyFile() error {
	if c.KeyFile == "" {
		return nil
	}
	return checkMode("key-file", c.KeyFile, 0o077)
}

// CheckTLSKeyMode refuses a private key that everybody can read or that others
// can change. A group may read it: that is how certificate tools hand keys out.
// A file that is not there is not refused here: whoever opens it says so better.
func CheckTLSKeyMode(file string) error { return checkMode("tls-key", file, 0o027) }

func checkMode(flag, file string, not fs.FileMode) error {
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&not == 0 {
		return nil
	}
	return fmt.Errorf("%s %s has mode %#o: others can read or change it; run: chmod 600 %s", flag, file, info.Mode().Perm(), file)
}

func (c Config) checkACME() error {
	if c.TLS != TLSACME {
		if c.ACMEEmail != "" || c.ACMEDirectory != "" || c.ACMERoot != "" {
			return errors.New("acme-email, acme-directory, acme-ca-root: these are for --tls acme; add it or leave them out")
		}
		return nil
	}
	var errs []error
	if u, err := url.Parse(c.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("acme-directory %q: write the https URL of the ACME server's directory", c.ACMEDirectory))
	}
	if c.ACMEEmail != "" && !strings.Contains(c.ACMEEmail, "@") {
		errs = append(errs, fmt.Errorf("acme-email %q: write an address such as ops@example.com, or leave it out", c.ACMEEmail))
	}
	host := c.IssuerHost()
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		errs = append(errs, fmt.Errorf("issuer %q: an ACME server certifies public names only; "+
			"name yours with --issuer https://id.example.com, or use --tls dev here", c.Issuer))
	}
	return errors.Join(errs...)
}

func (c Config) checkRedirect() error {
	if !c.Redirects() {
		return nil
	}
	host, port, err := net.SplitHostPort(c.HTTPRedirect)
	switch {
	case err != nil || port == "":
		return fmt.Errorf("http-redirect %q: write HOST:PORT, such as :80, or off", c.HTTPRedirect)
	case c.TLS == TLSOff:
		return fmt.Errorf("http-redirect %q: there is no HTTPS here to send anybody to; add --tls, or leave it out", c.HTTPRedirect)
	case c.HTTPRedirect == c.Listen && port != "0":
		return fmt.Errorf("http-redirect %q: this is the address of --listen; name another port", c.HTTPRedirect)
	}
	// Challenges are answered by both listeners, and the ACME client knows one host.
	own, _, err := net.SplitHostPort(c.Listen)
	if err == nil && c.TLS == TLSACME && !everywhere(host) && !everywhere(own) && host != own {
		return fmt.Errorf("http-redirect %q: with --tls acme it must be on the host of --listen, %s", c.HTTPRedirect, own)
	}
	return nil
}

// everywhere reports whether a host means all of this machine's addresses.
func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}
