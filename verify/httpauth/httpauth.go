package httpauth

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
)

// Options changes what Require does by default. The zero value is good.
type Options struct {
	// Realm stands in WWW-Authenticate: "wafer".
	Realm string
	// IgnoreCookie leaves session cookies alone though the verifier could check them.
	IgnoreCookie bool
	// TokenCookie is the name of a cookie that holds an access token; "" takes none. It must
	// begin with __Host-Http- or __Host-. SetTokenCookie sets it.
	TokenCookie string
	// Origins are those of further pages that may use the service with its cookies, as Wafer has
	// them for the client: https://shop.example. The default trusts no origin but the request's
	// own. CORS goes by the same list.
	Origins []string
	// Headers are further request headers that those pages may send.
	Headers []string
	// SignIn is the URL of Wafer's sign-in page with the client to return to, such as
	// https://id.example/login?client_id=shop-web. People who are not signed in are sent there;
	// scripts get it as a hint with their 401. The default sends nobody anywhere. It needs Base.
	SignIn string
	// Base is the URL at which browsers and clients reach this service, such as https://shop.example;
	// with a path when a proxy in front takes that path away. It must lie in an origin of the client.
	// Tokens that are bound to a key by DPoP (RFC 9449) are taken only with it: the proof names the
	// address, and the Host header is whatever the caller writes.
	Base string
	// Certificate gives the certificate by which the caller proved itself to a proxy in front (RFC
	// 8705), nil for none: what anybody else writes into a header must not count. The default is
	// that of the connection.
	Certificate func(*http.Request) *x509.Certificate
	// Replays remembers proofs. The default is one in memory: a proof counts once in this process,
	// and one from before it started does not count (dpop.Seen).
	Replays dpop.Replays
	// ProofNonces, at least 32 random bytes that all nodes share, has proofs carry a nonce of the
	// service (RFC 9449 section 9): then none can be made in advance. The default asks for none.
	ProofNonces []byte
	// Now is the clock that proofs and MaxAge are compared with: time.Now.
	Now func() time.Time
	// Metadata is the address of the service's protected resource metadata, for challenges (RFC 9728
	// section 5.1). See ResourceMetadata.
	Metadata string
	// Address tells where the person's machine is, for credentials that are bound to a network.
	// The default is RemoteAddress; behind a proxy use BehindProxies.
	Address func(*http.Request) netip.Addr
	// Elsewhere says what becomes of a credential that is used from elsewhere than it is bound to.
	Elsewhere Elsewhere
	// Logger hears of each refusal: slog.Default() at the time.
	Logger *slog.Logger
}

// Auth makes middleware of a verifier. It is safe for concurrent use.
type Auth struct {
	verifier    *verify.Verifier
	challenge   string // the realm
	metadata    string // parameter of every challenge, "" for none
	cookies     bool
	tokenCookie string
	heavy       sync.Once // the size of the token cookie was warned of
	origins     origins
	headers     []string
	signIn      string
	base        string
	own         string // the origin of base
	address     func(*http.Request) netip.Addr
	elsewhere   Elsewhere
	certificate func(*http.Request) *x509.Certificate
	possession  *verify.Possession
	now         func() time.Time
	log         *slog.Logger
}

// New makes an Auth. It panics when v is nil and on options that cannot be meant: a
// service that cannot check must not start.
func New(v *verify.Verifier, o Options) *Auth {
	if v == nil {
		panic("httpauth: nil Verifier")
	}
	a := &Auth{
		verifier:    v,
		challenge:   "realm=" + quote(o.Realm, "wafer"),
		cookies:     v.Sessions() && !o.IgnoreCookie,
		tokenCookie: tokenCookie(o.TokenCookie),
		origins:     originsOf(o.Origins),
		headers:     headerNames(o.Headers),
		address:     o.Address,
		elsewhere:   o.Elsewhere,
		certificate: o.Certificate,
		possession:  possession(o),
		now:         o.Now,
		log:         o.Logger,
	}
	if a.address == nil {
		a.address = RemoteAddress
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.certificate == nil {
		a.certificate = connectionCertificate
	}
	a.prepareSignIn(o)
	if o.Metadata != "" {
		place("Metadata", o.Metadata)
		a.metadata = `, resource_metadata=` + quote(o.Metadata, "")
	}
	return a
}

func (a *Auth) logger() *slog.Logger {
	if a.log == nil {
		return slog.Default()
	}
	return a.log
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
	return a.require(scopes, func(*http.Request, *verify.Identity) error { return nil })
}

// require makes middleware. last is asked when all else is well.
func (a *Auth) require(scopes []string, last func(*http.Request, *verify.Identity) error) func(http.Handler) http.Handler {
	scopes = slices.Clone(scopes)
	for _, s := range scopes {
		if !verify.ValidScope(s) {
			panic("httpauth: not a scope: " + quote(s, ""))
		}
	}
	needed := strings.Join(scopes, " ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := a.credential(r.Header)
			var id *verify.Identity
			if err == nil {
				id, err = a.identify(r, c)
			}
			if err == nil && !hasAll(id, scopes) {
				err = verify.ErrScope
			}
			if err == nil {
				err = a.checkElsewhere(r, id)
			}
			if err == nil {
				err = last(r, id)
			}
			if err != nil {
				a.refuse(w, r, refused{err: err, scope: needed, scheme: c.scheme})
				return
			}
			if a.tidy(w, r) {
				return
			}
			if c.scheme == verify.SchemeDPoP {
				a.nextNonce(w.Header())
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

// Stream gives a context that ends when the credential of a request behind Require
// does, as verify.Verifier.Follow has it: for WebSockets, event streams and whatever
// else outlives the check. stop must be called. It panics in a handler that is not
// behind Require.
func (a *Auth) Stream(r *http.Request) (ctx context.Context, stop func()) {
	id, ok := From(r.Context())
	if !ok {
		panic("httpauth: Stream of a request that did not pass Require")
	}
	return a.verifier.Follow(r.Context(), id)
}

// identify has the one credential verified.
func (a *Auth) identify(r *http.Request, c credential) (*verify.Identity, error) {
	if c.bearer != "" {
		shown := a.shown(r, c)
		if shown.Scheme == verify.SchemeBearer && shown.Certificate == nil {
			return a.verifier.Token(r.Context(), c.bearer) // it proves nothing: what is bound is refused
		}
		return a.verifier.Bound(r.Context(), c.bearer, a.possession.Prove(r.Context(), shown))
	}
	if err := a.sameOrigin(r); err != nil {
		return nil, err
	}
	if c.token != "" {
		return a.verifier.Token(r.Context(), c.token)
	}
	return a.verifier.Session(r.Context(), c.session)
}

func hasAll(id *verify.Identity, scopes []string) bool {
	for _, s := range scopes {
		if !id.HasScope(s) {
			return false
		}
	}
	return true
}
