package middleware

import (
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
)

// The names of our cookies. Browsers keep the promise of the prefix: set over a
// secure channel, by a header, for this host and no other.
const (
	CookieName       = "__Host-Http-wafer"
	DeviceCookieName = "__Host-Http-wafer-device"
)

// mostCookies is the most bytes of Cookie headers we look through.
const mostCookies = 16 << 10

// deviceAge is how long a browser is known, in seconds.
const deviceAge = 180 * 24 * 60 * 60

// Session returns the value of the session cookie, "" when there is none. The
// name is compared byte for byte in the raw header: net/http trims names, so that
// "__Host-Http-wafer\t" set by a sibling host would pass. Two of them are refused:
// one is not ours, and nobody can tell which.
func Session(r *http.Request) (string, error) {
	values, err := cookies(r, CookieName)
	if err != nil {
		return "", err
	}
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fault.New(fault.Invalid, "The request has two session cookies. Clear the cookies of this site.")
}

// Device returns the value of the known-device cookie, "" when there is none or
// when it cannot be told.
func Device(r *http.Request) string {
	values, err := cookies(r, DeviceCookieName)
	if err != nil || len(values) != 1 {
		return ""
	}
	return values[0]
}

func cookies(r *http.Request, name string) ([]string, error) {
	size := 0
	var values []string
	for _, line := range r.Header["Cookie"] {
		size += len(line)
		if size > mostCookies {
			return nil, fault.New(fault.Invalid, "The request has too many cookies.")
		}
		for pair := range strings.SplitSeq(line, ";") {
			// RFC 6265 section 4.2.1: one space after the semicolon; no other
			// white space is ours to forgive.
			pair = strings.TrimPrefix(pair, " ")
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				values = append(values, value)
			}
		}
	}
	return values, nil
}

// SetSession gives the browser its session. The cookie ends with the browser's
// own session; the server's limits decide in any case.
func SetSession(w http.ResponseWriter, secret string) {
	setCookie(w, CookieName, secret, 0)
}

// ClearSession takes the session cookie from the browser.
func ClearSession(w http.ResponseWriter) {
	setCookie(w, CookieName, "", -1)
}

// SetDevice lets the browser be known at its next login. An empty value leaves
// things as they are.
func SetDevice(w http.ResponseWriter, value string) {
	if value != "" {
		setCookie(w, DeviceCookieName, value, deviceAge)
	}
}

func setCookie(w http.ResponseWriter, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
