package httpauth

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify"
)

// maxCookieHeader bounds what is read in search of the session cookie: twice
// what a browser may send in one cookie.
const maxCookieHeader = 8 << 10

// errCookieTooLarge is ErrAmbiguous with a status of its own: a header that long
// may hold the cookie anywhere, so it is neither searched nor taken as empty.
var errCookieTooLarge = fmt.Errorf("%w: Cookie header too large", verify.ErrAmbiguous)

// bearer finds the token of the Authorization header (RFC 6750 section 2.1).
// Other schemes are not ours and count as no token, except DPoP: who proves a
// key must not be let in by a cookie without that proof.
func bearer(h http.Header) (token string, found bool, err error) {
	lines := h["Authorization"]
	if len(lines) == 0 {
		return "", false, nil
	}
	if len(lines) > 1 {
		return "", false, verify.ErrAmbiguous
	}
	scheme, rest, _ := strings.Cut(lines[0], " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		token = strings.TrimLeft(rest, " ")
		if token == "" {
			return "", false, verify.ErrAmbiguous
		}
		return token, true, nil
	case strings.EqualFold(scheme, "DPoP"):
		return "", false, verify.ErrBinding
	}
	return "", false, nil
}

// sessionCookie finds the session cookie's value in the raw header; empty when
// it is not there. Only the one space that browsers put after ";" is skipped:
// with anything else around it, the name is another name, and not protected by
// the prefix of ours.
func sessionCookie(h http.Header) (string, error) {
	size := 0
	for _, line := range h["Cookie"] {
		size += len(line)
	}
	if size > maxCookieHeader {
		return "", errCookieTooLarge
	}
	var value string
	seen := false
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			v, ok := strings.CutPrefix(strings.TrimPrefix(pair, " "), verify.CookieName+"=")
			if !ok {
				continue
			}
			if seen {
				return "", verify.ErrAmbiguous
			}
			value, seen = v, true
		}
	}
	return value, nil
}
