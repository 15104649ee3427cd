package password

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// Params are the costs of Argon2id (RFC 9106).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8  // lanes computed in parallel
}

// DefaultParams returns 19 MiB, two passes, one lane: the least that OWASP
// recommends, and what the figures in the documentation were measured with.
func DefaultParams() Params {
	return Params{Memory: 19456, Time: 2, Threads: 1}
}

// The most that a hash may cost, whether computed anew or imported.
const (
	maxMemory   = 128 << 10 // KiB
	maxTime     = 64
	maxThreads  = 16
	maxArgon    = 512 << 10 // memory in KiB x passes: about 0.4 s
	maxRounds   = 2_000_000 // PBKDF2 rounds x blocks of output: about 0.5 s
	maxScrypt   = 1 << 20   // N x r x p: about 0.4 s
	maxCost     = 14        // bcrypt: about 1 s
	saltSize    = 16
	sumSize     = 32
	minSaltSize = 4
	maxSaltSize = 64
	minSumSize  = 16
	maxSumSize  = 64
	maxEncoded  = 512
)

var errCost = errors.New("cost is out of bounds")

// Validate reports parameters that Argon2id does not define, or that cost more
// than this package is willing to spend on one login.
func (p Params) Validate() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("argon2 threads %d, want 1 to %d: %w", p.Threads, maxThreads, errCost)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("argon2 time %d, want 1 to %d: %w", p.Time, maxTime, errCost)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("argon2 memory %d KiB, want %d to %d: %w", p.Memory, 8*p.Threads, maxMemory, errCost)
	case uint64(p.Memory)*uint64(p.Time) > maxArgon:
		return fmt.Errorf("argon2 memory %d KiB x time %d is over %d: %w", p.Memory, p.Time, maxArgon, errCost)
	}
	return nil
}

// Strong reports whether the parameters cost an attacker at least as much as the
// settings OWASP lists, from 46 MiB with one pass to 7 MiB with five.
func (p Params) Strong() bool {
	return p.Memory >= 7<<10 && uint64(p.Memory)*uint64(p.Time) >= 5*7<<10
}

// fresh returns the parameters with a new salt and no hash yet.
func (p Params) fresh() argon {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails, says crypto/rand
	return argon{variant: "argon2id", params: p, salt: salt}
}
