package jose

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of NumericDate: the years a four-digit date can name.
const (
	minDate = -62135596800 // 0001-01-01T00:00:00Z
	maxDate = 253402300799 // 9999-12-31T23:59:59Z
)

// String reads a JSON string. Any other value, null included, is ErrMalformed.
func String(raw []byte) (string, error) {
	inner, err := stringBytes(raw)
	if err != nil {
		return "", err
	}
	return string(inner), nil
}

func stringBytes(raw []byte) ([]byte, error) {
	s := scanner{b: raw}
	if s.peek() != '"' {
		return nil, malformed("not a JSON string")
	}
	inner, escaped, err := s.text()
	if err != nil {
		return nil, err
	}
	if s.i != len(raw) {
		return nil, malformed("data after the JSON value")
	}
	if escaped {
		inner = unescape(inner)
	}
	return inner, nil
}

// StringOrArray reads a JSON string, or an array of nothing but strings, as the
// audience claim may be. An empty array gives an empty slice.
func StringOrArray(raw []byte) ([]string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		one, err := String(raw)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	elements, err := scanArray(raw)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		if list[i], err = String(e); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Bool reads true or false.
func Bool(raw []byte) (bool, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, malformed("not a JSON boolean")
}

// Int64 reads a JSON number written as a whole number that fits. A fraction, an
// exponent, an overflow or null is ErrMalformed: nothing is ever rounded.
func Int64(raw []byte) (int64, error) {
	s := scanner{b: raw}
	if s.number() != nil || s.i != len(raw) {
		return 0, malformed("not a JSON number")
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, malformed("not a whole number in range")
	}
	return n, nil
}

// NumericDate reads seconds since 1970, with an optional fraction or exponent
// (RFC 7519 section 2), exactly to the nanosecond and truncated below it. A value
// outside the years 1 to 9999, any other type or null is ErrMalformed.
func NumericDate(raw []byte) (time.Time, error) {
	s := scanner{b: raw}
	// 64 bytes hold any honest date; a longer one only costs time.
	if len(raw) > 64 || s.number() != nil || s.i != len(raw) {
		return time.Time{}, malformed("not a numeric date")
	}
	digits, point, negative := decimal(raw)
	// point is where the decimal point stands in digits: 12 digits reach the year 9999.
	if point > 12 {
		return time.Time{}, malformed("numeric date out of range")
	}
	seconds := atPlaces(digits, point-12, point)
	nanos := atPlaces(digits, point, point+9)
	if negative {
		seconds, nanos = -seconds, -nanos
	}
	if seconds < minDate || seconds > maxDate {
		return time.Time{}, malformed("numeric date out of range")
	}
	return time.Unix(seconds, nanos), nil
}

// decimal splits a scanned number into its significant digits, the place of the
// decimal point among them (which may lie outside) and its sign.
func decimal(raw []byte) (digits []byte, point int, negative bool) {
	mantissa, negative := bytes.CutPrefix(raw, []byte("-"))
	exponent := 0
	if i := bytes.IndexAny(mantissa, "eE"); i >= 0 {
		var err error
		exponent, err = strconv.Atoi(string(mantissa[i+1:]))
		// Beyond a thousand, 64 digits cannot bring it back into range.
		if err != nil || exponent > 1000 || exponent < -1000 {
			exponent = 1000
			if mantissa[i+1] == '-' {
				exponent = -1000
			}
		}
		mantissa = mantissa[:i]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits = append(append(digits, whole...), fraction...)
	point = len(whole) + exponent
	for len(digits) > 0 && digits[0] == '0' {
		digits, point = digits[1:], point-1
	}
	if len(digits) == 0 {
		return nil, 0, negative
	}
	return digits, point, negative
}

// atPlaces reads digits[from:to] as a number, with zeros where there are none.
func atPlaces(digits []byte, from, to int) int64 {
	var n int64
	for i := from; i < to; i++ {
		n *= 10
		if i >= 0 && i < len(digits) {
			n += int64(digits[i] - '0')
		}
	}
	return n
}

// text reads a string that may stand in a log line: header values and key ids
// with control characters exist only in attacks (RFC 8725 section 3.10).
func text(raw []byte) (string, error) {
	b, err := stringBytes(raw)
	if err != nil {
		return "", err
	}
	switch string(b) { // the two values nearly every header carries
	case "at+jwt":
		return "at+jwt", nil
	case "JWT":
		return "JWT", nil
	}
	s := string(b)
	if s == "" || !plain(s) {
		return "", malformed("unfit header text")
	}
	return s, nil
}

const maxText = 256

// plain reports whether s is short valid UTF-8 without control characters.
func plain(s string) bool {
	if len(s) > maxText {
		return false
	}
	for i, r := range s {
		// A range gives RuneError of one byte for what is no UTF-8.
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// appendQuoted appends plain text as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// appendMember appends a name and plain text, with a comma where one is due.
func appendMember(dst []byte, name, value string) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = appendQuoted(dst, name)
	dst = append(dst, ':')
	return appendQuoted(dst, value)
}
