package revocation

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Secret keys the hashes of one issuer's feed, so that frames and snapshots
// disclose no names to whoever sees them pass.
type Secret [16]byte

// ParseSecret reads the 16 bytes that a hub hands out.
func ParseSecret(b []byte) (Secret, error) {
	if len(b) != len(Secret{}) {
		return Secret{}, fmt.Errorf("%w: secret of %d bytes", ErrWire, len(b))
	}
	return Secret(b), nil
}

// Key is the hash of what an entry names: SipHash-2-4 of the kind and the id. It
// is never 0. Two names share a key with a probability of 2^-64: then a credential
// is refused that should not be, and never one accepted.
func (s Secret) Key(kind Kind, id string) uint64 {
	h := sipHash(binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:]), byte(kind), id)
	if h == 0 {
		return 1
	}
	return h
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012) of one byte and a text
// after it, without putting them together.
func sipHash(k0, k1 uint64, first byte, text string) uint64 {
	v0, v1 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d
	v2, v3 := k0^0x6c7967656e657261, k1^0x7465646279746573
	// The first byte shifts all others: of each eight, the last one goes into the next block.
	block, length := uint64(first), len(text)+1
	for ; len(text) >= 8; text = text[8:] {
		next := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		block |= next << 8
		v3 ^= block
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= block
		block = next >> 56
	}
	for i := range len(text) {
		block |= uint64(text[i]) << (8 * (i + 1))
	}
	if len(text) == 7 {
		v3 ^= block
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= block
		block = 0
	}
	block |= uint64(length) << 56
	v3 ^= block
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= block
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13)
	v1 ^= v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16)
	v3 ^= v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21)
	v3 ^= v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17)
	v1 ^= v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
