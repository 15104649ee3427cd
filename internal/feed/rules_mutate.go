//go:build mutate

package feed

import "sync/atomic"

// Rule is a rule of the protocol that a test can switch off, to see that it is
// then caught.
type Rule = rule

// The rules, see rule.
const (
	RuleAge        = ruleAge
	RuleFleetFirst = ruleFleetFirst
)

// switched holds a bit for each rule that is off.
var switched atomic.Uint32

// SwitchOff makes every hub of the process break a rule.
func SwitchOff(r Rule) { switched.Or(1 << r) }

// SwitchOn makes all rules hold again.
func SwitchOn() { switched.Store(0) }

func off(r rule) bool { return switched.Load()&(1<<r) != 0 }
