// Package ssf is a transmitter of shared signals (OpenID Shared Signals Framework
// 1.0): it tells other parties, as security event tokens (RFC 8417), that sessions
// have ended and credentials have changed (CAEP 1.0). A receiver is a client with
// the scope; it makes a stream, says which events it wants, and has them pushed to
// it (RFC 8935) or comes for them (RFC 8936). Everybody is in a stream until its
// receiver asks to leave somebody out.
//
// Each token tells one event. It is written down in the outbox when the log tells of
// the event, with the id it will always have, and signed when it is sent.
//
// A stream gives no bound on how late a receiver may be; the revocation feed does.
package ssf
