package httpauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
)

// nonceFor is how long a nonce of the service is good, at least; twice that at most.
const nonceFor = 2 * time.Minute

// algorithms of proofs, for challenges.
var algorithms = func() string {
	names := make([]string, len(dpop.Algorithms))
	for i, a := range dpop.Algorithms {
		names[i] = string(a)
	}
	return strings.Join(names, " ")
}()

// prove tells what a request proves of what its token is bound to. proved says that the
// token came as a bound one.
func (a *Auth) prove(r *http.Request, token string, proved bool) func(verify.Confirmation) error {
	return func(c verify.Confirmation) error {
		if proved != (c.JKT != "") {
			return verify.ErrBinding // RFC 9449 section 7.2: no downgrade, and no upgrade
		}
		if c.X5T != "" && c.X5T != a.thumbprint(r) {
			return verify.ErrBinding
		}
		if c.JKT == "" {
			return nil
		}
		return a.checkProof(r, token, c.JKT)
	}
}

// checkProof checks the one proof of a request (RFC 9449 section 7.1).
func (a *Auth) checkProof(r *http.Request, token, jkt string) error {
	if a.base == "" {
		return verify.ErrBinding // whoever writes the Host header would say what the proof is for
	}
	lines := r.Header["Dpop"]
	if len(lines) != 1 {
		return verify.ErrProof
	}
	now := a.now()
	want := dpop.Want{Method: r.Method, URL: a.base + r.URL.EscapedPath(), Token: token, JKT: jkt, Now: now}
	p, err := dpop.Check(lines[0], want)
	if err != nil {
		return verify.ErrProof
	}
	if a.nonces != nil && !a.goodNonce(p.Nonce, now) {
		return verify.ErrProofNonce
	}
	first, err := a.replays.First(r.Context(), p, p.Until(want))
	if err != nil {
		return verify.ErrUnavailable
	}
	if !first {
		return verify.ErrProofReplayed
	}
	return nil
}

// thumbprint is that of the client's certificate (RFC 8705 section 3.1), "" when there
// is none.
func (a *Auth) thumbprint(r *http.Request) string {
	var c *x509.Certificate
	switch {
	case a.certificate != nil:
		c = a.certificate(r)
	case r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
		c = r.TLS.PeerCertificates[0]
	}
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// nonce makes the nonce of a time: its number and a code over it. All nodes that have
// the key make and take the same ones.
func (a *Auth) nonce(now time.Time, back int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.Unix()/int64(nonceFor/time.Second)-back))
	m := hmac.New(sha256.New, a.nonces)
	m.Write([]byte("wafer dpop nonce"))
	m.Write(b[:])
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

func (a *Auth) goodNonce(n string, now time.Time) bool {
	return hmac.Equal([]byte(n), []byte(a.nonce(now, 0))) || hmac.Equal([]byte(n), []byte(a.nonce(now, 1)))
}
