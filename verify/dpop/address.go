package dpop

import (
	"net/url"
	"strings"
)

// sameAddress compares an htu with the address of a request (RFC 9449 section 4.3, RFC
// 3986 sections 6.2.2 and 6.2.3): without query and fragment, scheme and host in any
// case, the scheme's own port named or not, and what need not be escaped escaped or
// not. Nothing else is made alike: "/a/../b" and "/a%2Fb" are other addresses than "/b"
// and "/a/b" to somebody on the way, and are refused.
func sameAddress(htu, want string) bool {
	a, ok := normal(htu)
	if !ok {
		return false
	}
	b, ok := normal(want)
	return ok && a == b
}

func normal(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Opaque != "" || u.Host == "" {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	path, ok := normalPath(u.EscapedPath())
	return scheme + "://" + host + path, ok
}

// normalPath undoes the escapes that need not be there. A dot segment is refused.
func normalPath(path string) (string, bool) {
	if path == "" {
		return "/", true
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		c, ok := unhex(path[i+1], path[i+2])
		if !ok {
			return "", false
		}
		if unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	clean := b.String()
	for segment := range strings.SplitSeq(clean, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	return clean, true
}

func unhex(a, b byte) (byte, bool) {
	high, low := strings.IndexByte("0123456789abcdef", a|0x20), strings.IndexByte("0123456789abcdef", b|0x20)
	if a < '0' || b < '0' || high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
