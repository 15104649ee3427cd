package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// CookieName is the session cookie's name. The prefix makes browsers refuse it
// unless it is Secure, HttpOnly, set by a response header and bound to one host.
const CookieName = "__Host-Http-wafer"

const (
	defaultLeeway      = 10 * time.Second
	maxLeeway          = time.Minute
	defaultMaxLifetime = 24 * time.Hour
	defaultTokenBytes  = 8 << 10
)

// Policy says what happens to a credential while nothing proves that it has not been
// revoked: there is no Feed, or it is cut off for longer than its lease.
type Policy int

// The policies. Session cookies and opaque tokens that are seen for the first time are
// asked about under each of them.
const (
	// Degrade asks the server, and refuses with ErrUnavailable when it cannot.
	Degrade Policy = iota
	// Strict never rests on anything stale: it refuses with ErrStale. Without a Feed it
	// asks the server about every credential.
	Strict
	// Open accepts what is valid by itself: a revocation is felt when the feed is back, or
	// the token expires.
	Open
)

// String gives the policy's name as the configuration spells it.
func (p Policy) String() string {
	switch p {
	case Degrade:
		return "degrade"
	case Strict:
		return "strict"
	case Open:
		return "open"
	}
	return fmt.Sprintf("policy(%d)", int(p))
}

// KeySet finds the issuer's keys. Key gives the key of this id bound to this
// algorithm; with an empty id, the only key of that algorithm. When there is
// none the error matches ErrKeyUnknown; when the keys cannot be had at all it
// matches ErrUnavailable. Package jwks has the remote one, StaticKeys the fixed one.
type KeySet interface {
	Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error)
}

// VersionedKeySet is a KeySet that tells when it changes: only with one of those are
// verified tokens remembered. Version is the same as long as every key that Key
// would give at now is; 0 when nobody can tell. It must be fast, and keep the set
// fresh: a remembered token does not ask for its key.
type VersionedKeySet interface {
	KeySet
	Version(now time.Time) uint64
}

// AnnouncedKeySet is a KeySet that can be told which version the issuer's key set has:
// a Feed says so with every lease, and a new key is known before a token shows it.
// Announced must not block, and may be called with anything: what it causes must be bounded.
type AnnouncedKeySet interface {
	KeySet
	Announced(version string)
}

// Config is what a verifier must know. What safety rests on has no default.
type Config struct {
	// Issuer is compared with iss byte for byte. Required.
	Issuer string
	// Audience is this API's identifier; aud must name it exactly. Required.
	Audience string
	// Algorithms are the only ones accepted. Required with Keys.
	Algorithms []jose.Algorithm
	// Keys verifies JWTs. Without it, only what Server answers for is accepted.
	Keys KeySet
	// Decrypt opens encrypted tokens, for an API whose format is jwe; the first key that
	// opens a token is used. When set, a token that is only signed is refused.
	Decrypt []*jose.DecryptionKey
	// Server is asked about session cookies, opaque tokens and, by Stale, about JWTs.
	Server *Server
	// Feed tells what was taken back, so that neither a token nor a known session has to be
	// asked about. Its Run must be called. Without it, Stale decides about every credential.
	Feed *revocation.Feed
	// Stale is what happens while the feed is cut off. It is Degrade unless set; Degrade needs
	// Server, and so does Strict without Feed.
	Stale Policy
	// CacheSize is how many verified credentials are remembered: 65,536. A negative one: none.
	// Four times as many as are in use at once are enough; see the package comment.
	CacheSize int
	// Leeway is granted on exp, nbf and iat for clocks that differ: 10 s, at most one minute.
	// It cannot be switched off by zero; use a nanosecond if you must.
	Leeway time.Duration
	// MaxLifetime refuses tokens whose exp is further from iat: 24 h.
	MaxLifetime time.Duration
	// MaxTokenBytes refuses longer tokens before looking inside: 8 KiB.
	MaxTokenBytes int
	// Now is the clock: time.Now.
	Now func() time.Time
	// Logger hears when the issuer goes away and comes back, not of single refusals: slog.Default().
	Logger *slog.Logger
}

// Verifier checks credentials for one API. It is safe for concurrent use.
type Verifier struct {
	issuer, audience    string
	audiences           []string // audience alone: shared by the identities that have no other
	algorithms          []jose.Algorithm
	keys                KeySet
	decrypt             []*jose.DecryptionKey
	server              *Server
	stale               Policy
	feed                *revocation.Feed
	versions            VersionedKeySet // nil: keys are not to be relied on for longer than one token
	cache               *cache          // nil: nothing is remembered
	breaker             *breaker
	counts              *counts
	leeway, maxLifetime time.Duration
	limits              jose.Limits
	headers             *jose.Headers
	now                 func() time.Time
	log                 *slog.Logger
}

// New makes a verifier, or tells everything that is wrong with the configuration at once.
func New(c Config) (*Verifier, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{
		issuer: c.Issuer, audience: c.Audience,
		audiences: []string{c.Audience},
		keys:      c.Keys, decrypt: slices.Clone(c.Decrypt),
		headers: &jose.Headers{}, server: c.Server, stale: c.Stale, feed: c.Feed, breaker: &breaker{}, counts: &counts{},
		leeway: c.Leeway, maxLifetime: c.MaxLifetime,
		limits: jose.Limits{Token: c.MaxTokenBytes},
		now:    c.Now, log: c.Logger,
	}
	for _, a := range c.Algorithms {
		v.algorithms = append(v.algorithms, canonical(a))
	}
	v.versions, _ = c.Keys.(VersionedKeySet)
	if announced, ok := c.Keys.(AnnouncedKeySet); ok && c.Feed != nil {
		c.Feed.OnKeySet(announced.Announced)
	}
	if c.CacheSize >= 0 {
		v.cache = newCache(c.CacheSize)
	}
	if v.leeway == 0 {
		v.leeway = defaultLeeway
	}
	if v.maxLifetime == 0 {
		v.maxLifetime = defaultMaxLifetime
	}
	if v.limits.Token == 0 {
		v.limits.Token = defaultTokenBytes
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	return v, nil
}

// Under returns the same verifier, with the same cache and feed, under another
// policy: for routes that can bear more or less than the rest. It panics when
// Config would have refused the policy.
func (v *Verifier) Under(p Policy) *Verifier {
	if p != Open && p != Strict && p != Degrade || p == Degrade && v.server == nil || p == Strict && v.server == nil && v.feed == nil {
		panic("verify: policy " + p.String() + " is not for this verifier")
	}
	other := *v
	other.stale = p
	return &other
}

// Audience is the API identifier this verifier was made for.
func (v *Verifier) Audience() string { return v.audience }

// Sessions reports whether the verifier has a server to ask about session cookies.
func (v *Verifier) Sessions() bool { return v.server != nil }

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("verify: "+format, args...)) }
	if c.Issuer == "" {
		bad("Issuer is empty: set it to the issuer's URL exactly as it stands in iss")
	}
	if c.Audience == "" {
		bad("Audience is empty: set it to this API's identifier")
	}
	if c.Keys == nil && c.Server == nil {
		bad("neither Keys nor Server is set: nothing could be verified")
	}
	if len(c.Algorithms) == 0 && (c.Keys != nil || c.Server == nil) {
		bad("Algorithms is empty: name the algorithm of this API's tokens")
	}
	if len(c.Algorithms) > 0 && c.Keys == nil {
		bad("Algorithms is set but Keys is not")
	}
	for _, a := range c.Algorithms {
		if !a.Valid() {
			bad("algorithm %q is not supported", string(a))
		}
	}
	if slices.Contains(c.Decrypt, nil) {
		bad("Decrypt holds a nil key")
	}
	switch c.Stale {
	case Open:
	case Degrade, Strict:
		if c.Server == nil && (c.Stale == Degrade || c.Feed == nil) {
			bad("Stale is %s, which needs Server; without one it must be set to Open", c.Stale)
		}
	default:
		bad("Stale is %s, which is no policy", c.Stale)
	}
	if c.Server != nil && c.Server.issuer != "" && c.Issuer != "" && c.Server.issuer != c.Issuer {
		bad("Server is of issuer %q, not of Issuer %q", c.Server.issuer, c.Issuer)
	}
	if c.Feed != nil && c.Issuer != "" && c.Feed.Issuer() != strings.TrimSuffix(c.Issuer, "/") {
		bad("Feed is of issuer %q, not of Issuer %q", c.Feed.Issuer(), c.Issuer)
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		bad("Leeway is %s: it must be between 0 and %s", c.Leeway, maxLeeway)
	}
	if c.MaxLifetime < 0 {
		bad("MaxLifetime is %s: it must not be negative", c.MaxLifetime)
	}
	if c.MaxTokenBytes < 0 {
		bad("MaxTokenBytes is %d: it must not be negative", c.MaxTokenBytes)
	}
	return errors.Join(errs...)
}

// canonical gives the two names of Ed25519 one value (RFC 9864 section 2.2).
func canonical(a jose.Algorithm) jose.Algorithm {
	if a == jose.Ed25519 {
		return jose.EdDSA
	}
	return a
}
