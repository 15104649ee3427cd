package feed

// rule is one whose loss must be noticed: under the build tag mutate, tests switch
// it off.
type rule uint8

const (
	// ruleAge: the age in an answer is counted from the start of the last read of
	// the log that succeeded.
	ruleAge rule = iota
	// ruleFleetFirst: FLEET waits for every verifier, not for the first.
	ruleFleetFirst
)
