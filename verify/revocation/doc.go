// Package revocation keeps a service's own copy of what its issuer has taken
// back, so that a credential is checked without asking anybody and is refused
// soon after it was revoked.
//
// A Feed follows a hub: the issuer itself, or a relay near the service. It holds
// three things: a Set of keyed hashes of what was taken back, the position of the
// issuer's log up to which the set is complete, and a lease that says as of when
// that is known. While the lease runs, an answer of the set is at most that old;
// when it has run out, nobody knows, and the Feed says so.
//
// Positions are compared, never clocks: a credential carries the position it was
// minted at (rsn), and an entry with a higher one that covers it makes it refused.
package revocation
