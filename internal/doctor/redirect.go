package doctor

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// mostHops is where browsers give up, roughly; Wafer never needs more than two.
const mostHops = 10

// trail is where a navigation led.
type trail struct {
	hops  []string // paths, the first included
	last  answer
	loops bool
	away  *url.URL // another origin, where the trail was left
}

// follow opens a page as a browser does, on the target alone.
func (x *exam) follow(ctx context.Context, path string) trail {
	t := trail{}
	seen := map[string]bool{}
	for {
		t.hops = append(t.hops, path)
		seen[path] = true
		t.last = x.ask(ctx, question{path: path, header: navigation()})
		to := t.last.location(x.base + path)
		if !t.last.redirects() || to == nil {
			return t
		}
		if origin(to) != origin(x.url) {
			t.away = to
			return t
		}
		path = to.RequestURI()
		if seen[path] || len(t.hops) == mostHops {
			t.loops = true
			return t
		}
	}
}

// origin returns scheme, host and port in one spelling.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return u.Scheme + "://" + host
}

func (x *exam) checkLoop(ctx context.Context) finding {
	for _, path := range []string{"/login", "/account"} {
		t := x.follow(ctx, path)
		if t.loops {
			return wrong("The proxy takes TLS off, and something behind it demands https again: redirect to https in the proxy's server on port 80 only, "+
				"and pass everything on port 443 to Wafer, which redirects to no other scheme.",
				"%s leads in a circle: %s again.", path, quote(strings.Join(t.hops, " -> ")))
		}
		if t.away != nil {
			return wrong("If that is where people are to sign in, ask by that URL, and make it the issuer. Otherwise take the redirect out of the proxy.",
				"%s leads to another origin, %s.", path, quote(origin(t.away)))
		}
	}
	return fine("None is longer than %d.", mostHops)
}

// checkVisitor opens a private page.
func (x *exam) checkVisitor(ctx context.Context) finding {
	t := x.follow(ctx, "/account")
	last := t.hops[len(t.hops)-1]
	switch {
	case t.loops || t.away != nil:
		return wrong("See redirect.loop.", "/account does not lead to the sign-in page.")
	case t.last.err != nil || t.last.status != http.StatusOK || !t.last.is("text/html"):
		return unexpected(last, t.last)
	case !strings.HasPrefix(last, "/login"):
		return wrong("Something before Wafer answers /account: let the proxy send every path to Wafer, and cache none that says no-store.",
			"/account is shown to a visitor who is not signed in (%s).", t.last)
	}
	return fine("%s", strings.Join(t.hops, " -> "))
}

// checkFetch asks as a script does, which cannot see where a redirect leads.
func (x *exam) checkFetch(ctx context.Context) finding {
	a := x.ask(ctx, question{path: "/session", header: x.script()})
	if a.refusal(http.StatusUnauthorized, "unauthenticated") {
		return fine("%s", a)
	}
	if a.redirects() {
		return wrong("The proxy sends whoever is not signed in to a page, also scripts. Let it pass GET /session on; Wafer answers 401 in JSON.", "GET /session: %s.", a)
	}
	return unexpected("/session", a)
}

// checkPlain asks by plain HTTP, as whoever types the bare name does.
func (x *exam) checkPlain(ctx context.Context) finding {
	if !x.https() {
		return skipped("The URL is plain http.")
	}
	if port := x.url.Port(); port != "" && port != "443" {
		return skipped("Nobody types port %s without https.", port)
	}
	const fix = "nginx, on port 80: return 308 https://$host$request_uri;"
	a := x.ask(ctx, question{path: "/login", plain: true})
	if a.err != nil {
		return doubt(fix, "Port 80: %s. Whoever types the name without https is not served.", a)
	}
	if !a.redirects() {
		if a.status < 400 {
			return wrong(fix, "Port 80 serves /login in the clear: %s.", a)
		}
		return doubt(fix, "Port 80: %s.", a)
	}
	to := a.location(x.web.plain + "/login")
	switch {
	case to == nil || origin(to) != origin(x.url):
		return wrong(fix, "Port 80 leads to %s.", quote(a.header.Get("Location")))
	case a.status != http.StatusPermanentRedirect && a.status != http.StatusMovedPermanently:
		return doubt(fix, "Port 80 redirects with %d: browsers will ask in the clear again each time.", a.status)
	}
	return fine("%s", a)
}
