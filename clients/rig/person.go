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
	actionOf = regexp.MustCompile(`(?i)<form\b[^>]*\saction="([^"]*)"`)
)

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(s)
}

// Through goes to an address and fills in whatever stands before one that begins with
// back, which it returns.
func (p *Person) Through(address, back string) *url.URL {
	p.t.Helper()
	method, body := http.MethodGet, ""
	from := ""
	for range 20 {
		if strings.HasPrefix(address, back) {
			u, err := url.Parse(address)
			if err != nil {
				p.t.Fatal(err)
			}
			return u
		}
		res, text := p.send(method, address, body, from)
		from = address
		method, body = http.MethodGet, ""
		if to := res.Header.Get("Location"); to != "" {
			next, err := res.Request.URL.Parse(to)
			if err != nil {
				p.t.Fatal(err)
			}
			address = next.String()
			continue
		}
		address, body = p.fill(res, text)
		method = http.MethodPost
	}
	p.t.Fatal("led on and on")
	return nil
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
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
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

// fill fills in the form of a page: the one with a password, or with a decision.
func (p *Person) fill(res *http.Response, page string) (action, body string) {
	p.t.Helper()
	for _, want := range []string{`name="password"`, `name="decision"`, `method="post"`, `method="POST"`} {
		for _, form := range formTag.FindAllString(page, -1) {
			if !strings.Contains(form, want) {
				continue
			}
			fields := url.Values{}
			for _, tag := range inputTag.FindAllString(form, -1) {
				if name := nameAttr.FindStringSubmatch(tag); name != nil && !fields.Has(name[1]) {
					value := ""
					if v := valueOf.FindStringSubmatch(tag); v != nil {
						value = unescape(v[1])
					}
					fields.Set(name[1], value)
				}
			}
			for name, value := range map[string]string{"login": Login, "password": Password, "decision": "allow"} {
				if fields.Has(name) {
					fields.Set(name, value)
				}
			}
			action := res.Request.URL.String()
			if a := actionOf.FindStringSubmatch(form); a != nil && a[1] != "" {
				next, err := res.Request.URL.Parse(unescape(a[1]))
				if err != nil {
					p.t.Fatal(err)
				}
				action = next.String()
			}
			return action, fields.Encode()
		}
	}
	p.t.Fatalf("no form on %s %s:\n%.2000s", res.Status, res.Request.URL, page)
	return "", ""
}
