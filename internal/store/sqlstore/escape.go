package sqlstore

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// PostgreSQL refuses a NUL, and what is not UTF-8, in a text. Either can come with
// a request, in an id or a browser's name, and is no reason to fail. It is stored
// behind a character that no text has, and comes back as it was.
const escape = "\U0010FFFF"

// escaped is a text as it is stored with PostgreSQL: different texts stay
// different. A byte that is refused is the escape and two hexadecimal digits, the
// escape itself is two.
func escaped(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 && !strings.Contains(text, escape) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == 0, r == utf8.RuneError && n == 1:
			b.WriteString(escape + hex.EncodeToString([]byte(text[:1])))
		case text[:n] == escape:
			b.WriteString(escape + escape)
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// unescaped is a text as it was given to escaped.
func unescaped(text string) string {
	if !strings.Contains(text, escape) {
		return text
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(text, escape)
		b.WriteString(plain)
		if !found {
			return b.String()
		}
		switch digits, err := hex.DecodeString(rest[:min(2, len(rest))]); {
		case strings.HasPrefix(rest, escape):
			b.WriteString(escape)
			rest = rest[len(escape):]
		case err == nil && len(digits) == 1:
			b.Write(digits)
			rest = rest[2:]
		}
		text = rest
	}
}
