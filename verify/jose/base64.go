package jose

import "encoding/base64"

// EncodeSegment returns b as base64url without padding.
func EncodeSegment(b []byte) string {
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeSegment decodes canonical base64url without padding. Every string that
// it accepts is exactly what EncodeSegment gives for the result; anything else,
// padding, line breaks and stray trailing bits included, is ErrMalformed.
func DecodeSegment(s string) ([]byte, error) {
	return appendSegment(nil, []byte(s))
}

// appendSegment appends the decoded segment to dst.
//
// encoding/base64 will not do: even when strict it skips CR and LF, so that a
// token has many spellings. Here every byte is looked up and must be in the
// alphabet.
func appendSegment(dst, segment []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, base64.RawURLEncoding.DecodedLen(len(segment)))...)
	out := dst[start:]
	// bad gathers the marks of bytes outside the alphabet, for one check at the end.
	var bad byte
	table := &sextets
	for len(segment) >= 4 && len(out) >= 3 {
		in := (*[4]byte)(segment) // one bounds check for four bytes
		a, b, c, d := table[in[0]], table[in[1]], table[in[2]], table[in[3]]
		bad |= a | b | c | d
		out[0], out[1], out[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		segment, out = segment[4:], out[3:]
	}
	switch len(segment) {
	case 1:
		bad = outside
	case 2:
		a, b := sextets[segment[0]], sextets[segment[1]]
		bad |= a | b
		if b&0x0f != 0 { // bits that belong to no byte
			bad = outside
		}
		out[0] = a<<2 | b>>4
	case 3:
		a, b, c := sextets[segment[0]], sextets[segment[1]], sextets[segment[2]]
		bad |= a | b | c
		if c&0x03 != 0 {
			bad = outside
		}
		out[0], out[1] = a<<2|b>>4, b<<4|c>>2
	}
	if bad&outside != 0 {
		return nil, malformed("not canonical base64url")
	}
	return dst, nil
}

// outside marks, in the two bits a sextet does not use, a byte that is not in the
// alphabet.
const outside = 0xC0

var sextets = sextetTable("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

func sextetTable(alphabet string) (table [256]byte) {
	for i := range table {
		table[i] = outside
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}
