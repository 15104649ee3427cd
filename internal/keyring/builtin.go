package keyring

import (
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/verify/jose"
)

// What the server signs that is for none of the registered APIs. Their names are
// no URIs, so no API can have them; their keys are made, replaced and taken back
// like any other.
const (
	// ForFeed signs the frames of the revocation feed. Its keys are published
	// apart, see Published: no token of an API may ever be signed by one.
	ForFeed = "feed"
	// ForEvents signs what is said to other parties: logout tokens and security
	// events. Its keys stand in the issuer's key set.
	ForEvents = "issuer"
)

// ForIssuer is the name under which the issuer signs for its clients with an
// algorithm: ID tokens, answers of userinfo and introspection. Its keys stand in the
// issuer's key set.
func ForIssuer(alg jose.Algorithm) string {
	if alg == jose.RS256 {
		return ForEvents
	}
	return ForEvents + "-" + string(alg)
}

// IssuerAlgs are the algorithms that the issuer can sign with for its clients.
var IssuerAlgs = []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// BuiltIn is what Ensure and Tick have to be given for a name above.
func BuiltIn(name string) api.API {
	a := api.API{ID: name, Token: api.Token{Format: api.JWT, Alg: jose.EdDSA}}
	for _, alg := range IssuerAlgs { // RS256 is what every relying party and receiver can check
		if name == ForIssuer(alg) {
			a.Token.Alg = alg
		}
	}
	return a
}

// Published returns the public keys of one API or name above that are announced,
// active or retired.
func (r *Ring) Published(apiID string) jose.KeySet {
	return r.view.Load().published[apiID]
}
