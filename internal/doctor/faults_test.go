package doctor_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/doctor"
)

// before answers some requests in Wafer's place.
func before(when func(*http.Request) bool, answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if when(r) {
				answer(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func path(p string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == p }
}

func method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

func html(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<h1>%d</h1>", status)
	}
}

// on changes answers of one path.
func on(p string, change func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if r.Request.URL.Path == p {
			change(r)
		}
	}
}

// edit changes the body of an answer.
func edit(r *http.Response, change func(string) string) {
	if r.StatusCode == http.StatusNotModified {
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	text := change(string(b))
	r.Body = io.NopCloser(strings.NewReader(text))
	r.ContentLength = int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
}

func replace(old, new string) func(*http.Response) {
	return func(r *http.Response) { edit(r, func(s string) string { return strings.ReplaceAll(s, old, new) }) }
}

// set returns a change of one header; an empty value removes it.
func set(name, value string) func(*http.Response) {
	return func(r *http.Response) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func add(name, value string) func(*http.Response) {
	return func(r *http.Response) { r.Header.Add(name, value) }
}

// cookies rewrites every Set-Cookie, as proxies do.
func cookies(old, new string) func(*http.Response) {
	return func(r *http.Response) {
		for i, line := range r.Header["Set-Cookie"] {
			r.Header["Set-Cookie"][i] = strings.Replace(line, old, new, 1)
		}
	}
}

// cacheOf stores what it saw once, by path alone.
func cacheOf(p string, headers ...string) func(http.Handler) http.Handler {
	var mu sync.Mutex
	stored := map[string]*httptest.ResponseRecorder{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != p {
				next.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			kept, hit := stored[p]
			if !hit {
				kept = httptest.NewRecorder()
				next.ServeHTTP(kept, r)
				stored[p] = kept
			}
			for name, values := range kept.Header() {
				w.Header()[name] = values
			}
			if hit {
				for i := 0; i+1 < len(headers); i += 2 {
					w.Header().Set(headers[i], headers[i+1])
				}
			}
			w.WriteHeader(kept.Code)
			_, _ = w.Write(kept.Body.Bytes())
		})
	}
}

func gzipped(r *http.Response) {
	if !strings.Contains(r.Request.Header.Get("Accept-Encoding"), "gzip") {
		return
	}
	edit(r, func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	})
	r.Header.Set("Content-Encoding", "gzip")
}

// once per signed-in path: the cache of a person's answer, filled with the cookie.
func keepsSignedIn() func(http.Handler) http.Handler {
	var mu sync.Mutex
	var kept *httptest.ResponseRecorder
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/session" {
				next.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			rec := kept
			if rec == nil {
				rec = httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				if rec.Code == http.StatusOK {
					kept = rec
				}
			}
			for name, values := range rec.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}
}

type fault struct {
	name   string
	front  front
	target func(*doctor.Target)
	want   want
}

// run examines a healthy front, each broken one, and the healthy one again: what
// is found is the fault's doing.
func run(t *testing.T, faults []fault) {
	t.Helper()
	h := newHouse(t)
	wantFine(t, h.examine(t, front{}, nil))
	t.Run("faults", func(t *testing.T) {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.want.in(t, h.examine(t, f.front, f.target))
			})
		}
	})
	wantFine(t, h.examine(t, front{}, nil))
}

func TestFaultsOfIssuerAndHost(t *testing.T) {
	t.Parallel()
	const meta = "/.well-known/oauth-authorization-server"
	jwks := "/.well-known/jwks.json"
	run(t, []fault{
		{"slash at the end", front{}, func(x *doctor.Target) { x.URL = issuer + "/" },
			want{id: "issuer.same", status: doctor.Fail, found: "a slash at the end", fix: "Write https://id.example.com wherever"}},
		{"capital letters", front{}, func(x *doctor.Target) { x.URL = "https://ID.example.com" },
			want{id: "issuer.same", status: doctor.Fail, found: "capital letters", fix: "Write https://id.example.com wherever"}},
		{"issuer of http", front{response: replace(`"issuer":"https://id`, `"issuer":"http://id`)}, nil,
			want{id: "issuer.same", status: doctor.Fail, found: "another scheme", fix: "--issuer https://id.example.com", also: "issuer.endpoints"}},
		{"issuer with a port", front{response: replace("https://id.example.com", "https://id.example.com:8443")}, nil,
			want{id: "issuer.same", status: doctor.Fail, found: "another port", fix: "--issuer https://id.example.com"}},
		{"endpoints elsewhere", front{response: replace(`"jwks_uri":"https://id.`, `"jwks_uri":"https://keys.`)}, nil,
			want{id: "issuer.endpoints", status: doctor.Fail, found: `jwks_uri "https://keys.example.com/`, fix: "sub_filter"}},
		{"metadata hidden", front{wrap: before(path(meta), html(404))}, nil,
			want{id: "issuer.metadata", status: doctor.Fail, found: "404 text/html", fix: "send every path", also: "issuer.cache"}},
		{"metadata mangled", front{response: on(meta, func(r *http.Response) { edit(r, func(string) string { return "{}" }) })}, nil,
			want{id: "issuer.metadata", status: doctor.Fail, found: "is not the metadata", fix: "as it is"}},
		{"metadata as text", front{response: on(meta, set("Content-Type", "text/plain"))}, nil,
			want{id: "issuer.metadata", status: doctor.Fail, found: `"text/plain"`, fix: "Content-Type"}},
		{"another openid issuer", front{response: on("/.well-known/openid-configuration", replace("id.example.com", "old.example.com"))}, nil,
			want{id: "issuer.openid", status: doctor.Fail, found: "old.example.com", fix: "same Wafer"}},
		{"openid hidden", front{wrap: before(path("/.well-known/openid-configuration"), html(403))}, nil,
			want{id: "issuer.openid", status: doctor.Fail, found: "403 text/html", fix: "send every path"}},
		{"openid with another address", front{response: on("/.well-known/openid-configuration", replace(`"token_endpoint":"https://id.`, `"token_endpoint":"https://old.`))}, nil,
			want{id: "issuer.openid", status: doctor.Fail, found: "token_endpoint is \"https://old.", fix: "same Wafer"}},
		{"no keys", front{response: on(jwks, func(r *http.Response) { edit(r, func(string) string { return `{"keys":[]}` }) })}, nil,
			want{id: "issuer.keys", status: doctor.Fail, found: "no key", fix: "wafer key list"}},
		{"keys cut short", front{response: on(jwks, func(r *http.Response) { edit(r, func(s string) string { return s[:len(s)/2] }) })}, nil,
			want{id: "issuer.keys", status: doctor.Fail, found: "cannot be read", fix: "as it is"}},
		{"keys as a page", front{response: on(jwks, set("Content-Type", "text/html"))}, nil,
			want{id: "issuer.keys", status: doctor.Fail, found: `"text/html"`, fix: "Content-Type"}},
		{"keys not cacheable", front{response: on(jwks, set("Cache-Control", "no-store"))}, nil,
			want{id: "issuer.cache", status: doctor.Warn, found: "may not be cached", fix: "Cache-Control"}},
		{"keys too old", front{response: on(jwks, set("Age", "9999"))}, nil,
			want{id: "issuer.cache", status: doctor.Fail, found: "9999", fix: "a new key is unknown"}},
		{"keys set a cookie", front{response: on(jwks, set("Set-Cookie", "lb=1"))}, nil,
			want{id: "issuer.cache", status: doctor.Warn, found: "sets a cookie", fix: "no cookies"}},
		{"keys without a tag", front{response: on(jwks, set("ETag", ""))}, nil,
			want{id: "issuer.cache", status: doctor.Warn, found: "cheaply", fix: "ETag"}},
		{"host is the upstream's", front{request: func(_, out *http.Request) { out.Host = "wafer" }}, nil,
			want{id: "host.own", status: doctor.Fail, found: "421", fix: "proxy_set_header Host $http_host"}},
		{"host is always the right one", front{request: func(_, out *http.Request) { out.Host = "id.example.com" }}, nil,
			want{id: "host.unknown", status: doctor.Fail, found: "unknown.invalid", fix: "proxy_set_header Host $http_host"}},
	})
}

func TestIssuerThatWasNeverSetIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	wantFine(t, h.examine(t, front{}, nil))
	other := newWafer(t, func(c *config.Config) { c.Issuer = "" })
	want{id: "host.own", status: doctor.Fail, found: `Its issuer is "http://localhost:`, fix: "Start Wafer with --issuer https://id.example.com."}.
		in(t, h.examine(t, front{wafer: other}, nil))
}

func TestFaultsOfHeadersCachesAndLimits(t *testing.T) {
	t.Parallel()
	run(t, []fault{
		{"no policy on pages", front{response: on("/login", set("Content-Security-Policy", ""))}, nil,
			want{id: "header.html", status: doctor.Fail, found: "lacks Content-Security-Policy", fix: "proxy_hide_header"}},
		{"framing allowed", front{response: on("/login", set("Content-Security-Policy", "default-src 'none'"))}, nil,
			want{id: "header.html", status: doctor.Fail, found: "frame-ancestors", fix: "proxy_hide_header"}},
		{"no nosniff on JSON", front{response: on("/session", set("X-Content-Type-Options", ""))}, nil,
			want{id: "header.json", status: doctor.Fail, found: "X-Content-Type-Options", fix: "proxy_hide_header"}},
		{"no HSTS on errors", front{response: on("/there-is-nothing-here", set("Strict-Transport-Security", ""))}, nil,
			want{id: "header.missing", status: doctor.Fail, found: "Strict-Transport-Security", fix: "proxy_hide_header"}},
		{"errors in the proxy's words", front{wrap: before(path("/there-is-nothing-here"), html(404))}, nil,
			want{id: "header.missing", status: doctor.Fail, found: "404 text/html", fix: "send every path"}},
		{"opener policy twice", front{response: on("/login", add("Cross-Origin-Opener-Policy", "unsafe-none"))}, nil,
			want{id: "header.html", status: doctor.Warn, found: "twice: Cross-Origin-Opener-Policy", fix: "add_header"}},
		{"personal answers may be kept", front{response: on("/session", set("Cache-Control", "public, max-age=60"))}, nil,
			want{id: "cache.personal", status: doctor.Fail, found: "max-age=60", fix: "expires", also: "cache.signedin"}},
		{"a cache that says nothing", front{wrap: cacheOf("/login")}, nil,
			want{id: "cache.shared", status: doctor.Fail, found: "X-Request-Id", fix: "proxy_cache"}},
		{"a cache with Age", front{response: on("/login", set("Age", "7"))}, nil,
			want{id: "cache.shared", status: doctor.Fail, found: "7 s", fix: "proxy_cache"}},
		{"a cache with X-Cache", front{response: on("/login", set("X-Cache", "HIT from edge"))}, nil,
			want{id: "cache.shared", status: doctor.Fail, found: "HIT from edge", fix: "proxy_cache"}},
		{"a cache mixes people up", front{wrap: keepsSignedIn()}, nil,
			want{id: "cache.signedin", status: doctor.Fail, found: "somebody else", fix: "proxy_cache", also: "cookie.end"}},
		{"pages compressed", front{response: on("/login", gzipped)}, nil,
			want{id: "cache.compression", status: doctor.Warn, found: `"gzip"`, fix: "gzip off"}},
		{"small bodies only", front{wrap: before(func(r *http.Request) bool { return r.ContentLength > 32<<10 }, html(413))}, nil,
			want{id: "limits.body", status: doctor.Fail, found: "60 KiB", fix: "client_max_body_size 2m"}},
		{"large bodies refused by the proxy", front{wrap: before(func(r *http.Request) bool { return r.ContentLength > 64<<10 }, html(413))}, nil,
			want{id: "limits.body", status: doctor.Warn, found: "65 KiB", fix: "client_max_body_size 2m"}},
		{"refusals of large bodies are lost", front{wrap: before(func(r *http.Request) bool { return r.ContentLength > 64<<10 }, html(502))}, nil,
			want{id: "limits.body", status: doctor.Warn, found: "is lost", fix: "proxy_http_version 1.1"}},
		{"little room for headers", front{wrap: before(func(r *http.Request) bool { return len(r.Header.Get("Cookie")) > 4000 }, html(400))}, nil,
			want{id: "limits.headers", status: doctor.Warn, found: "400 text/html", fix: "large_client_header_buffers"}},
		{"TRACE", front{wrap: before(method("TRACE"), html(200))}, nil,
			want{id: "limits.method", status: doctor.Fail, found: "200", fix: "TraceEnable off"}},
		{"database gone", front{wrap: before(path("/readyz"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(503)
			fmt.Fprint(w, `{"status":"not ready"}`)
		})}, nil,
			want{id: "ready.ready", status: doctor.Fail, found: "database does not answer", fix: "not ready"}},
		{"readiness hidden", front{wrap: before(path("/readyz"), html(403))}, nil,
			want{id: "ready.ready", status: doctor.Fail, found: "403", fix: "send every path"}},
		{"health hidden", front{wrap: before(path("/healthz"), html(404))}, nil,
			want{id: "ready.health", status: doctor.Fail, found: "404", fix: "send every path", also: "proxy.forged"}},
		{"our clock is ahead", front{}, func(x *doctor.Target) { x.Now = shifted(30 * time.Second) },
			want{id: "clock.date", status: doctor.Warn, found: "behind ours", fix: "NTP", also: "clock.signin"}},
		{"our clock is far behind", front{}, func(x *doctor.Target) { x.Now = shifted(-10 * time.Minute) },
			want{id: "clock.date", status: doctor.Fail, found: "ahead of ours", fix: "NTP", also: "clock.signin"}},
		{"only the proxy's clock", front{response: func(r *http.Response) {
			set("Date", time.Now().Add(-20*time.Second).UTC().Format(http.TimeFormat))(r) // as of this answer: others may take long
		}}, nil,
			want{id: "clock.date", status: doctor.Warn, found: "behind ours", fix: "NTP"}},
		{"no date", front{response: set("Date", "yesterday")}, nil,
			want{id: "clock.date", status: doctor.Warn, found: "no date", fix: "Date"}},
	})
}

func shifted(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

// What applications rely on: each member of the metadata, and each address in it.
func TestFaultsOfAnnouncedEndpoints(t *testing.T) {
	t.Parallel()
	run(t, []fault{
		{"plain challenges", front{response: replace(`"code_challenge_methods_supported":["S256"]`, `"code_challenge_methods_supported":["S256","plain"]`)}, nil,
			want{id: "issuer.announced", status: doctor.Fail, found: "code_challenge_methods_supported has plain", fix: "old copy"}},
		{"no challenges", front{response: replace(`"code_challenge_methods_supported":["S256"],`, ``)}, nil,
			want{id: "issuer.announced", status: doctor.Fail, found: "code_challenge_methods_supported lacks S256", fix: "old copy"}},
		{"no iss", front{response: replace(`"authorization_response_iss_parameter_supported":true`, `"authorization_response_iss_parameter_supported":false`)}, nil,
			want{id: "issuer.announced", status: doctor.Fail, found: "authorization_response_iss_parameter_supported is not true", fix: "old copy"}},
		{"unsigned ID tokens", front{response: replace(`"id_token_signing_alg_values_supported":["RS256"`, `"id_token_signing_alg_values_supported":["none","RS256"`)}, nil,
			want{id: "issuer.announced", status: doctor.Fail, found: "id_token_signing_alg_values_supported has none", fix: "old copy"}},
		{"no authorization endpoint", front{response: replace(`"authorization_endpoint":"https://id.example.com/oauth/authorize",`, ``)}, nil,
			want{id: "issuer.announced", status: doctor.Fail, found: "no authorization_endpoint", fix: "old copy"}},
		{"authorize hidden", front{wrap: before(path("/oauth/authorize"), html(404))}, nil,
			want{id: "issuer.answers", status: doctor.Fail, found: "GET /oauth/authorize: 404 text/html", fix: "send every path"}},
		{"pushed requests hidden", front{wrap: before(path("/oauth/par"), html(403))}, nil,
			want{id: "issuer.answers", status: doctor.Fail, found: "POST /oauth/par: 403 text/html", fix: "every path and method"}},
		{"a password of the proxy's before userinfo", front{wrap: before(path("/oauth/userinfo"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
			w.WriteHeader(http.StatusUnauthorized)
		})}, nil,
			want{id: "issuer.answers", status: doctor.Fail, found: "GET /oauth/userinfo: 401", fix: "every path"}},
		{"logout led elsewhere", front{wrap: before(path("/oauth/logout"), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		})}, nil,
			want{id: "issuer.answers", status: doctor.Fail, found: "GET /oauth/logout: 302", fix: "redirects what it should pass on"}},
	})
}
