package client

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// mostTarget is more bytes than any address to return to needs.
const mostTarget = 2000

// mostPlaces is more addresses than any client has.
const mostPlaces = 100

// MaySend reports whether uri is one of the client's redirect URIs: registered,
// byte for byte (RFC 9700 section 2.1). Only the port of a public client's URI on
// a loopback address may be another: a native application listens where it finds
// one free (RFC 8252 section 7.3).
func (c Client) MaySend(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	if c.Kind != Public || !plain(uri) {
		return false
	}
	asked, ok := portless(uri)
	return ok && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		r, ok := portless(registered)
		return ok && r == asked
	})
}

// ReturnsAfterLogout reports whether a browser may be sent to uri when the client has
// asked for a logout: registered for it, byte for byte (OpenID Connect RP-Initiated
// Logout 1.0 section 3). A disabled client gets nobody back.
func (c Client) ReturnsAfterLogout(uri string) bool {
	return !c.Disabled && slices.Contains(c.OAuth.PostLogoutRedirectURIs, uri)
}

// Returns reports whether a browser may be sent to target after a login or a
// logout: a redirect URI, as MaySend has it, or, for a first-party client, any
// address in one of its origins. Origins are compared byte for byte, so target
// must spell its own as a browser does. A disabled client gets nobody back.
func (c Client) Returns(target string) bool {
	if c.Disabled {
		return false
	}
	return c.MaySend(target) || c.FirstParty && plain(target) && c.inOrigins(target)
}

// inOrigins looks at what follows the origin: with anything but these the host
// would be another ("https://shop.example.evil.test", "https://shop.example@evil.test").
func (c Client) inOrigins(target string) bool {
	return slices.ContainsFunc(c.Origins, func(origin string) bool {
		rest, ok := strings.CutPrefix(target, origin)
		return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
	})
}

// plain refuses what two readers of a URL could read differently: a browser takes
// a backslash for a slash and drops tabs and line breaks.
func plain(target string) bool {
	if len(target) > mostTarget {
		return false
	}
	for i := range len(target) {
		if b := target[i]; b <= ' ' || b >= 0x7f || b == '\\' || b == '#' {
			return false
		}
	}
	_, err := url.Parse(target)
	return err == nil
}

// portless returns a URI on a loopback address without its port. The name
// localhost is not one: it may lead elsewhere (RFC 8252 section 8.3).
func portless(uri string) (string, bool) {
	for _, address := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, address)
		if !ok {
			continue
		}
		if after, ok := strings.CutPrefix(rest, ":"); ok {
			end := strings.IndexAny(after, "/?")
			if end < 0 {
				end = len(after)
			}
			if !isPort(after[:end]) {
				return "", false
			}
			rest = after[end:]
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", false
		}
		return address + rest, true
	}
	return "", false
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// checkPlaces checks where the client lives and where it is returned to. The
// second follows from the first: who states origins has the redirect URIs of its
// pages in them, so that there is one list to get right. Addresses that are no
// pages, of native applications, lie outside of any.
func (c Client) checkPlaces() error {
	if len(c.Origins) > mostPlaces || len(c.RedirectURIs) > mostPlaces || len(c.OAuth.PostLogoutRedirectURIs) > mostPlaces {
		return invalid(c.ID, "more than "+strconv.Itoa(mostPlaces)+" origins, redirect URIs or post_logout_redirect_uris")
	}
	for _, o := range c.Origins {
		if err := checkOrigin(c.ID, o); err != nil {
			return err
		}
	}
	for _, u := range c.RedirectURIs {
		if err := c.checkRedirect("redirect URI", u); err != nil {
			return err
		}
	}
	for _, u := range c.OAuth.PostLogoutRedirectURIs {
		if err := c.checkRedirect("post-logout redirect URI", u); err != nil {
			return err
		}
	}
	return nil
}

func (c Client) checkRedirect(what, u string) error {
	if err := checkTarget(c.ID, what, u); err != nil {
		return err
	}
	_, native := portless(u)
	web := strings.HasPrefix(u, "https:") || strings.HasPrefix(u, "http:")
	if len(c.Origins) > 0 && web && !native && !c.inOrigins(u) {
		return invalid(c.ID, what+" "+u+" lies outside of its origins "+strings.Join(c.Origins, ", ")+"; add its origin to them, or state none")
	}
	return nil
}

// checkTarget refuses what a browser must not be sent to.
func checkTarget(id, what, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || !u.IsAbs() || u.User != nil || !plain(raw) || strings.Contains(raw, "*") {
		return invalid(id, what+" "+strconv.QuoteToASCII(raw)+" must be absolute and plain ASCII, without fragment, user, wildcard, backslash or space")
	}
	switch u.Scheme {
	case "https":
		if u.Hostname() != "" {
			return nil
		}
		return invalid(id, what+" "+raw+" has no host")
	case "http":
		if IsLoopback(u.Hostname()) {
			return nil
		}
		return invalid(id, what+" "+raw+" uses http outside loopback")
	}
	if u.Host == "" && strings.Contains(u.Scheme, ".") {
		return nil // private-use scheme (RFC 8252 section 7.1)
	}
	return invalid(id, what+" "+raw+" has a scheme that is neither https nor a private-use one with a dot")
}

// CheckRedirect returns nil for an address that a browser may be sent back to: absolute
// and plain ASCII, https, http on loopback, or a private-use scheme with a dot, without
// fragment, user or wildcard.
func CheckRedirect(raw string) error { return checkTarget("", "redirect URI", raw) }

// checkOrigin wants an origin as browsers write it into the Origin header (RFC
// 6454 section 6.2): they are compared byte for byte, so another spelling would
// never match.
func checkOrigin(id, raw string) error {
	if strings.Contains(raw, "*") {
		return invalid(id, "origin "+strconv.QuoteToASCII(raw)+" holds a wildcard: name every origin")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || raw != u.Scheme+"://"+u.Host || raw != strings.ToLower(raw) || !plain(raw) {
		return invalid(id, "origin "+strconv.QuoteToASCII(raw)+" must be scheme://host[:port] in lower case ASCII, nothing else")
	}
	if port, named := u.Port(), strings.HasSuffix(u.Host, ":") || u.Port() != ""; named {
		if !isPort(port) || port == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
			return invalid(id, "origin "+raw+" names the scheme's own port or none at all: browsers leave it out")
		}
	}
	if !isHost(u.Hostname()) {
		return invalid(id, "origin "+raw+" has a host that browsers do not spell so")
	}
	if u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()) {
		return nil
	}
	return invalid(id, "origin "+raw+" must use https, or http on loopback")
}

// isHost refuses what no Origin header holds: escapes, and the dot at the end.
func isHost(host string) bool {
	return host != "" && !strings.HasSuffix(host, ".") && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") == ""
}

// IsLoopback reports whether a host name stands for this machine.
func IsLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
