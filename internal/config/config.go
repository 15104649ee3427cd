package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/bound"
)

// Config is what `wafer serve` runs with. Each field has a flag of the same
// name, an environment variable WAFER_<NAME>, and a line in the file named by
// --config. Flags win over the environment, the environment over the file.
type Config struct {
	// Listen is the address served. Default 127.0.0.1:8080. Anything but
	// loopback needs TLS or TrustedProxies: plain HTTP would show passwords.
	Listen string
	// Issuer is our name in every token, and where people and services reach us:
	// scheme://host[:port], nothing after it. Default localhost and the port of
	// Listen. It must use https unless it is on loopback and TLS is off.
	Issuer string
	// TLS is where the certificate of Listen comes from: TLSDev, TLSACME, TLSFiles
	// or, the default, TLSOff.
	TLS string
	// TLSCert and TLSKey are PEM files: our certificate followed by those between
	// it and its root, and our private key, closed to others. Default none.
	TLSCert, TLSKey string
	// ACMEEmail is whom the ACME server writes to when something is wrong. Default
	// nobody.
	ACMEEmail string
	// ACMEDirectory is the ACME server. Default Let's Encrypt, whose terms are
	// agreed to by using it.
	ACMEDirectory string
	// ACMERoot is a PEM file with the roots that ACMEDirectory is believed by.
	// Default those of the machine.
	ACMERoot string
	// HTTPRedirect is where plain HTTP is answered with the way to HTTPS, and ACME
	// challenges are. Default :80 with TLSACME and none otherwise; NoHTTPRedirect
	// is none.
	HTTPRedirect string
	// Data is the folder of the database, the master key and the control socket.
	// Default ./wafer-data. It is created with mode 0700.
	Data string
	// Database is where the truth lives, see ParsePlace: "" is SQLite in Data,
	// postgres:// is for several nodes.
	Database string
	// Sessions is where sessions live, see ParsePlace. "" is where they are
	// already, at first the database.
	Sessions string
	// KeyFile holds the master key: 32 bytes, as they are or as 43 characters of
	// base64url. "" is master.key in Data, made at first start. Whoever reads it
	// and the database can sign in as anybody.
	KeyFile string
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Default
	// none: the peer is the client.
	TrustedProxies []netip.Prefix
	// MTLS is where clients show their certificates (RFC 8705): the issuer, or
	// another name that leads here, so that browsers at the issuer are not asked for
	// one. Default: nowhere; the issuer, with ClientCA or ClientCertHeader.
	MTLS string
	// ClientCA is a PEM file with the roots that clients' certificates lead to, for
	// tls_client_auth. Default none: only certificates whose keys are registered.
	ClientCA string
	// ClientCertHeader is the header in which TrustedProxies pass the certificate of
	// the client on. Default none: it is that of the connection.
	ClientCertHeader string
	// Outbound are the networks that we may post to and fetch from though they are
	// not public: of applications that are told of logouts, of receivers and
	// transmitters of security events. Default none; loopback, when the issuer is.
	Outbound []netip.Prefix
	// Registration says who may register a client themselves (RFC 7591):
	// RegistrationToken, who has an invitation; RegistrationOpen, everybody. Default
	// RegistrationOff, nobody.
	Registration string
	// RegistrationAPIs are what clients may ask for that no operator added, by API;
	// "*" is every scope of one. Default none: they may know who a person is.
	RegistrationAPIs map[string][]string
	// RegistrationProfile is what confidential clients are held to that registered
	// themselves: strict, fapi2 or certification. Default strict.
	RegistrationProfile string
	// ClientDocuments lets an address be a client id: the client is what the document
	// there says (OAuth Client ID Metadata Document). Default off.
	ClientDocuments bool
	// SessionIdle ends a session that was not used for so long. Default 12h.
	SessionIdle time.Duration
	// SessionLifetime ends every session. Default 168h.
	SessionLifetime time.Duration
	// Bind is what the sessions of people who sign in on our own pages are bound
	// to. Each client states its own. Default nothing.
	Bind bound.Policy
	// RotateKeys is the age at which asymmetric signing keys are replaced.
	// Default 2160h (90 days). 0 never does.
	RotateKeys time.Duration
	// HashWorkers is how many passwords are hashed at once. Default: as many as
	// there are cores. Each needs 19 MiB.
	HashWorkers int
}

// The defaults that are not zero.
const (
	DefaultListen = "127.0.0.1:8080"
	DefaultData   = "./wafer-data"
)

// WithDefaults fills what was left empty.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Data == "" {
		c.Data = DefaultData
	}
	c = c.defaultTLS()
	if c.Issuer == "" {
		scheme := "http"
		if c.TLS != TLSOff {
			scheme = "https"
		}
		if _, port, err := net.SplitHostPort(c.Listen); err == nil {
			c.Issuer = scheme + "://localhost:" + port
		}
	}
	c = c.defaultMTLS()
	if c.SessionIdle == 0 {
		c.SessionIdle = 12 * time.Hour
	}
	if c.SessionLifetime == 0 {
		c.SessionLifetime = 7 * 24 * time.Hour
	}
	return c
}

// Validate returns every problem at once, each with what to do about it.
func (c Config) Validate() error {
	return errors.Join(c.checkListen(), c.checkIssuer(), c.checkTLS(), c.checkMTLS(), c.checkKeyFile(), c.checkStores(), c.checkSessions(), c.checkBind(), c.checkRegistration())
}

func (c Config) checkListen() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" {
		return fmt.Errorf("listen %q: write HOST:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if c.TLS != TLSOff || IsLoopback(host) || len(c.TrustedProxies) > 0 {
		return nil
	}
	return fmt.Errorf("listen %q: plain HTTP outside loopback would show passwords to the network; "+
		"serve HTTPS with --tls acme, --tls dev or --tls-cert and --tls-key, "+
		"or name the network of a proxy that does with --trusted-proxy", c.Listen)
}

// IsLoopback reports whether a host is this machine alone.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (c Config) checkIssuer() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.User != nil || c.Issuer != u.Scheme+"://"+u.Host || c.Issuer != strings.ToLower(c.Issuer) {
		return fmt.Errorf("issuer %q: write scheme://host[:port] in lower case, without path, slash at the end, query or fragment", c.Issuer)
	}
	if u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("issuer %q: use https (http is for localhost only)", c.Issuer)
}

func (c Config) checkSessions() error {
	if c.SessionIdle < time.Second || c.SessionLifetime < c.SessionIdle {
		return fmt.Errorf("session-idle %s, session-lifetime %s: idle must be at least 1s and not longer than the lifetime", c.SessionIdle, c.SessionLifetime)
	}
	if c.RotateKeys < 0 || c.RotateKeys > 0 && c.RotateKeys < 24*time.Hour {
		return fmt.Errorf("rotate-keys %s: at least 24h, or 0 for never", c.RotateKeys)
	}
	if c.HashWorkers < 0 || c.HashWorkers > 256 {
		return fmt.Errorf("hash-workers %d: between 1 and 256, or 0 for one a core", c.HashWorkers)
	}
	return nil
}
