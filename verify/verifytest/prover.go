package verifytest

import (
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Prover is a client with a key of its own: it makes the proofs that bound tokens are
// shown with (RFC 9449). It is safe for concurrent use.
type Prover struct {
	t   TB
	key *jose.Key
	now func() time.Time
}

// Prover makes a client with a new ES256 key, which lives by the issuer's clock.
func (i *Issuer) Prover() *Prover {
	i.t.Helper()
	key, err := jose.Generate(jose.ES256, "")
	if err != nil {
		i.t.Fatalf("verifytest: make a key: %v", err)
	}
	return &Prover{t: i.t, key: key, now: i.now}
}

// Key is the client's key; a token with Bound of it needs the client's proofs.
func (p *Prover) Key() *jose.Key { return p.key }

// Proof makes the proof for one request with a token, for a DPoP header. Each is good
// once. Change may make it wrong, or give it a nonce.
func (p *Prover) Proof(method, url, token string, change ...func(*dpop.Request)) string {
	p.t.Helper()
	r := dpop.Request{Method: method, URL: url, Token: token, Now: p.now()}
	for _, c := range change {
		c(&r)
	}
	proof, err := dpop.Sign(p.key, r)
	if err != nil {
		p.t.Fatalf("verifytest: make a proof: %v", err)
	}
	return proof
}

// Show puts a token and the proof for this very request into its headers. The URL must
// be whole: a service compares it with its Options.Base.
func (p *Prover) Show(r *http.Request, token string) {
	p.t.Helper()
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", p.Proof(r.Method, r.URL.String(), token))
}
