package httpauth

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/verify"
)

// Options changes what Require does by default. The zero value is good.
type Options struct {
	// Realm stands in WWW-Authenticate: "wafer".
	Realm string
	// IgnoreCookie leaves session cookies alone though the verifier could check them.
	IgnoreCookie bool
	// CrossOrigin judges requests that come with a cookie. The default trusts no origin but the
	// request's own; a page on another origin of the same site needs AddTrustedOrigin.
	CrossOrigin *http.CrossOriginProtection
	// Logger hears of each refusal: slog.Default() at the time.
	Logger *slog.Logger
}

// Auth makes middleware of a verifier. It is safe for concurrent use.
type Auth struct {
	verifier  *verify.Verifier
	challenge string
	cookies   bool
	origins   *http.CrossOriginProtection
	log       *slog.Logger
}

// New makes an Auth. It panics when v is nil: a service that cannot check must not start.
func New(v *verify.Verifier, o Options) *Auth {
	if v == nil {
		panic("httpauth: nil Verifier")
	}
	a := &Auth{
		verifier:  v,
		challenge: "Bearer realm=" + quote(o.Realm, "wafer"),
		cookies:   v.Sessions() && !o.IgnoreCookie,
		origins:   o.CrossOrigin,
		log:       o.Logger,
	}
	if a.origins == nil {
		a.origins = http.NewCrossOriginProtection()
	}
	return a
}

// Require makes middleware with the default options: the next handler runs only
// for a caller whose credential is good and holds every scope.
func Require(v *verify.Verifier, scopes ...string) func(http.Handler) http.Handler {
	return New(v, Options{}).Require(scopes...)
}

// Require makes middleware: the next handler runs only for a caller whose
// credential is good and holds every scope, and finds who it is with From.
// It panics on a scope that no token can hold (RFC 6749 section 3.3).
func (a *Auth) Require(scopes ...string) func(http.Handler) http.Handler {
	scopes = slices.Clone(scopes)
	for _, s := range scopes {
		if !verify.ValidScope(s) {
			panic("httpauth: not a scope: " + quote(s, ""))
		}
	}
	needed := strings.Join(scopes, " ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := a.identify(r)
			if err == nil && !hasAll(id, scopes) {
				err = verify.ErrScope
			}
			if err != nil {
				a.refuse(w, r, refused{err: err, scope: needed})
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
		})
	}
}

type identityKey struct{}

// From gives who is calling, in a handler behind Require; false anywhere else.
func From(ctx context.Context) (*verify.Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*verify.Identity)
	return id, ok
}

// identify finds the one credential and has it verified.
func (a *Auth) identify(r *http.Request) (*verify.Identity, error) {
	token, found, err := bearer(r.Header)
	if err != nil {
		return nil, err
	}
	if found {
		return a.verifier.Token(r.Context(), token)
	}
	if !a.cookies {
		return nil, verify.ErrNoCredential
	}
	cookie, err := sessionCookie(r.Header)
	if err != nil {
		return nil, err
	}
	if cookie == "" {
		return nil, verify.ErrNoCredential
	}
	if err := a.sameOrigin(r); err != nil {
		return nil, err
	}
	return a.verifier.Session(r.Context(), cookie)
}

// sameOrigin guards what a browser sends by itself: the cookie goes along with
// requests the user never meant to make.
func (a *Auth) sameOrigin(r *http.Request) error {
	if opensWebSocket(r) {
		// A handshake is a GET, but what it opens is written to (cross-site WebSocket hijacking).
		unsafe := *r
		unsafe.Method = http.MethodPost
		r = &unsafe
	}
	if a.origins.Check(r) != nil {
		return verify.ErrCrossOrigin
	}
	return nil
}

func opensWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true // RFC 8441
	}
	for _, line := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

func hasAll(id *verify.Identity, scopes []string) bool {
	for _, s := range scopes {
		if !id.HasScope(s) {
			return false
		}
	}
	return true
}
