package jose

import (
	"errors"
	"fmt"
)

// Every error of this package wraps one of these. None of them carries any part
// of a token or a key.
var (
	// ErrMalformed means that the input is not what it should be: wrong number of
	// segments, not base64url, not strict JSON, a member of the wrong type.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge means that the input is over a size limit.
	ErrTooLarge = errors.New("too large")
	// ErrAlgorithm means that the algorithm is missing, unknown, or not the one
	// the key is bound to.
	ErrAlgorithm = errors.New("algorithm refused")
	// ErrCritical means that the header asks for an extension (crit, b64).
	ErrCritical = errors.New("critical header refused")
	// ErrKey means that the key is missing, weak, malformed or of the wrong kind.
	ErrKey = errors.New("key refused")
	// ErrSignature means that the signature does not match. It is one error for
	// every way in which it can fail to.
	ErrSignature = errors.New("signature mismatch")
	// ErrDecrypt means that an encrypted token could not be opened, or that what
	// it held is not a signed token. It is one error for every such failure.
	ErrDecrypt = errors.New("decryption failed")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

func badKey(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrKey}, args...)...)
}
