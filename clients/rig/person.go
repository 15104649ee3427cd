package rig

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Person is a browser that fills in forms, as far as signing in needs one.
type Person struct {
	t      *testing.T
	client *http.Client
}

// NewPerson returns somebody with an empty browser.
func NewPerson(t *testing.T) *Person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Person{t: t, client: &http.Client{
		Jar: insecureJar{jar}, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// insecureJar gives loopback the cookies that browsers give it without TLS.
type insecureJar struct{ *cookiejar.Jar }

func secure(u *url.URL) *url.URL {
	c := *u
	c.Scheme = "https"
	return &c
}

func (j insecureJar) SetCookies(u *url.URL, c []*http.Cookie) { j.Jar.SetCookies(secure(u), c) }

func (j insecureJar) Cookies(u *url.URL) []*http.Cookie { return j.Jar.Cookies(secure(u)) }

var (
	formTag  = regexp.MustCompile(`(?is)<form\b[^>]*>.*?</form>`)
	inputTag = regexp.MustCompile(`(?is)<(?:input|button)\b[^>]*>`)
	nameAttr = regexp.MustCompile(`(?i)\sname="([^"]*)"`)
	valueOf  = regexp.MustCompile(`(?i)\svalue="([^"]*)"`)
	methodOf = regexp.MustCompile(`(?i)<form\b[^>]*\smethod="([^"]*)"`)
	actionOf = regexp.MustCompile(`(?i)<form\b[^>]*\saction="([^"]*)"`)
)

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(s)
}

// Page is where somebody ended up: at an address that begins with what they were to be
// led back to, or on a page.
type Page struct {
	URL    *url.URL
	Back   bool       // led back; Params says with what
	Params url.Values // of the query, or of the form that was posted back
	Status int
	Text   string
	header http.Header
}

// Through goes to an address and fills in whatever stands before one that begins with
// back. It returns that address, with what was posted to it in its query.
func (p *Person) Through(address, back string) *url.URL {
	p.t.Helper()
	page := p.Visit(address, back)
	for range 8 {
		if page.Back {
			u := *page.URL
			u.RawQuery = page.Params.Encode()
			return &u
		}
		page = p.Submit(page, back, nil)
	}
	p.t.Fatalf("asked for more and more, last at %s", page.URL)
	return nil
}

// Visit goes to an address and follows redirects until one begins with back, or a page
// comes. A page that posts a form back by itself counts as led back.
func (p *Person) Visit(address, back string) Page {
	p.t.Helper()
	return p.follow(http.MethodGet, address, "", "", back)
}

// Post posts a form from another site, as a client's page does.
func (p *Person) Post(address string, form url.Values, back string) Page {
	p.t.Helper()
	return p.follow(http.MethodPost, address, form.Encode(), "http://127.0.0.1:9/", back)
}

func (p *Person) follow(method, address, body, from, back string) Page {
	p.t.Helper()
	for range 20 {
		if strings.HasPrefix(address, back) && body == "" {
			u, err := url.Parse(address)
			if err != nil {
				p.t.Fatal(err)
			}
			return Page{URL: u, Back: true, Params: u.Query()}
		}
		res, text := p.send(method, address, body, from)
		if to := res.Header.Get("Location"); to != "" {
			next, err := res.Request.URL.Parse(to)
			if err != nil {
				p.t.Fatal(err)
			}
			method, body, from, address = http.MethodGet, "", address, next.String()
			continue
		}
		page := Page{URL: res.Request.URL, Status: res.StatusCode, Text: text, header: res.Header}
		for _, f := range forms(page) {
			if strings.HasPrefix(f.action, back) {
				u, err := url.Parse(f.action)
				if err != nil {
					p.t.Fatal(err)
				}
				return Page{URL: u, Back: true, Params: f.fields, Status: res.StatusCode, Text: text}
			}
		}
		return page
	}
	p.t.Fatal("redirected on and on")
	return Page{}
}

// Asks reports whether the page has a form with a field or button of that name.
func (p Page) Asks(name string) bool {
	for _, f := range forms(p) {
		if f.fields.Has(name) {
			return true
		}
	}
	return false
}

// Submit fills in the form of a page and sends it: the one with a password, or with a
// decision. Fields of values go before what the person would say.
func (p *Person) Submit(page Page, back string, values map[string]string) Page {
	p.t.Helper()
	all := forms(page)
	for _, want := range []string{"password", "decision", ""} {
		for _, f := range all {
			if want != "" && !f.fields.Has(want) || f.method != http.MethodPost {
				continue
			}
			for name, value := range map[string]string{"login": Login, "password": Password, "decision": "allow"} {
				if f.fields.Has(name) {
					f.fields.Set(name, value)
				}
			}
			for name, value := range values {
				f.fields.Set(name, value)
			}
			return p.follow(http.MethodPost, f.action, f.fields.Encode(), page.URL.String(), back)
		}
	}
	p.t.Fatalf("no form on %d %s:\n%.2000s", page.Status, page.URL, page.Text)
	return Page{}
}

type form struct {
	action, method string
	fields         url.Values
}

// forms are the forms of a page.
func forms(page Page) (all []form) {
	for _, text := range formTag.FindAllString(page.Text, -1) {
		f := form{action: page.URL.String(), method: http.MethodGet, fields: url.Values{}}
		if m := methodOf.FindStringSubmatch(text); m != nil {
			f.method = strings.ToUpper(m[1])
		}
		if a := actionOf.FindStringSubmatch(text); a != nil && a[1] != "" {
			if next, err := page.URL.Parse(unescape(a[1])); err == nil {
				f.action = next.String()
			}
		}
		for _, tag := range inputTag.FindAllString(text, -1) {
			name := nameAttr.FindStringSubmatch(tag)
			if name == nil || f.fields.Has(name[1]) {
				continue
			}
			value := ""
			if v := valueOf.FindStringSubmatch(tag); v != nil {
				value = unescape(v[1])
			}
			f.fields.Set(name[1], value)
		}
		all = append(all, f)
	}
	return all
}

func (p *Person) send(method, address, body, from string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "none")
	if from != "" {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if u, err := url.Parse(from); err == nil && u.Host == r.URL.Host {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if u, err := url.Parse(from); err == nil {
			r.Header.Set("Origin", u.Scheme+"://"+u.Host)
		}
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, string(text)
}

// Header is that of the answer which the page came with.
func (p Page) Header() http.Header { return p.header }
