package respond

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// Navigates reports whether a browser is about to show the answer to somebody as
// a page: a link was followed or a form was sent. It is false for fetch, which
// must never be sent elsewhere or be given a page, for frames and for programs.
// Browsers without Fetch Metadata are known by wanting HTML most.
func Navigates(r *http.Request) bool {
	h := r.Header
	if mode := h.Get("Sec-Fetch-Mode"); mode != "" || h.Get("Sec-Fetch-Site") != "" {
		return mode == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
	}
	return h.Get("X-Requested-With") == "" && wantsHTML(h.Values("Accept"))
}

// wantsHTML reports whether text/html is named and preferred to JSON (RFC 9110
// section 12.5.1). That anything will do is no wish.
func wantsHTML(accept []string) bool {
	html, json := 0.0, 0.0
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, _ := strings.Cut(one, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html":
			html = Weight(params)
		case "application/json":
			json = Weight(params)
		}
	}
	return html > json
}

// Weight reads the q of one member of a header like Accept, from what stands behind its
// first semicolon: 1 where there is none, 0 where it cannot be read.
func Weight(params string) float64 {
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

// Refuse writes a refusal in the form that its reader can use: a small page for
// somebody in front of a browser, {"error","message"} for everybody else, with
// "login" when there is a hint, and what RFC 6749 wants for OAuth.
func Refuse(w http.ResponseWriter, r *http.Request, a Refusal) {
	Headers(w, r, a)
	switch {
	case a.OAuth:
		JSON(w, a.Status, oauthBody{a.Code, a.Message})
	case Navigates(r):
		page(w, a)
	default:
		JSON(w, a.Status, body{a.Code, a.Message, a.Login})
	}
}

var pageTemplate = template.Must(template.New("refusal").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>This did not work</title>
<style nonce="{{.Nonce}}">body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}</style>
</head>
<body>
<main>
<h1>This did not work</h1>
<p>{{.Message}}</p>
{{- with .ID}}
<p>Whoever runs this server can find the cause under <code>{{.}}</code>.</p>
{{- end}}
<p><a href="/">To the start page</a></p>
</main>
</body>
</html>
`))

// page writes a refusal as HTML that needs nothing else: it must work when
// nothing else does.
func page(w http.ResponseWriter, a Refusal) {
	show := struct{ Nonce, Message, ID string }{Nonce: opaque.Text(16), Message: a.Message}
	if a.Code == Internal {
		show.ID = w.Header().Get(RequestID)
	}
	var b strings.Builder
	if err := pageTemplate.Execute(&b, show); err != nil {
		panic(err) // three strings always fit
	}
	h := w.Header()
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'nonce-"+show.Nonce+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(b.String())) // the caller may have left
}
