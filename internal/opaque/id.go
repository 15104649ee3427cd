package opaque

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// The prefixes of our identifiers. A prefix keeps the name spaces apart: a
// client's id never looks like a user's (RFC 9068 section 5).
const (
	UserID    = "usr"
	SessionID = "ses"
	GrantID   = "gra"
	KeyID     = "key"
	TokenID   = "tok"
	ClientID  = "cli" // of clients that register themselves
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// ID returns prefix, an underscore and 26 characters: 48 bits of milliseconds
// and 80 random bits, so that ids sort by age. An id is not a secret.
func ID(prefix string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	var out [26]byte
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return prefix + "_" + string(out[:])
}

// IsID reports whether s has the form that ID(prefix, ...) gives.
func IsID(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != 26 || rest[0] > '7' {
		return false
	}
	for i := range len(rest) {
		if strings.IndexByte(crockford, rest[i]) < 0 {
			return false
		}
	}
	return true
}

// Secret returns 256 random bits as 43 characters of base64url.
func Secret() string {
	return Text(32)
}

// Text returns n random bytes as base64url without padding.
func Text(n int) string {
	var raw [32]byte
	var text [43]byte
	if n > len(raw) {
		return base64.RawURLEncoding.EncodeToString(Bytes(n))
	}
	rand.Read(raw[:n])
	base64.RawURLEncoding.Encode(text[:], raw[:n])
	return string(text[:base64.RawURLEncoding.EncodedLen(n)])
}

// Bytes returns n random bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
