package admin

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
)

// oauth adds a line for each member that changes, in its registered name.
func (d *differences) oauth(old, next client.OAuth) {
	before, after := membersOf(old), membersOf(next)
	for _, name := range namesIn(before, after) {
		switch {
		case before[name] == after[name]:
		case name == "jwks" || name == "assertion_issuers":
			a, b := named(before[name]), named(after[name])
			if a == b {
				*d = append(*d, "oauth."+name+" "+a+" changed") // other keys under the old names
				continue
			}
			*d = append(*d, "oauth."+name+" "+a+" -> "+b)
		default:
			d.text("oauth."+name, readable(before[name]), readable(after[name]))
		}
	}
}

// profile names the claims that change, without what they say of a person: the audit
// log is kept longer, and read by more people, than what somebody told of themselves.
func (d *differences) profile(old, next account.Profile) {
	before, after := membersOf(old), membersOf(next)
	for _, name := range namesIn(before, after) {
		if before[name] != after[name] {
			*d = append(*d, "profile."+name+" changed")
		}
	}
}

func namesIn(before, after map[string]string) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return sortedKeys(all)
}

// readable is a JSON text as a person writes it: a text without quotes, a list as in
// the set-up.
func readable(raw string) string {
	var text string
	if json.Unmarshal([]byte(raw), &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal([]byte(raw), &list) == nil {
		return listText(list)
	}
	return raw
}

// named is the names of what is in a key set, or in a list of issuers.
func named(raw string) string {
	if raw == "" {
		return shown("")
	}
	type item struct {
		Kid    string `json:"kid"`
		Issuer string `json:"issuer"`
	}
	var set struct {
		Keys []item `json:"keys"`
	}
	if json.Unmarshal([]byte(raw), &set.Keys) != nil {
		_ = json.Unmarshal([]byte(raw), &set) // checked when it was registered
	}
	var names []string
	for _, it := range set.Keys {
		names = append(names, shown(it.Kid+it.Issuer))
	}
	return listText(slices.DeleteFunc(names, func(s string) bool { return strings.TrimSpace(s) == "" }))
}
