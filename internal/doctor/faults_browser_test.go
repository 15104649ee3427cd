package doctor_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/doctor"
)

func redirect(to string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to+r.URL.RequestURI())
		w.WriteHeader(status)
	}
}

func TestFaultsOfProxyHeadersAndRedirects(t *testing.T) {
	t.Parallel()
	run(t, []fault{
		{"a stranger's address passes", front{request: func(in, out *http.Request) { out.Header["X-Forwarded-For"] = in.Header["X-Forwarded-For"] }}, nil,
			want{id: "proxy.forged", status: doctor.Fail, found: "anybody can pick the address", fix: "$proxy_add_x_forwarded_for", also: "proxy.address"}},
		{"the address is not passed", front{request: func(_, out *http.Request) { out.Header.Del("X-Forwarded-For") }}, nil,
			want{id: "proxy.address", status: doctor.Fail, found: "takes the proxy, 127.0.0.1, for the caller", fix: "--trusted-proxy 127.0.0.1/32"}},
		{"a forwarded host is believed", front{wrap: before(func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Host") != "" && r.URL.Path == "/account" },
			func(w http.ResponseWriter, r *http.Request) {
				redirect("https://"+r.Header.Get("X-Forwarded-Host"), 303)(w, r)
			})}, nil,
			want{id: "proxy.links", status: doctor.Fail, found: "stranger.invalid", fix: "X-Forwarded-Host"}},
		{"a forwarded scheme is believed", front{wrap: before(func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Proto") == "http" }, redirect(issuer, 301))}, nil,
			want{id: "proxy.links", status: doctor.Fail, found: "301", fix: "drop them"}},
		{"pages go in a circle", front{wrap: before(path("/login"), redirect(issuer, 301))}, nil,
			want{id: "redirect.loop", status: doctor.Fail, found: "in a circle", fix: "port 80 only",
				also: "redirect.login header.html cache.personal cookie.form"}},
		{"everything goes in a circle", front{wrap: before(method("GET"), redirect(issuer, 308))}, nil,
			want{id: "redirect.loop", status: doctor.Fail, found: "in a circle", fix: "port 80 only", also: "reach.wafer"}},
		{"pages are elsewhere", front{wrap: before(path("/login"), redirect("https://sso.example.com", 302))}, nil,
			want{id: "redirect.loop", status: doctor.Fail, found: "https://sso.example.com", fix: "make it the issuer",
				also: "redirect.login header.html cache.personal cookie.form"}},
		{"private pages are shown", front{wrap: before(path("/account"), html(200))}, nil,
			want{id: "redirect.login", status: doctor.Fail, found: "not signed in", fix: "every path"}},
		{"scripts are redirected", front{wrap: before(func(r *http.Request) bool {
			return r.URL.Path == "/session" && r.Header.Get("Cookie") == "" && r.Method == "GET"
		},
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/login")
				w.WriteHeader(302)
			})}, nil,
			want{id: "redirect.fetch", status: doctor.Fail, found: "302", fix: "401 in JSON", also: "header.json cache.personal cors.answer cache.signedin"}},
		{"port 80 serves", front{port80: same}, nil,
			want{id: "redirect.https", status: doctor.Fail, found: "in the clear", fix: "return 308"}},
		{"port 80 redirects for now only", front{port80: redirect(issuer, 302)}, nil,
			want{id: "redirect.https", status: doctor.Warn, found: "302", fix: "return 308"}},
		{"port 80 leads elsewhere", front{port80: redirect("https://www.example.com", 308)}, nil,
			want{id: "redirect.https", status: doctor.Fail, found: "www.example.com", fix: "return 308"}},
		{"port 80 says no", front{port80: html(403)}, nil,
			want{id: "redirect.https", status: doctor.Warn, found: "403", fix: "return 308"}},
	})
}

func TestFaultsOfCookies(t *testing.T) {
	t.Parallel()
	const form, both = "cookie.form", "cookie.back cookie.session"
	run(t, []fault{
		{"path rewritten", front{response: cookies("Path=/", "Path=/auth/")}, nil,
			want{id: "cookie.session", status: doctor.Fail, found: `its Path is "/auth/"`, fix: "proxy_cookie_path", also: form + " cookie.back"}},
		{"domain added", front{response: cookies("Path=/", "Path=/; Domain=example.com")}, nil,
			want{id: "cookie.session", status: doctor.Fail, found: `the Domain "example.com"`, fix: "proxy_cookie_domain", also: form + " cookie.back"}},
		{"Secure dropped", front{response: cookies("; Secure", "")}, nil,
			want{id: form, status: doctor.Fail, found: "Secure is missing", fix: "proxy_cookie_flags", also: both}},
		{"HttpOnly dropped", front{response: cookies("; HttpOnly", "")}, nil,
			want{id: form, status: doctor.Fail, found: "HttpOnly is missing", fix: "proxy_cookie_flags", also: both}},
		{"SameSite opened", front{response: cookies("SameSite=Lax", "SameSite=None")}, nil,
			want{id: form, status: doctor.Fail, found: "SameSite=None", fix: "proxy_cookie_flags", also: "cookie.session"}},
		{"SameSite dropped", front{response: cookies("; SameSite=Lax", "")}, nil,
			want{id: form, status: doctor.Warn, found: "SameSite=Lax", fix: "proxy_cookie_flags", also: "cookie.session"}},
		{"renamed", front{response: cookies("__Host-Http-wafer", "wafer")}, nil,
			want{id: form, status: doctor.Fail, found: `but "wafer-form"`, fix: "Set-Cookie"}},
		{"stripped", front{response: set("Set-Cookie", "")}, nil,
			want{id: form, status: doctor.Fail, found: "sets no cookie", fix: "proxy_hide_header"}},
		{"stripped at the sign-in only", front{response: on("/session", set("Set-Cookie", ""))}, nil,
			want{id: "cookie.signin", status: doctor.Fail, found: "sets no cookie", fix: "wafer session end ses_"}},
		{"not passed back", front{request: func(_, out *http.Request) { out.Header.Del("Cookie") }}, nil,
			want{id: "cookie.back", status: doctor.Fail, found: "nobody is signed in", fix: "proxy_set_header Cookie", also: "proxy.address cookie.end"}},
		{"headers too large", front{response: on("/session", set("X-Filler", strings.Repeat("x", 5000)))}, nil,
			want{id: "cookie.size", status: doctor.Warn, found: "some proxies take 4096", fix: "proxy_buffer_size"}},
		{"headers far too large", front{response: on("/session", set("X-Filler", strings.Repeat("x", 9000)))}, nil,
			want{id: "cookie.size", status: doctor.Fail, found: "many proxies take 8192", fix: "proxy_buffer_size"}},
		{"sign-in page gone", front{wrap: before(path("/login"), html(502))}, nil,
			want{id: form, status: doctor.Fail, found: "502", fix: "proxy_buffer_size",
				also: "redirect.login header.html cache.personal"}},
		{"wrong password", front{}, func(x *doctor.Target) { x.Password = "not-the-password-at-all" },
			want{id: "cookie.signin", status: doctor.Fail, found: "refuses the login or the password", fix: "--login"}},
		{"origin and host changed", front{request: func(_, out *http.Request) {
			out.Header.Del("Sec-Fetch-Site")
			if out.Header.Get("Origin") != "" {
				out.Header.Set("Origin", "http://10.0.0.7:8080")
			}
		}}, nil,
			want{id: "cookie.signin", status: doctor.Fail, found: "403", fix: "Sec-Fetch-Site", also: "cors.session cors.token cors.answer"}},
		{"signing out swallowed", front{wrap: before(method("DELETE"), html(405))}, nil,
			want{id: "cookie.end", status: doctor.Fail, found: "405", fix: "wafer session end ses_"}},
		{"second factor", front{wrap: before(func(r *http.Request) bool { return r.Method == "POST" && r.ContentLength < 1000 }, html(202))}, nil,
			want{id: "cookie.signin", status: doctor.Skip, found: "second factor"}},
	})
}

func TestFaultsOfCrossOriginRules(t *testing.T) {
	t.Parallel()
	options := func(status int) front { return front{wrap: before(method("OPTIONS"), html(status))} }
	two := "cors.token"
	run(t, []fault{
		{"origin of nobody", front{}, func(x *doctor.Target) { x.Origin = "https://other.example" },
			want{id: "cors.session", status: doctor.Fail, found: "does not know the origin", fix: "wafer client edit ID --origin https://other.example", also: two + " cors.answer"}},
		{"origin with a slash", front{}, func(x *doctor.Target) { x.Origin = origin + "/" },
			want{id: "cors.session", status: doctor.Fail, found: "No browser sends", fix: "scheme://host", also: two + " cors.answer"}},
		{"OPTIONS not allowed", options(405), nil,
			want{id: "cors.session", status: doctor.Fail, found: "405", fix: "limit_except", also: two}},
		{"OPTIONS wants a login", options(401), nil,
			want{id: "cors.session", status: doctor.Fail, found: "401", fix: "auth_basic", also: two}},
		{"OPTIONS answered by the proxy", options(200), nil,
			want{id: "cors.session", status: doctor.Fail, found: "Access-Control-Allow-Origin is missing", fix: "neither answer OPTIONS", also: two}},
		{"OPTIONS redirected", front{wrap: before(method("OPTIONS"), redirect(issuer, 308))}, nil,
			want{id: "cors.session", status: doctor.Fail, found: "308", fix: "follow no redirect", also: two}},
		{"no credentials", front{response: set("Access-Control-Allow-Credentials", "")}, nil,
			want{id: "cors.session", status: doctor.Fail, found: "Access-Control-Allow-Credentials: true is missing", fix: "Access-Control", also: "cors.answer"}},
		{"no methods", front{response: set("Access-Control-Allow-Methods", "GET")}, nil,
			want{id: "cors.session", status: doctor.Fail, found: "without POST", fix: "Access-Control", also: two}},
		{"no headers", front{response: set("Access-Control-Allow-Headers", "")}, nil,
			want{id: "cors.session", status: doctor.Fail, found: "without content-type", fix: "Access-Control", also: two}},
		{"origin twice", front{response: func(r *http.Response) {
			if r.Request.Header.Get("Origin") == origin {
				r.Header.Add("Access-Control-Allow-Origin", "*")
			}
		}}, nil,
			want{id: "cors.session", status: doctor.Fail, found: "is there 2 times", fix: "Access-Control", also: two + " cors.answer"}},
		// CSRF-006
		{"a star for all, with cookies", front{response: func(r *http.Response) {
			r.Header.Set("Access-Control-Allow-Origin", "*")
			r.Header.Set("Access-Control-Allow-Credentials", "true")
		}}, nil,
			want{id: "cors.stranger", status: doctor.Fail, found: `Access-Control-Allow-Origin "*"`, fix: "add_header", also: "cors.session cors.answer"}},
		// CSRF-006
		{"every origin echoed", front{response: func(r *http.Response) {
			if o := r.Request.Header.Get("Origin"); o != "" {
				r.Header.Set("Access-Control-Allow-Origin", o)
				r.Header.Set("Access-Control-Allow-Credentials", "true")
			}
		}}, nil,
			want{id: "cors.stranger", status: doctor.Fail, found: "cookies: true", fix: "add_header"}},
		// CSRF-006
		{"null allowed", front{response: func(r *http.Response) {
			if r.Request.Header.Get("Origin") == "null" {
				r.Header.Set("Access-Control-Allow-Origin", "null")
			}
		}}, nil,
			want{id: "cors.stranger", status: doctor.Fail, found: `"null"`, fix: "add_header"}},
	})
}

// FWD-006: a proxy that nobody trusts.
func TestAttackAddressThroughAProxyNobodyTrusts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	wantFine(t, h.examine(t, front{}, nil))
	untrusting := newWafer(t, func(c *config.Config) { c.TrustedProxies = nil })
	want{id: "proxy.address", status: doctor.Fail, found: "takes the proxy, 127.0.0.1, for the caller", fix: "--trusted-proxy 127.0.0.1/32"}.
		in(t, h.examine(t, front{wafer: untrusting}, nil))
	wantFine(t, h.examine(t, front{}, nil))
}
