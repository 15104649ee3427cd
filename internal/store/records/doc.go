// Package records holds session records in memory, found by id, by secret, by
// user, by client and by the time they die, and knows the rules by which they
// change. Homes that answer from memory are built on it.
package records
