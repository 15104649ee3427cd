package jose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
)

// The algorithms of encrypted tokens: how the content key gets to the recipient,
// and the one way the content is encrypted.
const (
	RSAOAEP256    = "RSA-OAEP-256"
	ECDHES        = "ECDH-ES"
	ECDHESA256KW  = "ECDH-ES+A256KW"
	A256GCM       = "A256GCM"
	nestedContent = "JWT"
)

func isKeyManagement(alg string) bool {
	return alg == RSAOAEP256 || alg == ECDHES || alg == ECDHESA256KW
}

// RecipientKey is a public key that tokens can be encrypted for, bound to one key
// management algorithm. It never changes and is safe for concurrent use.
type RecipientKey struct {
	alg, id string
	rsa     *rsa.PublicKey
	ecdh    *ecdh.PublicKey
}

// DecryptionKey is the private key of a recipient, bound to one key management
// algorithm. It never changes and is safe for concurrent use.
type DecryptionKey struct {
	recipient RecipientKey
	rsa       *rsa.PrivateKey
	ecdh      *ecdh.PrivateKey
}

// NewRecipientKey binds a public key to RSAOAEP256 (*rsa.PublicKey, from 2048
// bits) or to ECDHES or ECDHESA256KW (*ecdsa.PublicKey, *ecdh.PublicKey on P-256,
// P-384, P-521 or X25519) and a key id, which may be empty.
func NewRecipientKey(alg, kid string, public any) (*RecipientKey, error) {
	if !isKeyManagement(alg) {
		return nil, ErrAlgorithm
	}
	if !plain(kid) {
		return nil, badKey("unfit key id")
	}
	k := &RecipientKey{alg: alg, id: kid}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(p); err != nil {
			return nil, err
		}
		k.rsa = &rsa.PublicKey{N: new(big.Int).Set(p.N), E: p.E}
	case *ecdsa.PublicKey:
		if p == nil || p.Curve == nil {
			return nil, badKey("no key")
		}
		var err error
		if k.ecdh, err = p.ECDH(); err != nil {
			return nil, badKey("point not on the curve")
		}
	case *ecdh.PublicKey:
		k.ecdh = p
	default:
		return nil, badKey("unknown kind of key material")
	}
	if (alg == RSAOAEP256) != (k.rsa != nil) || (alg != RSAOAEP256) != (k.ecdh != nil) {
		return nil, badKey("this kind of key is no key for %s", alg)
	}
	if k.ecdh != nil && agreementCurve(k.ecdh.Curve()) == "" {
		return nil, badKey("unknown curve")
	}
	return k, nil
}

// ParseRecipientKey reads a public JWK for alg. A JWK that names another "alg" is
// ErrAlgorithm; one with private members is ErrKey, since a recipient that hands
// those out has lost its key.
func ParseRecipientKey(alg string, jwk []byte) (*RecipientKey, error) {
	j, kid, err := parseEncryptionJWK(alg, jwk)
	if err != nil {
		return nil, err
	}
	if j.private() {
		return nil, badKey("a recipient's JWK must be public")
	}
	material, err := j.material()
	if err != nil {
		return nil, err
	}
	return NewRecipientKey(alg, kid, material)
}

// ID returns the key id, which may be empty.
func (k *RecipientKey) ID() string { return k.id }

// Algorithm returns the one key management algorithm the key is bound to.
func (k *RecipientKey) Algorithm() string { return k.alg }

// MarshalJSON returns the public JWK, with use "enc".
func (k *RecipientKey) MarshalJSON() ([]byte, error) {
	return k.members().jwk(k.id, "enc", k.alg), nil
}

// Thumbprint returns the RFC 7638 SHA-256 thumbprint of the key in base64url.
func (k *RecipientKey) Thumbprint() string { return k.members().thumbprint() }

func (k *RecipientKey) members() keyMembers {
	if k.rsa != nil {
		return rsaMembers(k.rsa)
	}
	return agreementMembers(k.ecdh)
}

// NewDecryptionKey binds a private key to RSAOAEP256 (*rsa.PrivateKey) or to
// ECDHES or ECDHESA256KW (*ecdsa.PrivateKey, *ecdh.PrivateKey) and a key id, which
// may be empty.
func NewDecryptionKey(alg, kid string, private any) (*DecryptionKey, error) {
	k := &DecryptionKey{}
	var public any
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if p == nil {
			return nil, badKey("no key")
		}
		if err := checkRSA(&p.PublicKey); err != nil {
			return nil, err
		}
		var err error
		if k.rsa, err = copyRSA(p); err != nil {
			return nil, err
		}
		public = &k.rsa.PublicKey
	case *ecdsa.PrivateKey:
		if p == nil || p.Curve == nil {
			return nil, badKey("no key")
		}
		var err error
		if k.ecdh, err = p.ECDH(); err != nil {
			return nil, badKey("private key out of range")
		}
		public = k.ecdh.PublicKey()
	case *ecdh.PrivateKey:
		if p == nil {
			return nil, badKey("no key")
		}
		k.ecdh = p
		public = p.PublicKey()
	default:
		return nil, badKey("unknown kind of key material")
	}
	recipient, err := NewRecipientKey(alg, kid, public)
	if err != nil {
		return nil, err
	}
	k.recipient = *recipient
	return k, nil
}

// GenerateDecryptionKey returns a fresh key: RSA of 2048 bits, or P-256.
func GenerateDecryptionKey(alg, kid string) (*DecryptionKey, error) {
	if alg == RSAOAEP256 {
		private, err := rsa.GenerateKey(rand.Reader, minRSABits)
		if err != nil {
			return nil, err
		}
		return NewDecryptionKey(alg, kid, private)
	}
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return NewDecryptionKey(alg, kid, private)
}

// ParseDecryptionKey reads a private key for alg, as PKCS#8 DER or as a JWK. A
// JWK's own key id serves when kid is empty; one that names another "alg" is
// ErrAlgorithm.
func ParseDecryptionKey(alg, kid string, b []byte) (*DecryptionKey, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		private, err := x509.ParsePKCS8PrivateKey(b)
		if err != nil {
			return nil, badKey("not a PKCS#8 private key or a JWK")
		}
		return NewDecryptionKey(alg, kid, private)
	}
	j, own, err := parseEncryptionJWK(alg, b)
	if err != nil {
		return nil, err
	}
	if kid == "" {
		kid = own
	}
	material, err := j.material()
	if err != nil {
		return nil, err
	}
	return NewDecryptionKey(alg, kid, material)
}

// ID returns the key id, which may be empty.
func (k *DecryptionKey) ID() string { return k.recipient.id }

// Algorithm returns the one key management algorithm the key is bound to.
func (k *DecryptionKey) Algorithm() string { return k.recipient.alg }

// Recipient returns the public half.
func (k *DecryptionKey) Recipient() *RecipientKey {
	recipient := k.recipient
	return &recipient
}

// MarshalPrivate returns the key as PKCS#8 DER.
func (k *DecryptionKey) MarshalPrivate() ([]byte, error) {
	if k.rsa != nil {
		return x509.MarshalPKCS8PrivateKey(k.rsa)
	}
	return x509.MarshalPKCS8PrivateKey(k.ecdh)
}

func parseEncryptionJWK(alg string, b []byte) (j jwk, kid string, err error) {
	if j, err = parseJWK(b); err != nil {
		return j, "", err
	}
	own, err := j.text("alg")
	if err != nil {
		return j, "", err
	}
	if own != "" && own != alg {
		return j, "", ErrAlgorithm
	}
	_, err = j.permits("enc", "encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits")
	if err != nil {
		return j, "", err
	}
	kid, err = j.text("kid")
	return j, kid, err
}

// agreementMembers is also what an ephemeral key looks like in a header.
func agreementMembers(public *ecdh.PublicKey) keyMembers {
	crv := agreementCurve(public.Curve())
	if crv == "X25519" {
		return okpMembers(crv, public.Bytes())
	}
	return ecMembers(crv, public.Bytes())
}

// agreementCurve returns the JWK name of a curve, or "" for one that is not ours.
func agreementCurve(c ecdh.Curve) string {
	switch c {
	case ecdh.P256():
		return curveName(elliptic.P256())
	case ecdh.P384():
		return curveName(elliptic.P384())
	case ecdh.P521():
		return curveName(elliptic.P521())
	case ecdh.X25519():
		return "X25519"
	}
	return ""
}
