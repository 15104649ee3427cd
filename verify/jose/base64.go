package jose

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// EncodeSegment returns b as base64url without padding.
func EncodeSegment(b []byte) string {
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeSegment decodes canonical base64url without padding. Every string that
// it accepts is exactly what EncodeSegment gives for the result; anything else,
// padding, line breaks and stray trailing bits included, is ErrMalformed.
func DecodeSegment(s string) ([]byte, error) {
	b := make([]byte, decodedLen(s))
	if !decodeSegment(b, s) {
		return nil, errSegment()
	}
	return b, nil
}

func errSegment() error { return malformed("not canonical base64url") }

func decodedLen(s string) int { return base64.RawURLEncoding.DecodedLen(len(s)) }

// decodeSegment fills dst, which is decodedLen(s) long, and reports whether s was
// canonical.
//
// encoding/base64 will not do: even when strict it skips CR and LF, so that a
// token has many spellings. Here every byte is looked up and must be in the
// alphabet.
func decodeSegment(dst []byte, s string) bool {
	// bad gathers the marks of bytes outside the alphabet, for one check at the end.
	var bad uint32
	t := &sextets
	for len(s) >= 8 && len(dst) >= 8 {
		high := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		low := t[0][s[4]] | t[1][s[5]] | t[2][s[6]] | t[3][s[7]]
		bad |= high | low
		// Eight bytes are written, of which the last two are the next ones' place.
		binary.BigEndian.PutUint64(dst, uint64(high)<<40|uint64(low)<<16)
		s, dst = s[8:], dst[6:]
	}
	for len(s) >= 4 && len(dst) >= 3 {
		group := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		bad |= group
		dst[0], dst[1], dst[2] = byte(group>>16), byte(group>>8), byte(group)
		s, dst = s[4:], dst[3:]
	}
	// What is left of a group is one or two bytes, and bits that belong to none.
	switch len(s) {
	case 1:
		return false
	case 2:
		group := t[0][s[0]] | t[1][s[1]]
		bad |= group | group<<16
		dst[0] = byte(group >> 16)
	case 3:
		group := t[0][s[0]] | t[1][s[1]] | t[2][s[2]]
		bad |= group | group<<24
		dst[0], dst[1] = byte(group>>16), byte(group>>8)
	}
	return bad&outside == 0
}

// decodeText decodes s into a string, through a window on the stack: a string made
// from a slice would be a second allocation.
func decodeText(s string) (string, bool) {
	var window [240]byte
	const step = len(window) / 3 * 4
	var text strings.Builder
	text.Grow(decodedLen(s))
	for len(s) > step {
		if !decodeSegment(window[:], s[:step]) {
			return "", false
		}
		text.Write(window[:])
		s = s[step:]
	}
	rest := window[:decodedLen(s)]
	if !decodeSegment(rest, s) {
		return "", false
	}
	text.Write(rest)
	return text.String(), true
}

// outside marks, in bits that a group of four sextets does not use, a byte that is
// not in the alphabet.
const outside = 0xFF000000

// sextets gives the value of a byte, shifted to each of the four places in a group.
var sextets = sextetTables("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

func sextetTables(alphabet string) (tables [4][256]uint32) {
	for place := range tables {
		for i := range tables[place] {
			tables[place][i] = outside
		}
		for i := range len(alphabet) {
			tables[place][alphabet[i]] = uint32(i) << (18 - 6*place)
		}
	}
	return tables
}
