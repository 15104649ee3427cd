package token

import (
	"encoding/base64"
	"strings"

	"github.com/wafer-auth/wafer/internal/opaque"
)

const codePrefix = "wac_"

// codePlace keeps codes from being anything else that is sealed with the same key.
const codePlace = "authorization code"

// CodeKey makes and reads authorization codes. A code is the id of its grant,
// sealed under a fresh nonce: it holds 128 random bits and more, says nothing, and
// nothing secret is stored for it.
type CodeKey struct{ key *opaque.Key }

// NewCodeKey takes the key derived for authorization codes.
func NewCodeKey(k *opaque.Key) CodeKey { return CodeKey{key: k} }

// Encode returns a code for a grant.
func (c CodeKey) Encode(grantID string) string {
	return codePrefix + base64.RawURLEncoding.EncodeToString(c.key.Seal([]byte(grantID), codePlace))
}

// Decode returns the grant of a code that Encode made. A code with any byte changed,
// added or left out is not ok.
func (c CodeKey) Decode(code string) (grantID string, ok bool) {
	text, ok := strings.CutPrefix(code, codePrefix)
	if !ok || len(text) > 200 {
		return "", false
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(box) != text {
		return "", false
	}
	id, err := c.key.Open(box, codePlace)
	if err != nil || !opaque.IsID(opaque.GrantID, string(id)) {
		return "", false
	}
	return string(id), true
}
