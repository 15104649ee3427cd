package httpauth

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify/internal/wire"
)

// back is added to the query of the address to return to. Who comes with it and
// without a credential was signed in a moment ago: sending them again would only
// send them round in circles.
const back = "wafer-back=1"

// mostReturn is how long an address to return to may be, in bytes.
const mostReturn = 2000

// place checks a URL of the options and panics when it cannot be meant.
func place(option, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err == nil {
		err = wire.CheckURL(raw)
	}
	if err != nil || escaped(raw) != raw {
		panic("httpauth: " + option + " must be an absolute URL over https, or http on loopback, without user and fragment: " + strconv.QuoteToASCII(raw))
	}
	return u
}

// prepareSignIn reads SignIn and Base. The return address is never made from a
// request's Host: whoever writes that would write where people go.
func (a *Auth) prepareSignIn(o Options) {
	if o.Base != "" {
		u := place("Base", o.Base)
		if strings.Contains(o.Base, "?") {
			panic("httpauth: Base must not have a query")
		}
		a.base, a.own = strings.TrimRight(o.Base, "/"), strings.ToLower(u.Scheme+"://"+u.Host)
	}
	if o.SignIn == "" {
		return
	}
	if o.Base == "" {
		panic("httpauth: SignIn needs Base, to know where people return to")
	}
	if place("SignIn", o.SignIn).Query().Has("return_to") {
		panic("httpauth: SignIn must not hold return_to: each request has its own")
	}
	a.signIn = o.SignIn
}

// person reports whether somebody is looking: a browser is about to show the
// answer as a page of its own. It is false for fetch, which could make nothing of a
// sign-in page and would report a fault of CORS instead, and for frames. Browsers
// without Fetch Metadata are known by wanting HTML most.
func person(r *http.Request) bool {
	h := r.Header
	if mode := h.Get("Sec-Fetch-Mode"); mode != "" || h.Get("Sec-Fetch-Site") != "" {
		return mode == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
	}
	return h.Get("X-Requested-With") == "" && wantsHTML(h.Values("Accept"))
}

// wantsHTML reports whether text/html is named and preferred to JSON (RFC 9110
// section 12.5.1). That anything will do is no wish.
func wantsHTML(accept []string) bool {
	page, data := 0.0, 0.0
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, _ := strings.Cut(one, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html":
			page = weight(params)
		case "application/json":
			data = weight(params)
		}
	}
	return page > data
}

func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(p)), "q="); ok {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}

// leads reports whether a refusal is answered with the way to the sign-in page: to
// a person who came without a credential, or with a cookie that is not good any
// more. Who sends an Authorization header is a program. Whoever is signed in, though not
// as a Level wants it, would be sent back at once.
func (a *Auth) leads(r *http.Request, err error) bool {
	var low *tooLow
	if errors.As(err, &low) || a.signIn == "" || len(r.Header["Authorization"]) > 0 || !person(r) {
		return false
	}
	f := refused{err: err}
	return f.answer().status == http.StatusUnauthorized
}

// lead sends a person to the sign-in page, once. It returns the status.
func (a *Auth) lead(w http.ResponseWriter, r *http.Request) int {
	w.Header().Add("Vary", "Cookie")
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !reading:
		// The address answers what was sent, not who returns to it, and what was sent is lost.
		return a.explain(w, "You are not signed in any more", "What you sent was not saved. Sign in, then send it again.", a.to(a.base+"/?"+back))
	case cameBack(r.URL.RawQuery):
		return a.explain(w, "You came back without a session",
			"You were signed in, but nothing here tells who you are. Your browser may refuse cookies for this site: allow them, then sign in again. If it does not refuse them, this site is not set up for the sign-in it uses.",
			a.to(a.returnTo(r)))
	}
	w.Header().Set("Location", a.to(a.returnTo(r)))
	w.WriteHeader(http.StatusSeeOther)
	return http.StatusSeeOther
}

func (a *Auth) to(returnTo string) string {
	sep := "?"
	if strings.Contains(a.signIn, "?") {
		sep = "&"
	}
	return a.signIn + sep + "return_to=" + url.QueryEscape(returnTo)
}

// returnTo is where a request came to, under the configured name.
func (a *Auth) returnTo(r *http.Request) string {
	query := withoutBack(r.URL.RawQuery)
	if query != "" {
		query += "&"
	}
	to := a.here(r) + "?" + query + back
	if len(to) > mostReturn {
		return a.base + "/?" + back
	}
	return to
}

// here is the address of a request without its query.
func (a *Auth) here(r *http.Request) string {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	return a.base + path
}

func cameBack(query string) bool { return withoutBack(query) != escaped(query) }

func withoutBack(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair != back {
			kept = append(kept, pair)
		}
	}
	return escaped(strings.Join(kept, "&"))
}

// escaped leaves nothing in a query that two readers of a URL could read differently.
func escaped(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String()
}

// tidy takes the mark out of the address bar of who came back signed in. It
// reports whether it answered.
func (a *Auth) tidy(w http.ResponseWriter, r *http.Request) bool {
	if a.signIn == "" || r.Method != http.MethodGet || !cameBack(r.URL.RawQuery) || !person(r) {
		return false
	}
	to := a.here(r)
	if query := withoutBack(r.URL.RawQuery); query != "" {
		to += "?" + query
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
	h.Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return true
}

// explain answers 401 with a page.
func (a *Auth) explain(w http.ResponseWriter, title, text, link string) int {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintf(w, explanation, title, title, text, html.EscapeString(link))
	return http.StatusUnauthorized
}

const explanation = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<h1>%s</h1>
<p>%s</p>
<p><a href="%s">Sign in</a></p>
</html>
`
