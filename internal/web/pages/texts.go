package pages

import (
	"fmt"
	"time"
)

// catalogue is every text that people read on the pages, sorted by key.
var catalogue = map[string]string{
	"account.devices":       "Where you are signed in",
	"account.devices.intro": "Each row is one sign-in. Signing one out also ends the access of every application behind it.",
	"account.end":           "Sign out",
	"account.end.what":      "Sign out %s",
	"account.endall":        "Sign out everywhere",
	"account.endall.alone":  "Ends this sign-in, and with it the access of every application.",
	"account.endall.many":   "Ends this sign-in and %d more, and with them the access of every application.",
	"account.ended":         "That device is signed out.",
	"account.title":         "Your account",

	"caps": "Caps Lock is on.",
	"hide": "Hide",
	"show": "Show",

	"consent.address": "See your postal address",
	"consent.allow":   "Allow",
	"consent.api":     "Act for you at %s",
	"consent.asks":    "asks for access to your account.",
	"consent.deny":    "Deny",
	"consent.email":   "See your email address",
	"consent.foot":    "You can take this back at any time.",
	"consent.local":   "This application runs on your own device, and any program there could ask in its name. Allow it only if you have just started it yourself.",
	"consent.neither": "The form says neither allow nor deny. Go back and choose one.",
	"consent.offline": "Keep its access while you are not there, until your sign-in ends",
	"consent.openid":  "Know that it is you",
	"consent.phone":   "See your telephone number",
	"consent.profile": "See your name and your profile",
	"consent.title":   "Allow access?",
	"consent.who":     "About you",

	"device.began":   "Signed in",
	"device.from":    "from %s",
	"device.here":    "Here now",
	"device.on":      "%s on %s",
	"device.seen":    "Last seen",
	"device.since":   "signed in",
	"device.some":    "A browser",
	"device.through": "through %s",
	"device.unknown": "An unknown program",

	"form.stale": "The form was open for too long, or this browser refuses cookies for this site. Send it again.",

	"formpost.button": "Continue",
	"formpost.title":  "One moment",

	"layout.home":   "Wafer, start page",
	"layout.logout": "Sign out",
	"layout.name":   "Wafer",
	"layout.skip":   "Skip to content",

	"login.back":     "You return to",
	"login.button":   "Sign in",
	"login.login":    "Login",
	"login.password": "Password",
	"login.server":   "This is the sign-in page of %s.",
	"login.title":    "Sign in",
	"login.to":       "to continue to",

	"logout.again":      "Sign in again",
	"logout.button":     "Sign out",
	"logout.gone":       "Nobody is signed in here. Every credential that came from your sign-in is refused.",
	"logout.gone.title": "You are signed out",
	"logout.stay":       "Stay signed in",
	"logout.title":      "Sign out?",
	"logout.what":       "This ends your sign-in in this browser, and with it the access of every application that came through it.",
	"logout.who":        "You are signed in as",

	"password.button":  "Change password",
	"password.current": "Current password",
	"password.done":    "Your password is changed. Every other device is signed out.",
	"password.hint":    "Long beats complicated: four or five words are good.",
	"password.intro":   "Changing it signs out every other device.",
	"password.new":     "New password",
	"password.title":   "Password",

	"problem.home":    "To the start page",
	"problem.id":      "Whoever runs this server can find the cause under",
	"problem.nobody":  "Nobody is signed in here.",
	"problem.nothing": "There is nothing here.",
	"problem.title":   "This did not work",

	"setup.button":  "Create administrator",
	"setup.done":    "The administrator is made. Sign in to go on.",
	"setup.intro":   "The server printed a one-time token when it started. It is good for 15 minutes.",
	"setup.login":   "Login",
	"setup.name":    "Name",
	"setup.nameopt": "optional",
	"setup.title":   "First administrator",
	"setup.token":   "One-time token",

	"start.account": "Your account: devices and password",
	"start.develop": "For applications",
	"start.keys":    "Public keys",
	"start.login":   "Sign in",
	"start.logout":  "Sign out",
	"start.meta":    "What this server offers",
	"start.people":  "For people",
	"start.server":  "Wafer signs people in and gives applications the credential they asked for.",
	"start.setup":   "Create the first administrator",
	"start.title":   "Start",

	"target.unknown": "The link that brought you here names an application or an address that is not registered. Go back and try again.",

	"time.now":  "just now",
	"time.wait": "Try again in %s.",
}

// text returns a text without gaps. A key that is not there is a bug.
func text(key string) string {
	s, ok := catalogue[key]
	if !ok {
		panic("no text " + key)
	}
	return s
}

// texts fills the gaps of a text.
func texts(key string, gaps ...any) string { return fmt.Sprintf(text(key), gaps...) }

var units = []struct {
	size time.Duration
	name string
}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}

// agoText says how long ago something was, to one unit. Sessions are noted to the
// minute, so nothing finer is claimed.
func agoText(d time.Duration) string {
	if d < time.Minute {
		return text("time.now")
	}
	return amount(d) + " ago"
}

// waitText says when to try again, "" for whenever. It rounds up: who comes back
// then must not be too early.
func waitText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	for _, u := range units {
		if d >= u.size {
			d += u.size - 1
			break
		}
	}
	return texts("time.wait", amount(max(d, time.Second)))
}

func amount(d time.Duration) string {
	for _, u := range units {
		if n := int(d / u.size); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "0 seconds"
}
