package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// A place is where the records are, as a URL says it.
type place struct {
	address  string // host:port, or the path of a socket
	socket   bool
	user     string
	password string
	database int
	prefix   string
	tls      *tls.Config // nil: none
}

const (
	defaultPrefix = "wafer:"
	defaultPort   = "6379"
)

// parsePlace reads a URL. Its errors never hold a part of the URL that could be a
// part of the password, as in redis://user:pass/word@host.
func parsePlace(text string) (place, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse quotes the URL.
		return place{}, errors.New("it cannot be read; special characters of a password are written as %XX")
	}
	if u.Opaque != "" || u.Fragment != "" || strings.Contains(text, "#") {
		return place{}, errors.New("want redis://[user:password@]host:port[/database]; special characters of a password are written as %XX")
	}
	p := place{user: u.User.Username(), prefix: defaultPrefix}
	p.password, _ = u.User.Password()
	if p.user != "" && p.password == "" {
		return place{}, errors.New("it has a user and no password; a password alone is written as redis://:password@host")
	}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, errors.New("what stands after the question mark cannot be read")
	}
	switch u.Scheme {
	case "redis", "valkey", "rediss", "valkeys":
		err = p.network(u, options)
	case "unix":
		err = p.local(u, options)
	default:
		err = errors.New("it must begin with redis://, rediss:// or unix://")
	}
	if err != nil {
		return place{}, err
	}
	return p, p.named(options)
}

func (p *place) network(u *url.URL, options url.Values) error {
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if u.Hostname() == "" {
		return errors.New("it names no host")
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		if err := p.setDatabase(path); err != nil {
			return err
		}
	}
	if u.Scheme != "rediss" && u.Scheme != "valkeys" {
		return nil
	}
	p.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if !options.Has("ca") {
		return nil
	}
	file := options.Get("ca")
	options.Del("ca")
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the certificates it trusts: %w", err)
	}
	p.tls.RootCAs = x509.NewCertPool()
	if !p.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return nil
}

func (p *place) local(u *url.URL, options url.Values) error {
	if u.Host != "" || u.Path == "" {
		return errors.New("a socket is written as unix:///path/to/redis.sock")
	}
	p.address, p.socket = u.Path, true
	if !options.Has("db") {
		return nil
	}
	text := options.Get("db")
	options.Del("db")
	return p.setDatabase(text)
}

func (p *place) setDatabase(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("the database must be a number from 0")
	}
	p.database = int(n)
	return nil
}

// named takes the options that every scheme has.
func (p *place) named(options url.Values) error {
	if options.Has("prefix") {
		p.prefix = options.Get("prefix")
		options.Del("prefix")
	}
	for i := range len(p.prefix) {
		// As it would stand in the key patterns of an access list.
		if c := p.prefix[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`*?[]\`, c) >= 0 {
			return errors.New(`the prefix may hold printable ASCII alone, without spaces and *?[]\`)
		}
	}
	if p.prefix == "" || len(p.prefix) > 64 {
		return errors.New("the prefix must have 1 to 64 characters")
	}
	if len(options) > 0 {
		return errors.New("it has an option that is not known; there are prefix, ca (of rediss) and db (of unix)")
	}
	return nil
}
