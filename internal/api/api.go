package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Management is the id of the built-in API of the server itself. Its audience
// is the issuer followed by ManagementPath.
const (
	Management     = "management"
	ManagementPath = "/api/v1"
)

// Userinfo is the id of the built-in API that tells applications who somebody is
// (OpenID Connect Core section 5.3). Its audience is the issuer followed by
// UserinfoPath. Its scopes are those of package oidc, and need no role: they are
// about the person alone.
const (
	Userinfo     = "userinfo"
	UserinfoPath = "/oauth/userinfo"
)

// BuiltIn reports whether id names an API of the server itself.
func BuiltIn(id string) bool { return id == Management || id == Userinfo }

// ManagementScopes are the scopes of the built-in API.
var ManagementScopes = []string{
	"apis:read", "apis:write", "audit:read", "clients:read", "clients:write", "feed:read", "keys:read", "keys:write",
	"roles:read", "roles:write", "sessions:check", "sessions:read", "sessions:revoke", "ssf:manage", "ssf:read", "users:read", "users:write",
}

// Format is the shape of an API's access tokens.
type Format string

// The formats.
const (
	JWT    Format = "jwt"    // signed (RFC 9068)
	JWE    Format = "jwe"    // signed, then encrypted to the API's key
	Opaque Format = "opaque" // a random handle, understood by introspection only
)

// Stale says what a verifier does when it cannot know of the latest revocations.
type Stale string

// The policies.
const (
	Strict  Stale = "strict"
	Degrade Stale = "degrade"
	Open    Stale = "open"
)

// The bounds of an access token's lifetime.
const (
	DefaultLifetime = 5 * time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Encrypt names the recipient of encrypted tokens.
type Encrypt struct {
	Alg string          // RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW
	Enc string          // A256GCM
	JWK json.RawMessage // the API's public key
}

// Token says how the access tokens of an API are made.
type Token struct {
	Format   Format
	Alg      jose.Algorithm // also for Opaque, so that the format can change live
	Lifetime time.Duration
	Encrypt  *Encrypt // for JWE only
	// StatusList says that tokens name their place in a status list, for
	// verifiers that do not follow our revocations. Not for Opaque: it has no
	// claims to be read.
	StatusList bool
}

// API is one protected service. ID is the audience, except for Management.
type API struct {
	ID        string
	Name      string
	Token     Token
	Scopes    []string
	Stale     Stale
	Disabled  bool
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 // 1 when added
}

// Audience returns what stands in aud for this API.
func (a API) Audience(issuer string) string {
	switch a.ID {
	case Management:
		return issuer + ManagementPath
	case Userinfo:
		return issuer + UserinfoPath
	}
	return a.ID
}

// Named returns the id of the API that goes by a name: its id, or the audience of a
// built-in one.
func Named(issuer, name string) string {
	switch name {
	case issuer + ManagementPath:
		return Management
	case issuer + UserinfoPath:
		return Userinfo
	}
	return name
}

// Has reports whether the API knows the scope.
func (a API) Has(scope string) bool { return slices.Contains(a.Scopes, scope) }

// WithDefaults fills what was left empty: jwt, EdDSA, 5 minutes, degrade.
func (a API) WithDefaults() API {
	if a.Token.Format == "" {
		a.Token.Format = JWT
	}
	if a.Token.Alg == "" {
		a.Token.Alg = jose.EdDSA
	}
	if a.Token.Lifetime == 0 {
		a.Token.Lifetime = DefaultLifetime
	}
	if a.Stale == "" {
		a.Stale = Degrade
	}
	if a.Name == "" {
		a.Name = a.ID
	}
	return a
}

// Check returns nil, or a fault naming the first thing wrong with the API.
func (a API) Check() error {
	if !BuiltIn(a.ID) {
		u, err := url.Parse(a.ID)
		if err != nil || !u.IsAbs() || strings.ContainsAny(a.ID, "# \t\r\n") || len(a.ID) > 200 {
			return a.invalid("the id is the audience: an absolute URI without fragment (RFC 8707), at most 200 characters")
		}
	}
	if len(a.Name) > 200 || strings.ContainsFunc(a.Name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return a.invalid("the name is longer than 200 bytes or holds control characters")
	}
	if !a.Token.Alg.Valid() {
		return a.invalid("token.alg " + string(a.Token.Alg) + " is not supported")
	}
	if a.Token.Lifetime < time.Second || a.Token.Lifetime > MaxLifetime {
		return a.invalid("token.lifetime must be between 1s and 24h")
	}
	if a.Stale != Strict && a.Stale != Degrade && a.Stale != Open {
		return a.invalid("stale must be strict, degrade or open")
	}
	if err := a.checkScopes(); err != nil {
		return err
	}
	return a.checkFormat()
}

func (a API) checkScopes() error {
	seen := map[string]bool{}
	for _, s := range a.Scopes {
		if !ValidScope(s) || s == "*" {
			return a.invalid("scope " + s + " holds a character that RFC 6749 section 3.3 forbids")
		}
		if seen[s] {
			return a.invalid("scope " + s + " is named twice")
		}
		seen[s] = true
	}
	return nil
}

func (a API) checkFormat() error {
	if a.Token.StatusList && a.Token.Format == Opaque {
		return a.invalid("token.status_list does not go with format opaque: whoever asks about such a token learns of its end")
	}
	switch a.Token.Format {
	case JWT, Opaque:
		if a.Token.Encrypt != nil {
			return a.invalid("token.encrypt goes with format jwe only")
		}
		return nil
	case JWE:
		e := a.Token.Encrypt
		if e == nil {
			return a.invalid("format jwe needs token.encrypt")
		}
		if e.Enc != "A256GCM" {
			return a.invalid("token.encrypt.enc must be A256GCM")
		}
		if _, err := jose.ParseRecipientKey(e.Alg, e.JWK); err != nil {
			return a.invalid("token.encrypt: " + err.Error())
		}
		return nil
	}
	return a.invalid("token.format must be jwt, jwe or opaque")
}

func (a API) invalid(what string) error {
	return fault.New(fault.Invalid, "API "+a.ID+": "+what+".")
}

// ValidScope reports whether s is a scope token (RFC 6749 section 3.3).
func ValidScope(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
