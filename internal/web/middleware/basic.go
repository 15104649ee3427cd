package middleware

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

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
