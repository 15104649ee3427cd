package verifytest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Claim changes one thing about a credential before it is made.
type Claim func(*draft)

// draft is a credential in the making.
type draft struct {
	now    time.Time
	typ    string
	claims map[string]any
}

// Subject sets sub: who signed in.
func Subject(sub string) Claim { return Set("sub", sub) }

// Scope sets scope to these scopes.
func Scope(scopes ...string) Claim { return Set("scope", strings.Join(scopes, " ")) }

// Audience sets aud to this API.
func Audience(api string) Claim { return Set("aud", api) }

// Bound sets cnf to a DPoP key (RFC 9449): the token must be shown with a proof that this
// key made. A Prover has one, and makes the proofs.
func Bound(key *jose.Key) Claim { return Set("cnf", map[string]any{"jkt": key.Thumbprint()}) }

// BoundToCertificate sets cnf to a client's certificate (RFC 8705): the token must be shown
// on a connection with it.
func BoundToCertificate(c *x509.Certificate) Claim {
	sum := sha256.Sum256(c.Raw)
	return Set("cnf", map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])})
}

// ExpiresIn sets exp to this long after now; negative for a credential that has expired.
func ExpiresIn(d time.Duration) Claim {
	return func(c *draft) { c.claims["exp"] = c.now.Add(d).Unix() }
}

// Set sets any claim to any value that encoding/json can write: wrong types too.
func Set(name string, value any) Claim {
	return func(c *draft) { c.claims[name] = value }
}

// Without leaves a claim out.
func Without(name string) Claim {
	return func(c *draft) { delete(c.claims, name) }
}

// Type sets typ in the header of a JWT, for instance "JWT" as ID tokens have it.
func Type(typ string) Claim {
	return func(c *draft) { c.typ = typ }
}
