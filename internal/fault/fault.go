package fault

import (
	"errors"
	"time"
)

// Code says what kind of refusal an Error is. web/respond alone turns it into a
// status.
type Code string

// The codes. Each is stable: it is sent to callers as the "error" member.
const (
	Invalid         Code = "invalid_request"  // the input is wrong; the sentence says where
	Unauthenticated Code = "unauthenticated"  // nobody is signed in, or the proof is wrong
	Forbidden       Code = "forbidden"        // known, but not allowed
	NotFound        Code = "not_found"        // no such thing
	Conflict        Code = "conflict"         // taken, or changed meanwhile
	TooMany         Code = "too_many"         // this caller is over its own limit; RetryAfter is set
	Busy            Code = "busy"             // the system sheds load; RetryAfter is set
	TooLarge        Code = "too_large"        // the input is over its size cap
	Unsupported     Code = "unsupported_type" // the media type is not one we read
	Unavailable     Code = "unavailable"      // a part we need does not answer
)

// Error is a refusal with a public sentence. Its zero value is not useful: make
// one with New or Wrap.
type Error struct {
	Code       Code
	Public     string        // a whole sentence, safe to show to anybody
	RetryAfter time.Duration // for TooMany and Busy; 0 means unknown
	cause      error
}

// New makes a refusal.
func New(code Code, public string) *Error {
	return &Error{Code: code, Public: public}
}

// Wrap makes a refusal with a cause, which is logged and never shown.
func Wrap(cause error, code Code, public string) *Error {
	return &Error{Code: code, Public: public, cause: cause}
}

// Retry returns a copy of e that tells the caller when to come back.
func (e *Error) Retry(after time.Duration) *Error {
	c := *e
	c.RetryAfter = after
	return &c
}

// Error is for logs: code, sentence and cause.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Public
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether err is, or wraps, a refusal with this code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
