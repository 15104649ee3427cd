package httpauth

import (
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/dpop"
)

// algorithms of proofs, for challenges.
var algorithms = func() string {
	names := make([]string, len(dpop.Algorithms))
	for i, a := range dpop.Algorithms {
		names[i] = string(a)
	}
	return strings.Join(names, " ")
}()

// possession panics on what cannot be meant.
func possession(o Options) *verify.Possession {
	p, err := verify.NewPossession(verify.PossessionConfig{Base: o.Base, Replays: o.Replays, Nonces: o.ProofNonces, Now: o.Now})
	if err != nil {
		panic("httpauth: " + err.Error())
	}
	return p
}

// shown is what a request came with beside its token.
func (a *Auth) shown(r *http.Request, c credential) verify.Shown {
	return verify.Shown{
		Token: c.bearer, Scheme: c.scheme, Method: r.Method, Path: r.URL.EscapedPath(), Proofs: r.Header["Dpop"], Certificate: a.certificate(r),
	}
}

// connectionCertificate is that by which a caller proved itself to this very server.
func connectionCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}
