package middleware

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/fault"
)

// Authorization returns the one Authorization header of a request, "" for none. Of
// two nobody can tell which is meant: fault.Invalid.
func Authorization(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", fault.New(fault.Invalid, "There is more than one Authorization header.")
	}
	if len(headers) == 0 {
		return "", nil
	}
	return headers[0], nil
}

// Bearer reads the token of an Authorization header (RFC 6750 section 2.1), "" for
// none and for another scheme.
func Bearer(header string) string {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(rest, " ")
}

// Basic reads the value of an Authorization header that holds a client's id and
// secret as RFC 6749 section 2.3.1 wants them: each form-encoded before they are
// joined.
func Basic(header string) (id, secret string, ok bool) {
	scheme, rest, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(rest, " "))
	if err != nil {
		return "", "", false
	}
	left, right, found := strings.Cut(string(raw), ":")
	if !found {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(left)
	secret, err2 := url.QueryUnescape(right)
	if err1 != nil || err2 != nil || id == "" || !text(id) || !text(secret) {
		return "", "", false
	}
	return id, secret, true
}

func text(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}
