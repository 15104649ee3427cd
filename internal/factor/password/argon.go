package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// djangoArgon is what Django writes before the PHC string.
const djangoArgon = "argon2"

// argon is an Argon2id or Argon2i hash.
type argon struct {
	prefix  string // djangoArgon or ""
	variant string // argon2id or argon2i
	params  Params
	salt    []byte
	sum     []byte
}

// derive computes the raw hash.
func (a argon) derive(password string, size int) []byte {
	f := argon2.IDKey
	if a.variant == "argon2i" {
		f = argon2.Key
	}
	return f([]byte(password), a.salt, a.params.Time, a.params.Memory, a.params.Threads, uint32(size))
}

func (a argon) match(password string) bool {
	return subtle.ConstantTimeCompare(a.derive(password, len(a.sum)), a.sum) == 1
}

func (a argon) scheme() string { return a.variant }
func (a argon) memory() int64  { return int64(a.params.Memory) << 10 }

// holds is true for every password: the length of each input is part of it.
func (a argon) holds(string) bool { return true }

func (a argon) encode() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("%s$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", a.prefix, a.variant, argon2.Version,
		a.params.Memory, a.params.Time, a.params.Threads, b64.EncodeToString(a.salt), b64.EncodeToString(a.sum))
}

// current reports whether a hash is what a new one would be, but for the salt.
func (a argon) current(p Params) bool {
	return a.prefix == "" && a.variant == "argon2id" && a.params == p &&
		len(a.salt) == saltSize && len(a.sum) == sumSize
}

// parseArgon takes the fields between the dollars: prefix, variant, version,
// costs, salt, hash.
func parseArgon(fields []string) (method, error) {
	if len(fields) != 6 {
		return nil, errForm
	}
	if fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, fmt.Errorf("argon2 version %q, want v=%d: %w", fields[2], argon2.Version, errForm)
	}
	costs, err := numbers(strings.Split(fields[3], ","), "m=", "t=", "p=")
	if err != nil {
		return nil, err
	}
	if costs[2] > maxThreads {
		return nil, fmt.Errorf("argon2 threads %d: %w", costs[2], errCost)
	}
	a := argon{prefix: fields[0], variant: fields[1],
		params: Params{Memory: costs[0], Time: costs[1], Threads: uint8(costs[2])}}
	if err := a.params.Validate(); err != nil {
		return nil, err
	}
	if a.salt, a.sum, err = saltAndSum(base64.RawStdEncoding, fields[4], fields[5]); err != nil {
		return nil, err
	}
	if len(a.salt) < 8 {
		return nil, fmt.Errorf("argon2 salt of %d bytes, want 8 (RFC 9106 section 3.1): %w", len(a.salt), errForm)
	}
	return a, nil
}
