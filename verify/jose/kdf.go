package jose

import (
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

// agreement is the input of the Concat KDF of RFC 7518 section 4.6.2. alg is what
// the derived key is for: the content encryption, or the wrapping algorithm.
type agreement struct {
	shared, apu, apv []byte
	alg              string
}

// derive returns a key of at most 32 bytes, which is one round of SHA-256.
func (a agreement) derive(size int) []byte {
	h := sha256.New()
	h.Write([]byte{0, 0, 0, 1})
	h.Write(a.shared)
	for _, info := range [][]byte{[]byte(a.alg), a.apu, a.apv} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(info))))
		h.Write(info)
	}
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(size)*8))
	return h.Sum(nil)[:size]
}

// The initial value of RFC 3394 section 2.2.3.1.
const wrapIV = 0xA6A6A6A6A6A6A6A6

// wrapKey is AES Key Wrap (RFC 3394 section 2.2.1). key is a multiple of 8 bytes.
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := len(key) / 8
	out := slices.Concat(make([]byte, 8), key)
	var buf [aes.BlockSize]byte
	binary.BigEndian.PutUint64(buf[:8], wrapIV)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(buf[8:], out[i*8:])
			block.Encrypt(buf[:], buf[:])
			xorCounter(buf[:8], n*j+i)
			copy(out[i*8:], buf[8:])
		}
	}
	copy(out, buf[:8])
	return out, nil
}

// unwrapKey undoes wrapKey for a content key; anything else is not ok.
func unwrapKey(kek, wrapped []byte) ([]byte, bool) {
	block, err := aes.NewCipher(kek)
	// Checked before use: an empty or short encrypted key once made a parser
	// panic (CVE-2026-34986).
	if err != nil || len(wrapped) != contentKeySize+8 {
		return nil, false
	}
	n := len(wrapped)/8 - 1
	out := slices.Clone(wrapped)
	var buf [aes.BlockSize]byte
	copy(buf[:8], wrapped)
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			xorCounter(buf[:8], n*j+i)
			copy(buf[8:], out[i*8:])
			block.Decrypt(buf[:], buf[:])
			copy(out[i*8:], buf[8:])
		}
	}
	var iv [8]byte
	binary.BigEndian.PutUint64(iv[:], wrapIV)
	return out[8:], subtle.ConstantTimeCompare(buf[:8], iv[:]) == 1
}

func xorCounter(a []byte, t int) {
	binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(a)^uint64(t))
}
