package middleware_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// rig is a chain over a few paths, and what it logged.
type rig struct {
	http.Handler
	logged *bytes.Buffer
}

func newRig(t *testing.T, change func(*middleware.Config)) rig {
	t.Helper()
	var logged bytes.Buffer
	c := middleware.Config{
		Issuer: "https://auth.example", AnyHost: []string{"/healthz"}, Bodies: map[string]int64{"/big": 1 << 20},
		Log: slog.New(slog.NewJSONHandler(&logged, nil)), Now: func() time.Time { return time.Unix(1_900_000_000, 0) },
	}
	if change != nil {
		change(&c)
	}
	mux := http.NewServeMux()
	echo := func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d %v", middleware.Address(r.Context()), len(b), err)
	}
	mux.HandleFunc("GET /here", echo)
	mux.HandleFunc("POST /here", echo)
	mux.HandleFunc("POST /big", echo)
	mux.HandleFunc("GET /healthz", echo)
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %t", r.PathValue("id"), r.Pattern, middleware.RequestID(r.Context()) == w.Header().Get("X-Request-Id"))
	})
	mux.HandleFunc("GET /changes", func(w http.ResponseWriter, r *http.Request) {
		for name, values := range w.Header() {
			w.Header()[name] = append(values, "changed")
			w.Header()[name][0] = "changed"
		}
	})
	mux.HandleFunc("GET /bug", func(http.ResponseWriter, *http.Request) { panic("secret plan") })
	h, err := middleware.Chain(c, mux)
	if err != nil {
		t.Fatal(err)
	}
	return rig{h, &logged}
}

func (g rig) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func request(method, path string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, path, body)
	r.Host = "auth.example"
	r.RemoteAddr = "203.0.113.9:4711"
	return r
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	evil := request("GET", "/here", nil)
	evil.Host = "evil.test"
	for name, r := range map[string]*http.Request{
		"found": request("GET", "/here", nil), "not found": request("GET", "/nowhere", nil), "wrong method": request("PUT", "/here", nil),
		"panic": request("GET", "/bug", nil), "misdirected": evil, "too large": request("POST", "/here", strings.NewReader(strings.Repeat("x", 70_000))),
		"trace": request("TRACE", "/here", nil), "odd verb": request("FROB", "/here", nil),
	} {
		w := g.do(r)
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Vary": "Cookie", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "DENY",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", name, csp)
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", name)
		}
	}
}

func TestHeadersOfOneAnswerAreNotAnothers(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	before := g.do(request("GET", "/here", nil)).Header()
	g.do(request("GET", "/changes", nil))
	after := g.do(request("GET", "/here", nil)).Header()
	if before.Get("X-Request-Id") == after.Get("X-Request-Id") {
		t.Error("two requests have one id")
	}
	before.Del("X-Request-Id")
	after.Del("X-Request-Id")
	if !reflect.DeepEqual(before, after) {
		t.Errorf("got %v, want %v", after, before)
	}
}

func TestRoutesWithPathValues(t *testing.T) {
	t.Parallel()
	if got, want := newRig(t, nil).do(request("GET", "/things/a%2Fb", nil)).Body.String(), "a/b GET /things/{id} true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainIssuerDoesNotDemandHTTPS(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *middleware.Config) { c.Issuer = "http://auth.example" })
	if got := g.do(request("GET", "/here", nil)).Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestUnknownPathsAndMethodsAreAnsweredInJSON(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	for _, tt := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/here", 200, ""},
		{"GET", "/nowhere", 404, ""},
		{"GET", "/here/", 404, ""},
		{"GET", "/HERE", 404, ""},
		{"PUT", "/here", 405, "GET, HEAD, POST"},
		{"TRACE", "/here", 405, "GET, HEAD, POST"},
		{"FROB", "/here", 405, "GET, HEAD, POST"},
	} {
		w := g.do(request(tt.method, tt.path, nil))
		if w.Code != tt.want || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d, Allow %q", tt.method, tt.path, w.Code, w.Header().Get("Allow"))
		}
		if w.Code >= 400 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: not JSON: %s", tt.method, tt.path, w.Body)
		}
	}
	for _, path := range []string{"//here", "/x/../here"} {
		if w := g.do(request("GET", path, nil)); w.Code == 200 {
			t.Errorf("%s was served", path)
		}
	}
}

func TestPanicIsLoggedAndNotShown(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	w := g.do(request("GET", "/bug", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret plan") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(g.logged.String(), "secret plan") {
		t.Error("the panic was not logged")
	}
}

func TestHostOfOthersIsMisdirected(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *middleware.Config) { c.Hosts = []string{"login.example:8443"} })
	for _, tt := range []struct {
		host, path, remote string
		want               int
	}{
		{"auth.example", "/here", "203.0.113.9:1", 200},
		{"AUTH.example:443", "/here", "203.0.113.9:1", 200},
		{"login.example:8443", "/here", "203.0.113.9:1", 200},
		{"evil.test", "/here", "203.0.113.9:1", 421},
		{"auth.example.", "/here", "203.0.113.9:1", 421},
		{"auth.example:80", "/here", "203.0.113.9:1", 421},
		{"auth.example:443:443", "/here", "203.0.113.9:1", 421},
		{"good@auth.example", "/here", "203.0.113.9:1", 421},
		{"auth.example/x", "/here", "203.0.113.9:1", 421},
		{"192.0.2.1", "/here", "203.0.113.9:1", 421},
		{"", "/here", "203.0.113.9:1", 421},
		{"localhost:8080", "/here", "203.0.113.9:1", 421},
		{"localhost:8080", "/here", "127.0.0.1:1", 200},
		{"127.0.0.1:8080", "/here", "127.0.0.1:1", 200},
		{"[::1]:8080", "/here", "[::1]:1", 200},
		{"evil.test", "/here", "127.0.0.1:1", 421}, // DNS rebinding
		{"10.0.0.7:8080", "/healthz", "10.0.0.1:1", 200},
		{"10.0.0.7:8080", "/healthz/../here", "10.0.0.1:1", 421},
	} {
		r := request("GET", tt.path, nil)
		r.Host, r.RemoteAddr = tt.host, tt.remote
		w := g.do(r)
		if w.Code != tt.want {
			t.Errorf("Host %q %s from %s: got %d, want %d", tt.host, tt.path, tt.remote, w.Code, tt.want)
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("Host %q: a cookie was set", tt.host)
		}
	}
}

func TestForwardedForIsBelievedOnlyFromProxies(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *middleware.Config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		want         string // "" is a refusal
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"spoofed by the caller", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"junk by the caller", "203.0.113.9:1", []string{"a"}, "203.0.113.9"},
		{"proxy says nothing", "10.0.0.1:1", nil, "10.0.0.1"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"caller wrote the left", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"caller wrote junk on the left", "10.0.0.1:1", []string{"a, 198.51.100.1"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:1", []string{"127.0.0.1", "198.51.100.1"}, "198.51.100.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.1:55"}, "198.51.100.1"},
		{"six", "10.0.0.1:1", []string{"[2001:db8::1]:55"}, "2001:db8::1"},
		{"four in six", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"junk from the proxy", "10.0.0.1:1", []string{"a"}, ""},
		{"empty entry", "10.0.0.1:1", []string{"198.51.100.1,"}, ""},
		{"a thousand hops", "10.0.0.1:1", []string{strings.Repeat("10.0.0.2,", 1000) + "10.0.0.2"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request("GET", "/here", nil)
			r.RemoteAddr = tt.remote
			r.Header["X-Forwarded-For"] = tt.forwarded
			w := g.do(r)
			got, _, _ := strings.Cut(w.Body.String(), " ")
			if tt.want == "" && w.Code != 400 || tt.want != "" && got != tt.want {
				t.Errorf("got %d %s, want %q", w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestBodyIsCapped(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	post := func(path string, size int, lie bool) *httptest.ResponseRecorder {
		r := request("POST", path, strings.NewReader(strings.Repeat("x", size)))
		if lie {
			r.ContentLength = -1
		}
		return g.do(r)
	}
	if w := post("/here", 64<<10, false); w.Code != 200 {
		t.Errorf("a body at the cap: %d", w.Code)
	}
	if w := post("/here", 64<<10+1, false); w.Code != 413 {
		t.Errorf("a body over the cap: %d", w.Code)
	}
	if w := post("/here", 64<<10+1, true); !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("a body that hides its length: %s", w.Body)
	}
	if w := post("/big", 1<<20, false); w.Code != 200 {
		t.Errorf("a path with another cap: %d", w.Code)
	}
	if w := post("/big", 1<<20+1, false); w.Code != 413 {
		t.Errorf("over the other cap: %d", w.Code)
	}
}

func TestAccessLogHoldsNoSecretsAndOneLineEach(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	r := request("GET", "/here?access_token=sesame-1", nil)
	r.Header.Set("Authorization", "Bearer sesame-2")
	r.Header.Set("Cookie", middleware.CookieName+"=sesame-3")
	r.Header.Set("X-Request-Id", "chosen-by-the-caller")
	g.do(r)
	g.do(request("GET", "/a%0d%0ainjected%1b[31m%22"+strings.Repeat("y", 5000), nil))
	text := g.logged.String()
	for _, secret := range []string{"sesame", "chosen-by-the-caller", "\x1b"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for 2 requests", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) || len(line) > 1000 {
			t.Errorf("line of %d bytes: %s", len(line), line)
		}
	}
	if !strings.Contains(lines[0], `"route":"GET /here"`) || !strings.Contains(lines[0], `"status":200`) {
		t.Errorf("got %s", lines[0])
	}
}

func TestRequestIDOfAProxyIsKept(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *middleware.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	for id, kept := range map[string]bool{"abc-123": true, "a b": false, "x\r\ny": false, strings.Repeat("a", 65): false} {
		r := request("GET", "/here", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Request-Id"] = []string{id}
		if got := g.do(r).Header().Get("X-Request-Id"); (got == id) != kept {
			t.Errorf("%q became %q", id, got)
		}
	}
}
