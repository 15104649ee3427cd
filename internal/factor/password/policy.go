package password

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds on a password's length (NIST SP 800-63B-4 section 3.1.1.2).
const (
	MinLengthAlone   = 15   // characters, where the password is the only factor
	MinLengthWithMFA = 8    // characters, where a second factor is always asked for
	MaxBytes         = 1024 // room for 256 characters of any script; more is refused without hashing
)

// Why a password is refused. ErrEmpty and ErrTooLong come from every method,
// before anything is hashed; the others from Policy.Check only.
var (
	ErrEmpty    = errors.New("password is empty")
	ErrTooLong  = errors.New("password is too long")
	ErrTooShort = errors.New("password is too short")
	ErrNotText  = errors.New("password is not valid UTF-8")
	ErrCommon   = errors.New("password is common")
	ErrContext  = errors.New("password is made of the login or the name of the service")
)

// Refusal is what Policy.Check returns: one of the reasons above, which errors.Is
// finds, and a sentence for the person who chose the password.
type Refusal struct {
	Reason   error
	Sentence string
}

// Error implements error. It does not repeat the password.
func (r *Refusal) Error() string { return r.Reason.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Policy says which passwords may be set. Its zero value is the one for passwords
// that are the only factor. It asks for no kinds of characters: NIST forbids that.
type Policy struct {
	MinLength int // characters; 0: MinLengthAlone; never below MinLengthWithMFA
}

// Check returns a *Refusal for a password that must not be set, else nil. The
// context words are what an attacker tries first with this person: the login, the
// name, the issuer. Whole addresses and URLs are fine, Check takes them apart.
//
// As NIST asks, the whole password is compared, not words that occur in it: "ada"
// may be part of a long passphrase of Ada's. Refused is what consists of context
// words, at most one common password (or two of the 256 most common), sequences,
// repetitions, and a few digits and signs.
func (p Policy) Check(password string, context ...string) error {
	switch err := admissible(password); {
	case errors.Is(err, ErrEmpty):
		return &Refusal{err, "The password is empty."}
	case err != nil:
		return &Refusal{err, fmt.Sprintf("The password is longer than %d bytes.", MaxBytes)}
	case !utf8.ValidString(password):
		return &Refusal{ErrNotText, "The password is not valid UTF-8 text."}
	}
	least := p.MinLength
	if least == 0 {
		least = MinLengthAlone
	}
	least = max(least, MinLengthWithMFA)
	if utf8.RuneCountInString(password) < least {
		return &Refusal{ErrTooShort, fmt.Sprintf("Use at least %d characters. Several words in a row are easy to remember.", least)}
	}
	words := contextWords(context)
	if predictable(password, nil) {
		return &Refusal{ErrCommon, "This password, or one much like it, is among the first that attackers try. Choose another."}
	}
	if echoes(password, context, words) || predictable(password, words) {
		return &Refusal{ErrContext, "This password is too close to the login or the name of the service. Choose another."}
	}
	return nil
}

// admissible refuses what no method looks at.
func admissible(password string) error {
	if password == "" {
		return ErrEmpty
	}
	if len(password) > MaxBytes {
		return ErrTooLong
	}
	return nil
}

// minContext is the length in bytes below which a context word is left out: "de"
// and "io" are in everything.
const minContext = 3

// contextWords takes logins and URLs apart into lower-case words, and keeps the
// ones that are long enough. The names of protocols and of top-level domains that
// are in nearly every address are not words of anybody's.
func contextWords(context []string) []string {
	var words []string
	seen := map[string]bool{"http": true, "https": true, "www": true, "com": true, "org": true, "net": true}
	add := func(w string) {
		if len(w) >= minContext && !seen[w] {
			seen[w] = true
			words = append(words, w)
		}
	}
	for _, c := range context {
		c = strings.ToLower(c)
		if len(c) > 512 {
			c = c[:512]
		}
		for _, w := range strings.FieldsFunc(c, func(r rune) bool {
			return r < utf8.RuneSelf && !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
		}) {
			add(w)
		}
	}
	return words
}

// echoes reports a password that equals a context word or leaves fewer than eight
// characters when the context words are taken out of it.
func echoes(password string, context, words []string) bool {
	rest := strings.ToLower(password)
	for _, c := range context {
		if c != "" && rest == strings.ToLower(c) {
			return true
		}
	}
	before := len(rest)
	for _, w := range words {
		rest = strings.ReplaceAll(rest, w, "")
	}
	return len(rest) < before && utf8.RuneCountInString(rest) < MinLengthWithMFA
}
