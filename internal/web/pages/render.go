package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/web/respond"
)

//go:embed templates
var templateFiles embed.FS

// pageNames are the templates, one a page.
var pageNames = []string{"account", "confirm", "consent", "device", "endsession", "formpost", "leaving", "login", "logout", "problem", "setup", "start"}

// readTemplates reads every page once in every language: nothing is looked up or
// parsed when a page is asked for.
func (p *Pages) readTemplates() (map[string]map[string]*template.Template, error) {
	all := map[string]map[string]*template.Template{}
	for _, l := range languages {
		in, err := p.templatesIn(l)
		if err != nil {
			return nil, err
		}
		all[l.tag] = in
	}
	return all, nil
}

func (p *Pages) templatesIn(l *language) (map[string]*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"asset": p.assetPath, "lang": func() string { return l.tag }, "t": l.text, "tf": l.texts,
	}).ParseFS(templateFiles, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	all := map[string]*template.Template{}
	for _, name := range pageNames {
		page, err := layout.Clone()
		if err == nil {
			_, err = page.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("read page %s: %w", name, err)
		}
		all[name] = page
	}
	return all, nil
}

// frame is what every page has. Each page's own struct embeds it.
type frame struct {
	Title  string
	Nonce  string
	Wide   bool   // a column for lists, not for one form
	Script bool   // login.js adds comfort to this page
	Person string // login of who is signed in, "" for nobody
	Asked  string // the language, when an application asked for it: forms bring it back
}

// answer is a page on its way out.
type answer struct {
	page   string
	status int
	data   any
}

// show renders a page. Nothing is sent before all of it is rendered; a template
// that fails is a bug.
func (p *Pages) show(w http.ResponseWriter, v *visit, a answer) error {
	var b bytes.Buffer
	if err := p.templates[v.tag][a.page].ExecuteTemplate(&b, "layout.html", a.data); err != nil {
		return fmt.Errorf("render page %s: %w", a.page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.tag)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(b.Bytes()) // the caller may have left
	return nil
}

// headers replaces those of the chain, which are right for JSON. same-origin, not
// no-referrer: the latter makes browsers send "Origin: null" with our own forms.
func (p *Pages) headers(h http.Header, v *visit) {
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language, Cookie")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	p.policy(h, v, "")
}

// policy sets the Content-Security-Policy. form-action also binds the redirects
// that follow a POST, so a page whose form leads back to an application names the
// application's origin, and nothing else. Scripts and styles go by the nonce of
// this answer, so that a file of ours that somebody got hold of does not count.
func (p *Pages) policy(h http.Header, v *visit, returns string) {
	action := "'self'"
	if returns != "" {
		action += " " + returns
	}
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "style-src 'nonce-" + v.nonce + "'", "img-src 'self'", "script-src 'nonce-" + v.nonce + "'",
		"form-action " + action, "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
	}, "; "))
}

// frames lets the page show frames of these origins, and no others.
func (p *Pages) frames(h http.Header, origins []string) {
	h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; frame-src "+strings.Join(origins, " "))
}

// problemPage is a page that could not be had.
type problemPage struct {
	frame
	Message string
	Wait    string // when to try again, "" for whenever
	ID      string // the request's id, for whoever runs the server
}

// problem answers with an error page. web/respond says what of the error may be
// told, and logs what may not.
func (p *Pages) problem(w http.ResponseWriter, v *visit, err error) {
	respond.Log(w, v.Request, err, p.Log)
	why := respond.Explain(err)
	respond.Headers(w, v.Request, why)
	out := problemPage{
		frame: frame{Title: v.text("problem.title"), Nonce: v.nonce, Asked: v.asked}, Message: v.say(why.Message), Wait: v.waitText(why.RetryAfter),
	}
	if why.Code == respond.Internal {
		out.ID = w.Header().Get(respond.RequestID)
	}
	if err := p.show(w, v, answer{"problem", why.Status, out}); err != nil {
		panic(err) // a broken error page is a bug; the chain answers
	}
}
