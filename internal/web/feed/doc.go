// Package feed gives the revocation feed to verifiers over HTTP: registration,
// leases, frames as server-sent events, and snapshots. A hub and a relay are
// served alike.
package feed
