package jose

import (
	"crypto/ed25519"
	"math/big"
	"slices"
)

// validEd25519 reports whether b is the canonical encoding of a point on the
// curve (RFC 8032 section 5.1.3) that is not of small order. Under a key of small
// order one signature fits many messages; crypto/ed25519 does not look for that.
// It runs once for each key, so plain arithmetic is good enough.
func validEd25519(b []byte) bool {
	if len(b) != ed25519.PublicKeySize {
		return false
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	be := slices.Clone(b)
	slices.Reverse(be)
	be[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(be)
	if y.Cmp(p) >= 0 {
		return false
	}

	// x² = (y² - 1) / (d·y² + 1) with d = -121665/121666.
	one := big.NewInt(1)
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mul(d, big.NewInt(-121665)).Mod(d, p)
	yy := new(big.Int).Mul(y, y)
	yy.Mod(yy, p)
	v := new(big.Int).Mul(d, yy)
	v.Add(v, one).Mod(v, p)
	xx := new(big.Int).Sub(yy, one)
	xx.Mul(xx, v.ModInverse(v, p)).Mod(xx, p)
	if new(big.Int).ModSqrt(xx, p) == nil {
		return false
	}

	// Orders 1 and 2 have x = 0, order 4 has y = 0, and doubling a point of order
	// 8 gives y = 0, which the doubling formula says is x² + y² = 0.
	sum := new(big.Int).Add(xx, yy)
	return xx.Sign() != 0 && yy.Sign() != 0 && sum.Mod(sum, p).Sign() != 0
}
