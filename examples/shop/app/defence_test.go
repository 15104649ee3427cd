package app_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/shop/app"
)

func TestForgedPressIsRefused(t *testing.T) {
	t.Parallel()
	stranger := newBrowser(t, newWorld())
	theirs := csrfField.FindStringSubmatch(stranger.page())[1]
	for _, path := range []string{"/again", "/cookie", "/logout", "/refresh", "/swap", "/tokens"} {
		for _, attack := range []struct {
			name  string
			forge func(*http.Request)
			form  url.Values
		}{
			{"cross-site form", func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				r.Header.Set("Origin", "https://evil.example")
			}, nil},
			{"another port of localhost", func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "same-site")
				r.Header.Set("Origin", "http://localhost:9999")
			}, nil},
			{"old browser, other origin", func(r *http.Request) {
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Set("Origin", "http://localhost:9999")
			}, nil},
			{"no code", func(*http.Request) {}, url.Values{"csrf": {""}}},
			{"code of another browser", func(*http.Request) {}, url.Values{"csrf": {theirs}}},
		} {
			t.Run(path[1:]+" "+attack.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				b := newBrowser(t, w)
				b.signInAtWafer()
				b.press("/again")
				r := b.post(path, attack.form)
				w.seen = nil
				attack.forge(r)
				res := b.send(r)
				if res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
					t.Errorf("status %d, cookies %v, want 403 and none", res.StatusCode, res.Cookies())
				}
				if len(w.seen) > 0 {
					t.Errorf("the shop made requests: %v", w.seen)
				}
				b.press("/again")
			})
		}
	}
}

func TestCodeBelongsToTheCookie(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	r := b.post("/cookie", nil)
	delete(b.cookies, "__Host-Http-shop")
	if res := b.send(r); res.StatusCode != http.StatusForbidden {
		t.Errorf("status %d without the shop's cookie, want 403", res.StatusCode)
	}
	b.press("/cookie")
}

func TestPlantedCookieIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"__Host-Http-wafer", "__Host-Http-shop"} {
		b := newBrowser(t, newWorld())
		b.signInAtWafer()
		r := b.post("/cookie", nil)
		r.Header.Add("Cookie", name+"=planted")
		if name == "__Host-Http-shop" {
			r.Header.Add("Cookie", name+"=planted2")
		}
		if res := b.send(r); res.StatusCode != http.StatusForbidden || !strings.Contains(text(t, res), "two session cookies") {
			t.Errorf("two cookies %s: status %d, want 403", name, res.StatusCode)
		}
		b.press("/cookie")
	}
}

func TestOtherHostIsRefused(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	b.page()
	for _, host := range []string{"evil.example", "evil.example:3000", "localhost:3001"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Host = host
		if res := b.send(r); res.StatusCode != http.StatusMisdirectedRequest || csrfField.MatchString(text(t, res)) {
			t.Errorf("%s: status %d, want 421 and no form code", host, res.StatusCode)
		}
	}
	b.page()
}

// TestNoCredentialIsWholeInAPage goes through everything and searches all that the
// browser was ever shown.
func TestNoCredentialIsWholeInAPage(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.echo = true // even where a service repeats what it got
	b := newBrowser(t, w)
	b.signInAtWafer()
	for _, path := range []string{"/cookie", "/swap", "/again"} {
		b.press(path)
	}
	b.signInForTokens(password)
	for _, path := range []string{"/cookie", "/refresh", "/swap", "/refresh", "/again", "/logout", "/again", "/refresh"} {
		b.press(path)
	}
	all := strings.Join(b.pages, "")
	if !strings.Contains(all, "you sent") || len(w.issued) < 8 {
		t.Fatalf("the journey is too short: %d credentials", len(w.issued))
	}
	for _, secret := range w.issued {
		if strings.Contains(all, secret) {
			t.Errorf("%s is in a page", secret)
		}
		if strings.HasPrefix(secret, "refresh") && strings.Contains(all, secret[:9]) {
			t.Errorf("a part of refresh token %s is in a page", secret)
		}
		if parts := strings.Split(secret, "."); len(parts) == 3 && strings.Contains(all, parts[2]) {
			t.Errorf("the signature of a token is in a page")
		}
	}
	if strings.Contains(all, password) {
		t.Error("the password is in a page")
	}
}

func TestOnlyTheSessionCookieGoesToOrders(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	b.signInAtWafer()
	b.cookies["other"] = "private-to-the-browser"
	page := b.press("/cookie")
	if strings.Contains(page, "private-to-the-browser") || strings.Contains(page, "__Host-Http-shop") {
		t.Error("a cookie that is not Wafer's was sent on")
	}
}

func TestVisitsDoNotMix(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ada := newBrowser(t, w)
	ada.signInForTokens(password)
	bob := &browser{t: t, shop: ada.shop, cookies: map[string]string{}, world: w}
	page := bob.page()
	wants(t, page, "jwt", "not called yet")
	wants(t, page, "bar", "Nobody is signed in.")
	wants(t, bob.press("/refresh"), "notice", "There is no refresh token.")
	wants(t, ada.press("/refresh"), "jwt", "Same successor: <strong>yes</strong>")
}

func TestMemoryForgets(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	b.signInForTokens(password)
	b.now = b.now.Add(29 * time.Minute)
	wants(t, b.press("/refresh"), "jwt", "Same successor: <strong>yes</strong>")
	b.now = b.now.Add(31 * time.Minute)
	wants(t, b.press("/refresh"), "notice", "There is no refresh token.")
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	first := newBrowser(t, w)
	first.signInForTokens(password)
	for range 256 {
		first.now = first.now.Add(time.Second)
		other := &browser{t: t, shop: first.shop, cookies: map[string]string{}, world: w}
		other.press("/refresh")
	}
	wants(t, first.press("/refresh"), "notice", "There is no refresh token.") // the oldest went
	wants(t, first.signInForTokens(password), "jwt", "accepted")
}

func TestAnswersAreFenced(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	for _, path := range []string{"/", "/shop.css", "/mark.svg", "/nothing"} {
		res := b.send(httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		h := res.Header
		want := "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' http://localhost:8080; frame-ancestors 'none'; base-uri 'none'"
		if got := h.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: policy %q, want %q", path, got, want)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
		if body := text(t, res); strings.Contains(body, "<script") || strings.Contains(body, " style=") || strings.Contains(body, " onclick=") {
			t.Errorf("%s holds what the policy forbids", path)
		}
		for _, c := range res.Cookies() {
			if !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("cookie %v", c)
			}
		}
	}
}

func TestIssuerElsewhereKeepsItsCookieWithTheShop(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld(), func(c *app.Config) { c.Self = "http://shop.localhost:3000" })
	b.send(httptest.NewRequestWithContext(t.Context(), "GET", "http://shop.localhost:3000/", nil))
	at := func(r *http.Request) *http.Request { r.Host = "shop.localhost:3000"; return r }
	get := func() string {
		return text(t, b.send(at(httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))))
	}
	press := func(path string, form url.Values) string {
		form.Set("csrf", csrfField.FindStringSubmatch(get())[1])
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		b.send(at(r))
		return get()
	}
	wants(t, press("/tokens", url.Values{"login": {"ada@example.com"}, "password": {password}}), "bar", "Signed in as")
	if b.cookies["__Host-Http-wafer"] != "" {
		t.Error("a cookie of another host was handed on")
	}
	wants(t, press("/cookie", url.Values{}), "cookie", "accepted")
	wants(t, press("/logout", url.Values{}), "watch", "until both were refused")
	wants(t, press("/again", url.Values{}), "cookie", "refused")
}

func TestNewRefusesUnfitConfig(t *testing.T) {
	t.Parallel()
	good := app.Config{Issuer: issuerURL, Self: selfURL, Orders: ordersURL, ClientID: "shop-web", API: apiID}
	if _, err := app.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*app.Config){
		"issuer": func(c *app.Config) { c.Issuer = "localhost:8080" },
		"self":   func(c *app.Config) { c.Self = "" },
		"orders": func(c *app.Config) { c.Orders = "file:///etc/passwd" },
		"client": func(c *app.Config) { c.ClientID = "" },
		"api":    func(c *app.Config) { c.API = "" },
	} {
		c := good
		spoil(&c)
		if _, err := app.New(c); err == nil {
			t.Errorf("unfit %s is taken", name)
		}
	}
}
