package authorize

import (
	"strings"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/oidc"
)

// Params are the parameters of a request as they came, every value of a name in its
// order.
type Params map[string][]string

// mostText is how long state, nonce and every other text may be, and mostAll all of
// them together, in bytes: a request travels sealed through an address bar.
const (
	mostText = 4096
	mostAll  = 10 << 10
)

// get returns the one value of a parameter. One without a value counts as absent
// (RFC 6749 section 3.1).
func (p Params) get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// once reports whether a parameter is there at most once.
func (p Params) once(name string) bool { return len(p[name]) <= 1 }

// known are the parameters that are read. Others are ignored (RFC 6749 section 3.1).
var known = []string{
	"acr_values", "claims", "client_id", "code_challenge", "code_challenge_method", "dpop_jkt", "id_token_hint", "login_hint", "max_age", "nonce",
	"prompt", "redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state", "ui_locales",
}

// check refuses what two readers could read differently: a parameter that is there
// twice (RFC 6749 section 3.1), and what is no text. resource may be there several
// times (RFC 8707 section 2) and is looked at where it is used.
func (p Params) check() error {
	all := 0
	for _, name := range known {
		if !p.once(name) {
			return refuse(oidc.InvalidRequest, name+" is there more than once.")
		}
		value := p.get(name)
		if !plain(value) {
			return refuse(oidc.InvalidRequest, name+" holds control characters, or bytes that are no text.")
		}
		if name == "request" || name == "id_token_hint" {
			continue // read, and not kept
		}
		if len(value) > mostText {
			return refuse(oidc.InvalidRequest, name+" is too long.")
		}
		all += len(value)
	}
	if all > mostAll {
		return refuse(oidc.InvalidRequest, "The parameters are too long.")
	}
	return nil
}

// plain reports whether a text comes back from a browser as it was sent: line breaks
// in a form do not.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0xfffe || r == 0xffff })
}
