package middleware

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
)

// mostFields is more fields than any form of ours has.
const mostFields = 64

// Fields is a form as read: every name at most once, no empty values.
type Fields map[string]string

// Form reads a form body, and nothing but the body: what stands in the query of
// the URL is no field, because URLs are logged. A repeated name, a broken escape,
// a NUL, invalid UTF-8 or another content type is refused before any field is
// looked at. An empty value counts as absent (RFC 6749 section 3.2).
func Form(r *http.Request) (Fields, error) {
	if !hasType(r, "application/x-www-form-urlencoded") {
		return nil, fault.New(fault.Unsupported, "Send the form as application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return parseFields(string(body))
}

func parseFields(body string) (Fields, error) {
	f := Fields{}
	for body != "" {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		name, value, err := field(pair)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "The form cannot be read.")
		}
		if _, again := f[name]; again {
			return nil, fault.New(fault.Invalid, "A field of the form is there more than once.")
		}
		if !plainText(name) || !plainText(value) {
			return nil, fault.New(fault.Invalid, "The form holds bytes that are not text.")
		}
		if len(f) == mostFields {
			return nil, fault.New(fault.Invalid, "The form has too many fields.")
		}
		f[name] = value
	}
	for name, value := range f {
		if value == "" {
			delete(f, name)
		}
	}
	return f, nil
}

// Values reads a query, and Body a form body, for a protocol in which a parameter that
// is there twice has an answer of its own: every value of a name is kept, the empty
// ones too. What cannot be read at all is fault.Invalid.
func Values(text string) (map[string][]string, error) {
	all := map[string][]string{}
	fields := 0
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, err := field(pair)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "The parameters cannot be read.")
		}
		if fields++; fields > mostFields {
			return nil, fault.New(fault.Invalid, "There are too many parameters.")
		}
		all[name] = append(all[name], value)
	}
	return all, nil
}

// Body is Values of a form body; what stands in the URL is not among them.
func Body(r *http.Request) (map[string][]string, error) {
	if !hasType(r, "application/x-www-form-urlencoded") {
		return nil, fault.New(fault.Unsupported, "Send the form as application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return Values(string(body))
}

// field reads one pair as url.ParseQuery would.
func field(pair string) (name, value string, err error) {
	if strings.Contains(pair, ";") {
		return "", "", errors.New("invalid semicolon separator")
	}
	name, value, _ = strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", err
	}
	value, err = url.QueryUnescape(value)
	return name, value, err
}

func plainText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// hasType reports whether the request says, once, that its body has this type.
func hasType(r *http.Request, want string) bool {
	all := r.Header.Values("Content-Type")
	if len(all) != 1 {
		return false
	}
	if all[0] == want { // as nearly everybody writes it
		return true
	}
	got, params, err := mime.ParseMediaType(all[0])
	if err != nil || got != want {
		return false
	}
	charset, named := params["charset"]
	return !named || strings.EqualFold(charset, "utf-8")
}

// Scopes reads a space-delimited list of scopes (RFC 6749 section 3.3). The
// empty text is no scopes. Repeats are dropped.
func Scopes(text string) ([]string, bool) {
	const most = 100
	if text == "" {
		return nil, true
	}
	all := strings.SplitN(text, " ", most+1)
	if len(all) > most {
		return nil, false
	}
	seen := map[string]bool{}
	var scopes []string
	for _, s := range all {
		if !api.ValidScope(s) {
			return nil, false
		}
		if !seen[s] {
			seen[s] = true
			scopes = append(scopes, s)
		}
	}
	return scopes, true
}
