// Package receiver hears from other servers that somebody's session ended there,
// and ends it here: security event tokens (RFC 8417) that are pushed (RFC 8935) by
// transmitters of the Shared Signals Framework which the set-up names.
//
//	secret of the transmitter --> shape, type, algorithm --> signature
//	--> iss, aud, iat, exactly one event --> whose --> one revocation, once for each jti
//
// A transmitter is believed for the users that it is set up for, and for nothing
// but their end. What it says of times is for information only: a revocation takes
// effect at its place in our own log.
package receiver
