package wire

import (
	"errors"
	"net/netip"
	"net/url"
)

// CheckURL refuses a URL over which a key or a secret would travel in the open:
// only https, and http to this very machine, are allowed.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL")
	}
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must have a host, and no user or fragment")
	}
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return errors.New("must be https, or http on loopback")
}

// Loopback reports whether the host name means this machine without asking anybody.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
