package revocation

import "errors"

// ErrWire means that something signed, or sent by a hub, is not what it claims to be.
var ErrWire = errors.New("not a part of a revocation feed")

// ErrRefused means that the hub does not know the verifier, or does not want it:
// an ended ticket, a wrong secret, a client without the scope feed:read.
var ErrRefused = errors.New("refused by the hub")
