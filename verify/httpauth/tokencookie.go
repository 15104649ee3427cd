package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// Sizes of a cookie in bytes, name and value together: browsers drop a larger one
// without a word (draft-ietf-httpbis-rfc6265bis section 5.7).
const (
	mostCookie  = 4096
	heavyCookie = 3584
)

// ErrTokenCookie is why SetTokenCookie set nothing: the token is too large for a
// cookie, is no token, or has expired. The error says which.
var ErrTokenCookie = errors.New("httpauth: token cannot be a cookie")

// tokenCookie checks Options.TokenCookie. Without the prefix a neighbor host, or a
// page in the clear, could plant a cookie of that name.
func tokenCookie(name string) string {
	switch {
	case name == "":
		return ""
	case !strings.HasPrefix(name, "__Host-") || name == "__Host-" || name == "__Host-Http-":
		panic("httpauth: the name of TokenCookie must begin with __Host-Http- or __Host-: " + quote(name, ""))
	case name == verify.CookieName:
		panic("httpauth: TokenCookie has the name of the session cookie")
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		panic("httpauth: the name of TokenCookie holds more than letters, digits, '-', '_' and '.': " + quote(name, ""))
	}
	return name
}

// SetTokenCookie gives the browser an access token as the cookie Options.TokenCookie
// until expires: for this host alone, over TLS alone, out of reach of scripts, and
// not with requests that other sites make, but with links. The answer becomes
// no-store. A token that browsers would drop is refused with ErrTokenCookie, and
// nothing is set; one that comes near is logged once. Call it before anything is
// written. It panics without Options.TokenCookie.
func (a *Auth) SetTokenCookie(w http.ResponseWriter, token string, expires time.Time) error {
	a.mustHaveTokenCookie()
	size := len(a.tokenCookie) + len(token)
	age := int(time.Until(expires) / time.Second)
	switch {
	case token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~") != "":
		return fmt.Errorf("%w: not an access token", ErrTokenCookie)
	case size > mostCookie:
		return fmt.Errorf("%w: name and value have %d bytes, browsers keep %d; use a session, or fewer claims", ErrTokenCookie, size, mostCookie)
	case age <= 0:
		return fmt.Errorf("%w: it has expired", ErrTokenCookie)
	}
	if size > heavyCookie {
		a.heavy.Do(func() {
			a.logger().Warn("token cookie is nearly as large as browsers keep; told once", "cookie", a.tokenCookie, "bytes", size, "most", mostCookie)
		})
	}
	a.writeTokenCookie(w, token, age)
	return nil
}

// ClearTokenCookie takes the cookie from the browser. The token itself lives on
// until it expires or is revoked. It panics without Options.TokenCookie.
func (a *Auth) ClearTokenCookie(w http.ResponseWriter) {
	a.mustHaveTokenCookie()
	a.writeTokenCookie(w, "", -1)
}

func (a *Auth) mustHaveTokenCookie() {
	if a.tokenCookie == "" {
		panic("httpauth: no TokenCookie in Options")
	}
}

func (a *Auth) writeTokenCookie(w http.ResponseWriter, value string, age int) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
	http.SetCookie(w, &http.Cookie{
		Name: a.tokenCookie, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
