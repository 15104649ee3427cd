package verify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/internal/wire"
)

// nonceFor is how long a nonce is good, at least; twice that at most.
const nonceFor = 2 * time.Minute

// minNonceKey is the least that makes a key of nonces, in bytes.
const minNonceKey = 32

// PossessionConfig is what a Possession must know. The zero value is good where no
// token is bound by DPoP.
type PossessionConfig struct {
	// Base is the URL at which callers reach the service, with the path that a proxy in front
	// takes away. DPoP proofs (RFC 9449) name the address they are for; without a Base none is
	// taken, because what a request says of its own host is whatever the caller writes.
	Base string
	// Replays remembers proofs. The default is one in memory: a proof counts once in this
	// process, and those made before it started do not count.
	Replays dpop.Replays
	// Nonces, at least 32 random bytes that all nodes share, has proofs carry a nonce of the
	// service (RFC 9449 section 9): then none can be made in advance. The default asks for none.
	Nonces []byte
	// Now is the clock: time.Now.
	Now func() time.Time
}

// Possession compares what callers prove with what their tokens are bound to.
// Packages httpauth and grpcauth have one. It is safe for concurrent use.
type Possession struct {
	base    string
	replays dpop.Replays
	nonces  []byte
	now     func() time.Time
}

// NewPossession makes a Possession, or tells everything that is wrong at once.
func NewPossession(c PossessionConfig) (*Possession, error) {
	var errs []error
	if c.Base != "" {
		if err := wire.CheckURL(c.Base); err != nil {
			errs = append(errs, fmt.Errorf("verify: Base %q: %w", c.Base, err))
		} else if strings.ContainsAny(c.Base, "?#") {
			errs = append(errs, fmt.Errorf("verify: Base %q must not have a query or a fragment", c.Base))
		}
	}
	if c.Nonces != nil && len(c.Nonces) < minNonceKey {
		errs = append(errs, fmt.Errorf("verify: the key of nonces has %d bytes; it must have at least %d", len(c.Nonces), minNonceKey))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	p := &Possession{base: strings.TrimRight(c.Base, "/"), replays: c.Replays, nonces: slices.Clone(c.Nonces), now: c.Now}
	if p.now == nil {
		p.now = time.Now
	}
	if p.replays == nil {
		p.replays = &dpop.Seen{Now: p.now, Since: p.now()}
	}
	return p, nil
}

// Shown is what came with a token.
type Shown struct {
	Token  string
	Scheme Scheme
	// Method and Path are those of the request; the path is escaped as it came.
	Method, Path string
	Proofs       []string // each DPoP header
	// Certificate is that of the connection, nil for none: whoever sets it has seen the caller
	// prove its key (RFC 8705).
	Certificate *x509.Certificate
}

// Scheme is how a token was presented.
type Scheme int

// The schemes. A token that is bound by DPoP counts under its own alone, and no other
// token does (RFC 9449 section 7.2).
const (
	SchemeBearer Scheme = iota
	SchemeDPoP
)

// Prove gives the question of Bound for what was shown with a token. Asked twice about
// one proof, the second answer is ErrProofReplayed.
func (p *Possession) Prove(ctx context.Context, s Shown) func(Confirmation) error {
	return func(c Confirmation) error {
		if (s.Scheme == SchemeDPoP) != (c.JKT != "") {
			return ErrBinding
		}
		if c.X5T != "" && !hmac.Equal([]byte(c.X5T), []byte(certificateHash(s.Certificate))) {
			return ErrBinding
		}
		if c.JKT == "" {
			return nil
		}
		return p.check(ctx, s, c.JKT)
	}
}

// check checks the one proof of a request (RFC 9449 section 4.3).
func (p *Possession) check(ctx context.Context, s Shown, jkt string) error {
	if !p.Checks() {
		return ErrBinding
	}
	if len(s.Proofs) != 1 {
		return ErrProof
	}
	now := p.now()
	want := dpop.Want{Method: s.Method, URL: p.base + s.Path, Token: s.Token, JKT: jkt, Now: now}
	proof, err := dpop.Check(s.Proofs[0], want)
	if err != nil {
		return ErrProof
	}
	if p.nonces != nil && !p.goodNonce(proof.Nonce, now) {
		return ErrProofNonce
	}
	first, err := p.replays.First(ctx, proof, proof.Until(want))
	if err != nil {
		return unavailable("look a proof up", err)
	}
	if !first {
		return ErrProofReplayed
	}
	return nil
}

// Checks reports whether DPoP proofs can be checked: there is a Base.
func (p *Possession) Checks() bool { return p.base != "" }

// Nonce is what the next proof must carry, "" when none is asked for.
func (p *Possession) Nonce() string {
	if p.nonces == nil || !p.Checks() {
		return ""
	}
	return p.nonceOf(p.period(p.now()))
}

func (*Possession) period(now time.Time) int64 { return now.Unix() / int64(nonceFor/time.Second) }

// nonceOf makes the nonce of a period. All nodes that have the key make the same.
func (p *Possession) nonceOf(period int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(period))
	m := hmac.New(sha256.New, p.nonces)
	m.Write([]byte("wafer dpop nonce"))
	m.Write(b[:])
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

// goodNonce takes the nonces of this period and the one before, and in its last
// seconds that of the next: the clock of another node may be there already.
func (p *Possession) goodNonce(n string, now time.Time) bool {
	last := p.period(now.Add(dpop.DefaultSkew))
	for period := p.period(now) - 1; period <= last; period++ {
		if hmac.Equal([]byte(n), []byte(p.nonceOf(period))) {
			return true
		}
	}
	return false
}

// certificateHash is x5t#S256 (RFC 8705 section 3.1), "" for no certificate.
func certificateHash(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
