package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// passlib64 is passlib's base64: standard, with "." for "+", without padding.
var passlib64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").
	WithPadding(base64.NoPadding)

// style is how a program writes its hashes.
type style int

const (
	passlib  style = iota // salt and hash in base64
	django                // the salt as text
	werkzeug              // the salt as text, the hash in hexadecimal
)

// pbkdf2Hash is a PBKDF2 hash (RFC 8018).
type pbkdf2Hash struct {
	style  style
	digest string // sha256 or sha512
	rounds uint32
	salt   []byte
	sum    []byte
}

func (h pbkdf2Hash) match(password string) bool {
	f, _ := digestOf(h.digest)
	sum, err := pbkdf2.Key(f, password, h.salt, int(h.rounds), len(h.sum))
	return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func (h pbkdf2Hash) scheme() string { return "pbkdf2-" + h.digest }
func (h pbkdf2Hash) memory() int64  { return 1 << 10 }

// holds is false for a NUL at the end, which HMAC cannot tell from its padding.
func (h pbkdf2Hash) holds(password string) bool { return !strings.HasSuffix(password, "\x00") }

func (h pbkdf2Hash) encode() string {
	switch h.style {
	case django:
		return fmt.Sprintf("pbkdf2_%s$%d$%s$%s", h.digest, h.rounds, h.salt, base64.StdEncoding.EncodeToString(h.sum))
	case werkzeug:
		return fmt.Sprintf("pbkdf2:%s:%d$%s$%x", h.digest, h.rounds, h.salt, h.sum)
	default:
		return fmt.Sprintf("$pbkdf2-%s$%d$%s$%s", h.digest, h.rounds,
			passlib64.EncodeToString(h.salt), passlib64.EncodeToString(h.sum))
	}
}

func digestOf(name string) (f func() hash.Hash, size int) {
	if name == "sha512" {
		return sha512.New, sha512.Size
	}
	return sha256.New, sha256.Size
}

// parsePBKDF2 reads the three ways to write a PBKDF2 hash.
func parsePBKDF2(encoded string) (method, error) {
	h := pbkdf2Hash{}
	fields := strings.Split(encoded, "$")
	switch {
	case strings.HasPrefix(encoded, "$pbkdf2-") && len(fields) == 5:
		h.digest, fields = strings.TrimPrefix(fields[1], "pbkdf2-"), fields[2:]
	case strings.HasPrefix(encoded, "pbkdf2_") && len(fields) == 4:
		h.style, h.digest, fields = django, strings.TrimPrefix(fields[0], "pbkdf2_"), fields[1:]
	case strings.HasPrefix(encoded, "pbkdf2:") && len(fields) == 3:
		digest, rounds, _ := strings.Cut(strings.TrimPrefix(fields[0], "pbkdf2:"), ":")
		h.style, h.digest, fields = werkzeug, digest, []string{rounds, fields[1], fields[2]}
	default:
		return nil, errForm
	}
	if h.digest != "sha256" && h.digest != "sha512" {
		return nil, fmt.Errorf("pbkdf2 digest %q: %w", h.digest, errForm)
	}
	rounds, err := numbers(fields[:1], "")
	if err != nil {
		return nil, err
	}
	h.rounds = rounds[0]
	if h.salt, h.sum, err = h.style.saltAndSum(passlib64, fields[1], fields[2]); err != nil {
		return nil, err
	}
	// Each block of output costs all the rounds again.
	_, size := digestOf(h.digest)
	blocks := uint64((len(h.sum) + size - 1) / size)
	if h.rounds < 1 || uint64(h.rounds)*blocks > maxRounds {
		return nil, fmt.Errorf("pbkdf2 rounds %d x blocks %d, want at most %d: %w", h.rounds, blocks, maxRounds, errCost)
	}
	return h, nil
}

// saltAndSum reads the last two fields as the style writes them.
func (s style) saltAndSum(b64 *base64.Encoding, salt, sum string) ([]byte, []byte, error) {
	var raw []byte
	var err error
	switch s {
	case django:
		raw, err = base64.StdEncoding.DecodeString(sum)
	case werkzeug:
		raw, err = hex.DecodeString(sum)
	default:
		return saltAndSum(b64, salt, sum)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read hash: %w", errForm)
	}
	return sized([]byte(salt), raw)
}
