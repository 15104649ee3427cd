package grant

import (
	"context"
	"crypto/subtle"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

// ProofAlgs are the algorithms of DPoP proofs: those that make small ones, and PS256,
// which FAPI 2.0 has too.
var ProofAlgs = []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.EdDSA, jose.Ed25519}

// The times of DPoP proofs. Clocks 10 s apart are to be lived with (FAPI 2.0 section
// 5.3.2.1). Further away a nonce has to show that the proof is of now, up to proofMost
// either way.
const (
	proofLate   = time.Minute
	proofEarly  = 15 * time.Second
	proofMost   = 5 * time.Minute
	nonceWindow = 5 * time.Minute // a nonce is good for one to two of them
)

// Presented is a DPoP proof as it was sent (RFC 9449 section 4).
type Presented struct {
	Proof  string
	Method string
	URL    string // of the endpoint, as we are configured; never as the request says
	Token  string // the access token that came with it, "" where tokens are asked for
}

// Checked is a proof that is good unless it was used before. The zero value is none.
type Checked struct {
	jkt, id string
	issued  time.Time
}

// CheckProof checks everything about a proof but whether it was used before. A
// refusal is an *Error: invalid_dpop_proof, or use_dpop_nonce when the same with the
// nonce of ProofNonce would do.
func (s *Service) CheckProof(p Presented) (Checked, error) {
	if s.Tickets == nil {
		return Checked{}, refuse(oidc.InvalidDPoPProof, "DPoP is not supported.")
	}
	now := s.Now()
	got, err := dpop.Check(p.Proof, dpop.Want{
		Method: p.Method, URL: p.URL, Token: p.Token, Now: now, Window: proofMost, Skew: proofMost, Algorithms: ProofAlgs,
	})
	if err != nil {
		why := strings.TrimPrefix(err.Error(), dpop.ErrProof.Error()+": ")
		return Checked{}, refuse(oidc.InvalidDPoPProof, "The DPoP proof is refused: "+why+".")
	}
	behind := now.Sub(got.IssuedAt)
	switch {
	case behind > proofMost || behind < -proofMost:
		return Checked{}, refuse(oidc.InvalidDPoPProof, "The DPoP proof is not of now.")
	case got.ID == "" || len(got.ID) > mostJTI:
		return Checked{}, refuse(oidc.InvalidDPoPProof, "The DPoP proof needs a jti of at most 256 bytes.")
	case got.Nonce != "" && !s.isNonce(got.Nonce, now):
		return Checked{}, refuse(oidc.UseDPoPNonce, "The nonce of the DPoP proof is not ours, or no longer: use that of the header DPoP-Nonce.")
	case got.Nonce == "" && (behind > proofLate || behind < -proofEarly):
		return Checked{}, refuse(oidc.UseDPoPNonce, "The clocks differ: the DPoP proof needs the nonce of the header DPoP-Nonce.")
	}
	return Checked{jkt: got.JKT, id: got.ID, issued: got.IssuedAt}, nil
}

// UseProof uses a proof up and returns the thumbprint of its key, "" when there is no
// proof. Of any number of requests with one proof, at any node, one is let through
// (RFC 9449 section 11.1). Ids are apart for each key: nobody can spend another's.
func (s *Service) UseProof(ctx context.Context, c Checked) (jkt string, err error) {
	if c.jkt == "" {
		return "", nil
	}
	first, err := s.once(ctx, ticket.Proof, c.issued.Add(proofMost), "proof", c.jkt, c.id)
	if err != nil {
		return "", err
	}
	if !first {
		return "", refuse(oidc.InvalidDPoPProof, "The DPoP proof was used before.")
	}
	return c.jkt, nil
}

// Binding returns the keys that a client's tokens are bound to: of its DPoP proof, if
// there was one, and of its certificate, if it is registered for that. A certificate
// that is only there, as in a mesh of services, binds nothing.
func Binding(c client.Client, jkt string, certificate *Certificate) Proof {
	p := Proof{JKT: jkt}
	if c.OAuth.TLSBound || c.Holds() == client.FAPI2 && jkt == "" {
		p.X5T = certificate.Thumbprint()
	}
	return p
}

// ProofNonce returns the nonce that proofs should have now. It is the same at every
// node, and nothing is kept of it (RFC 9449 section 8).
func (s *Service) ProofNonce() string { return s.nonceAt(s.Now(), 0) }

// nonceAt is the nonce of a window of time, counted from that of now.
func (s *Service) nonceAt(now time.Time, offset int64) string {
	window := now.Unix()/int64(nonceWindow/time.Second) + offset
	code := s.Secrets.MAC("dpop nonce", strconv.FormatInt(window, 10))
	return jose.EncodeSegment(code[:16])
}

// isNonce takes the nonce of this window, of the one before, and, since the clocks of
// nodes differ, of the next.
func (s *Service) isNonce(text string, now time.Time) bool {
	for _, offset := range []int64{0, -1, 1} {
		if subtle.ConstantTimeCompare([]byte(text), []byte(s.nonceAt(now, offset))) == 1 {
			return true
		}
	}
	return false
}
