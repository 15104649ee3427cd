package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is what `wafer serve` runs with. Each field has a flag of the same
// name, an environment variable WAFER_<NAME>, and a line in the file named by
// --config. Flags win over the environment, the environment over the file.
type Config struct {
	// Listen is the address served. Default 127.0.0.1:8080. Anything but
	// loopback needs TrustedProxies, because plain HTTP would show passwords.
	Listen string
	// Issuer is our name in every token, and where people and services reach us:
	// scheme://host[:port], nothing after it. Default http://localhost and the
	// port of Listen. It must use https unless it is on loopback.
	Issuer string
	// Data is the folder of the database, the master key and the control socket.
	// Default ./wafer-data. It is created with mode 0700.
	Data string
	// Database is where the truth lives. "" is SQLite in Data.
	Database string
	// Sessions is where sessions live. "" is the database.
	Sessions string
	// KeyFile holds the master key: 32 bytes, as they are or as 43 characters of
	// base64url. "" is master.key in Data, made at first start. Whoever reads it
	// and the database can sign in as anybody.
	KeyFile string
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Default
	// none: the peer is the client.
	TrustedProxies []netip.Prefix
	// SessionIdle ends a session that was not used for so long. Default 12h.
	SessionIdle time.Duration
	// SessionLifetime ends every session. Default 168h.
	SessionLifetime time.Duration
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
	if c.Issuer == "" {
		if _, port, err := net.SplitHostPort(c.Listen); err == nil {
			c.Issuer = "http://localhost:" + port
		}
	}
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
	return errors.Join(c.checkListen(), c.checkIssuer(), c.checkStores(), c.checkSessions())
}

func (c Config) checkListen() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" {
		return fmt.Errorf("listen %q: write HOST:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if IsLoopback(host) || len(c.TrustedProxies) > 0 {
		return nil
	}
	return fmt.Errorf("listen %q: plain HTTP outside loopback would show passwords to the network; "+
		"listen on 127.0.0.1 behind a proxy that does TLS, or name that proxy's network with --trusted-proxy", c.Listen)
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

func (c Config) checkStores() error {
	if c.Database != "" {
		return fmt.Errorf("database %q: this version keeps everything in SQLite inside the data folder; leave --database out", c.Database)
	}
	if c.Sessions != "" {
		return fmt.Errorf("sessions %q: this version keeps sessions in the database; leave --sessions out", c.Sessions)
	}
	return nil
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
