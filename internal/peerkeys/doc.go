// Package peerkeys has the public keys of other parties at hand: of clients, for their
// assertions, request objects and certificates, of issuers of assertions, of
// transmitters of security events. Sets that came with a registration are parsed once.
// Sets at an address are fetched when they are needed:
//
//   - one fetch at a time for each address, and at most one for each CoolDown, whatever
//     key ids strangers ask for;
//   - a set is fresh as long as its answer says, within FreshLeast and FreshMost, and
//     serves for StaleFor longer when its address does not answer;
//   - a key that left the set is trusted no more once a fetch has worked.
//
// A key that anybody can sign with, symmetric or with its private half published, is
// passed over.
package peerkeys
