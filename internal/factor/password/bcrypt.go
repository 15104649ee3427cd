package password

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// djangoBcrypt is what Django writes before the bcrypt string.
const djangoBcrypt = "bcrypt$"

// maxBcrypt is how many bytes of a password bcrypt reads. It ignores the rest.
const maxBcrypt = 72

// bcryptHash is a bcrypt hash, kept as it was written.
type bcryptHash struct {
	prefix string // djangoBcrypt or ""
	text   string // $2b$12$ and 53 letters
}

func (b bcryptHash) match(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(b.text), []byte(password)) == nil
}

func (b bcryptHash) encode() string { return b.prefix + b.text }
func (b bcryptHash) scheme() string { return "bcrypt" }
func (b bcryptHash) memory() int64  { return 4 << 10 }

// holds is false where bcrypt takes two passwords for one: it cuts what is over
// 72 bytes, and repeats the key with a NUL between, so that "a" is "a\x00a".
func (b bcryptHash) holds(password string) bool {
	return len(password) <= maxBcrypt && !strings.ContainsRune(password, 0)
}

func parseBcrypt(encoded string) (method, error) {
	text := strings.TrimPrefix(encoded, djangoBcrypt)
	b := bcryptHash{prefix: encoded[:len(encoded)-len(text)], text: text}
	fields := strings.Split(text, "$")
	if len(fields) != 4 || len(fields[2]) != 2 || len(fields[3]) != 53 {
		return nil, errForm
	}
	// 2x marks hashes of a version with a bug in it (crypt_blowfish 1.0): not ours.
	if fields[1] != "2a" && fields[1] != "2b" && fields[1] != "2y" {
		return nil, errForm
	}
	if strings.Trim(fields[3], "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, errForm
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read bcrypt cost: %w", errForm)
	}
	if cost > maxCost {
		return nil, fmt.Errorf("bcrypt cost %d, want at most %d: %w", cost, maxCost, errCost)
	}
	return b, nil
}
