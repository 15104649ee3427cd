package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

const shopOrigin = "https://shop.example"

// browsing is a chain over paths that are shared, paths that are not, and paths
// that set cookies.
func browsing(t *testing.T) rig {
	t.Helper()
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mux := http.NewServeMux()
	share := middleware.Sharing{Methods: []string{"POST"}, Trusted: trustShop, Cookies: trustShop}
	mux.Handle("OPTIONS /shared/{what}", share.Wrap(http.NotFoundHandler()))
	mux.Handle("POST /shared/{what}", share.Wrap(respond.Serve(log, func(w http.ResponseWriter, r *http.Request) error {
		switch r.PathValue("what") {
		case "bug":
			panic("secret plan")
		case "busy":
			return fault.New(fault.Busy, "Later.").Retry(time.Second)
		case "body":
			return middleware.JSON(r, &struct{}{})
		}
		respond.NoContent(w)
		return nil
	})))
	mux.HandleFunc("POST /page", ok)
	mux.HandleFunc("GET /set/{how}", set)
	h, err := middleware.Chain(middleware.Config{
		Issuer: "https://auth.example", Log: log, Now: func() time.Time { return time.Unix(1_900_000_000, 0) },
		Sharing: middleware.Sharing{
			Methods: []string{"DELETE", "GET", "POST"},
			Trusted: func(_ context.Context, o string) bool { return o == shopOrigin || o == "https://other.example" }, Cookies: trustShop,
		},
	}, mux)
	if err != nil {
		t.Fatal(err)
	}
	return rig{h, &logged}
}

// set answers with a cookie in every way a handler can.
func set(w http.ResponseWriter, r *http.Request) {
	var size int
	if n, _ := fmt.Sscanf(r.PathValue("how"), "size-%d", &size); n == 0 {
		size = 20
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=600")
	h.Set("ETag", `"x"`)
	h.Set("Vary", "Accept-Encoding")
	if r.PathValue("how") != "nothing" {
		h.Set("Set-Cookie", "__Host-Http-x="+strings.Repeat("v", size-len("__Host-Http-x"))+"; Path=/; Secure; HttpOnly")
	}
	switch r.PathValue("how") {
	case "header":
		w.WriteHeader(http.StatusSeeOther)
	case "twice":
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	case "silent":
	case "flush":
		_ = http.NewResponseController(w).Flush()
	default:
		fmt.Fprint(w, "hello")
	}
}

// CSRF-006: a page that may read answers reads refusals too, or its author sees a
// fault of CORS where there is none.
func TestRefusalsAreSharedWithTrustedOrigins(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	long := strings.Repeat("x", 70_000)
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
		cookies                  bool // credentials are allowed
	}{
		{"good", "POST", "/shared/x", "", 204, true},
		{"panic", "POST", "/shared/bug", "", 500, true},
		{"busy", "POST", "/shared/busy", "", 503, true},
		{"wrong type", "POST", "/shared/body", "a", 415, true},
		{"too large", "POST", "/shared/x", long, 413, true},
		{"wrong method", "PUT", "/shared/x", "", 405, true},
		{"unknown path", "POST", "/nowhere", "", 404, true},
		{"unknown path, too large", "POST", "/nowhere", long, 413, true},
	} {
		for _, origin := range []string{shopOrigin, "https://evil.test", "null", ""} {
			r := request(tt.method, tt.path, strings.NewReader(tt.body))
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			w := g.do(r)
			allowed, credentials := "", ""
			if origin == shopOrigin {
				allowed, credentials = origin, "true"
			}
			h := w.Header()
			if w.Code != tt.want || h.Get("Access-Control-Allow-Origin") != allowed || h.Get("Access-Control-Allow-Credentials") != credentials {
				t.Errorf("%s from %q: %d %v", tt.name, origin, w.Code, h)
			}
			if got := h.Values("Vary"); len(got) != 2 || got[1] != "Origin" {
				t.Errorf("%s from %q: Vary %q", tt.name, origin, got)
			}
			if exposed := h.Get("Access-Control-Expose-Headers"); strings.Contains(exposed, "Retry-After") != (allowed != "") {
				t.Errorf("%s from %q: exposed %q", tt.name, origin, exposed)
			}
		}
	}
	r := request("POST", "/page", nil)
	r.Header.Set("Origin", shopOrigin)
	if w := g.do(r); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page is shared")
	}
}

func TestPreflightsOfUnknownPathsLetThePageSeeTheRefusal(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	for _, tt := range []struct {
		path, origin string
		want         int
		credentials  string
	}{
		{"/nowhere", shopOrigin, 204, "true"},
		{"/nowhere", "https://other.example", 204, ""}, // registered, not first-party
		{"/nowhere", "https://evil.test", 403, ""},
		{"/shared/x", shopOrigin, 204, "true"},
		{"/shared/x", "https://other.example", 403, ""},
		{"/page", shopOrigin, 405, ""},
	} {
		r := request("OPTIONS", tt.path, nil)
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		w := g.do(r)
		if w.Code != tt.want || (w.Header().Get("Access-Control-Allow-Methods") != "") != (tt.want == 204) || w.Header().Get("Access-Control-Allow-Credentials") != tt.credentials {
			t.Errorf("%s from %s: %d %v", tt.path, tt.origin, w.Code, w.Header())
		}
	}
	if w := g.do(request("OPTIONS", "/nowhere", nil)); w.Code != 404 {
		t.Errorf("no preflight: %d", w.Code)
	}
}

// HTTP-010
func TestPeopleGetAPageWhereProgramsGetJSON(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	for _, tt := range []struct {
		method, path, host, words string
		want                      int
	}{
		{"GET", "/nowhere", "", "There is nothing here.", 404},
		{"GET", "/page", "", "This path does not answer this method.", 405},
		{"POST", "/page", "evil.test", "This server does not answer for this host.", 421},
		{"POST", "/shared/bug", "", "Something went wrong on our side.", 500},
	} {
		for _, people := range []bool{true, false} {
			r := request(tt.method, tt.path, nil)
			if tt.host != "" {
				r.Host = tt.host
			}
			kind := "application/json"
			if people {
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				r.Header.Set("Sec-Fetch-Dest", "document")
				kind = "text/html; charset=utf-8"
			}
			w := g.do(r)
			h := w.Header()
			if w.Code != tt.want || h.Get("Content-Type") != kind || !strings.Contains(w.Body.String(), tt.words) {
				t.Errorf("%s %s: %d %q %s", tt.method, tt.path, w.Code, h.Get("Content-Type"), w.Body)
			}
			policy := h.Get("Content-Security-Policy")
			if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") {
				t.Errorf("%s %s: policy %q", tt.method, tt.path, policy)
			}
			for _, name := range []string{"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Referrer-Policy", "X-Content-Type-Options"} {
				if h.Get(name) == "" {
					t.Errorf("%s %s: no %s", tt.method, tt.path, name)
				}
			}
		}
	}
}

// SESS-016: whatever a handler says, an answer with a cookie is for nobody else.
func TestAnswersWithACookieAreNeverCached(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	for how, want := range map[string]int{"header": 303, "body": 200, "twice": 200, "silent": 200, "flush": 200} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/set/"+how, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		h := res.Header
		if res.StatusCode != want || h.Get("Set-Cookie") == "" {
			t.Errorf("%s: %d %v", how, res.StatusCode, h)
		}
		if got := h.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" || h.Get("ETag") != "" || strings.Join(h.Values("Vary"), ", ") != "Accept-Encoding, Cookie" {
			t.Errorf("%s: %v", how, h)
		}
	}
	w := g.do(request("GET", "/set/nothing", nil))
	if w.Header().Get("Cache-Control") != "public, max-age=600" || w.Header().Get("ETag") == "" {
		t.Errorf("without a cookie: %v", w.Header())
	}
}

func TestLargeCookiesAreWarnedOfAndTooLargeOnesRefused(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	get := func(size int) *httptest.ResponseRecorder {
		return g.do(request("GET", fmt.Sprintf("/set/size-%d", size), nil))
	}
	warned := func() int { return strings.Count(g.logged.String(), "nearly as large") }
	if w := get(3584); w.Code != 200 || w.Header().Get("Set-Cookie") == "" || warned() != 0 {
		t.Errorf("at 3.5 KiB: %d, %d warnings", w.Code, warned())
	}
	for range 3 {
		if w := get(4096); w.Code != 200 || w.Header().Get("Set-Cookie") == "" || w.Body.String() != "hello" {
			t.Errorf("at 4096: %d %s", w.Code, w.Body)
		}
	}
	if warned() != 1 {
		t.Errorf("%d warnings, want one", warned())
	}
	w := get(4097)
	if w.Code != 500 || w.Header().Get("Set-Cookie") != "" || strings.Contains(w.Body.String(), "hello") || !strings.Contains(w.Body.String(), `"internal"`) {
		t.Errorf("over 4096: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if text := g.logged.String(); !strings.Contains(text, "larger than browsers keep") || strings.Contains(text, "vvvv") {
		t.Errorf("the log says nothing, or too much: %.500s", text)
	}
}

func TestLargeCookieHeadersAreNotedBySizeOnly(t *testing.T) {
	t.Parallel()
	g := browsing(t)
	for size, want := range map[int]bool{6 << 10: false, 6<<10 + 1: true} {
		before := strings.Count(g.logged.String(), "request with large cookies")
		r := request("POST", "/page", nil)
		r.Header["Cookie"] = []string{"name=sesame; ", strings.Repeat("s", size-len("name=sesame; "))}
		g.do(r)
		if got := strings.Count(g.logged.String(), "request with large cookies") > before; got != want {
			t.Errorf("%d bytes: noted %t", size, got)
		}
	}
	if text := g.logged.String(); !strings.Contains(text, `"bytes":6145,"cookies":3`) || strings.Contains(text, "sesame") || strings.Contains(text, "ssss") {
		t.Errorf("got %s", text)
	}
}
