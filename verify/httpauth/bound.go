package httpauth

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/bound"
)

// Elsewhere says what to do with a credential that is bound to a network or a
// device (package bound).
type Elsewhere int

const (
	// JudgeElsewhere goes by what the credential says. It is the default.
	JudgeElsewhere Elsewhere = iota
	// IgnoreElsewhere is for services that other services call: what they see
	// of a caller is not where the person is.
	IgnoreElsewhere
)

// checkElsewhere compares where a request comes from with what its credential is
// bound to.
func (a *Auth) checkElsewhere(r *http.Request, id *verify.Identity) error {
	if a.elsewhere == IgnoreElsewhere || id.Binding.IsZero() {
		return nil
	}
	v := id.Binding.Check(id.SessionID, bound.Seen{
		Address: a.address(r), Agent: r.UserAgent(), Language: r.Header.Get("Accept-Language"),
	})
	switch v.Mode {
	case bound.Off:
		return nil
	case bound.Report:
		a.logger().LogAttrs(r.Context(), slog.LevelWarn, "credential used elsewhere", slog.String("sid", id.SessionID),
			slog.Bool("network", v.Network), slog.Bool("device", v.Device), slog.String("method", r.Method), slog.String("path", r.URL.Path))
		return nil
	case bound.StepUp:
		return verify.ErrStepUp
	}
	return verify.ErrElsewhere
}

// RemoteAddress is the address of the connection: who calls a service that no
// proxy stands in front of.
func RemoteAddress(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// BehindProxies makes an Options.Address for a service behind proxies in these
// networks: the last address of X-Forwarded-For that is not of one of them. What
// anybody else writes there is not believed. It is invalid when that cannot be
// read.
func BehindProxies(networks ...netip.Prefix) func(*http.Request) netip.Addr {
	networks = slices.Clone(networks)
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) netip.Addr {
		at := RemoteAddress(r)
		if !trusted(at) {
			return at
		}
		for _, hop := range slices.Backward(strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")) {
			next, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				return netip.Addr{}
			}
			if at = next.Unmap().WithZone(""); !trusted(at) {
				return at
			}
		}
		return at
	}
}

// RequireOnce is Require for a route on which a token counts once: a payment, a
// deletion. Of any number of times that a token is shown, at any number of
// services, one is served; the others get 401, with the reason token_revoked. It
// asks the issuer each time, after everything else was checked. A session cookie
// is refused: it is meant to be shown again.
func (a *Auth) RequireOnce(scopes ...string) func(http.Handler) http.Handler {
	return a.require(scopes, func(r *http.Request, _ *verify.Identity) error {
		c, err := a.credential(r.Header)
		if err != nil {
			return err
		}
		token := c.bearer + c.token // one of them
		if token == "" {
			return verify.ErrType
		}
		// What it is bound to was proved a moment ago, and the proof counts once.
		_, err = a.verifier.BoundOnce(r.Context(), token, func(verify.Confirmation) error { return nil })
		return err
	})
}
