// Package feed gives the revocation log to verifiers: signed frames as soon as
// something is taken back, leases that say up to when a verifier knows all of it,
// snapshots to begin with, and the list of verifiers with how far each has come.
// Every node is a hub; a relay is a hub whose log is another hub.
package feed
