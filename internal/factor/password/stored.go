package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnsupported is what every refused hash is: of an unknown scheme, malformed,
// or too expensive to compute.
var ErrUnsupported = errors.New("password hash is not supported")

var errForm = errors.New("malformed")

// Stored is a hash in one of the supported schemes. Get one from ParseHash.
type Stored struct{ method method }

// method is one scheme with the parameters of one hash.
type method interface {
	match(password string) bool
	// holds reports whether the scheme tells this password from every other.
	// When it is false, match must not be asked.
	holds(password string) bool
	encode() string
	scheme() string
	memory() int64 // bytes
}

// ParseHash reads an encoded hash. Everything wrong with it, also a cost over the
// caps, is an ErrUnsupported. The text of the error does not repeat the hash.
func ParseHash(encoded string) (Stored, error) {
	if len(encoded) > maxEncoded {
		return Stored{}, fmt.Errorf("%w: longer than %d bytes", ErrUnsupported, maxEncoded)
	}
	m, err := parse(encoded)
	if err != nil {
		return Stored{}, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	// One hash has one text. This refuses leading zeros, line ends inside base64,
	// bits that base64 drops, and whatever else a lenient reader forgives.
	if m.encode() != encoded {
		return Stored{}, fmt.Errorf("%w: %w", ErrUnsupported, errForm)
	}
	return Stored{method: m}, nil
}

// Supported is ParseHash for those who only want to know, at import.
func Supported(encoded string) error {
	_, err := ParseHash(encoded)
	return err
}

// String returns the encoded hash, byte for byte as it was read. It is a secret.
func (s Stored) String() string { return s.method.encode() }

// Scheme names the algorithm: argon2id, argon2i, bcrypt, pbkdf2-sha256,
// pbkdf2-sha512 or scrypt.
func (s Stored) Scheme() string { return s.method.scheme() }

func parse(encoded string) (method, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) < 3 {
		return nil, errForm
	}
	switch {
	case fields[1] == "argon2id", fields[1] == "argon2i":
		if fields[0] != "" && fields[0] != djangoArgon {
			return nil, errForm
		}
		return parseArgon(fields)
	case strings.HasPrefix(encoded, "$2"), strings.HasPrefix(encoded, djangoBcrypt):
		return parseBcrypt(encoded)
	case strings.HasPrefix(encoded, "$pbkdf2"), strings.HasPrefix(encoded, "pbkdf2"):
		return parsePBKDF2(encoded)
	case strings.HasPrefix(encoded, "$scrypt"), strings.HasPrefix(encoded, "scrypt"):
		return parseScrypt(encoded)
	}
	return nil, errors.New("unknown scheme")
}

// numbers reads one number after each prefix, in this order.
func numbers(fields []string, prefixes ...string) ([]uint32, error) {
	if len(fields) != len(prefixes) {
		return nil, errForm
	}
	out := make([]uint32, len(fields))
	for i, f := range fields {
		digits, ok := strings.CutPrefix(f, prefixes[i])
		if !ok {
			return nil, errForm
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read number: %w", errForm)
		}
		out[i] = uint32(n)
	}
	return out, nil
}

func saltAndSum(b64 *base64.Encoding, salt, sum string) ([]byte, []byte, error) {
	rawSalt, err := b64.DecodeString(salt)
	if err != nil {
		return nil, nil, fmt.Errorf("read salt: %w", errForm)
	}
	rawSum, err := b64.DecodeString(sum)
	if err != nil {
		return nil, nil, fmt.Errorf("read hash: %w", errForm)
	}
	return sized(rawSalt, rawSum)
}

// sized refuses a hash so short that guessing it is easier than guessing the
// password, and one so long that computing it costs more.
func sized(salt, sum []byte) ([]byte, []byte, error) {
	if len(salt) < minSaltSize || len(salt) > maxSaltSize {
		return nil, nil, fmt.Errorf("salt of %d bytes, want %d to %d: %w", len(salt), minSaltSize, maxSaltSize, errForm)
	}
	if len(sum) < minSumSize || len(sum) > maxSumSize {
		return nil, nil, fmt.Errorf("hash of %d bytes, want %d to %d: %w", len(sum), minSumSize, maxSumSize, errForm)
	}
	return salt, sum, nil
}
