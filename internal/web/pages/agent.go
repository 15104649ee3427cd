package pages

import "strings"

// A browser's own words name several others for old compatibility, so the order
// counts: the most particular comes first.
var browsers = []struct{ mark, name string }{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"},
	{"Safari/", "Safari"}, {"curl/", "curl"},
}

// programs are named by what they are written in.
var programs = []struct{ mark, name string }{{"Go-http-client/", "Go"}, {"python-requests/", "Python"}}

var systems = []struct{ mark, name string }{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"Linux", "Linux"},
}

// agentName says in people's words what a user agent is: "Firefox on Linux". It
// is a courtesy: anybody can send any text.
func (l *language) agentName(agent string) string {
	browser, system := "", ""
	for _, b := range browsers {
		if strings.Contains(agent, b.mark) {
			browser = b.name
			break
		}
	}
	for _, s := range systems {
		if strings.Contains(agent, s.mark) {
			system = s.name
			break
		}
	}
	switch {
	case browser != "" && system != "":
		return l.texts("device.on", browser, system)
	case browser != "":
		return browser
	case system != "":
		return l.texts("device.on", l.text("device.some"), system)
	}
	for _, p := range programs {
		if strings.Contains(agent, p.mark) {
			return l.texts("device.program", p.name)
		}
	}
	return l.text("device.unknown")
}
