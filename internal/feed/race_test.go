//go:build race

package feed_test

// raced says that the race detector is at work.
const raced = true
