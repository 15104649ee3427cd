//go:build mutate

package feed_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/feed"
)

const mutated = true

// The test of the tests: without a rule, what it is for must go wrong.
func TestMissingRulesAreCaught(t *testing.T) {
	for name, tt := range map[string]struct {
		rule feed.Rule
		test func(*rig) bool
	}{"age": {feed.RuleAge, growsOld}, "fleet first": {feed.RuleFleetFirst, waitsOut}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(g *rig) {
				if tt.test(g) {
					g.Fatal("violated with all rules")
				}
			})
			feed.SwitchOff(tt.rule)
			defer feed.SwitchOn()
			bubble(t, func(g *rig) {
				if !tt.test(g) {
					g.Error("nobody has missed it")
				}
			})
		})
	}
}
