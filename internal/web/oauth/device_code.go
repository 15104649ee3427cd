package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// deviceCode answers a device that polls (RFC 8628 section 3.4).
func (s *Surface) deviceCode(r *http.Request, c call) (grant.Tokens, error) {
	code := c.form["device_code"]
	if code == "" {
		return grant.Tokens{}, refuse(grant.InvalidRequest, "device_code is missing.")
	}
	return s.Grants.RedeemDevice(r.Context(), c.client, grant.DevicePoll{Code: code, Proof: c.proof, Seen: middleware.Seen(r)})
}
