// Package dpop checks and makes proofs of possession (RFC 9449): a small JWT with each
// request, signed by a key that the access token names. Whoever has the token and not
// the key can do nothing with it.
//
// Check is a pure function: it needs no clock, no store and no network. That a proof is
// shown once only is for a Replays to see to.
package dpop
