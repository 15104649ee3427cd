package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// personal are paths whose answers are for one person only.
var personal = []string{"/session", "/login"}

const fixCache = "Let no proxy or CDN cache this host, or only what says so itself, such as /.well-known and /static " +
	"(nginx: no proxy_cache, no proxy_ignore_headers)."

func (x *exam) checkNoStore(ctx context.Context) finding {
	for _, path := range personal {
		a := x.get(ctx, path)
		if a.err != nil || a.status != http.StatusOK && a.code() == "" {
			return unexpected(path, a)
		}
		if f := noStore(path, a); f.status == Fail {
			return f
		}
	}
	return fine("On %s.", strings.Join(personal, " and "))
}

func noStore(path string, a answer) finding {
	control := strings.Join(a.header.Values("Cache-Control"), ", ")
	if strings.Contains(strings.ToLower(control), "no-store") {
		return fine("%s: %s.", path, quote(control))
	}
	return wrong("Wafer says no-store: let the proxy leave Cache-Control alone (nginx: no expires, no add_header or proxy_hide_header Cache-Control).",
		"%s may be kept by caches: Cache-Control is %s.", path, quote(control))
}

// checkShared asks twice. Wafer gives each answer an id of its own, so two with
// one id are one answer, whatever the cache says of itself.
func (x *exam) checkShared(ctx context.Context) finding {
	for _, path := range personal {
		first, again := x.get(ctx, path), x.get(ctx, path)
		if again.err != nil {
			return unexpected(path, again)
		}
		if sign := cacheSign(first, again); sign != "" {
			return wrong(fixCache, "%s comes from a cache: %s.", path, sign)
		}
	}
	return fine("Each answer is fresh.")
}

// cacheSign says by what an answer gives away that it was stored, "" for nothing.
func cacheSign(first, again answer) string {
	id := again.header.Get("X-Request-Id")
	if id != "" && id == first.header.Get("X-Request-Id") {
		return "two answers have one X-Request-Id"
	}
	if age, err := strconv.Atoi(again.header.Get("Age")); err == nil && age > 0 {
		return fmt.Sprintf("its Age is %d s", age)
	}
	for _, name := range []string{"X-Cache", "X-Cache-Status", "X-Proxy-Cache", "Cf-Cache-Status", "Cache-Status"} {
		if value := again.header.Get(name); strings.Contains(strings.ToLower(value), "hit") {
			return name + " says " + quote(value)
		}
	}
	return ""
}

// checkMixUp asks as somebody and then as nobody.
func (x *exam) checkMixUp(ctx context.Context) finding {
	mine := x.ask(ctx, question{path: "/session", header: x.signedIn()})
	if mine.err != nil || mine.status != http.StatusOK {
		return skipped("The cookie does not work; see cookie.back.")
	}
	if f := noStore("/session", mine); f.status == Fail {
		return f
	}
	a := x.get(ctx, "/session")
	switch {
	case a.refusal(http.StatusUnauthorized, "unauthenticated"):
		return fine("Without the cookie: 401.")
	case a.err == nil && a.status == http.StatusOK:
		return wrong(fixCache, "Without any cookie, GET /session shows the session of somebody else.")
	}
	return unexpected("/session", a)
}

// checkCompression: the length of a compressed page tells its secrets to who can
// have it show guesses beside them (the BREACH attack).
func (x *exam) checkCompression(ctx context.Context) finding {
	h := navigation()
	h.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	a := x.ask(ctx, question{path: "/login", header: h})
	if a.err != nil || a.status != http.StatusOK {
		return skipped("There is no page; see header.html.")
	}
	if encoding := a.header.Get("Content-Encoding"); encoding != "" {
		return doubt("Wafer's pages are small: switch compression off for this host (nginx: gzip off).",
			"/login is compressed with %s, and holds a secret code beside what a stranger can choose.", quote(encoding))
	}
	return fine("/login is sent as it is.")
}
