package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const noOrigin = "Give --origin ORIGIN to see whether an application's pages may call."

// preflight is the question that a browser asks before a call across origins.
type preflight struct {
	path, header string // header: what the call will carry besides the plain ones
	cookies      bool   // whether it will carry cookies
	client       string // what the client of the origin must be
}

func (x *exam) checkSessionPreflight(ctx context.Context) finding {
	return x.preflight(ctx, preflight{path: "/session/token", header: "content-type", cookies: true, client: "a first-party client"})
}

func (x *exam) checkTokenPreflight(ctx context.Context) finding {
	return x.preflight(ctx, preflight{path: "/oauth/token", header: "authorization", client: "a client"})
}

// checkOrigin looks at the origin as it is written. Browsers send no slash.
func (x *exam) checkOrigin() (finding, bool) {
	if x.Origin == "" {
		return skipped(noOrigin), false
	}
	u, err := url.Parse(x.Origin)
	if err != nil || u.Host == "" || x.Origin != u.Scheme+"://"+u.Host || x.Origin != strings.ToLower(x.Origin) {
		return wrong("Write scheme://host[:port] in lower case, such as https://shop.example, here and in the client's origins.",
			"No browser sends %s as its origin.", quote(x.Origin)), false
	}
	return finding{}, true
}

func (x *exam) options(ctx context.Context, origin string, p preflight) answer {
	return x.ask(ctx, question{method: http.MethodOptions, path: p.path, header: http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {p.header},
		"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Dest": {"empty"},
	}})
}

func (x *exam) preflight(ctx context.Context, p preflight) finding {
	if f, ok := x.checkOrigin(); !ok {
		return f
	}
	a := x.options(ctx, x.Origin, p)
	found := fmt.Sprintf("OPTIONS %s: %s.", p.path, a)
	switch {
	case a.err != nil:
		return unexpected("OPTIONS "+p.path, a)
	case a.status == http.StatusForbidden && a.code() == "" && len(a.body) == 0 && strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin"):
		return wrong("The origin must stand, byte for byte, in the origins of "+p.client+": wafer client edit ID --origin "+x.Origin+
			" (it replaces those there are)", "Wafer does not know the origin %s.", quote(x.Origin))
	case a.redirects():
		return wrong("Browsers follow no redirect here: let the proxy pass OPTIONS on, and let the application call "+x.base+" itself.", "%s", found)
	case a.status < 200 || a.status > 299:
		return wrong("The proxy answers OPTIONS in Wafer's place: let it pass the method on without asking for a login (nginx: no limit_except, no auth_basic, "+
			"no if ($request_method = OPTIONS)).", "%s", found)
	}
	if lost := x.lacks(a, p); lost != "" {
		return wrong("Wafer sends it: the proxy must neither answer OPTIONS itself nor add or remove Access-Control headers.", "%s %s.", found, lost)
	}
	return fine("%s", found)
}

// lacks says, as a browser's console would, what is missing in the answer to a
// preflight; "" for nothing.
func (x *exam) lacks(a answer, p preflight) string {
	if lost := x.unreadable(a, p.cookies); lost != "" {
		return lost
	}
	methods, headers := list(a, "Access-Control-Allow-Methods"), list(a, "Access-Control-Allow-Headers")
	switch {
	case !slices.Contains(methods, "post") && (p.cookies || !slices.Contains(methods, "*")):
		return fmt.Sprintf("Access-Control-Allow-Methods is %s, without POST", quote(a.header.Get("Access-Control-Allow-Methods")))
	case !slices.Contains(headers, p.header):
		return fmt.Sprintf("Access-Control-Allow-Headers is %s, without %s", quote(a.header.Get("Access-Control-Allow-Headers")), p.header)
	}
	return ""
}

// unreadable says why a page of the origin may not read an answer; "" if it may.
func (x *exam) unreadable(a answer, cookies bool) string {
	const name = "Access-Control-Allow-Origin"
	allowed := a.header.Values(name)
	switch {
	case len(allowed) == 0:
		return name + " is missing"
	case len(allowed) > 1:
		return fmt.Sprintf("%s is there %d times", name, len(allowed))
	case allowed[0] == "*" && cookies:
		return name + " is *, which browsers do not take together with cookies"
	case allowed[0] != x.Origin && allowed[0] != "*":
		return fmt.Sprintf("%s is %s, not %s", name, quote(allowed[0]), quote(x.Origin))
	case cookies && a.header.Get("Access-Control-Allow-Credentials") != "true":
		return "Access-Control-Allow-Credentials: true is missing"
	}
	return ""
}

// list splits a header at commas, in lower case.
func list(a answer, name string) []string {
	var out []string
	for part := range strings.SplitSeq(strings.Join(a.header.Values(name), ","), ",") {
		out = append(out, strings.ToLower(strings.TrimSpace(part)))
	}
	return out
}

// checkSharedAnswer looks at the call itself: also its error must be readable.
func (x *exam) checkSharedAnswer(ctx context.Context) finding {
	if f, ok := x.checkOrigin(); !ok {
		return f
	}
	a := x.ask(ctx, question{path: "/session", header: crossSite(x.Origin)})
	if a.code() == "" {
		return unexpected("/session", a)
	}
	if lost := x.unreadable(a, true); lost != "" {
		return wrong("It needs the origin in the origins of a first-party client (wafer client edit ID --origin "+x.Origin+"), "+
			"and a proxy that neither adds nor removes Access-Control headers.", "GET /session: %s.", lost)
	}
	return fine("GET /session may be read.")
}

func crossSite(origin string) http.Header {
	return http.Header{"Origin": {origin}, "Accept": {"application/json"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"cross-site"}}
}

// checkStranger asks as pages of others do.
func (x *exam) checkStranger(ctx context.Context) finding {
	for _, origin := range []string{"https://stranger.invalid", "null"} {
		for what, a := range map[string]answer{
			"OPTIONS /session/token": x.options(ctx, origin, preflight{path: "/session/token", header: "content-type"}),
			"OPTIONS /oauth/token":   x.options(ctx, origin, preflight{path: "/oauth/token", header: "authorization"}),
			"GET /session":           x.ask(ctx, question{path: "/session", header: crossSite(origin)}),
			"GET " + metadataPath:    x.ask(ctx, question{path: metadataPath, header: crossSite(origin)}),
		} {
			allowed := a.header.Get("Access-Control-Allow-Origin")
			cookies := a.header.Get("Access-Control-Allow-Credentials") == "true"
			public := what == "GET "+metadataPath && allowed == "*" && !cookies
			if a.err != nil || allowed == "" || public {
				continue
			}
			return wrong("Wafer allows only the origins of clients: take the proxy's own Access-Control headers out (nginx: add_header Access-Control-Allow-Origin).",
				"%s lets pages of %s read the answer (Access-Control-Allow-Origin %s, cookies: %t).", what, quote(origin), quote(allowed), cookies)
		}
	}
	return fine("Neither a stranger's nor \"null\".")
}
