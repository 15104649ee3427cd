package jose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
)

// maxJWK bounds one JWK: the largest RSA key with its private members and a
// certificate chain beside it.
const maxJWK = 64 << 10

// ParseKey reads a JWK (RFC 7517) that names its own algorithm in "alg". With
// private members the key can sign, unless "key_ops" says otherwise.
//
// Broken JSON is ErrMalformed. A key that is weak, incomplete, of an unknown type,
// inconsistent or meant for another use ("use", "key_ops") is ErrKey; a missing or
// unknown "alg" is ErrAlgorithm.
func ParseKey(jwk []byte) (*Key, error) {
	return parseSigningJWK("", jwk)
}

// ParseKeyFor is ParseKey for a JWK that may lack "alg": the caller binds it. A
// JWK that names another algorithm is ErrAlgorithm.
func ParseKeyFor(alg Algorithm, jwk []byte) (*Key, error) {
	if !alg.Valid() {
		return nil, ErrAlgorithm
	}
	return parseSigningJWK(alg, jwk)
}

// MarshalJSON returns the public JWK. An HMAC key is ErrKey: it has nothing to
// show.
func (k *Key) MarshalJSON() ([]byte, error) {
	if k.secret != nil {
		return nil, badKey("an HMAC key has no public part")
	}
	return k.jwk(k.publicMembers()), nil
}

// PrivateJWK returns the JWK with its private members, or with the secret for
// HMAC. A public key is ErrKey.
func (k *Key) PrivateJWK() ([]byte, error) {
	m := k.publicMembers()
	switch {
	case k.secret != nil:
	case k.rsaPrivate != nil:
		p := k.rsaPrivate
		for _, part := range []struct {
			name string
			n    *big.Int
		}{
			{"d", p.D}, {"p", p.Primes[0]}, {"q", p.Primes[1]},
			{"dp", p.Precomputed.Dp}, {"dq", p.Precomputed.Dq}, {"qi", p.Precomputed.Qinv},
		} {
			m = append(m, keyMember{part.name, EncodeSegment(part.n.Bytes())})
		}
	case k.ecPrivate != nil:
		scalar, err := k.ecPrivate.Bytes()
		if err != nil {
			return nil, err
		}
		m = append(m, keyMember{"d", EncodeSegment(scalar)})
	case k.edPrivate != nil:
		m = append(m, keyMember{"d", EncodeSegment(k.edPrivate.Seed())})
	default:
		return nil, badKey("not a private key")
	}
	return k.jwk(m), nil
}

func (k *Key) jwk(m keyMembers) []byte {
	return m.jwk(k.id, "sig", string(k.alg))
}

// keyMember is one member of a JWK that holds key material.
type keyMember struct{ name, value string }

type keyMembers []keyMember

// publicMembers returns the members that identify the key; for HMAC this is the
// secret itself.
func (k *Key) publicMembers() keyMembers {
	switch {
	case k.secret != nil:
		return keyMembers{{"kty", "oct"}, {"k", EncodeSegment(k.secret)}}
	case k.rsaPublic != nil:
		return rsaMembers(k.rsaPublic)
	case k.ecPublic != nil:
		point, _ := k.ecPublic.Bytes() // NewKey has checked the point
		return ecMembers(curveName(k.ecPublic.Curve), point)
	}
	return okpMembers("Ed25519", k.edPublic)
}

func rsaMembers(public *rsa.PublicKey) keyMembers {
	return keyMembers{
		{"kty", "RSA"},
		{"n", EncodeSegment(public.N.Bytes())},
		{"e", EncodeSegment(big.NewInt(int64(public.E)).Bytes())},
	}
}

// ecMembers takes an uncompressed point.
func ecMembers(crv string, point []byte) keyMembers {
	size := len(point) / 2
	return keyMembers{
		{"kty", "EC"}, {"crv", crv},
		{"x", EncodeSegment(point[1 : 1+size])},
		{"y", EncodeSegment(point[1+size:])},
	}
}

func okpMembers(crv string, public []byte) keyMembers {
	return keyMembers{{"kty", "OKP"}, {"crv", crv}, {"x", EncodeSegment(public)}}
}

// jwk returns the whole JWK as JSON.
func (m keyMembers) jwk(kid, use, alg string) []byte {
	b := appendMember([]byte{'{'}, m[0].name, m[0].value)
	if kid != "" {
		b = appendMember(b, "kid", kid)
	}
	b = appendMember(b, "use", use)
	b = appendMember(b, "alg", alg)
	for _, member := range m[1:] {
		b = appendMember(b, member.name, member.value)
	}
	return append(b, '}')
}

// bare returns the members alone as JSON, in lexicographic order.
func (m keyMembers) bare() []byte {
	b := []byte{'{'}
	for _, member := range slices.SortedFunc(slices.Values(m), func(a, b keyMember) int {
		return strings.Compare(a.name, b.name)
	}) {
		b = appendMember(b, member.name, member.value)
	}
	return append(b, '}')
}

// thumbprint hashes the required members (RFC 7638 section 3.2); m must hold
// exactly those.
func (m keyMembers) thumbprint() string {
	sum := sha256.Sum256(m.bare())
	return EncodeSegment(sum[:])
}

func parseSigningJWK(alg Algorithm, b []byte) (*Key, error) {
	j, err := parseJWK(b)
	if err != nil {
		return nil, err
	}
	own, err := j.text("alg")
	if err != nil {
		return nil, err
	}
	if alg == "" {
		alg = Algorithm(own)
	}
	if !alg.Valid() || own != "" && !alg.matches(Algorithm(own)) {
		return nil, ErrAlgorithm
	}
	ops, err := j.permits("sig", "sign", "verify")
	if err != nil {
		return nil, err
	}
	kid, err := j.text("kid")
	if err != nil {
		return nil, err
	}
	material, err := j.material()
	if err != nil {
		return nil, err
	}
	k, err := NewKey(alg, kid, material)
	if err != nil {
		return nil, err
	}
	if ops != nil && !slices.Contains(ops, "sign") {
		if public := k.Public(); public != nil {
			k = public
		}
		k.verifyOnly = true
	}
	return k, nil
}

// jwk is the members of a JWK, read when they are asked for.
type jwk struct{ fields []field }

func parseJWK(b []byte) (jwk, error) {
	if len(b) > maxJWK {
		return jwk{}, ErrTooLarge
	}
	fields, err := scanObject(b, nil)
	return jwk{fields}, err
}

func (j jwk) raw(name string) ([]byte, bool) {
	for _, f := range j.fields {
		if string(f.name) == name {
			return f.value, true
		}
	}
	return nil, false
}

// text returns a member's text, empty when it is not there.
func (j jwk) text(name string) (string, error) {
	raw, ok := j.raw(name)
	if !ok {
		return "", nil
	}
	s, err := text(raw)
	if err != nil {
		return "", badKey("bad JWK member %q", name)
	}
	return s, nil
}

// octets returns a decoded member, which must have the given size unless that is 0.
func (j jwk) octets(name string, size int) ([]byte, error) {
	raw, ok := j.raw(name)
	if !ok {
		return nil, badKey("JWK without member %q", name)
	}
	encoded, err := stringBytes(raw)
	if err != nil {
		return nil, badKey("bad JWK member %q", name)
	}
	b, err := DecodeSegment(string(encoded))
	if err != nil || len(b) == 0 || size != 0 && len(b) != size {
		return nil, badKey("bad JWK member %q", name)
	}
	return b, nil
}

// integer returns a Base64urlUInt, which has no leading zeros (RFC 7518 section 2).
func (j jwk) integer(name string) (*big.Int, error) {
	b, err := j.octets(name, 0)
	if err != nil {
		return nil, err
	}
	if b[0] == 0 {
		return nil, badKey("bad JWK member %q", name)
	}
	return new(big.Int).SetBytes(b), nil
}

// permits checks "use" and "key_ops" and returns the latter, nil when it is not
// there. At least one of the wanted operations must be allowed.
func (j jwk) permits(use string, wanted ...string) (ops []string, err error) {
	own, err := j.text("use")
	if err != nil {
		return nil, err
	}
	if own != "" && own != use {
		return nil, badKey("JWK is for another use")
	}
	raw, ok := j.raw("key_ops")
	if !ok {
		return nil, nil
	}
	if ops, err = StringOrArray(raw); err != nil || raw[0] != '[' {
		return nil, badKey("bad JWK member %q", "key_ops")
	}
	if !slices.ContainsFunc(ops, func(op string) bool { return slices.Contains(wanted, op) }) {
		return nil, badKey("JWK does not allow the operation")
	}
	return ops, nil
}

// material returns the key as the standard library has it: []byte, RSA, ECDSA and
// Ed25519 keys, and crypto/ecdh keys for X25519.
func (j jwk) material() (any, error) {
	kty, err := j.text("kty")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "oct":
		return j.octets("k", 0)
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ec()
	case "OKP":
		return j.okp()
	}
	return nil, badKey("unknown JWK type")
}

func (j jwk) private() bool {
	_, ok := j.raw("d")
	return ok
}

func (j jwk) rsa() (any, error) {
	n, err := j.integer("n")
	if err != nil {
		return nil, err
	}
	e, err := j.integer("e")
	if err != nil {
		return nil, err
	}
	if e.BitLen() > 31 {
		return nil, badKey("RSA exponent refused")
	}
	public := rsa.PublicKey{N: n, E: int(e.Int64())}
	if !j.private() {
		return &public, nil
	}
	// Sizes first: precomputing on a huge private key is slow.
	if err := checkRSA(&public); err != nil {
		return nil, err
	}
	if _, ok := j.raw("oth"); ok {
		return nil, badKey("RSA key with more than two primes")
	}
	var parts [3]*big.Int
	for i, name := range []string{"d", "p", "q"} {
		if parts[i], err = j.integer(name); err != nil {
			return nil, err
		}
		if parts[i].BitLen() > n.BitLen() {
			return nil, badKey("bad JWK member %q", name)
		}
	}
	return &rsa.PrivateKey{PublicKey: public, D: parts[0], Primes: parts[1:]}, nil
}

func (j jwk) ec() (any, error) {
	crv, err := j.text("crv")
	if err != nil {
		return nil, err
	}
	curve := curveNamed(crv)
	if curve == nil {
		return nil, badKey("unknown curve")
	}
	size := coordinateSize(curve)
	x, err := j.octets("x", size)
	if err != nil {
		return nil, err
	}
	y, err := j.octets("y", size)
	if err != nil {
		return nil, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, badKey("point not on the curve")
	}
	if !j.private() {
		return public, nil
	}
	d, err := j.octets("d", size)
	if err != nil {
		return nil, err
	}
	private, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil || !private.PublicKey.Equal(public) {
		return nil, badKey("private key does not belong to the public key")
	}
	return private, nil
}

func (j jwk) okp() (any, error) {
	crv, err := j.text("crv")
	if err != nil {
		return nil, err
	}
	x, err := j.octets("x", 32)
	if err != nil {
		return nil, err
	}
	var d []byte
	if j.private() {
		if d, err = j.octets("d", 32); err != nil {
			return nil, err
		}
	}
	switch {
	case crv == "Ed25519" && d == nil:
		return ed25519.PublicKey(x), nil
	case crv == "Ed25519":
		return ed25519.PrivateKey(append(d, x...)), nil
	case crv == "X25519" && d == nil:
		return ecdh.X25519().NewPublicKey(x)
	case crv == "X25519":
		private, err := ecdh.X25519().NewPrivateKey(d)
		if err != nil || string(private.PublicKey().Bytes()) != string(x) {
			return nil, badKey("private key does not belong to the public key")
		}
		return private, nil
	}
	return nil, badKey("unknown curve")
}

func curveNamed(crv string) elliptic.Curve {
	switch crv {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

func curveName(c elliptic.Curve) string { return c.Params().Name }
