package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/shop/app"
)

// browser presses buttons. It keeps cookies as a browser on localhost does.
type browser struct {
	t       *testing.T
	shop    http.Handler
	cookies map[string]string
	now     time.Time
	world   *world
	pages   []string // every body it was shown
}

func newBrowser(t *testing.T, w *world, edit ...func(*app.Config)) *browser {
	t.Helper()
	client, stop := w.client()
	t.Cleanup(stop)
	b := &browser{t: t, cookies: map[string]string{}, now: start, world: w}
	c := app.Config{
		Issuer: issuerURL, Self: selfURL, Orders: ordersURL, ClientID: "shop-web", API: apiID,
		Logger: slog.New(slog.DiscardHandler), Client: client, Now: func() time.Time { return b.now },
	}
	for _, f := range edit {
		f(&c)
	}
	shop, err := app.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.shop = shop
	return b
}

// signInAtWafer gives the browser a session, as Wafer's page would.
func (b *browser) signInAtWafer() {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.world.mu.Lock()
	b.world.begin(rec)
	b.world.mu.Unlock()
	b.keep(rec.Result())
}

func (b *browser) keep(res *http.Response) {
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
}

func (b *browser) send(r *http.Request) *http.Response {
	b.t.Helper()
	if r.Host == "example.com" {
		r.Host = "localhost:3000"
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	b.shop.ServeHTTP(rec, r)
	res := rec.Result()
	b.pages = append(b.pages, rec.Body.String())
	b.keep(res)
	return res
}

// page loads the page.
func (b *browser) page() string {
	b.t.Helper()
	res := b.send(httptest.NewRequestWithContext(b.t.Context(), "GET", "/", nil))
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("page: status %d", res.StatusCode)
	}
	return text(b.t, res)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post builds the request that a button of the page sends.
func (b *browser) post(path string, fields url.Values) *http.Request {
	b.t.Helper()
	form := url.Values{}
	for name, all := range fields {
		form[name] = all
	}
	if m := csrfField.FindStringSubmatch(b.page()); m != nil && !form.Has("csrf") {
		form.Set("csrf", m[1])
	}
	r := httptest.NewRequestWithContext(b.t.Context(), "POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", selfURL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// press presses a button and returns the page that follows.
func (b *browser) press(path string) string {
	b.t.Helper()
	return b.follow(b.send(b.post(path, nil)))
}

func (b *browser) follow(res *http.Response) string {
	b.t.Helper()
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/#") {
		b.t.Fatalf("status %d to %q, want 303 to the page", res.StatusCode, res.Header.Get("Location"))
	}
	return b.page()
}

func (b *browser) signInForTokens(secret string) string {
	b.t.Helper()
	return b.follow(b.send(b.post("/tokens", url.Values{"login": {"ada@example.com"}, "password": {secret}})))
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var sections = map[string]*regexp.Regexp{
	"cookie": regexp.MustCompile(`(?s)<section class="panel [a-z]+" id="cookie".*?</section>`),
	"jwt":    regexp.MustCompile(`(?s)<section class="panel [a-z]+" id="jwt".*?</section>`),
	"watch":  regexp.MustCompile(`(?s)<section class="watch .*?</section>`),
	"notice": regexp.MustCompile(`(?s)<p class="notice".*?</p>`),
	"bar":    regexp.MustCompile(`(?s)<section class="bar".*?</section>`),
}

// wants checks that a section of the page holds each text.
func wants(t *testing.T, page, section string, texts ...string) {
	t.Helper()
	part := sections[section].FindString(page)
	if part == "" {
		t.Errorf("no section %s in %s", section, page)
		return
	}
	for _, want := range texts {
		if !strings.Contains(part, want) {
			t.Errorf("%s does not hold %q:\n%s", section, want, part)
		}
	}
}

func lacks(t *testing.T, page, section string) {
	t.Helper()
	if part := sections[section].FindString(page); part != "" {
		t.Errorf("unexpected section %s: %s", section, part)
	}
}
