package pages

import "time"

// What outside tests must see of the inside.
var Routes = routes

// Catalogues are the texts by language.
func Catalogues() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, l := range languages {
		all[l.tag] = l.words
	}
	return all
}

// Say says a public sentence in a language.
func Say(tag, public string) string { return spoken(tag).say(public) }

// Preferred is the tag of the language that a browser gets.
func Preferred(accept ...string) string { return preferred(accept).tag }

// AgentName names a user agent in a language.
func AgentName(tag, agent string) string { return spoken(tag).agentName(agent) }

// AgoText says in a language how long ago something was.
func AgoText(tag string, d time.Duration) string { return spoken(tag).agoText(d) }

// WaitText says in a language when to try again.
func WaitText(tag string, d time.Duration) string { return spoken(tag).waitText(d) }
