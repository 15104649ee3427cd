package httpauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const (
	signIn = "https://id.example/login?client_id=shop-web"
	base   = "https://shop.example/app"
)

var (
	visit = http.Header{"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	fetch = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}
	old   = http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
)

func leading(t *testing.T, issuer *verifytest.Issuer) http.Handler {
	t.Helper()
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{SignIn: signIn, Base: base + "/", Logger: quiet})
	return auth.Require("orders:read")(http.HandlerFunc(welcome))
}

// comesBack returns where a redirect to the sign-in page says to return to.
func comesBack(t *testing.T, location string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(location, signIn+"&return_to=")
	to, err := url.QueryUnescape(rest)
	if !ok || err != nil {
		t.Errorf("redirected to %q", location)
	}
	return to
}

func TestPeopleAreLedToTheSignInAndScriptsAreTold(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	h := leading(t, issuer)
	gone := issuer.Session(verifytest.Set("sid", "s-1"), verifytest.Scope("orders:read"))
	issuer.Revoke("s-1")
	for _, tt := range []struct {
		name, method string
		header       http.Header
		status       int
	}{
		{"visit", http.MethodGet, visit, 303},
		{"visit, HEAD", http.MethodHead, visit, 303},
		{"visit by a link", http.MethodGet, and(visit, "Sec-Fetch-Site", "cross-site"), 303},
		{"visit with an ended session", http.MethodGet, and(visit, "Cookie", session(gone)), 303},
		{"old browser", http.MethodGet, old, 303},
		{"fetch", http.MethodGet, fetch, 401},
		{"fetch that wants HTML", http.MethodGet, and(fetch, "Accept", "text/html"), 401},
		{"fetch with an ended session", http.MethodGet, and(fetch, "Cookie", session(gone)), 401},
		{"fetch, POST", http.MethodPost, fetch, 401},
		{"frame", http.MethodGet, and(visit, "Sec-Fetch-Dest", "iframe"), 401},
		{"image", http.MethodGet, and(fetch, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"), 401},
		{"old script", http.MethodGet, http.Header{"Accept": {"*/*"}}, 401},
		{"old script that says so", http.MethodGet, and(old, "X-Requested-With", "XMLHttpRequest"), 401},
		{"old script that wants JSON", http.MethodGet, http.Header{"Accept": {"application/json, text/html"}}, 401},
		{"program", http.MethodGet, nil, 401},
		{"program with a bad token", http.MethodGet, and(visit, "Authorization", "Bearer x"), 401},
		{"program with another scheme", http.MethodGet, and(visit, "Authorization", "Basic eDp5"), 401},
		{"two cookies", http.MethodGet, and(visit, "Cookie", session("a")+"; "+session("b")), 400},
		{"no scope", http.MethodGet, and(visit, "Cookie", session(issuer.Session())), 403},
		{"cross-site form", http.MethodPost, and(visit, "Sec-Fetch-Site", "cross-site", "Cookie", session(gone)), 403},
	} {
		w := send(t, h, tt.method, "http://evil.test/orders?page=2", tt.header)
		if w.Code != tt.status || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %v, want %d", tt.name, w.Code, w.Header(), tt.status)
			continue
		}
		if tt.status == 303 {
			if got := comesBack(t, w.Header().Get("Location")); got != base+"/orders?page=2&wafer-back=1" {
				t.Errorf("%s: returns to %q", tt.name, got)
			}
			continue
		}
		var body map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Header().Get("Location") != "" || (body["login"] == signIn) != (tt.status == 401) {
			t.Errorf("%s: got %v %s", tt.name, w.Header(), w.Body)
		}
		if tt.status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: got %v", tt.name, w.Header())
		}
	}
}

func TestReturnAddressIsMadeFromTheBaseAlone(t *testing.T) {
	t.Parallel()
	h := leading(t, verifytest.NewIssuer(t))
	for target, want := range map[string]string{
		"http://evil.test/orders":                        base + "/orders?wafer-back=1",
		"http://evil.test//evil.test/x":                  base + "//evil.test/x?wafer-back=1",
		"http://evil.test/a%2fb%5cc":                     base + "/a%2fb%5cc?wafer-back=1",
		"http://evil.test/%0d%0aSet-Cookie:x":            base + "/%0d%0aSet-Cookie:x?wafer-back=1",
		"http://evil.test/?next=https://evil.test/":      base + "/?next=https://evil.test/&wafer-back=1",
		"http://evil.test/?a=\\\\evil":                   base + "/?a=%5C%5Cevil&wafer-back=1",
		"http://evil.test/größe?q=ü":                     base + "/gr%C3%B6%C3%9Fe?q=%C3%BC&wafer-back=1",
		"http://evil.test/?" + strings.Repeat("a", 3000): base + "/?wafer-back=1",
	} {
		header := and(visit, "X-Forwarded-Host", "evil.test", "Forwarded", "host=evil.test")
		w := send(t, h, http.MethodGet, target, header)
		if got := comesBack(t, w.Header().Get("Location")); w.Code != http.StatusSeeOther || got != want {
			t.Errorf("%.60s: %d, returns to %q, want %q", target, w.Code, got, want)
		}
	}
}

// A browser that refuses cookies must not go round in circles.
func TestWhoComesBackWithoutASessionIsToldWhy(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	h := leading(t, issuer)
	good := issuer.Session(verifytest.Subject("ada"), verifytest.Scope("orders:read"))
	for name, header := range map[string]http.Header{"no cookie": visit, "old browser": old, "cookie that is not good": and(visit, "Cookie", session("AAAA"))} {
		first := send(t, h, http.MethodGet, "http://shop.example/orders?page=2", header)
		to := strings.TrimPrefix(comesBack(t, first.Header().Get("Location")), base)
		second := send(t, h, http.MethodGet, "http://shop.example"+to, header)
		if second.Code != http.StatusUnauthorized || second.Header().Get("Location") != "" || !strings.Contains(second.Body.String(), "may refuse cookies") {
			t.Fatalf("%s: got %d %v %s", name, second.Code, second.Header(), second.Body)
		}
		hd := second.Header()
		if hd.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(hd.Get("Content-Security-Policy"), "frame-ancestors 'none'") || hd.Get("X-Content-Type-Options") != "nosniff" || hd.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %v", name, hd)
		}
		if !strings.Contains(second.Body.String(), `href="https://id.example/login?client_id=shop-web&amp;return_to=https%3A%2F%2Fshop.example%2Fapp%2Forders%3Fpage%3D2%26wafer-back%3D1"`) {
			t.Errorf("%s: the page leads to %s", name, second.Body)
		}
		// Once the cookie comes along the mark goes away, and nothing else does.
		third := send(t, h, http.MethodGet, "http://shop.example"+to, and(header, "Cookie", session(good)))
		if third.Code != http.StatusSeeOther || third.Header().Get("Location") != base+"/orders?page=2" || third.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: signed in: %d %v", name, third.Code, third.Header())
		}
		fourth := send(t, h, http.MethodGet, "http://shop.example/orders?page=2", and(header, "Cookie", session(good)))
		if fourth.Code != http.StatusOK || fourth.Body.String() != "ada by session" {
			t.Errorf("%s: at last: %d %s", name, fourth.Code, fourth.Body)
		}
	}
	w := send(t, h, http.MethodGet, "http://shop.example/orders?wafer-back=1", and(fetch, "Cookie", session(good)))
	if w.Code != http.StatusOK {
		t.Errorf("fetch with the mark: %d", w.Code)
	}
	for _, query := range []string{"wafer-back=2", "xwafer-back=1", "a=wafer-back=1", "wafer-back"} {
		if w := send(t, h, http.MethodGet, "http://shop.example/?"+query, visit); w.Code != http.StatusSeeOther {
			t.Errorf("%s is taken for the mark: %d", query, w.Code)
		}
	}
}

func TestFormOfSomebodyNotSignedInIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	h := leading(t, verifytest.NewIssuer(t))
	w := send(t, h, http.MethodPost, "http://shop.example/orders", and(visit, "Sec-Fetch-Site", "same-origin"))
	if w.Code != http.StatusUnauthorized || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "was not saved") || !strings.Contains(w.Body.String(), "return_to=https%3A%2F%2Fshop.example%2Fapp%2F%3Fwafer-back%3D1") {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestNobodyIsSentAnywhereUnlessAsked(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	h := httpauth.New(issuer.Verifier(), httpauth.Options{Base: base, Logger: quiet}).Require()(http.HandlerFunc(welcome))
	for name, header := range map[string]http.Header{"visit": visit, "fetch": fetch, "old browser": old} {
		w := send(t, h, http.MethodGet, "http://shop.example/?wafer-back=1", header)
		if w.Code != http.StatusUnauthorized || w.Header().Get("Location") != "" || w.Body.String() != "{\"error\":\"credential_required\"}\n" {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	w := send(t, h, http.MethodGet, "http://shop.example/?wafer-back=1", and(visit, "Cookie", verify.CookieName+"="+issuer.Session()))
	if w.Code != http.StatusOK {
		t.Errorf("signed in: %d", w.Code)
	}
}
