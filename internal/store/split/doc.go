// Package split lets sessions live in a home of their own, while everything else
// stays in the truth: one database.
//
//	request --> split --> home: the session's record, by its secret
//	                 \--> truth: was it ended since? (one entry of the log covers it)
//
// A home decides nothing. A session is over when an entry of the revocation log
// covers it, and that entry is written in the truth, in one transaction with
// whatever changes with it; the home is tidied up afterwards. So a home that
// loses a write, is restored from a backup or comes back after a failover never
// brings an ended session back, and what is single-use or revoked is never known
// to a home alone.
//
// Sessions move from one home to another while everybody stays signed in:
//
//	settled A --> announced A, B --> moving A, B --> settled B
//	              reads both,        new ones to B, each record is frozen in A,
//	              writes A           put in B and removed from A
//
// Every node knows the stage no later than Lease; a stage begins to matter only
// after all of them must know it.
package split
