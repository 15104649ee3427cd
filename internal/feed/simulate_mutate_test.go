//go:build mutate

package feed_test

import (
	"fmt"
	"testing"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// seedsEach is how many seeds may pass before a missing rule must have been noticed.
const seedsEach = 60

// directed are the scenarios for rules that random faults show too seldom.
var directed = map[revocation.Rule]func(*rig) bool{
	revocation.RuleAnchored: leasesFromBefore, revocation.RuleKeepUntil: forgetsTooEarly, revocation.RuleEpochUnion: forgetsInNewEpoch,
	revocation.RuleSnapshotUnion: forgetsByAnOldSnapshot,
}

// Without any one rule of the protocol some promise is broken, and seen to be.
func TestEveryMissingRuleIsNoticed(t *testing.T) {
	noticed := func(t *testing.T) bool {
		for seed := uint64(1); seed <= seedsEach; seed++ {
			if out := simulate(t, seed); len(out.broken) > 0 {
				t.Logf("noticed: %.120s", out.broken[0])
				return true
			}
		}
		return false
	}
	for _, rule := range []feed.Rule{feed.RuleAge, feed.RuleFleetFirst} {
		t.Run(fmt.Sprint("hub rule ", rule), func(t *testing.T) {
			feed.SwitchOff(rule)
			defer feed.SwitchOn()
			if !noticed(t) {
				t.Error("nobody has missed it")
			}
		})
	}
	for _, rule := range revocation.Rules() {
		t.Run(fmt.Sprint("verifier rule ", int(rule)), func(t *testing.T) {
			defer revocation.SwitchOff(rule)()
			scenario, there := directed[rule]
			if !there {
				if !noticed(t) {
					t.Error("nobody has missed it")
				}
				return
			}
			bubble(t, func(g *rig) {
				if !scenario(g) {
					g.Error("nobody has missed it")
				}
			})
		})
	}
}
