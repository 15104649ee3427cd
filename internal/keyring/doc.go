// Package keyring keeps the signing keys: one set for each API, each key in one
// of four states, so that no token is ever signed by a key that a verifier
// cannot know yet (K1) and none outlives its key (K2).
//
//	announced --window--> active --successor--> retired --last token dead--> removed
//
// The first key of an API is active at once: nobody holds an older key set.
// An HMAC key is announced until its secret was read and had the same window to
// be carried to the services; it is never replaced unasked.
//
// What is due is planned by pure functions (plan.go); a Ring does it, and starts
// again from the store when another node was faster.
package keyring
