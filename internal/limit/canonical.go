package limit

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLogin is the longest login in bytes, that of the longest e-mail address that
// can be sent to (RFC 5321, erratum 1690).
const MaxLogin = 254

// Why a text is no login. The errors do not repeat it.
var (
	ErrEmpty   = errors.New("login is empty")
	ErrTooLong = errors.New("login is too long")
	ErrText    = errors.New("login has characters that no login has")
)

// Canonical returns the one form of a login to look up and to count by. It is its
// own canonical form. The package comment says what is made equal and what is
// refused.
func Canonical(login string) (string, error) {
	if len(login) > MaxLogin {
		return "", ErrTooLong
	}
	if !utf8.ValidString(login) {
		return "", ErrText
	}
	login = strings.TrimSpace(login)
	if strings.ContainsFunc(login, unfit) {
		return "", ErrText
	}
	fold := cases.Fold()
	// Folding can undo the normal form and the normal form can bring letters to
	// fold, or space to trim: repeat until nothing changes. Two rounds do for every
	// text known; one that needs more than four is not worth a login.
	for range 4 {
		next := strings.TrimSpace(norm.NFKC.String(fold.String(norm.NFKC.String(login))))
		if next == login {
			return finished(login)
		}
		login = next
	}
	return "", ErrText
}

// finished checks the length and the characters again: normalizing makes up to
// eighteen characters of one, and spaces of what was none.
func finished(login string) (string, error) {
	switch {
	case login == "":
		return "", ErrEmpty
	case len(login) > MaxLogin:
		return "", ErrTooLong
	case strings.ContainsFunc(login, unfit):
		return "", ErrText
	}
	return login, nil
}

// unfit reports characters that are not seen, not text, or not assigned.
func unfit(r rune) bool {
	if r == utf8.RuneError {
		return true // what is left of something that was not text
	}
	if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return true
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs)
}
