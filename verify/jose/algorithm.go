package jose

import (
	"crypto"
	"crypto/elliptic"
	"slices"
)

// Algorithm is the name of an algorithm as it stands in a header. The constants
// of this type are the signature algorithms; names are exact and case-sensitive.
type Algorithm string

// The signature algorithms. EdDSA and Ed25519 are two names of one algorithm: a
// key bound to either verifies a header that names either, and signs with its own.
const (
	HS256   Algorithm = "HS256"
	HS384   Algorithm = "HS384"
	HS512   Algorithm = "HS512"
	RS256   Algorithm = "RS256"
	RS384   Algorithm = "RS384"
	RS512   Algorithm = "RS512"
	PS256   Algorithm = "PS256"
	PS384   Algorithm = "PS384"
	PS512   Algorithm = "PS512"
	ES256   Algorithm = "ES256"
	ES384   Algorithm = "ES384"
	ES512   Algorithm = "ES512"
	EdDSA   Algorithm = "EdDSA"
	Ed25519 Algorithm = "Ed25519"
)

type family int

const (
	familyNone family = iota
	familyHMAC
	familyRSA
	familyPSS
	familyECDSA
	familyEd25519
)

// traits is what an algorithm name stands for.
type traits struct {
	family family
	hash   crypto.Hash
	curve  elliptic.Curve
}

// Algorithms returns all signature algorithms, in a stable order.
func Algorithms() []Algorithm {
	return []Algorithm{
		HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512,
		ES256, ES384, ES512, EdDSA, Ed25519,
	}
}

// Valid reports whether a is one of the signature algorithms.
func (a Algorithm) Valid() bool {
	return slices.Contains(Algorithms(), a)
}

// Symmetric reports whether the key that verifies with a can also sign with it.
func (a Algorithm) Symmetric() bool {
	return a.traits().family == familyHMAC
}

// matches reports whether a token that names b may be checked by a key bound to a.
func (a Algorithm) matches(b Algorithm) bool {
	return a == b || a.traits().family == familyEd25519 && b.traits().family == familyEd25519
}

func (a Algorithm) traits() traits {
	switch a {
	case HS256:
		return traits{family: familyHMAC, hash: crypto.SHA256}
	case HS384:
		return traits{family: familyHMAC, hash: crypto.SHA384}
	case HS512:
		return traits{family: familyHMAC, hash: crypto.SHA512}
	case RS256:
		return traits{family: familyRSA, hash: crypto.SHA256}
	case RS384:
		return traits{family: familyRSA, hash: crypto.SHA384}
	case RS512:
		return traits{family: familyRSA, hash: crypto.SHA512}
	case PS256:
		return traits{family: familyPSS, hash: crypto.SHA256}
	case PS384:
		return traits{family: familyPSS, hash: crypto.SHA384}
	case PS512:
		return traits{family: familyPSS, hash: crypto.SHA512}
	case ES256:
		return traits{family: familyECDSA, hash: crypto.SHA256, curve: elliptic.P256()}
	case ES384:
		return traits{family: familyECDSA, hash: crypto.SHA384, curve: elliptic.P384()}
	case ES512:
		return traits{family: familyECDSA, hash: crypto.SHA512, curve: elliptic.P521()}
	case EdDSA, Ed25519:
		return traits{family: familyEd25519}
	}
	return traits{}
}

// algorithmNamed returns the constant for a header's value, without allocating
// for the names we know.
func algorithmNamed(name []byte) Algorithm {
	for _, a := range [...]Algorithm{
		EdDSA, Ed25519, ES256, RS256, HS256, PS256, ES384, ES512,
		RS384, RS512, HS384, HS512, PS384, PS512,
	} {
		if string(name) == string(a) {
			return a
		}
	}
	return Algorithm(name)
}
