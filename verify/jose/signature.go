package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// maxSignature is the longest signature of a key that NewKey accepts.
const maxSignature = maxRSABits / 8

// sign computes the raw signature over input.
func (k *Key) sign(input []byte) ([]byte, error) {
	t := k.alg.traits()
	switch t.family {
	case familyHMAC:
		return k.mac(input, nil), nil
	case familyRSA:
		return rsa.SignPKCS1v15(nil, k.rsaPrivate, t.hash, digest(t.hash, input))
	case familyPSS:
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.SignPSS(rand.Reader, k.rsaPrivate, t.hash, digest(t.hash, input), opts)
	case familyECDSA:
		r, s, err := ecdsa.Sign(rand.Reader, k.ecPrivate, digest(t.hash, input))
		if err != nil {
			return nil, err
		}
		// RFC 7518 section 3.4: R and S at full width, not DER.
		size := coordinateSize(t.curve)
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out, nil
	case familyEd25519:
		return ed25519.Sign(k.edPrivate, input), nil
	}
	return nil, ErrAlgorithm
}

// verify reports whether signature is k's over input.
func (k *Key) verify(input, signature []byte) bool {
	t := k.alg.traits()
	switch t.family {
	case familyHMAC:
		var buf [sha512.Size]byte
		return hmac.Equal(signature, k.mac(input, buf[:0]))
	case familyRSA:
		return rsa.VerifyPKCS1v15(k.rsaPublic, t.hash, digest(t.hash, input), signature) == nil
	case familyPSS:
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(k.rsaPublic, t.hash, digest(t.hash, input), signature, opts) == nil
	case familyECDSA:
		return k.verifyECDSA(digest(t.hash, input), signature)
	case familyEd25519:
		return ed25519.Verify(k.edPublic, input, signature)
	}
	return false
}

func (k *Key) verifyECDSA(sum, signature []byte) bool {
	size := len(k.ecOrder)
	if len(signature) != 2*size {
		return false
	}
	r, s := signature[:size], signature[size:]
	// Both lie in [1, n-1]: r = s = 0 once verified for every message (CVE-2022-21449).
	for _, n := range [...][]byte{r, s} {
		if len(bytes.TrimLeft(n, "\x00")) == 0 || bytes.Compare(n, k.ecOrder) >= 0 {
			return false
		}
	}
	return ecdsa.VerifyASN1(k.ecPublic, sum, derSignature(r, s))
}

// derSignature writes r and s as the SEQUENCE of two INTEGERs that crypto/ecdsa
// reads.
func derSignature(r, s []byte) []byte {
	der := make([]byte, 3, 2*len(r)+9)
	der[0], der[1] = 0x30, 0x81
	for _, n := range [...][]byte{r, s} {
		n = bytes.TrimLeft(n, "\x00")
		if n[0]&0x80 != 0 { // would read as negative
			der = append(der, 0x02, byte(len(n)+1), 0)
		} else {
			der = append(der, 0x02, byte(len(n)))
		}
		der = append(der, n...)
	}
	size := byte(len(der) - 3)
	if size >= 0x80 {
		der[2] = size
		return der
	}
	// A short length stands in one byte, so the header is one byte shorter.
	der = der[1:]
	der[0], der[1] = 0x30, size
	return der
}

// mac appends the HMAC of input to dst. Keyed states are reused: keying costs as
// much as hashing a short token.
func (k *Key) mac(input, dst []byte) []byte {
	h := k.macs.Get().(hash.Hash)
	defer k.macs.Put(h)
	h.Reset()
	h.Write(input)
	return h.Sum(dst)
}

func digest(h crypto.Hash, input []byte) []byte {
	switch h {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return sum[:]
	default:
		sum := sha512.Sum512(input)
		return sum[:]
	}
}
