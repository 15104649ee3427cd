package middleware

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
)

var errHost = errors.New("host is not one of ours")

// mostHops is more proxies than anybody has.
const mostHops = 32

// clientAddress returns who is on the other side of the trusted proxies. Each
// proxy appends the address it saw, so the header is read from the right: the
// first address that is not a trusted proxy's is the caller, and whatever stands
// left of it was written by the caller. An unreadable entry there is refused,
// never skipped: skipping would let a caller choose a limiter's bucket.
func (c *chain) clientAddress(r *http.Request) (netip.Addr, error) {
	addr := remote(r)
	if !c.trusts(addr) {
		return addr, nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(hops) == 1 && hops[0] == "" {
		return addr, nil
	}
	if len(hops) > mostHops {
		return addr, fault.New(fault.Invalid, "X-Forwarded-For has too many entries.")
	}
	for _, hop := range slices.Backward(hops) {
		next, ok := parseAddress(strings.TrimSpace(hop))
		if !ok {
			return addr, fault.New(fault.Invalid, "X-Forwarded-For cannot be read.")
		}
		addr = next
		if !c.trusts(addr) {
			break
		}
	}
	return addr, nil
}

func (c *chain) trusts(addr netip.Addr) bool {
	return addr.IsValid() && slices.ContainsFunc(c.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// remote returns the address of the connection. It is not valid on a local socket.
func remote(r *http.Request) netip.Addr {
	a, _ := parseAddress(r.RemoteAddr)
	return a
}

// parseAddress reads an address with or without a port.
func parseAddress(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

// hostsOf lists the Host values that mean us, in lower case.
func hostsOf(issuer *url.URL, more []string) map[string]bool {
	ours := map[string]bool{}
	for _, h := range append([]string{issuer.Host}, more...) {
		ours[strings.ToLower(h)] = true
	}
	port := map[string]string{"https": ":443", "http": ":80"}[issuer.Scheme]
	if issuer.Port() == "" {
		ours[strings.ToLower(issuer.Host)+port] = true
	}
	if bare, ok := strings.CutSuffix(issuer.Host, port); ok {
		ours[strings.ToLower(bare)] = true
	}
	return ours
}

// checkHost refuses names that are not ours: nothing is built from the Host, but
// a name that an attacker's DNS points here must not look like the same origin.
// Somebody on this machine may call us by loopback address.
func (c *chain) checkHost(r *http.Request) error {
	if c.hosts[strings.ToLower(r.Host)] || slices.Contains(c.AnyHost, r.URL.Path) {
		return nil
	}
	u := url.URL{Host: r.Host}
	if from := remote(r); client.IsLoopback(u.Hostname()) && (!from.IsValid() || from.IsLoopback()) {
		return nil
	}
	return errHost
}
