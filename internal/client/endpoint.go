package client

import (
	"net/url"
	"strconv"

	"github.com/wafer-auth/wafer/internal/fault"
)

// CheckEndpoint returns nil for an address that the server may be asked to post to:
// https, or http on loopback, without user, fragment or anything that two readers
// could read differently. What it leads to is looked at when it is posted to.
func CheckEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || !u.IsAbs() || u.User != nil || u.Opaque != "" || !plain(raw) {
		return fault.New(fault.Invalid, "The address "+strconv.QuoteToASCII(raw)+" must be absolute and plain ASCII, without fragment, user, backslash or space.")
	}
	if u.Hostname() == "" || u.Port() != "" && !isPort(u.Port()) {
		return fault.New(fault.Invalid, "The address "+raw+" has no host, or a port that is none.")
	}
	if u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()) {
		return nil
	}
	return fault.New(fault.Invalid, "The address "+raw+" must use https, or http on loopback.")
}

// checkBackchannel checks what OpenID Connect Back-Channel Logout 1.0 section 2.2
// has a client register.
func (c Client) checkBackchannel() error {
	if c.BackchannelLogoutURI == "" {
		if c.BackchannelLogoutSession {
			return invalid(c.ID, "backchannel_logout_session_required needs backchannel_logout_uri")
		}
		return nil
	}
	if CheckEndpoint(c.BackchannelLogoutURI) != nil {
		return invalid(c.ID, "backchannel_logout_uri "+strconv.QuoteToASCII(c.BackchannelLogoutURI)+
			" must be absolute, https or http on loopback, plain ASCII, without fragment or user")
	}
	return nil
}
