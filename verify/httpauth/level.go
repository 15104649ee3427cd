package httpauth

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// Level is how the person behind a credential must have signed in (RFC 9470). The
// zero value asks for nothing.
type Level struct {
	// ACR are the contexts of authentication that will do, best first; nil: any.
	ACR []string
	// MaxAge is how long ago the sign-in may be; zero: any time.
	MaxAge time.Duration
}

// RequireLevel is Require for a route that wants a recent or a strong sign-in: a change
// of address, a payment. Whoever has a good credential of another sign-in gets 401
// insufficient_user_authentication, with what to ask the issuer for. A credential that
// does not say how or when its person signed in, such as a client's own token, is
// refused. It panics on a Level that cannot be meant.
func (a *Auth) RequireLevel(l Level, scopes ...string) func(http.Handler) http.Handler {
	for _, acr := range l.ACR {
		if !verify.ValidScope(acr) { // they stand side by side, like scopes
			panic("httpauth: not an authentication context: " + quote(acr, ""))
		}
	}
	if l.MaxAge < 0 || l.MaxAge%time.Second != 0 {
		panic("httpauth: Level.MaxAge is in whole seconds and not negative")
	}
	l.ACR = slices.Clone(l.ACR)
	return a.require(scopes, func(_ *http.Request, id *verify.Identity) error { return l.check(id, a.now()) })
}

func (l Level) check(id *verify.Identity, now time.Time) error {
	old := l.MaxAge > 0 && (id.AuthTime.IsZero() || now.Sub(id.AuthTime) > l.MaxAge)
	if old || l.ACR != nil && (id.ACR == "" || !slices.Contains(l.ACR, id.ACR)) {
		return &tooLow{l}
	}
	return nil
}

// tooLow is ErrStepUp with what would do.
type tooLow struct{ wanted Level }

func (*tooLow) Error() string { return verify.ErrStepUp.Error() }
func (*tooLow) Unwrap() error { return verify.ErrStepUp }

// stepUp are the parameters of the challenge (RFC 9470 section 3).
func stepUp(err error) string {
	var low *tooLow
	if !errors.As(err, &low) {
		return `, max_age="0"` // used elsewhere: a fresh sign-in, however lately the last one was
	}
	params := ""
	if low.wanted.ACR != nil {
		params = `, acr_values="` + strings.Join(low.wanted.ACR, " ") + `"`
	}
	if low.wanted.MaxAge > 0 {
		params += `, max_age="` + strconv.FormatInt(int64(low.wanted.MaxAge/time.Second), 10) + `"`
	}
	return params
}
