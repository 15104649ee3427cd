package feed

import "time"

// Ack says how far an entry of the log has come.
type Ack string

// The levels, each with all that the ones before it say.
const (
	Durable Ack = "durable" // it is on disk: every verifier feels it within the longest lease
	Hubs    Ack = "hubs"    // every hub holds it, or can give no lease without it
	Fleet   Ack = "fleet"   // no verifier can accept what it covers
)

// Valid reports whether a is one of the levels.
func (a Ack) Valid() bool { return a == Durable || a == Hubs || a == Fleet }

// Acked is a verifier, and when this hub first heard that it has applied a
// position: zero when it has not. Heard is by the hub's own clock.
type Acked struct {
	Verifier
	Heard time.Time
}
