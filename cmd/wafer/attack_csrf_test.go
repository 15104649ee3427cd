package main

import (
	"net/http"
	"strings"
	"testing"
)

// What browsers say of a request that our own page makes, and of one that somebody
// looks at.
var (
	ownPage = [2]string{"Sec-Fetch-Site", "same-origin"}
	looking = [2]string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}
)

// CSRF-002: a page elsewhere cannot sign its visitor in as somebody else.
func TestForeignPageCannotSignPeopleIn(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	v := r.visit(person(0))
	in := map[string]string{"login": person(1), "password": attackPhrase}
	evil := [][2]string{{"Origin", "http://evil.test"}}
	fetch := func(site string) [][2]string { return [][2]string{{"Sec-Fetch-Site", site}} }
	for _, header := range [][][2]string{evil, fetch("cross-site"), fetch("same-site"), append(fetch("cross-site"), [2]string{"Origin", "null"}), {{"Origin", "http://sub.localhost:3000"}}} {
		for name, h := range map[string]hit{
			"JSON": jsonOf(http.MethodPost, "/session", in, v.in()),
			"text": {method: http.MethodPost, path: "/session", kind: "text/plain", body: `{"login":"` + person(1) + `","password":"` + attackPhrase + `"}`, header: [][2]string{v.in()}},
			"form": formOf("/login", fields("login", person(1), "password", attackPhrase), v.in()), "sign out": {method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}},
			"sign out, page": formOf("/logout", "", v.in()), "end all": formOf("/account/end-all", "", v.in()), "swap": swapping(v, ordersAPI),
			"phrase": jsonOf(http.MethodPost, "/account/password", map[string]string{"current": attackPhrase, "new": "eight purple bottles on a wall"}, v.in()),
		} {
			h.header = append(h.header, header...)
			res, err := r.fire(h)
			if err != nil || res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
				t.Errorf("%s with %v: %v %d %s", name, header, err, res.StatusCode, res.text)
			}
		}
	}
	r.must(http.StatusOK, get("/session", v.in()))
	r.must(http.StatusCreated, jsonOf(http.MethodPost, "/session", in, [2]string{"Sec-Fetch-Site", "same-origin"}))
	r.must(http.StatusCreated, jsonOf(http.MethodPost, "/session", in, [2]string{"Origin", "http://localhost:3000"}, [2]string{"Sec-Fetch-Site", "same-site"}))
	r.lively(v, nil)
}

// CSRF-002: the page's form is worth nothing without the code that was made for
// this browser and this form.
func TestFormWithoutItsCodeDoesNothing(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	v, other := r.visit(person(0)), r.visit(person(1))
	code, browser := r.pageForm("/login")
	elsewhere, _ := r.pageForm("/login")
	logout := r.pageFormNamed("/logout", "/logout", v.in())
	login := func(code string, header ...[2]string) hit {
		return formOf("/login", fields("csrf", code, "login", person(0), "password", attackPhrase), append(header, ownPage)...)
	}
	for name, h := range map[string]hit{
		"no code": login("", browser), "another browser's": login(elsewhere, browser), "no cookie": login(code), "another form's": login(logout, browser),
		"sign out, no code": formOf("/logout", "", v.in(), ownPage), "sign out, another's code": formOf("/logout", fields("csrf", logout), other.in(), ownPage),
		"end all, code of sign out": formOf("/account/end-all", fields("csrf", logout), v.in(), ownPage),
		// A browser that says nothing of where it is: the code alone is not enough.
		"sign out, no page": formOf("/logout", fields("csrf", logout), v.in()),
	} {
		res, err := r.fire(h)
		if err != nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v %d", name, err, res.StatusCode)
		}
		for _, c := range res.Cookies() {
			if c.Name == "__Host-Http-wafer" {
				t.Errorf("%s sets a session", name)
			}
		}
	}
	r.must(http.StatusSeeOther, login(code, browser))
	r.lively(other, nil)
	v = r.lively(v, nil)
	res, err := r.fire(formOf("/logout", fields("csrf", logout), v.in(), ownPage))
	if err != nil || res.StatusCode >= 400 {
		t.Errorf("sign out: %v %d %s", err, res.StatusCode, res.text)
	}
	r.dead(v, nil)
}

// CSRF-004: another method, another content type, another spelling of the path.
func TestMethodAndContentTypeTricksChangeNothing(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	form := "application/x-www-form-urlencoded"
	mute := func(kind, path string) hit {
		return hit{method: http.MethodPost, path: path, kind: kind, body: `{"client_id":"shop-web","api":"` + ordersAPI + `"}`, header: [][2]string{v.in()}}
	}
	for _, kind := range []string{form, "text/plain", "multipart/form-data; boundary=x", "text/plain; application/json", "application/ld+json", ""} {
		for _, path := range []string{"/session", "/session/token", "/account/password", "/logout", "/account/end-all"} {
			r.must(http.StatusForbidden, mute(kind, path)) // what any old form can send, cookie and all
		}
	}
	r.must(http.StatusOK, mute("application/json", "/session/token"))
	for name, h := range map[string]hit{
		"form at the JSON path":   {method: http.MethodPost, path: "/session", kind: form, body: fields("login", person(0), "password", attackPhrase)},
		"text at the JSON path":   {method: http.MethodPost, path: "/session", kind: "text/plain", body: `{"login":"` + person(0) + `","password":"` + attackPhrase + `"}`},
		"JSON, another charset":   {method: http.MethodPost, path: "/session", kind: "application/json; charset=utf-16", body: `{}`},
		"two types":               {method: http.MethodPost, path: "/session", kind: "application/json, text/plain", body: `{}`},
		"GET of a swap":           get("/session/token?client_id=shop-web&api="+ordersAPI, v.in()),
		"GET of a sign out":       get("/session?_method=DELETE", v.in(), [2]string{"X-HTTP-Method-Override", "DELETE"}),
		"POST as DELETE":          {method: http.MethodPost, path: "/session?_method=DELETE", kind: form, body: "_method=DELETE", header: [][2]string{v.in(), {"X-HTTP-Method-Override", "DELETE"}}},
		"HEAD of a swap":          {method: http.MethodHead, path: "/session/token", header: [][2]string{v.in()}},
		"PUT":                     jsonOf(http.MethodPut, "/session", "{}", v.in()),
		"PATCH":                   jsonOf(http.MethodPatch, "/session", "{}", v.in()),
		"double slash":            {method: http.MethodDelete, path: "//session", header: [][2]string{v.in()}},
		"slash at the end":        {method: http.MethodDelete, path: "/session/", header: [][2]string{v.in()}},
		"capitals":                {method: http.MethodDelete, path: "/SESSION", header: [][2]string{v.in()}},
		"dots":                    {method: http.MethodDelete, path: "/.well-known/../session", header: [][2]string{v.in()}},
		"encoded slash":           {method: http.MethodDelete, path: "/%2fsession", header: [][2]string{v.in()}},
		"token, capitals":         formOf("/OAUTH/TOKEN", "grant_type=client_credentials&"+ownCredentials),
		"token, slash at the end": formOf("/oauth/token/", "grant_type=client_credentials&"+ownCredentials),
	} {
		res, err := r.fire(h)
		ok := res.Response != nil && (res.StatusCode/100 == 4 || res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect || res.StatusCode == http.StatusMovedPermanently || name == "GET of a sign out" && res.StatusCode == 200)
		if err != nil || !ok || strings.Contains(res.text, "access_token") {
			t.Errorf("%s: %v %v %s", name, err, res.Response, res.text)
		}
	}
	r.lively(v, nil)
}
