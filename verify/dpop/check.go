package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Type is the typ of a proof (RFC 9449 section 4.2).
const Type = "dpop+jwt"

// Bounds of what is read.
const (
	maxProof = 8 << 10
	maxID    = 256
)

// Defaults of Want.
const (
	// DefaultWindow is how old a proof may be.
	DefaultWindow = time.Minute
	// DefaultSkew is how far in the future a proof may have been made: clocks differ.
	DefaultSkew = 10 * time.Second
)

// Algorithms are the default of Want.Algorithms.
var Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.Ed25519, jose.PS256, jose.RS256, jose.ES384, jose.ES512}

// The reasons for which a proof is refused. Every one of them is an ErrProof too.
var (
	// ErrProof means that there is no right proof.
	ErrProof = errors.New("no proof of possession")
	// ErrMalformed means that it is none at all: not a JWT of its type, too large, no key,
	// a private or symmetric key, members missing or there twice.
	ErrMalformed = fmt.Errorf("%w: malformed", ErrProof)
	// ErrAlgorithm means that the algorithm is not taken.
	ErrAlgorithm = fmt.Errorf("%w: algorithm refused", ErrProof)
	// ErrSignature means that the signature does not match the key it brings.
	ErrSignature = fmt.Errorf("%w: signature mismatch", ErrProof)
	// ErrMethod means that it is for another HTTP method.
	ErrMethod = fmt.Errorf("%w: for another method", ErrProof)
	// ErrURL means that it is for another address.
	ErrURL = fmt.Errorf("%w: for another address", ErrProof)
	// ErrTime means that it is too old, or from the future.
	ErrTime = fmt.Errorf("%w: out of time", ErrProof)
	// ErrToken means that it is for another access token, or for none.
	ErrToken = fmt.Errorf("%w: for another token", ErrProof)
	// ErrKey means that another key made it than the one that is wanted.
	ErrKey = fmt.Errorf("%w: by another key", ErrProof)
)

// Want is what a proof is compared with.
type Want struct {
	Method string // of the request, as it is: "GET"
	// URL is the address of the request as the client knows it, from configuration and
	// the path; query and fragment do not count (RFC 9449 section 4.3).
	URL string
	// Token is the access token that comes with the proof; "" where tokens are given out.
	Token string
	// JKT is the thumbprint of the key that must have made it; "" for any.
	JKT string
	Now time.Time
	// Algorithms that are taken; nil: the variable Algorithms.
	Algorithms []jose.Algorithm
	// Window and Skew are how old and how far in the future a proof may be; zero or less
	// means the defaults.
	Window, Skew time.Duration
}

// Proof is a proof that was checked.
type Proof struct {
	JKT       string // thumbprint of the key (RFC 7638)
	ID        string // jti: to be seen once
	Nonce     string // as given by the server, "" for none; whether it is right is the server's to say
	IssuedAt  time.Time
	Algorithm jose.Algorithm
}

// Check reads a proof and compares it with what is wanted. An error is one of the
// reasons of this package. It does not know whether the proof was shown before.
func Check(proof string, w Want) (Proof, error) {
	if len(proof) > maxProof {
		return Proof{}, ErrMalformed
	}
	m, key, err := jose.ParseProof(proof, Type, jose.Limits{Token: maxProof, Header: 4 << 10})
	if err != nil {
		return Proof{}, reason(err)
	}
	taken := w.Algorithms
	if taken == nil {
		taken = Algorithms
	}
	if !slices.Contains(taken, m.Header.Algorithm) {
		return Proof{}, ErrAlgorithm
	}
	body, err := m.Verify(key)
	if err != nil {
		return Proof{}, ErrSignature
	}
	c, err := parseClaims(body)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{JKT: key.Thumbprint(), ID: c.id, Nonce: c.nonce, IssuedAt: c.issued, Algorithm: m.Header.Algorithm}
	if err := c.fit(w, p); err != nil {
		return Proof{}, err
	}
	return p, nil
}

func reason(err error) error {
	if errors.Is(err, jose.ErrAlgorithm) {
		return ErrAlgorithm
	}
	return ErrMalformed
}

type claims struct {
	id, method, url, nonce, token string
	issued                        time.Time
}

func parseClaims(body []byte) (c claims, err error) {
	members, err := jose.Members(body)
	if err != nil {
		return claims{}, ErrMalformed
	}
	for _, m := range members {
		switch m.Name {
		case "jti":
			c.id, err = jose.String(m.Value)
		case "htm":
			c.method, err = jose.String(m.Value)
		case "htu":
			c.url, err = jose.String(m.Value)
		case "nonce":
			c.nonce, err = jose.String(m.Value)
		case "ath":
			c.token, err = jose.String(m.Value)
		case "iat":
			c.issued, err = moment(m.Value)
		}
		if err != nil {
			return claims{}, ErrMalformed
		}
	}
	if c.id == "" || len(c.id) > maxID || c.method == "" || c.url == "" || c.issued.IsZero() || len(c.nonce) > maxID {
		return claims{}, ErrMalformed
	}
	return c, nil
}

// moment reads a NumericDate, which may have a fraction.
func moment(raw []byte) (time.Time, error) {
	var n float64
	if err := json.Unmarshal(raw, &n); err != nil {
		return time.Time{}, err
	}
	if n < 1 || n > math.MaxInt32*4 {
		return time.Time{}, ErrMalformed
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// bounds are Window and Skew with their defaults.
func (w Want) bounds() (window, skew time.Duration) {
	window, skew = w.Window, w.Skew
	if window <= 0 {
		window = DefaultWindow
	}
	if skew <= 0 {
		skew = DefaultSkew
	}
	return window, skew
}

// fit compares claims with what is wanted.
func (c claims) fit(w Want, p Proof) error {
	window, skew := w.bounds()
	switch {
	case c.method != w.Method: // case-sensitive, RFC 9110 section 9.1
		return ErrMethod
	case !sameAddress(c.url, w.URL):
		return ErrURL
	case c.issued.Before(w.Now.Add(-window-skew)) || c.issued.After(w.Now.Add(skew+time.Second)):
		return ErrTime // a second more: iat is in whole ones
	case w.Token != "" && subtle.ConstantTimeCompare([]byte(c.token), []byte(Hash(w.Token))) != 1:
		return ErrToken
	case w.JKT != "" && w.JKT != p.JKT:
		return ErrKey
	}
	return nil
}

// Until is how long it has to be remembered that a proof was shown: by then it is too
// old for w, also where the clock is slower by Skew.
func (p Proof) Until(w Want) time.Time {
	window, skew := w.bounds()
	return p.IssuedAt.Add(window + 2*skew + time.Second)
}

// Hash is the ath of an access token (RFC 9449 section 4.2).
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
