package httpauth

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/internal/wire"
)

// origins are the origins of other pages that may use a service with its cookies.
type origins map[string]bool

// originsOf panics on an origin that no browser would ever send: it would never
// match, and look like a fault elsewhere.
func originsOf(list []string) origins {
	all := origins{}
	for _, o := range list {
		if !isOrigin(o) {
			panic("httpauth: not an origin as browsers spell it, scheme://host[:port] over https, or http on loopback: " + strconv.QuoteToASCII(o))
		}
		all[o] = true
	}
	return all
}

// isOrigin wants what Wafer wants of a client's origins.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) {
		return false
	}
	name, port := u.Hostname(), u.Port()
	if name == "" || strings.HasSuffix(name, ".") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" {
		return false
	}
	if strings.HasSuffix(u.Host, ":") || port != "" && (!isPort(port) || port == map[string]string{"https": "443", "http": "80"}[u.Scheme]) {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && wire.Loopback(name)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

var (
	errTwice = errors.New("origin or Sec-Fetch-Site is there twice")
	errNull  = errors.New("origin is null")
	errPlain = errors.New("origin has http where the service has https")
	errMute  = errors.New("a request that any form can send, and neither Sec-Fetch-Site nor Origin")
)

// sameOrigin guards what a browser sends by itself: the cookie goes along with
// requests the user never meant to make. The table is in the package comment.
func (a *Auth) sameOrigin(r *http.Request) error {
	if a.judge(r) != nil {
		return verify.ErrCrossOrigin
	}
	return nil
}

func (a *Auth) judge(r *http.Request) error {
	if isSafe(r.Method) && !opensWebSocket(r) {
		return nil
	}
	h := r.Header
	site, origin := h.Get("Sec-Fetch-Site"), h.Get("Origin")
	switch {
	case len(h.Values("Sec-Fetch-Site")) > 1 || len(h.Values("Origin")) > 1:
		return errTwice
	case origin == "null":
		return errNull
	case a.trusts(origin):
		return nil
	case site == "" && origin == "":
		return a.mute(r)
	case site == "" && a.downgraded(r, origin):
		return errPlain
	}
	// What opens a WebSocket is a GET, but it is written to (cross-site WebSocket hijacking).
	unsafe := *r
	unsafe.Method = http.MethodPost
	var rule http.CrossOriginProtection
	return rule.Check(&unsafe)
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// trusts knows the listed origins and, by its configured name, the service's own.
func (a *Auth) trusts(origin string) bool {
	return a.origins[origin] || origin != "" && origin == a.own
}

// mute judges a request that says nothing of where it comes from.
func (a *Auth) mute(r *http.Request) error {
	if r.Method != http.MethodPost || isJSON(r.Header) || r.Header.Get("X-Requested-With") != "" {
		return nil
	}
	lines := r.Header.Values("Referer")
	if len(lines) != 1 {
		return errMute
	}
	u, err := url.Parse(lines[0])
	if err != nil || u.Host == "" {
		return errMute
	}
	from := u.Scheme + "://" + u.Host
	if a.trusts(from) || strings.EqualFold(u.Host, r.Host) && !a.downgraded(r, from) {
		return nil
	}
	return errMute
}

func isJSON(h http.Header) bool {
	lines := h.Values("Content-Type")
	if len(lines) != 1 {
		return false
	}
	kind, _, err := mime.ParseMediaType(lines[0])
	return err == nil && kind == "application/json"
}

// downgraded reports whether a page came in the clear to a service over TLS:
// whoever sits on the network can have written it.
func (a *Auth) downgraded(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "https" || wire.Loopback(u.Hostname()) {
		return false
	}
	return r.TLS != nil || strings.HasPrefix(a.own, "https:")
}

func opensWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true // RFC 8441
	}
	for _, line := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}
