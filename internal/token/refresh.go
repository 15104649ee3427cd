package token

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/opaque"
)

const refreshPrefix = "wrt_"

// RefreshKey makes and checks refresh tokens. A token is the grant's id, its
// generation, and a code over both: the successor of a token is a function of
// it (R2), so that a replay within the window gives the same bytes again, and
// nothing secret is stored for each grant.
type RefreshKey struct{ key *opaque.Key }

// NewRefreshKey takes the key derived for refresh tokens.
func NewRefreshKey(k *opaque.Key) RefreshKey { return RefreshKey{key: k} }

// Encode returns the refresh token of a generation.
func (r RefreshKey) Encode(grantID string, gen uint32) string {
	body := refreshPrefix + grantID + "." + strconv.FormatUint(uint64(gen), 10)
	return body + "." + r.code(body)
}

func (r RefreshKey) code(body string) string {
	mac := r.key.MAC("refresh token", body)
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// Decode returns the grant and generation of a token that Encode made. A token
// with any byte changed, added or left out is not ok.
func (r RefreshKey) Decode(t string) (grantID string, gen uint32, ok bool) {
	if !IsRefresh(t) || len(t) > 128 {
		return "", 0, false
	}
	id, rest, _ := strings.Cut(strings.TrimPrefix(t, refreshPrefix), ".")
	n, _, found := strings.Cut(rest, ".")
	if !found || !opaque.IsID(opaque.GrantID, id) {
		return "", 0, false
	}
	v, err := strconv.ParseUint(n, 10, 32)
	if err != nil || v == 0 {
		return "", 0, false
	}
	// Comparing the whole canonical text refuses every other spelling too.
	want, got := opaque.Hash(r.Encode(id, uint32(v))), opaque.Hash(t)
	if !want.Equal(got) {
		return "", 0, false
	}
	return id, uint32(v), true
}

// IsRefresh reports whether t claims to be a refresh token.
func IsRefresh(t string) bool { return strings.HasPrefix(t, refreshPrefix) }
