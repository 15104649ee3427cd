package verify

import (
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// maxOtherNames is how many claims that we do not read a plain object may have.
const maxOtherNames = 8

// plainObject finds the raw values of the claims we read in an object of the
// plainest JSON there is: no space, ASCII without escapes, and nothing for values
// but strings, short whole numbers and arrays of strings. Nearly every token is
// like that, and needs neither the full scanner of package jose nor a copy of
// anything. It understands a part of strict JSON and never more: in doubt it
// gives up with false, and jose.Members decides. A fuzz test holds it to that.
func plainObject(s string, found *[nameActive + 1]string) bool {
	if len(s) < 2 || s[0] != '{' {
		return false
	}
	var others [maxOtherNames]string
	other := 0
	for at := 1; ; at++ {
		end := plainString(s, at)
		if end < 0 || end+1 >= len(s) || s[end] != ':' {
			return giveUp(found)
		}
		label, from := s[at+1:end-1], end+1
		if at = plainValue(s, from); at < 0 || at >= len(s) {
			return giveUp(found)
		}
		if n := nameOf(label); n != 0 {
			if found[n] != "" {
				return giveUp(found)
			}
			found[n] = s[from:at]
		} else {
			if other == maxOtherNames || contains(others[:other], label) {
				return giveUp(found)
			}
			others[other] = label
			other++
		}
		if s[at] == '}' {
			return at == len(s)-1 || giveUp(found)
		}
		if s[at] != ',' {
			return giveUp(found)
		}
	}
}

func giveUp(found *[nameActive + 1]string) bool {
	clear(found[:])
	return false
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// plainValue gives the place behind the value that begins at this place, or -1.
func plainValue(s string, at int) int {
	switch c := s[at]; {
	case c == '"':
		return plainString(s, at)
	case c == '[':
		return plainList(s, at)
	case c >= '0' && c <= '9':
		end := at + 1
		// A zero in front of other digits is no JSON; alone it is the rsn of every token that
		// was minted before the first revocation.
		for c != '0' && end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		// What follows may be a fraction or an exponent: that is for package jose.
		if end == len(s) || s[end] != ',' && s[end] != '}' {
			return -1
		}
		return end
	}
	return -1
}

// plainString gives the place behind the string that begins at this place, or -1.
func plainString(s string, at int) int {
	if at >= len(s) || s[at] != '"' {
		return -1
	}
	for end := at + 1; end < len(s); end++ {
		if isPlain[s[end]] {
			continue
		}
		if s[end] == '"' {
			return end + 1
		}
		return -1
	}
	return -1
}

var isPlain = func() (set [256]bool) {
	for c := byte(' '); c <= '~'; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// plainList gives the place behind the array of strings that begins at this place, or -1.
func plainList(s string, at int) int {
	if at+1 < len(s) && s[at+1] == ']' {
		return at + 2
	}
	for {
		at = plainString(s, at+1)
		if at < 0 || at >= len(s) {
			return -1
		}
		switch s[at] {
		case ']':
			return at + 1
		case ',':
		default:
			return -1
		}
	}
}

// readText reads a raw value that is known to be strict JSON. Without escapes a
// string is what stands between its quotes.
func readText(raw string) (string, error) {
	if raw[0] != '"' || strings.IndexByte(raw, '\\') >= 0 {
		return jose.String([]byte(raw))
	}
	return raw[1 : len(raw)-1], nil
}

// readList reads an array of nothing but strings from strict JSON.
func readList(c *claims, raw string) ([]string, error) {
	if raw[0] != '[' {
		return nil, ErrClaims
	}
	if plainList(raw, 0) != len(raw) {
		return jose.StringOrArray([]byte(raw))
	}
	list := c.list(strings.Count(raw, `"`) / 2)
	for at := 1; at < len(raw)-1; {
		end := plainString(raw, at)
		list = append(list, raw[at+1:end-1])
		at = end + 1
	}
	return list, nil
}

// readDate reads whole seconds of this age of the world at once.
func readDate(raw string) (time.Time, error) {
	if len(raw) == 10 {
		if seconds, ok := digits(raw); ok {
			return time.Unix(seconds, 0), nil
		}
	}
	return jose.NumericDate([]byte(raw))
}

// digits reads a number that is nothing but digits and cannot overflow.
func digits(raw string) (n int64, ok bool) {
	if len(raw) > 18 {
		return 0, false
	}
	for i := range len(raw) {
		c := raw[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
