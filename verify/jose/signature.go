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

// signatureSize is at least as long as the signatures of a signing key.
func (k *Key) signatureSize() int {
	switch {
	case k.rsaPrivate != nil:
		return k.rsaPrivate.Size()
	case k.ecPrivate != nil:
		return 2 * coordinateSize(k.ecPrivate.Curve)
	}
	return sha512.Size // HMAC at most, Ed25519 exactly
}

// sign computes the raw signature over input.
func (k *Key) sign(input []byte) ([]byte, error) {
	t := k.alg.traits()
	switch t.family {
	case familyHMAC:
		return k.mac(input), nil
	case familyRSA:
		return rsa.SignPKCS1v15(nil, k.rsaPrivate, t.hash, digest(t.hash, input, new([sha512.Size]byte)))
	case familyPSS:
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.SignPSS(rand.Reader, k.rsaPrivate, t.hash, digest(t.hash, input, new([sha512.Size]byte)), opts)
	case familyECDSA:
		r, s, err := ecdsa.Sign(rand.Reader, k.ecPrivate, digest(t.hash, input, new([sha512.Size]byte)))
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
func (k *Key) verify(input string, signature []byte) bool {
	t := k.alg.traits()
	if t.family == familyHMAC {
		return k.verifyMAC(input, signature)
	}
	// The copy of a usual token stays on the stack.
	var room [1 << 10]byte
	signed := append(room[:0], input...)
	if t.family == familyEd25519 {
		return ed25519.Verify(k.edPublic, signed, signature)
	}
	var sumRoom [sha512.Size]byte
	sum := digest(t.hash, signed, &sumRoom)
	switch t.family {
	case familyRSA:
		return rsa.VerifyPKCS1v15(k.rsaPublic, t.hash, sum, signature) == nil
	case familyPSS:
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		// crypto/rsa lets this one escape, and the others shall not pay for it.
		return rsa.VerifyPSS(k.rsaPublic, t.hash, bytes.Clone(sum), signature, opts) == nil
	case familyECDSA:
		return k.verifyECDSA(sum, signature)
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

// keyed is an HMAC whose key is set, and a place for its result. Both are reused:
// keying costs as much as hashing a short token.
type keyed struct {
	hash.Hash
	sum    [sha512.Size]byte
	window [512]byte
}

func (k *Key) mac(input []byte) []byte {
	h := k.macs.Get().(*keyed)
	defer k.macs.Put(h)
	h.Reset()
	h.Write(input)
	return h.Sum(nil)
}

func (k *Key) verifyMAC(input string, signature []byte) bool {
	h := k.macs.Get().(*keyed)
	defer k.macs.Put(h)
	h.Reset()
	for input != "" {
		n := copy(h.window[:], input)
		h.Write(h.window[:n])
		input = input[n:]
	}
	return hmac.Equal(signature, h.Sum(h.sum[:0]))
}

// digest hashes input into the caller's room.
func digest(h crypto.Hash, input []byte, room *[sha512.Size]byte) []byte {
	switch h {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return append(room[:0], sum[:]...)
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return append(room[:0], sum[:]...)
	default:
		*room = sha512.Sum512(input)
		return room[:]
	}
}
