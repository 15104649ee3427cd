package revocation

// Rule is one rule of the protocol. None can be switched off in a program: only
// tests that are built with the tag mutate can, to show that each is needed.
type Rule int

// The rules.
const (
	RuleGap           Rule = iota // a frame that does not continue what is there changes nothing
	RuleSentAt                    // a lease counts from when it was asked for, not from when it came
	RuleFirstLease                // nothing is fresh before the first lease
	RuleSnapshotUnion             // a snapshot never takes anything away, nor the position back
	RuleWallClock                 // a lease ends by the wall clock too: machines are suspended
	RuleAnchored                  // a lease from before the registration is none
	RuleKeepUntil                 // an entry stays as long as what it covers could be shown
	RuleNonce                     // an answer is to this question
	RuleEpochUnion                // in a new epoch what was known stays
	RuleVersion                   // the version grows with every change
	RuleHead                      // a lease needs everything up to the head
	rules
)
