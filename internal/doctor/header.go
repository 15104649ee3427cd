package doctor

import (
	"context"
	"net/http"
	"strings"
)

func (x *exam) checkPageHeaders(ctx context.Context) finding {
	a := x.ask(ctx, question{path: "/login", header: navigation()})
	if a.err != nil || a.status != http.StatusOK || !a.is("text/html") {
		return unexpected("/login", a)
	}
	return x.judgeHeaders("/login", a)
}

func (x *exam) checkJSONHeaders(ctx context.Context) finding {
	a := x.get(ctx, "/session")
	if a.code() == "" {
		return unexpected("/session", a)
	}
	return x.judgeHeaders("/session", a)
}

func (x *exam) checkErrorHeaders(ctx context.Context) finding {
	const path = "/there-is-nothing-here"
	a := x.get(ctx, path)
	if !a.refusal(http.StatusNotFound, "not_found") {
		return unexpected(path, a)
	}
	return x.judgeHeaders(path, a)
}

// promise is a header that every answer of Wafer's has, and a word of its value.
type promise struct{ name, word string }

func (x *exam) promises() []promise {
	all := []promise{
		{"Content-Security-Policy", "default-src 'none'"},
		{"Content-Security-Policy", "frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", ""},
		{"Cross-Origin-Opener-Policy", "same-origin"},
	}
	if x.https() {
		all = append(all, promise{"Strict-Transport-Security", "max-age="})
	}
	return all
}

func (x *exam) judgeHeaders(path string, a answer) finding {
	var lost, twice []string
	for _, p := range x.promises() {
		values := a.header.Values(p.name)
		switch {
		case len(values) == 0:
			lost = append(lost, p.name)
		case !strings.Contains(strings.ToLower(strings.Join(values, ", ")), p.word):
			lost = append(lost, p.name+" with "+p.word)
		case len(values) > 1 && p.word != "frame-ancestors 'none'":
			twice = append(twice, p.name)
		}
	}
	if len(lost) > 0 {
		return wrong("Wafer sends them with every answer: let the proxy neither take them off nor put its own in their place "+
			"(nginx: proxy_hide_header, add_header, proxy_intercept_errors).", "%s lacks %s.", path, strings.Join(lost, ", "))
	}
	if len(twice) > 0 {
		return doubt("Wafer sends them itself: take the proxy's own out (nginx: add_header). Of two, browsers take the first, both or none.",
			"%s has twice: %s.", path, strings.Join(twice, ", "))
	}
	return fine("All there.")
}
