//go:build !mutate

package feed_test

// mutated says that rules are switched off, and have to be missed.
const mutated = false
