package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// scryptHash is a scrypt hash (RFC 7914).
type scryptHash struct {
	style   style
	n, r, p uint32
	salt    []byte
	sum     []byte
}

func (h scryptHash) match(password string) bool {
	sum, err := scrypt.Key([]byte(password), h.salt, int(h.n), int(h.r), int(h.p), len(h.sum))
	return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func (h scryptHash) scheme() string { return "scrypt" }
func (h scryptHash) memory() int64  { return 128 * int64(h.r) * int64(h.n+h.p) }

// holds is false for a NUL at the end, which HMAC cannot tell from its padding.
func (h scryptHash) holds(password string) bool { return !strings.HasSuffix(password, "\x00") }

func (h scryptHash) encode() string {
	switch h.style {
	case django:
		return fmt.Sprintf("scrypt$%d$%s$%d$%d$%s", h.n, h.salt, h.r, h.p, base64.StdEncoding.EncodeToString(h.sum))
	case werkzeug:
		return fmt.Sprintf("scrypt:%d:%d:%d$%s$%x", h.n, h.r, h.p, h.salt, h.sum)
	default:
		b64 := base64.RawStdEncoding
		return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", bits.Len32(h.n)-1, h.r, h.p,
			b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
	}
}

// parseScrypt reads the three ways to write a scrypt hash.
func parseScrypt(encoded string) (method, error) {
	h := scryptHash{}
	fields := strings.Split(encoded, "$")
	var costs []uint32
	var err error
	switch {
	case strings.HasPrefix(encoded, "$scrypt$") && len(fields) == 5:
		costs, err = numbers(strings.Split(fields[2], ","), "ln=", "r=", "p=")
		if err == nil && costs[0] < 32 {
			costs[0] = 1 << costs[0]
		}
		fields = fields[3:]
	case strings.HasPrefix(encoded, "scrypt$") && len(fields) == 6:
		h.style = django
		costs, err = numbers([]string{fields[1], fields[3], fields[4]}, "", "", "")
		fields = []string{fields[2], fields[5]}
	case strings.HasPrefix(encoded, "scrypt:") && len(fields) == 3:
		h.style = werkzeug
		costs, err = numbers(strings.Split(strings.TrimPrefix(fields[0], "scrypt:"), ":"), "", "", "")
		fields = fields[1:]
	default:
		return nil, errForm
	}
	if err != nil {
		return nil, err
	}
	h.n, h.r, h.p = costs[0], costs[1], costs[2]
	if err := h.affordable(); err != nil {
		return nil, err
	}
	if h.salt, h.sum, err = h.style.saltAndSum(base64.RawStdEncoding, fields[0], fields[1]); err != nil {
		return nil, err
	}
	return h, nil
}

func (h scryptHash) affordable() error {
	if h.n < 2 || h.n&(h.n-1) != 0 || h.r < 1 || h.p < 1 {
		return fmt.Errorf("scrypt N %d, r %d, p %d: %w", h.n, h.r, h.p, errForm)
	}
	// Each factor alone is bounded first, so that the products cannot overflow.
	if h.n > maxScrypt || h.r > 256 || h.p > 256 ||
		uint64(h.n)*uint64(h.r)*uint64(h.p) > maxScrypt || h.memory() > (maxMemory+1)<<10 {
		return fmt.Errorf("scrypt N %d, r %d, p %d: %w", h.n, h.r, h.p, errCost)
	}
	return nil
}
