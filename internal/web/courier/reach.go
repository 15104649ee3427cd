package courier

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrForbidden means that an address is one of ours, of our network, or of nobody.
var ErrForbidden = errors.New("address is not a public one, and not allowed")

// reach is where letters may go.
type reach struct {
	loopback bool
	allowed  []netip.Prefix
}

// control looks at the address that a socket is about to connect to. It runs after
// every resolution and before every connection.
func (r reach) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrForbidden, network)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbidden, address)
	}
	if !r.open(at.Addr()) {
		return fmt.Errorf("%w: %s", ErrForbidden, at.Addr())
	}
	return nil
}

// open reports whether an address may be connected to.
func (r reach) open(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range r.allowed {
		if p.Contains(a) {
			return true
		}
	}
	if a.IsLoopback() {
		return r.loopback
	}
	if inner, ok := embedded(a); ok && !public(inner) {
		return false
	}
	return public(a)
}

// special are the networks that lead to no stranger, beside those that netip names:
// IANA's registries of special-purpose addresses.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network; Linux takes it for loopback
	netip.MustParsePrefix("100.64.0.0/10"),   // shared, carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // compatible with IPv4
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local translation
	netip.MustParsePrefix("100::/64"),        // discarded
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("3fff::/20"),       // documentation
	netip.MustParsePrefix("5f00::/16"),       // segment routing
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

var (
	nat64    = netip.MustParsePrefix("64:ff9b::/96")
	sixToFor = netip.MustParsePrefix("2002::/16")
)

// embedded is the IPv4 address that a gateway makes of an IPv6 one.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFor.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
