package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	minRSABits = 2048
	maxRSABits = 16384
)

// Key is one key bound to one signature algorithm. It is a signing key (private
// or symmetric) or a public key; it never changes and is safe for concurrent use.
type Key struct {
	alg        Algorithm
	id         string
	thumbprint string

	verifyOnly bool // its JWK allows no signing
	secret     []byte
	macs       *sync.Pool // of *keyed
	rsaPrivate *rsa.PrivateKey
	rsaPublic  *rsa.PublicKey
	ecPrivate  *ecdsa.PrivateKey
	ecPublic   *ecdsa.PublicKey
	ecOrder    []byte // of the group, at the width of a coordinate
	edPrivate  ed25519.PrivateKey
	edPublic   ed25519.PublicKey

	header *atomic.Pointer[firstSegment] // of the last token it signed
}

// firstSegment is the first segment of a token, ready made: a key signs tokens of
// one type.
type firstSegment struct{ typ, cty, segment string }

// NewKey binds key material to one algorithm and a key id, which may be empty.
// The material is copied. It must be a []byte for HS*, and for the others the
// standard library's private or public key: *rsa.PrivateKey, *rsa.PublicKey,
// *ecdsa.PrivateKey, *ecdsa.PublicKey, ed25519.PrivateKey, ed25519.PublicKey.
//
// It refuses with ErrKey: material of another kind or curve, an HMAC secret
// shorter than the hash or that is in truth an encoded key or certificate, RSA
// under 2048 bits or with a weak exponent, and points that are not on the curve.
func NewKey(alg Algorithm, kid string, material any) (*Key, error) {
	if !alg.Valid() {
		return nil, ErrAlgorithm
	}
	if !plain(kid) {
		return nil, badKey("unfit key id")
	}
	k := &Key{alg: alg, id: kid, header: new(atomic.Pointer[firstSegment])}
	var err error
	switch m := material.(type) {
	case []byte:
		err = k.setSecret(m)
	case *rsa.PrivateKey:
		err = k.setRSAPrivate(m)
	case *rsa.PublicKey:
		err = k.setRSAPublic(m)
	case *ecdsa.PrivateKey:
		err = k.setECPrivate(m)
	case *ecdsa.PublicKey:
		err = k.setECPublic(m)
	case ed25519.PrivateKey:
		err = k.setEdPrivate(m)
	case ed25519.PublicKey:
		err = k.setEdPublic(m)
	default:
		err = badKey("unknown kind of key material")
	}
	if err != nil {
		return nil, err
	}
	k.thumbprint = k.publicMembers().thumbprint()
	return k, nil
}

// Generate returns a fresh signing key: 2048 bits for RSA, as many bytes as the
// hash has for HMAC.
func Generate(alg Algorithm, kid string) (*Key, error) {
	t := alg.traits()
	var material any
	var err error
	switch t.family {
	case familyHMAC:
		secret := make([]byte, t.hash.Size())
		_, err = rand.Read(secret)
		material = secret
	case familyRSA, familyPSS:
		material, err = rsa.GenerateKey(rand.Reader, minRSABits)
	case familyECDSA:
		material, err = ecdsa.GenerateKey(t.curve, rand.Reader)
	case familyEd25519:
		_, material, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, ErrAlgorithm
	}
	if err != nil {
		return nil, err
	}
	return NewKey(alg, kid, material)
}

// ParsePrivate reads what MarshalPrivate wrote: PKCS#8 DER, or the bare secret
// for HMAC.
func ParsePrivate(alg Algorithm, kid string, b []byte) (*Key, error) {
	if alg.Symmetric() {
		return NewKey(alg, kid, b)
	}
	private, err := x509.ParsePKCS8PrivateKey(b)
	if err != nil {
		return nil, badKey("not a PKCS#8 private key")
	}
	return NewKey(alg, kid, private)
}

// MarshalPrivate returns the private key as PKCS#8 DER, or the bare secret for
// HMAC. A public key is ErrKey.
func (k *Key) MarshalPrivate() ([]byte, error) {
	switch {
	case k.secret != nil:
		return bytes.Clone(k.secret), nil
	case k.rsaPrivate != nil:
		return x509.MarshalPKCS8PrivateKey(k.rsaPrivate)
	case k.ecPrivate != nil:
		return x509.MarshalPKCS8PrivateKey(k.ecPrivate)
	case k.edPrivate != nil:
		return x509.MarshalPKCS8PrivateKey(k.edPrivate)
	}
	return nil, badKey("not a private key")
}

// ID returns the key id, which may be empty.
func (k *Key) ID() string { return k.id }

// Algorithm returns the one algorithm the key is bound to.
func (k *Key) Algorithm() Algorithm { return k.alg }

// CanSign reports whether the key can and may sign: it is private or symmetric,
// and the JWK it came from, if any, did not limit it to verifying.
func (k *Key) CanSign() bool {
	return k != nil && !k.verifyOnly && (k.secret != nil || k.rsaPrivate != nil || k.ecPrivate != nil || k.edPrivate != nil)
}

// Public returns the key without its private part. It is nil for an HMAC key,
// which has no other part.
func (k *Key) Public() *Key {
	if k.secret != nil {
		return nil
	}
	public := *k
	public.rsaPrivate, public.ecPrivate, public.edPrivate = nil, nil, nil
	return &public
}

// WithID returns the same key under another id. It panics on an id that NewKey
// would refuse, because ids are chosen by code and not by strangers.
func (k *Key) WithID(kid string) *Key {
	if !plain(kid) {
		panic("jose: unfit key id")
	}
	named := *k
	named.id, named.header = kid, new(atomic.Pointer[firstSegment])
	return &named
}

// Thumbprint returns the RFC 7638 SHA-256 thumbprint of the key in base64url. It
// is the same for the private and the public half. An HMAC key has one too; it
// gives a guessable secret away and must not be published for one.
func (k *Key) Thumbprint() string { return k.thumbprint }

func (k *Key) setSecret(secret []byte) error {
	t := k.alg.traits()
	if t.family != familyHMAC {
		return badKey("a secret is no key for %s", k.alg)
	}
	if len(secret) < t.hash.Size() {
		return badKey("HMAC secret shorter than the hash") // RFC 7518 section 3.2
	}
	if isEncodedKey(secret) {
		return badKey("an encoded key or certificate is not an HMAC secret")
	}
	k.secret = bytes.Clone(secret)
	h := t.hash
	shared := k.secret
	k.macs = &sync.Pool{New: func() any { return &keyed{Hash: hmac.New(h.New, shared)} }}
	return nil
}

// sequence is what every key and certificate in DER begins with: most secrets need not
// be looked at further.
const sequence = 0x30

// isEncodedKey finds the mistake behind algorithm confusion: a public key, in the
// spelling its file has, handed over as an HMAC secret. The binding of key and
// algorithm is the defense; this only tells the person who mixed them up.
func isEncodedKey(b []byte) bool {
	if bytes.Contains(b, []byte("-----BEGIN ")) {
		return true
	}
	if len(b) > 0 && b[0] == sequence {
		_, err1 := x509.ParsePKIXPublicKey(b)
		_, err2 := x509.ParsePKCS1PublicKey(b)
		_, err3 := x509.ParseCertificate(b)
		if err1 == nil || err2 == nil || err3 == nil {
			return true
		}
	}
	fields, err := scanObject(b, nil)
	return err == nil && slices.ContainsFunc(fields, func(f field) bool { return string(f.name) == "kty" })
}

func (k *Key) setRSAPublic(public *rsa.PublicKey) error {
	if f := k.alg.traits().family; f != familyRSA && f != familyPSS {
		return badKey("an RSA key is no key for %s", k.alg)
	}
	if err := checkRSA(public); err != nil {
		return err
	}
	k.rsaPublic = &rsa.PublicKey{N: new(big.Int).Set(public.N), E: public.E}
	return nil
}

func (k *Key) setRSAPrivate(private *rsa.PrivateKey) error {
	if private == nil {
		return badKey("no key")
	}
	if err := k.setRSAPublic(&private.PublicKey); err != nil {
		return err
	}
	own, err := copyRSA(private)
	if err != nil {
		return err
	}
	k.rsaPrivate, k.rsaPublic = own, &own.PublicKey
	return nil
}

// checkRSA refuses sizes and exponents that are unsafe, or only good for making
// verification slow.
func checkRSA(public *rsa.PublicKey) error {
	if public == nil || public.N == nil {
		return badKey("no key")
	}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return badKey("RSA modulus of %d bits", bits)
	}
	if public.N.Sign() < 0 || public.N.Bit(0) == 0 {
		return badKey("RSA modulus is even")
	}
	// FIPS 186-5: odd and above 2^16.
	if public.E <= 1<<16 || public.E&1 == 0 || public.E > 1<<31-1 {
		return badKey("RSA exponent refused")
	}
	return nil
}

// copyRSA returns a validated copy that nobody else can change.
func copyRSA(private *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if private.D == nil || len(private.Primes) != 2 || slices.Contains(private.Primes, nil) {
		return nil, badKey("RSA private key is incomplete")
	}
	own := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Set(private.N), E: private.E},
		D:         new(big.Int).Set(private.D),
		Primes:    []*big.Int{new(big.Int).Set(private.Primes[0]), new(big.Int).Set(private.Primes[1])},
	}
	own.Precompute()
	if err := own.Validate(); err != nil {
		return nil, badKey("RSA private key is inconsistent")
	}
	return own, nil
}

func (k *Key) setECPublic(public *ecdsa.PublicKey) error {
	t := k.alg.traits()
	if public == nil || public.Curve == nil {
		return badKey("no key")
	}
	if t.family != familyECDSA || public.Curve != t.curve {
		return badKey("an EC key on this curve is no key for %s", k.alg)
	}
	point, err := public.Bytes()
	if err != nil {
		return badKey("point not on the curve")
	}
	k.ecPublic, err = ecdsa.ParseUncompressedPublicKey(t.curve, point)
	if err != nil {
		return badKey("point not on the curve")
	}
	k.ecOrder = t.curve.Params().N.FillBytes(make([]byte, coordinateSize(t.curve)))
	return nil
}

func (k *Key) setECPrivate(private *ecdsa.PrivateKey) error {
	if private == nil {
		return badKey("no key")
	}
	if err := k.setECPublic(&private.PublicKey); err != nil {
		return err
	}
	scalar, err := private.Bytes()
	if err != nil {
		return badKey("private key out of range")
	}
	own, err := ecdsa.ParseRawPrivateKey(k.ecPublic.Curve, scalar)
	if err != nil || !own.PublicKey.Equal(k.ecPublic) {
		return badKey("private key does not belong to the public key")
	}
	k.ecPrivate = own
	return nil
}

func (k *Key) setEdPublic(public ed25519.PublicKey) error {
	if k.alg.traits().family != familyEd25519 {
		return badKey("an Ed25519 key is no key for %s", k.alg)
	}
	if !validEd25519(public) {
		return badKey("not an Ed25519 public key")
	}
	k.edPublic = bytes.Clone(public)
	return nil
}

func (k *Key) setEdPrivate(private ed25519.PrivateKey) error {
	if len(private) != ed25519.PrivateKeySize {
		return badKey("not an Ed25519 private key")
	}
	// The second half is only a memo; signing with a wrong one leaks the key.
	own := ed25519.NewKeyFromSeed(private.Seed())
	if !bytes.Equal(own, private) {
		return badKey("private key does not belong to the public key")
	}
	if err := k.setEdPublic(own.Public().(ed25519.PublicKey)); err != nil {
		return err
	}
	k.edPrivate = own
	return nil
}

// coordinateSize is the width of a field element and of an order of the curve.
func coordinateSize(c elliptic.Curve) int { return (c.Params().BitSize + 7) / 8 }
