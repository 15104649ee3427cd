package statuslist

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// Size is how many bits a list has, whatever it is used for: its length tells
// nobody how many tokens there are.
const Size = 1 << bits

const (
	bits   = 20
	half   = bits / 2
	rounds = 8
	mask   = 1<<half - 1
)

// permutation is a secret order of the Size numbers: a Feistel network whose round
// functions are tables of random values. Neighbors in a list have nothing to do
// with each other, and an index does not say how many came before it.
type permutation [rounds][1 << half]uint16

// stream is n bytes that only who has the key can tell from random ones.
func stream(k *opaque.Key, n int, parts ...string) []byte {
	seed := k.MAC(parts...)
	block, err := aes.NewCipher(seed[:])
	if err != nil {
		panic(err) // a digest is 32 bytes
	}
	out := make([]byte, n)
	// Each seed is for one stream, so the counter may begin at zero.
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(out, out)
	return out
}

func newPermutation(k *opaque.Key, list string) *permutation {
	raw := stream(k, rounds<<half*2, "order", list)
	p := new(permutation)
	for r := range p {
		for i := range p[r] {
			p[r][i] = binary.LittleEndian.Uint16(raw) & mask
			raw = raw[2:]
		}
	}
	return p
}

// index is where a number stands in the list.
func (p *permutation) index(n int) int {
	left, right := uint16(n>>half), uint16(n&mask)
	for r := range p {
		left, right = right, left^p[r][right]
	}
	return int(left)<<half | int(right)
}

// number is the inverse of index.
func (p *permutation) number(index int) int {
	left, right := uint16(index>>half), uint16(index&mask)
	for r := rounds - 1; r >= 0; r-- {
		left, right = right^p[r][left], left
	}
	return int(left)<<half | int(right)
}
