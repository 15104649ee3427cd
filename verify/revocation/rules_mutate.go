//go:build mutate

package revocation

import "sync/atomic"

var switched [rules]atomic.Bool

func off(r Rule) bool { return switched[r].Load() }

// SwitchOff breaks the protocol for every Feed of the process until the returned
// function is called.
func SwitchOff(r Rule) (on func()) {
	switched[r].Store(true)
	return func() { switched[r].Store(false) }
}

// Rules lists all that can be switched off.
func Rules() []Rule {
	all := make([]Rule, rules)
	for i := range all {
		all[i] = Rule(i)
	}
	return all
}
