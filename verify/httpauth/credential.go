package httpauth

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify"
)

// maxCookieHeader bounds what is read in search of a cookie of ours: twice
// what a browser may send in one cookie.
const maxCookieHeader = 8 << 10

// errCookieTooLarge is ErrAmbiguous with a status of its own: a header that long
// may hold the cookie anywhere, so it is neither searched nor taken as empty.
var errCookieTooLarge = fmt.Errorf("%w: Cookie header too large", verify.ErrAmbiguous)

// authorization finds the token of the Authorization header (RFC 6750 section 2.1,
// RFC 9449 section 7.1). Other schemes are not ours and count as no token. The scheme
// is told beside an error too: the challenge goes by it.
func authorization(h http.Header) (token string, as verify.Scheme, err error) {
	lines := h["Authorization"]
	if len(lines) == 0 {
		return "", as, nil
	}
	if len(lines) > 1 {
		return "", as, verify.ErrAmbiguous
	}
	scheme, rest, _ := strings.Cut(lines[0], " ")
	switch {
	case strings.EqualFold(scheme, "DPoP"):
		as = verify.SchemeDPoP
	case !strings.EqualFold(scheme, "Bearer"):
		return "", as, nil
	}
	token = strings.TrimLeft(rest, " ")
	if token == "" {
		return "", as, verify.ErrAmbiguous
	}
	return token, as, nil
}

// credential is what a request came with. At most one of its texts is set.
type credential struct {
	bearer  string // of the Authorization header
	scheme  verify.Scheme
	session string // value of the session cookie
	token   string // value of the token cookie
}

// credential finds the one credential. Beside a token of the header the session cookie
// is not read: browsers attach it to whatever goes to its host. A token cookie is for
// this service alone, so two of it and another is one too many. Beside an error only
// the scheme counts.
func (a *Auth) credential(h http.Header) (credential, error) {
	var c credential
	var err error
	if c.bearer, c.scheme, err = authorization(h); err != nil {
		return c, err
	}
	found := c.bearer != ""
	if a.tokenCookie != "" {
		if c.token, err = cookieOf(h, a.tokenCookie); err != nil {
			return c, err
		}
	}
	if a.cookies && !found {
		if c.session, err = cookieOf(h, verify.CookieName); err != nil {
			return c, err
		}
	}
	if c.token != "" && (found || c.session != "") {
		return c, verify.ErrAmbiguous
	}
	if c == (credential{}) {
		return c, verify.ErrNoCredential
	}
	return c, nil
}

// cookieOf finds a cookie's value in the raw header; empty when it is not there.
// Only the one space that browsers put after ";" is skipped: with anything else
// around it, the name is another name, and not protected by the prefix of ours.
func cookieOf(h http.Header, name string) (string, error) {
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
			v, ok := strings.CutPrefix(strings.TrimPrefix(pair, " "), name+"=")
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
