// Package revoke is the revocation log: what has been taken back, in which
// order. A credential carries the position (rsn) it was minted at; an entry with
// a higher position that covers it makes it refused. Positions are compared,
// never clocks.
package revoke
