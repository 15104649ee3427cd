package httpauth_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// rules is the table that the server is tested with too: both sides tell origins
// apart alike.
type rules struct {
	Own      string
	Trusted  string
	Requests []struct {
		Name, Method string
		Header       http.Header
		Passes       bool
	}
	Shares []struct {
		Origin  string
		Trusted bool
	}
}

func readRules(t *testing.T) rules {
	t.Helper()
	raw, err := os.ReadFile("testdata/origins.json")
	if err != nil {
		t.Fatal(err)
	}
	var all rules
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Requests) < 50 || len(all.Shares) < 10 {
		t.Fatalf("%d requests, %d shares", len(all.Requests), len(all.Shares))
	}
	return all
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func welcome(w http.ResponseWriter, r *http.Request) {
	id, _ := httpauth.From(r.Context())
	fmt.Fprintf(w, "%s by %s", id.Subject, id.Kind)
}

func send(tb testing.TB, h http.Handler, method, url string, header http.Header) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, url, nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func and(h http.Header, pairs ...string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// CSRF-002, CSRF-004, CSRF-006
func TestUnsafeRequestsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	all := readRules(t)
	issuer := verifytest.NewIssuer(t)
	const name = "__Host-Http-token"
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Origins: []string{all.Trusted}, Base: all.Own + "/app/", TokenCookie: name, Logger: quiet})
	h := auth.Require()(http.HandlerFunc(welcome))
	value, token := issuer.Session(), issuer.Token()
	for _, tt := range all.Requests {
		want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[tt.Passes]
		for kind, pair := range map[string]string{"session": session(value), "token": name + "=" + token} {
			if w := send(t, h, tt.Method, all.Own+"/orders", and(tt.Header, "Cookie", pair)); w.Code != want {
				t.Errorf("%s, %s: got %d, want %d: %s", tt.Name, kind, w.Code, want, w.Body)
			}
		}
		if w := send(t, h, tt.Method, all.Own+"/orders", and(tt.Header, "Authorization", "Bearer "+token)); w.Code != http.StatusOK {
			t.Errorf("%s, bearer: got %d, want 200", tt.Name, w.Code)
		}
		// What opens a WebSocket is written to, whatever its method says.
		if strings.HasPrefix(tt.Name, "reading is harmless, GET") {
			if w := send(t, h, tt.Method, all.Own+"/orders", and(tt.Header, "Cookie", session(value), "Upgrade", "websocket")); w.Code != http.StatusForbidden {
				t.Errorf("%s, WebSocket: got %d, want 403", tt.Name, w.Code)
			}
		}
	}
}

// A proxy in front that asks the service by another name than browsers use.
func TestOwnPageIsKnownByTheBase(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	header := and(cookie(session(issuer.Session())), "Origin", "https://shop.example")
	for at, want := range map[string]int{"https://shop.example/app": 200, "https://SHOP.example": 200, "https://shop.example:8443": 403, "": 403} {
		auth := httpauth.New(issuer.Verifier(), httpauth.Options{Base: at, Logger: quiet})
		h := auth.CORS(auth.Require()(http.HandlerFunc(welcome)))
		w := send(t, h, http.MethodPost, "http://internal.test:8080/orders", header)
		if w.Code != want || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("Base %q: got %d %v, want %d", at, w.Code, w.Header(), want)
		}
	}
}

func TestTrustedPageMayOpenAWebSocket(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Origins: []string{"http://localhost:3000"}, Logger: quiet})
	h := auth.Require()(http.HandlerFunc(welcome))
	for origin, want := range map[string]int{"http://localhost:3000": 200, "http://localhost:3001": 403, "": 200} {
		header := and(cookie(session(issuer.Session())), "Upgrade", "websocket", "Connection", "Upgrade")
		if origin != "" {
			header = and(header, "Origin", origin, "Sec-Fetch-Site", "same-site")
		}
		if w := send(t, h, http.MethodGet, "http://localhost:4000/live", header); w.Code != want {
			t.Errorf("from %q: got %d, want %d", origin, w.Code, want)
		}
	}
}

// CSRF-006
func TestCORSNamesOnlyListedOrigins(t *testing.T) {
	t.Parallel()
	all := readRules(t)
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Origins: []string{all.Trusted}, Headers: []string{"If-Match"}, Logger: quiet})
	service := auth.Require()(http.HandlerFunc(welcome))
	for how, h := range map[string]http.Handler{"auth": auth.CORS(service), "alone": httpauth.CORS(service, all.Trusted)} {
		for _, tt := range all.Shares {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
				header := http.Header{"Access-Control-Request-Method": {"POST"}}
				if tt.Origin != "" {
					header.Set("Origin", tt.Origin)
				}
				w := send(t, h, method, all.Own+"/orders", header)
				want := http.StatusUnauthorized // refusals are shared too
				if method == http.MethodOptions {
					want = map[bool]int{true: http.StatusNoContent, false: http.StatusForbidden}[tt.Trusted]
				}
				expect := map[string]string{"Vary": "Origin"}
				if tt.Trusted {
					expect["Access-Control-Allow-Origin"], expect["Access-Control-Allow-Credentials"] = all.Trusted, "true"
					if method == http.MethodOptions {
						expect["Access-Control-Allow-Methods"], expect["Access-Control-Max-Age"] = "DELETE, GET, HEAD, PATCH, POST, PUT", "600"
						expect["Access-Control-Allow-Headers"] = "Authorization, Content-Type, DPoP, X-Requested-With" + map[string]string{"auth": ", If-Match"}[how]
					} else {
						expect["Access-Control-Expose-Headers"] = "DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"
					}
				}
				if w.Code != want {
					t.Errorf("%s, %s from %q: got %d, want %d", how, method, tt.Origin, w.Code, want)
				}
				for _, name := range []string{"Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age", "Access-Control-Expose-Headers"} {
					if got := strings.Join(w.Header().Values(name), "; "); got != expect[name] {
						t.Errorf("%s, %s from %q: %s is %q, want %q", how, method, tt.Origin, name, got, expect[name])
					}
				}
			}
		}
		two := http.Header{"Origin": {all.Trusted, "https://evil.test"}}
		if w := send(t, h, http.MethodGet, all.Own, two); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: two origins are allowed", how)
		}
		if w := send(t, h, http.MethodOptions, all.Own, http.Header{"Origin": {all.Trusted}}); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: OPTIONS that is no preflight: got %d, want the service's own answer", how, w.Code)
		}
	}
}

func TestOptionsThatCannotBeMeantPanic(t *testing.T) {
	t.Parallel()
	v := verifytest.NewIssuer(t).Verifier()
	try := func(o httpauth.Options) (refused bool) {
		defer func() { refused = recover() != nil }()
		httpauth.New(v, o)
		return
	}
	const in, base = "https://id.example/login?client_id=shop-web", "https://shop.example"
	for name, o := range map[string]httpauth.Options{
		"nothing": {}, "all": {Origins: []string{"https://shop.example", "http://localhost:3000", "https://[::1]:8443"}, Headers: []string{"If-Match"}, SignIn: in, Base: base + "/app/", TokenCookie: "__Host-Http-token"},
		"base alone": {Base: base}, "old prefix": {TokenCookie: "__Host-token"},
	} {
		if try(o) {
			t.Errorf("%s: panics", name)
		}
	}
	for name, o := range map[string]httpauth.Options{
		"wildcard": {Origins: []string{"*"}}, "null": {Origins: []string{"null"}}, "capitals": {Origins: []string{"https://Shop.example"}}, "slash": {Origins: []string{"https://shop.example/"}},
		"own port": {Origins: []string{"https://shop.example:443"}}, "dot": {Origins: []string{"https://shop.example."}}, "in the clear": {Origins: []string{"http://shop.example"}},
		"user": {Origins: []string{"https://a@shop.example"}}, "no port": {Origins: []string{"https://shop.example:"}}, "large port": {Origins: []string{"https://shop.example:65536"}},
		"wildcard host": {Origins: []string{"https://*.shop.example"}}, "Unicode": {Origins: []string{"https://größe.example"}}, "empty": {Origins: []string{""}}, "second": {Origins: []string{"https://shop.example", "x"}},
		"any header": {Headers: []string{"*"}}, "two headers": {Headers: []string{"A, B"}}, "line break": {Headers: []string{"A\r\nB"}}, "no header": {Headers: []string{""}},
		"sign-in without base": {SignIn: in}, "relative sign-in": {SignIn: "/login", Base: base}, "sign-in in the clear": {SignIn: "http://id.example/login", Base: base},
		"sign-in with a fragment": {SignIn: in + "#x", Base: base}, "sign-in with return_to": {SignIn: in + "&return_to=x", Base: base}, "sign-in by script": {SignIn: "javascript:alert(1)", Base: base},
		"base with a query": {SignIn: in, Base: base + "?x"}, "relative base": {SignIn: in, Base: "/app"}, "base with a user": {Base: "https://a@shop.example"}, "base with a backslash": {Base: `https://shop.example/\`},
		"cookie without prefix": {TokenCookie: "token"}, "cookie with half a prefix": {TokenCookie: "__Secure-token"}, "cookie in capitals": {TokenCookie: "__HOST-token"}, "prefix alone": {TokenCookie: "__Host-Http-"},
		"session cookie": {TokenCookie: verify.CookieName}, "cookie with a space": {TokenCookie: "__Host-Http-a b"}, "cookie with a semicolon": {TokenCookie: "__Host-a;b"},
	} {
		if !try(o) {
			t.Errorf("%s: is taken", name)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("CORS takes a wildcard")
		}
	}()
	httpauth.CORS(http.NotFoundHandler(), "*")
}
